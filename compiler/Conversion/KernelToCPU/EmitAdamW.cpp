//===- EmitAdamW.cpp - kernel.adamw -----------------------------------------===//
// One parallel region over chunks of all parameters: each parameter is a shared loop without a
// barrier of its own need; parameters are independent, and every element is computed alike, so
// threads do not change the bits.
#include "compiler/Conversion/KernelToCPU/EmitKernels.h"
#include "compiler/Conversion/KernelToCPU/GemmTile.h"
#include "compiler/Conversion/KernelToCPU/NumberFormats.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace smelt {
namespace {

/// Elements per share of work.
constexpr int64_t chunk = 4096;

/// Values that all parameters share, as vectors.
struct AdamWScalars {
  Value beta1, beta2, oneMinusBeta1, oneMinusBeta2, correction1, correction2, eps;
};

class AdamWEmitter {
public:
  AdamWEmitter(kernel::AdamWOp op, KernelFunction &function)
      : op(op), function(function), b(function.builder()) {}

  void emit() {
    Value zero = function.index(0);
    Value lr = memref::LoadOp::create(b, function.getMemory(op.getLr()), zero);
    Value step = memref::LoadOp::create(b, function.getMemory(op.getStep()), zero);
    double beta1 = op.getBeta1().convertToDouble(), beta2 = op.getBeta2().convertToDouble();
    AdamWScalars scalars;
    scalars.beta1 = number(beta1);
    scalars.beta2 = number(beta2);
    scalars.oneMinusBeta1 = number(1 - beta1);
    scalars.oneMinusBeta2 = number(1 - beta2);
    // 1/(1 − βᵗ), in double: βᵗ near 1 loses digits in float.
    Value exponent = arith::ExtFOp::create(b, b.getF64Type(), step);
    auto correction = [&](double beta) -> Value {
      Value base = arith::ConstantOp::create(b, b.getF64FloatAttr(beta)),
            one = arith::ConstantOp::create(b, b.getF64FloatAttr(1));
      Value power = math::PowFOp::create(b, base, exponent);
      Value inverse = arith::DivFOp::create(b, one, arith::SubFOp::create(b, one, power));
      return splat(arith::TruncFOp::create(b, b.getF32Type(), inverse));
    };
    scalars.correction1 = correction(beta1);
    scalars.correction2 = correction(beta2);
    scalars.eps = number(op.getEps().convertToDouble());

    int64_t count = op.getParameters().size(), chunks = 0;
    for (Value parameter : op.getParameters())
      chunks += llvm::divideCeil(getElements(parameter), chunk);
    function.emitParallel(std::min(maxThreadsPerKernel, chunks), [&](Value) {
      // Chunk numbers run through all parameters, so that many small parameters cost one loop, not
      // one barrier each.
      function.emitSharedLoop(0, chunks, 1, [&](Value number) {
        int64_t first = 0;
        for (int64_t i = 0; i < count; ++i) {
          int64_t elements = getElements(op.getParameters()[i]),
                  last = first + llvm::divideCeil(elements, chunk);
          Value above =
              arith::CmpIOp::create(b, arith::CmpIPredicate::sge, number, function.index(first));
          Value below =
              arith::CmpIOp::create(b, arith::CmpIPredicate::slt, number, function.index(last));
          auto mine = scf::IfOp::create(b, arith::AndIOp::create(b, above, below),
                                        /*withElseRegion=*/false);
          OpBuilder::InsertionGuard guard(b);
          b.setInsertionPointToStart(mine.thenBlock());
          emitChunk(i, function.mul(function.add(number, -first), chunk), elements, lr, scalars);
          first = last;
        }
      });
    });
  }

private:
  static int64_t getElements(Value tensor) {
    return cast<RankedTensorType>(tensor.getType()).getNumElements();
  }
  VectorType getVectorType() { return VectorType::get({function.getLanes()}, b.getF32Type()); }
  Value splat(Value scalar) { return vector::BroadcastOp::create(b, getVectorType(), scalar); }
  Value number(double value) {
    return splat(arith::ConstantOp::create(b, b.getF32FloatAttr(value)));
  }

  /// Elements [begin, begin + chunk) of parameter `i`.
  void emitChunk(int64_t i, Value begin, int64_t elements, Value lr, const AdamWScalars &scalars) {
    Value rate = splat(arith::MulFOp::create(
        b, lr, arith::ConstantOp::create(b, b.getF32FloatAttr(op.getLrScales()[i]))));
    Value decay = number(op.getWeightDecays()[i]);
    auto update = [&](Value at, int64_t valid) {
      auto load = [&](Value tensor) {
        return loadVector(function, function.getMemory(tensor), at, valid);
      };
      auto store = [&](Value value, Value tensor) {
        storeVector(function, value, function.getMemory(tensor), at, valid);
      };
      auto mul = [&](Value x, Value y) -> Value { return arith::MulFOp::create(b, x, y); };
      auto add = [&](Value x, Value y) -> Value { return arith::AddFOp::create(b, x, y); };
      Value p = load(op.getParameters()[i]), g = load(op.getGradients()[i]);
      Value m =
          add(mul(scalars.beta1, load(op.getFirstMoments()[i])), mul(scalars.oneMinusBeta1, g));
      Value v = add(mul(scalars.beta2, load(op.getSecondMoments()[i])),
                    mul(scalars.oneMinusBeta2, mul(g, g)));
      Value root = math::SqrtOp::create(b, mul(v, scalars.correction2));
      Value ratio = arith::DivFOp::create(b, mul(m, scalars.correction1), add(root, scalars.eps));
      Value change = mul(rate, add(mul(decay, p), ratio));
      store(arith::SubFOp::create(b, p, change), op.getNewParameters()[i]);
      store(m, op.getNewFirstMoments()[i]);
      store(v, op.getNewSecondMoments()[i]);
    };
    int64_t tail = elements % function.getLanes();
    Value whole = function.index(elements - tail);
    Value end = function.add(begin, chunk);
    function.emitLoop(begin, arith::MinSIOp::create(b, end, whole), function.getLanes(),
                      [&](Value at) { update(at, function.getLanes()); });
    if (tail) // Runs once, in the last chunk.
      function.emitLoop(arith::MaxSIOp::create(b, begin, whole),
                        arith::MinSIOp::create(b, end, function.index(elements)), tail,
                        [&](Value at) { update(at, tail); });
  }

  kernel::AdamWOp op;
  KernelFunction &function;
  ImplicitLocOpBuilder &b;
};

} // namespace

LogicalResult emitKernel(kernel::AdamWOp op, KernelFunction &function) {
  for (Value operand : op->getOperands())
    if (!isNumberFormat(getElementTypeOrSelf(operand)))
      return op.emitOpError("cannot be generated for the CPU: it has no code for ")
             << getElementTypeOrSelf(operand);
  for (Value scalar : {op.getLr(), op.getStep()})
    if (!getElementTypeOrSelf(scalar).isF32())
      return op.emitOpError("cannot be generated for the CPU: lr and step are f32");
  AdamWEmitter(op, function).emit();
  return success();
}

} // namespace smelt
