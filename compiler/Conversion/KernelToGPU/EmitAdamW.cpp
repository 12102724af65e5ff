//===- EmitAdamW.cpp - kernel.adamw, many parameters in one launch --------===//
//
// Blocks are dealt to parameters by size. Addresses come from a table in the kernel's parameters,
// constants of each parameter are chosen by its number.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/EmitKernels.h"
#include "compiler/Conversion/KernelToGPU/GPUBuilder.h"

using namespace mlir;

namespace smelt {
namespace {

constexpr int64_t kThreads = 256, kPerThread = 4, kPerBlock = kThreads * kPerThread;

/// 1/(1 − βᵗ), in double: βᵗ near 1 loses digits in float.
Value emitCorrection(GPUBuilder &g, double beta, Value step) {
  ImplicitLocOpBuilder &b = g.base();
  auto number = [&](double value) -> Value {
    return arith::ConstantOp::create(b, b.getF64FloatAttr(value));
  };
  Value exponent = arith::FPToSIOp::create(b, g.i32(), step);
  Value power = g.loop(g.integer(0), g.integer(31), g.integer(1),
                       {number(1), number(beta), exponent},
                       [&](Value, ValueRange before) -> GPUBuilder::Values {
                         Value odd = g.equal(g.both(before[2], g.integer(1)), 1);
                         Value times = arith::MulFOp::create(b, before[0], before[1]);
                         Value square = arith::MulFOp::create(b, before[1], before[1]);
                         return {g.select(odd, times, before[0]), square, g.div(before[2], 2)};
                       })[0];
  Value rest = arith::SubFOp::create(b, number(1), power);
  Value inverse = arith::DivFOp::create(b, number(1), rest);
  return arith::TruncFOp::create(b, g.f32(), inverse);
}

} // namespace

LogicalResult emitGeneric(kernel::AdamWOp op, GPUEmission &emission) {
  for (Value operand : op->getOperands())
    if (!cast<RankedTensorType>(operand.getType()).getElementType().isF32())
      return op.emitOpError("cannot be generated for GPUs: f32 parameters and moments only");
  int64_t count = op.getParameters().size(), blocks = 0;
  SmallVector<uint32_t> addresses; // Seven a parameter: p, g, m, v, new p, new m, new v.
  SmallVector<int64_t> firstBlocks, elements;
  for (int64_t i = 0; i < count; ++i) {
    for (Value each : {op.getParameters()[i], op.getGradients()[i], op.getFirstMoments()[i],
                       op.getSecondMoments()[i]})
      addresses.push_back(emission.getArgument(each));
    for (Value each : {op.getNewParameters()[i], op.getNewFirstMoments()[i],
                       op.getNewSecondMoments()[i]})
      addresses.push_back(emission.getArgument(each));
    firstBlocks.push_back(blocks);
    elements.push_back(cast<RankedTensorType>(op.getParameters()[i].getType()).getNumElements());
    blocks += llvm::divideCeil(elements.back(), kPerBlock);
  }
  GPUFunction function(emission, "adamw", kThreads);
  ImplicitLocOpBuilder &b = function.builder();
  GPUBuilder g(b);
  Value table = function.addPointerTable(addresses);
  auto loadScalar = [&](Value tensor) {
    return g.loadNumbers(function.getPointer(tensor), g.f32(), 1, true)[0];
  };
  Value lr = loadScalar(op.getLr()), step = loadScalar(op.getStep());
  double beta1 = op.getBeta1().convertToDouble(), beta2 = op.getBeta2().convertToDouble();
  Value correction1 = emitCorrection(g, beta1, step), correction2 = emitCorrection(g, beta2, step);
  Value block = g.block();
  Value which = g.integer(0), first = g.integer(0), size = g.integer(elements[0]),
        rate = g.number(op.getLrScales()[0]), decay = g.number(op.getWeightDecays()[0]);
  for (int64_t i = 1; i < count; ++i) {
    Value here = g.atLeast(block, firstBlocks[i]);
    which = g.select(here, g.integer(i), which);
    first = g.select(here, g.integer(firstBlocks[i]), first);
    size = g.select(here, g.integer(elements[i]), size);
    rate = g.select(here, g.number(op.getLrScales()[i]), rate);
    decay = g.select(here, g.number(op.getWeightDecays()[i]), decay);
  }
  rate = g.mulf(lr, rate);
  Value entry = g.mul(which, 7);
  SmallVector<Value> pointers;
  for (int64_t i = 0; i < 7; ++i) {
    Value generic = g.load(g.offset(table, g.pointer(0), g.add(entry, i)), g.pointer(0), 8);
    pointers.push_back(LLVM::AddrSpaceCastOp::create(b, g.pointer(1), generic));
  }
  Value begin = g.add(g.mul(g.sub(block, first), kPerBlock), g.thread());
  for (int64_t i = 0; i < kPerThread; ++i) {
    Value at = g.add(begin, i * kThreads);
    g.when(g.less(at, size), [&] {
      auto load = [&](int64_t j) {
        return g.load(g.offset(pointers[j], g.f32(), at), g.f32(), 4);
      };
      Value p = load(0), gradient = load(1);
      Value m = g.fma(g.number(beta1), load(2), g.mulf(g.number(1 - beta1), gradient));
      Value v = g.fma(g.number(beta2), load(3),
                      g.mulf(g.number(1 - beta2), g.mulf(gradient, gradient)));
      Value root = g.addf(g.sqrt(g.mulf(v, correction2)),
                          g.number(op.getEps().convertToDouble()));
      Value change = g.fma(decay, p, g.divf(g.mulf(m, correction1), root));
      Value updated[] = {g.subf(p, g.mulf(rate, change)), m, v};
      for (int64_t j = 0; j < 3; ++j)
        g.store(updated[j], g.offset(pointers[4 + j], g.f32(), at), 4);
    });
  }
  function.finish({blocks, 1, 1});
  return success();
}

} // namespace smelt
