//===- HeadGradient.cpp - The gradient of the head's product --------------===//
//
// (exp(l − lse) − onehot) · dloss · softcap'(z), tile by tile from the stored logits: the
// derivative of every softcap is a function of the logit.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/GPUBuilder.h"
#include "compiler/Conversion/KernelToGPU/Hopper/ByteTranspose.h"
#include "compiler/Conversion/KernelToGPU/Hopper/HeadPlan.h"
#include <numbers>

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

namespace {

class HeadGradient {
public:
  HeadGradient(const HeadPlan &plan, GPUEmission &emission)
      : plan(plan), function(emission, "head gradient", threads),
        code(function.builder(), plan.op->getLoc()) {}

  void emit() {
    kernel::GemmOp op = plan.op;
    lm::CrossEntropyOp loss = plan.loss;
    Value thread = code.threadIndex();
    Value block = code.blockIndex();
    HeadScalars scalars(code, function, plan.op);
    curve.emplace(code, plan, Value());
    factor = code.fmul(scalars.get(plan.lossGradient),
                       code.f32(curve->getSlopeFactor() / plan.gradientScale));
    logits = function.getWorkspace(plan.logits);
    gradient = function.getPointer(plan.gradient);
    int64_t tilesN = (plan.columns + tile - 1) / tile;
    firstRow = code.mul(code.div(block, tilesN), tile);
    Value column =
        code.add(code.mul(code.rem(block, tilesN), tile), code.mul(code.bitAnd(thread, 31), 4));
    Value warpRow = code.mul(code.shiftRight(thread, 5), 4);
    auto target = cast<BlockArgument>(loss.getTargets());
    targets = function.getPointer(op.getResultInputs()[target.getArgNumber() - 1]);
    lse = function.getWorkspace(plan.lse);
    auto run = [&] {
      for (int64_t i = 0; i < tile / (4 * threads / 32); ++i)
        emitRows(code.add(firstRow, code.add(warpRow, i * (4 * threads / 32))), column);
    };
    if (plan.columns % tile)
      code.ifThen(code.less(column, plan.columns), run);
    else
      run();
    function.finish({plan.tilesM() * tilesN, 1, 1});
  }

private:
  static constexpr int64_t threads = 256, tile = HeadPlan::tile;

  /// Four rows, four columns.
  void emitRows(Value row, Value column) {
    SmallVector<Value> words; // Loaded together, used later.
    auto pair = VectorType::get(2, code.i32Type());
    for (int64_t r = 0; r < 4; ++r)
      words.push_back(code.load(
          pair, code.atElement(logits, clamp(code.add(row, r)), plan.columns, column, 2), 8));
    for (int64_t r = 0; r < 4; ++r) {
      Value at = code.add(row, r), inside = clamp(at);
      Value negativeLse = code.fmul(code.load(code.f32Type(), code.at(lse, code.mul(inside, 4)), 4),
                                    code.f32(-std::numbers::log2e));
      Value target = code.load(code.i32Type(), code.at(targets, code.mul(inside, 4)), 4);
      Value rowFactor = code.select(code.less(target, plan.columns), factor, code.f32(0));
      Value inRow = code.sub(target, column); // 0 … 3 if the target is among these columns.
      SmallVector<Value> numbers = unpack(words[r]);
      for (int64_t i = 0; i < 4; ++i) {
        Value l = numbers[i];
        Value p = code.approximate("ex2.approx.ftz.f32",
                                   code.fma(l, code.f32(std::numbers::log2e), negativeLse));
        p = code.select(code.equal(inRow, i), code.fsub(p, code.f32(1)), p);
        Value d = code.fmul(p, rowFactor);
        if (Value slope = curve->slope(l))
          d = code.fmul(d, slope);
        numbers[i] = d;
      }
      auto store = [&] { storeFour(at, column, numbers); };
      if (plan.rows % tile)
        code.ifThen(code.less(at, plan.rows), store);
      else
        store();
    }
  }

  Value clamp(Value row) {
    return plan.rows % tile ? code.select(code.less(row, plan.rows), row, code.i32(plan.rows - 1))
                            : row;
  }

  SmallVector<Value> unpack(Value words) {
    SmallVector<Value> numbers;
    auto halves = VectorType::get(2, code.builder.getF16Type());
    for (int i = 0; i < 2; ++i) {
      Value word = LLVM::ExtractElementOp::create(code.builder, code.loc, words, code.i32(i));
      if (!plan.storesF16()) {
        auto [low, high] = code.unpackBF16(word);
        numbers.append({low, high});
        continue;
      }
      Value two = LLVM::BitcastOp::create(code.builder, code.loc, halves, word);
      for (int p = 0; p < 2; ++p) {
        Value half = LLVM::ExtractElementOp::create(code.builder, code.loc, two, code.i32(p));
        numbers.push_back(arith::ExtFOp::create(code.builder, code.loc, code.f32Type(), half));
      }
    }
    return numbers;
  }

  void storeFour(Value row, Value column, ArrayRef<Value> numbers) {
    int64_t bytes = plan.gradientElement.getIntOrFloatBitWidth() / 8;
    Value address = code.atElement(gradient, row, plan.columns, column, bytes);
    if (plan.gradientElement.isBF16()) {
      auto pair = VectorType::get(2, code.i32Type());
      Value both = LLVM::UndefOp::create(code.builder, code.loc, pair);
      for (int64_t i = 0; i < 2; ++i)
        both = LLVM::InsertElementOp::create(code.builder, code.loc, both,
                                             code.packBF16(numbers[2 * i], numbers[2 * i + 1]),
                                             code.i32(i));
      return code.store(both, address, 8);
    }
    if (function.getEmission().getTarget().capability < 89) // f8 by integers.
      return GPUBuilder(function.builder())
          .storeNumbers(numbers, address, plan.gradientElement, /*aligned=*/true);
    OperandType type =
        isa<Float8E4M3FNType>(plan.gradientElement) ? OperandType::E4M3 : OperandType::E5M2;
    code.store(packF8(code, type, numbers), address, 4);
  }

  const HeadPlan &plan;
  GPUFunction function;
  CodeBuilder code;
  std::optional<HeadCurve> curve;
  Value factor, logits, gradient, firstRow, targets, lse;
};

} // namespace

void smelt::gpu::emitHeadGradient(const HeadPlan &plan, GPUEmission &emission) {
  HeadGradient(plan, emission).emit();
}
