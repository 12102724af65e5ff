//===- GPUBuilder.cpp - Functions, lanes, memory, loops -------------------===//
#include "compiler/Conversion/KernelToGPU/GPUBuilder.h"

using namespace mlir;

namespace smelt {

Value GPUBuilder::intrinsic(llvm::StringRef name, Type type, ValueRange arguments) {
  return LLVM::CallIntrinsicOp::create(b, type, b.getStringAttr(name), arguments).getResult(0);
}

Value GPUBuilder::exp(Value x) { return exp2(mulf(x, number(1.4426950408889634))); }

Value GPUBuilder::log(Value x) {
  return mulf(intrinsic("llvm.nvvm.lg2.approx.f", f32(), {x}), number(0.6931471805599453));
}

Value GPUBuilder::sigmoid(Value x) { return reciprocal(addf(number(1), exp(negf(x)))); }

Value GPUBuilder::tanh(Value x) {
  // (e^2x − 1)/(e^2x + 1) = 1 − 2/(e^2x + 1); for small x the odd series, where that cancels.
  Value far = fma(number(-2), reciprocal(addf(exp(mulf(x, number(2))), number(1))), number(1));
  Value square = mulf(x, x);
  Value series = number(-17.0 / 315);
  series = fma(series, square, number(2.0 / 15));
  series = fma(series, square, number(-1.0 / 3));
  series = fma(series, square, number(1));
  Value near = mulf(x, series);
  Value isSmall = compare(arith::CmpFPredicate::OLT, square, number(0.015625)); // |x| < 1/8
  return select(isSmall, near, far);
}

Value GPUBuilder::erf(Value x) {
  // Abramowitz and Stegun 7.1.26.
  Value zero = number(0), negative = compare(arith::CmpFPredicate::OLT, x, zero);
  Value absolute = select(negative, negf(x), x);
  Value t = reciprocal(fma(number(0.3275911), absolute, number(1)));
  Value p = number(1.061405429);
  for (double c : {-1.453152027, 1.421413741, -0.284496736, 0.254829592})
    p = fma(p, t, number(c));
  Value y = subf(number(1), mulf(mulf(p, t), exp(negf(mulf(absolute, absolute)))));
  return select(negative, negf(y), y);
}

Value GPUBuilder::shuffleXor(Value value, int mask) {
  return NVVM::ShflOp::create(b, value.getType(), integer(-1), value, integer(mask), integer(31),
                              NVVM::ShflKind::bfly, UnitAttr());
}

Value GPUBuilder::sumOfLanes(Value value, int lanes) {
  for (int mask = lanes / 2; mask; mask /= 2)
    value = addf(value, shuffleXor(value, mask));
  return value;
}

Value GPUBuilder::maxOfLanes(Value value, int lanes) {
  for (int mask = lanes / 2; mask; mask /= 2)
    value = maxf(value, shuffleXor(value, mask));
  return value;
}

Value GPUBuilder::voteBallot(Value predicate) {
  return NVVM::VoteSyncOp::create(b, i32(), integer(-1), predicate, NVVM::VoteSyncKind::ballot);
}

SmallVector<Value> GPUBuilder::loop(Value begin, Value end, Value step, ValueRange initial,
                                    LoopBody body) {
  auto loop = scf::ForOp::create(b, begin, end, step, initial);
  OpBuilder::InsertionGuard guard(b);
  if (initial.empty()) {
    b.setInsertionPoint(loop.getBody()->getTerminator());
    body(loop.getInductionVar(), {});
  } else {
    b.setInsertionPointToEnd(loop.getBody());
    Values results = body(loop.getInductionVar(), loop.getRegionIterArgs());
    scf::YieldOp::create(b, results);
  }
  return {loop.getResults().begin(), loop.getResults().end()};
}

void GPUBuilder::loop(Value begin, Value end, Value step, llvm::function_ref<void(Value)> body) {
  loop(begin, end, step, {}, [&](Value index, ValueRange) -> Values {
    body(index);
    return {};
  });
}

void GPUBuilder::when(Value condition, llvm::function_ref<void()> body) {
  auto branch = scf::IfOp::create(b, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(branch.thenBlock()->getTerminator());
  body();
}

SmallVector<Value> GPUBuilder::choose(Value condition, TypeRange types,
                                      llvm::function_ref<Values()> then,
                                      llvm::function_ref<Values()> otherwise) {
  auto branch = scf::IfOp::create(b, types, condition, /*addThenBlock=*/true,
                                  /*addElseBlock=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToEnd(branch.thenBlock());
  scf::YieldOp::create(b, then());
  b.setInsertionPointToEnd(branch.elseBlock());
  scf::YieldOp::create(b, otherwise());
  return {branch.getResults().begin(), branch.getResults().end()};
}

} // namespace smelt
