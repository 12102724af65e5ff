//===- HeadLoss.cpp - From sums of tiles to the loss ----------------------===//
//
// The loss: 32 rows a block. The tiles' sums of a row are added by eight warps, each in the
// order of the tiles; the target's logit is computed again, in f32 from the same operands, which
// costs less than finding it among the registers of a tile. The sum: one block adds the blocks'
// sums of all chunks in order and computes the scalar results.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/Hopper/ByteTranspose.h"
#include "compiler/Conversion/KernelToGPU/Hopper/HeadPlan.h"
#include <numbers>

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

namespace {

constexpr int64_t threads = 256, warps = threads / 32;

Value sumOfLanes(CodeBuilder &code, Value x) {
  for (unsigned mask = 16; mask; mask /= 2)
    x = code.fadd(x, code.shuffleXor(x, mask));
  return x;
}

Value exponential(CodeBuilder &code, Value x) {
  return code.approximate("ex2.approx.ftz.f32", code.fmul(x, code.f32(std::numbers::log2e)));
}

class HeadLoss {
public:
  HeadLoss(const HeadPlan &plan, GPUEmission &emission)
      : plan(plan), function(emission, "head loss", threads),
        code(function.builder(), plan.op->getLoc()) {}

  void emit() {
    Value thread = code.threadIndex();
    lane = code.bitAnd(thread, 31);
    warp = code.uniform(code.shiftRight(thread, 5));
    shared = function.allocateShared(2 * warps * 32 * 4 + 32 * 4);
    firstRow = code.mul(code.blockIndex(), HeadPlan::lossRows);
    auto argument = cast<BlockArgument>(const_cast<lm::CrossEntropyOp &>(plan.loss).getTargets());
    targets = function.getPointer(
        const_cast<kernel::GemmOp &>(plan.op).getResultInputs()[argument.getArgNumber() - 1]);
    addTiles();
    for (int64_t i = 0; i < HeadPlan::lossRows / warps; ++i)
      multiplyTarget(i);
    code.barrierAll();
    code.ifThen(code.less(thread, 32), [&] { finishRows(); });
    function.finish({plan.lossBlocks(), 1, 1});
  }

private:
  Value place(int64_t array, Value first, Value second) {
    return code.at(
        shared, code.mul(code.add(code.add(code.mul(first, 32), second), array * warps * 32), 4));
  }

  /// (maximum, sum) of two parts of a row.
  std::pair<Value, Value> merge(Value maximum, Value sum, Value otherMaximum, Value other) {
    Value both = code.fmax(maximum, otherMaximum);
    Value scaled = code.fmul(sum, exponential(code, code.fsub(maximum, both)));
    return {both, code.fma(other, exponential(code, code.fsub(otherMaximum, both)), scaled)};
  }

  void addTiles() {
    Value row = code.add(firstRow, lane);
    Value sums = function.getWorkspace(plan.sums);
    bool bounded = plan.isBounded();
    Value maxima = bounded ? Value() : function.getWorkspace(plan.maxima);
    SmallVector<Value> start{code.f32(0)};
    if (!bounded)
      start.push_back(code.f32(-1e30));
    SmallVector<Value> result = code.loop(
        warp, code.i32(plan.tilesN()), code.i32(warps), start,
        [&](Value tile, ValueRange carried) -> SmallVector<Value> {
          Value part =
              code.load(code.f32Type(), code.atElement(sums, tile, plan.paddedRows(), row, 4), 4);
          if (bounded)
            return {code.fadd(carried[0], part)};
          Value maximum =
              code.load(code.f32Type(), code.atElement(maxima, tile, plan.paddedRows(), row, 4), 4);
          auto [most, sum] = merge(carried[1], carried[0], maximum, part);
          return {sum, most};
        });
    code.store(result[0], place(0, warp, lane), 4);
    if (!bounded)
      code.store(result[1], place(1, warp, lane), 4);
  }

  Value loadTarget(Value row) {
    return code.load(code.i32Type(), code.at(targets, code.mul(row, 4)), 4);
  }

  Value clamp(Value row) {
    return plan.rows % HeadPlan::lossRows
               ? code.select(code.less(row, plan.rows), row, code.i32(plan.rows - 1))
               : row;
  }

  SmallVector<Value> unpack(OperandType type, Value word) {
    if (type == OperandType::BF16) {
      auto [low, high] = code.unpackBF16(word);
      return {low, high};
    }
    return llvm::to_vector(unpackF8(code, type, word));
  }

  /// a[row] · b[target] by the warp, for its row `index`.
  void multiplyTarget(int64_t index) {
    Value inBlock = code.add(code.mul(warp, HeadPlan::lossRows / warps), index);
    Value row = clamp(code.add(firstRow, inBlock));
    Value target = code.uniform(loadTarget(row));
    target = code.select(code.less(target, plan.columns), target, code.i32(0));
    Value a = function.getPointer(plan.a.argument, plan.a.byteOffset),
          b = function.getPointer(plan.b.argument, plan.b.byteOffset);
    auto chunk = VectorType::get(4, code.i32Type());
    SmallVector<Value> sum = code.loop(
        lane, code.i32(plan.depth * getBytes(plan.a.type) / 16), code.i32(32), {code.f32(0)},
        [&](Value i, ValueRange carried) -> SmallVector<Value> {
          Value byte = code.mul(i, 16), result = carried[0];
          Value left = code.load(chunk, code.atElement(a, row, plan.a.pitch, byte, 1), 16);
          Value right = code.load(chunk, code.atElement(b, target, plan.b.pitch, byte, 1), 16);
          for (int w = 0; w < 4; ++w) {
            auto word = [&](Value vector) -> Value {
              return LLVM::ExtractElementOp::create(code.builder, code.loc, vector, code.i32(w));
            };
            for (auto [x, y] :
                 llvm::zip_equal(unpack(plan.a.type, word(left)), unpack(plan.b.type, word(right))))
              result = code.fma(x, y, result);
          }
          return {result};
        });
    Value total = sumOfLanes(code, sum[0]);
    code.ifThen(code.equal(lane, 0), [&] {
      code.store(total, code.at(code.at(shared, 2 * warps * 32 * 4), code.mul(inBlock, 4)), 4);
    });
  }

  /// One warp, a row a lane.
  void finishRows() {
    Value sum, maximum;
    for (int64_t i = 0; i < warps; ++i) {
      Value part = code.load(code.f32Type(), place(0, code.i32(i), lane), 4);
      if (plan.isBounded()) {
        sum = sum ? code.fadd(sum, part) : part;
        continue;
      }
      Value other = code.load(code.f32Type(), place(1, code.i32(i), lane), 4);
      std::tie(maximum, sum) =
          sum ? merge(maximum, sum, other, part) : std::pair<Value, Value>(other, part);
    }
    Value shift = plan.isBounded() ? code.f32(plan.getShift()) : maximum;
    Value lse =
        code.fma(code.approximate("lg2.approx.ftz.f32", sum), code.f32(std::numbers::ln2), shift);
    Value row = code.add(firstRow, lane), inside = code.less(row, plan.rows);
    if (plan.gradient)
      code.ifThen(inside, [&] {
        code.store(lse, code.at(function.getWorkspace(plan.lse), code.mul(row, 4)), 4);
      });
    Value target = loadTarget(clamp(row));
    Value counts = code.logicalAnd(inside, code.less(target, plan.columns)); // Not −1.
    Value product = code.load(code.f32Type(),
                              code.at(code.at(shared, 2 * warps * 32 * 4), code.mul(lane, 4)), 4);
    HeadScalars scalars(code, function, plan.op);
    HeadCurve curve(code, plan, plan.scale ? scalars.get(plan.scale) : Value());
    Value loss = code.select(counts, code.fsub(lse, curve.cap(product)), code.f32(0));
    Value lossSum = sumOfLanes(code, loss);
    Value count = sumOfLanes(code, code.select(counts, code.f32(1), code.f32(0)));
    code.ifThen(code.equal(lane, 0), [&] {
      Value at = code.mul(code.blockIndex(), 4);
      code.store(lossSum, code.at(function.getWorkspace(plan.blockSums), at), 4);
      code.store(count, code.at(function.getWorkspace(plan.blockCounts), at), 4);
    });
  }

  const HeadPlan &plan;
  GPUFunction function;
  CodeBuilder code;
  Value lane, warp, shared, firstRow, targets;
};

} // namespace

void smelt::gpu::emitHeadSum(const HeadPlan &plan, GPUEmission &emission) {
  GPUFunction function(emission, "head sum", threads);
  CodeBuilder code(function.builder(), plan.op->getLoc());
  Value thread = code.threadIndex();
  Value lane = code.bitAnd(thread, 31), warp = code.shiftRight(thread, 5);
  Value shared = function.allocateShared(2 * warps * 4);
  Value sums = function.getWorkspace(plan.blockSums),
        counts = function.getWorkspace(plan.blockCounts);
  SmallVector<Value> mine =
      code.loop(thread, code.i32(plan.chunks * plan.lossBlocks()), code.i32(threads),
                {code.f32(0), code.f32(0)},
                [&](Value block, ValueRange carried) -> SmallVector<Value> {
                  Value at = code.mul(block, 4);
                  return {code.fadd(carried[0], code.load(code.f32Type(), code.at(sums, at), 4)),
                          code.fadd(carried[1], code.load(code.f32Type(), code.at(counts, at), 4))};
                });
  for (int64_t i = 0; i < 2; ++i) {
    Value sum = sumOfLanes(code, mine[i]);
    code.ifThen(code.equal(lane, 0), [&] {
      code.store(sum, code.at(code.at(shared, i * warps * 4), code.mul(warp, 4)), 4);
    });
  }
  code.barrierAll();
  code.ifThen(code.equal(thread, 0), [&] {
    Value totals[2];
    for (int64_t i = 0; i < 2; ++i)
      for (int64_t w = 0; w < warps; ++w) {
        Value part = code.load(code.f32Type(), code.at(shared, (i * warps + w) * 4), 4);
        totals[i] = w ? code.fadd(totals[i], part) : part;
      }
    HeadScalars scalars(code, function, plan.op);
    kernel::GemmOp op = plan.op;
    for (Operation &inner : op.getResult().front()) {
      if (isa<lm::SumOp>(inner))
        scalars.bind(inner.getResult(0), totals[0]);
      if (isa<lm::CountOp>(inner))
        scalars.bind(inner.getResult(0), code.fmax(totals[1], code.f32(1)));
    }
    for (auto [tensor, output] : plan.scalars) {
      Value number = scalars.get(tensor);
      if (cast<RankedTensorType>(tensor.getType()).getElementType().isBF16())
        code.store(
            arith::TruncFOp::create(code.builder, code.loc, code.builder.getBF16Type(), number),
            function.getPointer(output), 2);
      else
        code.store(number, function.getPointer(output), 4);
    }
  });
  function.finish({1, 1, 1});
}

void smelt::gpu::emitHeadLoss(const HeadPlan &plan, GPUEmission &emission) {
  HeadLoss(plan, emission).emit();
}
