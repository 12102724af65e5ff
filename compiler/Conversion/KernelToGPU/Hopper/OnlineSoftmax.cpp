//===- OnlineSoftmax.cpp - Softmax over blocks of keys, in registers ------===//
#include "compiler/Conversion/KernelToGPU/Hopper/OnlineSoftmax.h"
#include <limits>
#include <numbers>

using namespace mlir;
using namespace smelt::gpu;

static int rowOf(size_t element) { return int(element / 2 % 2); }

SmallVector<Value> OnlineSoftmax::mask(ArrayRef<Value> scores, RowPair low, RowPair high) {
  Value minusInfinity = code.f32(-std::numeric_limits<double>::infinity());
  SmallVector<Value> result(scores);
  for (size_t i = 0; i < scores.size(); ++i) {
    Value column = code.i32(int64_t(8 * (i / 4) + i % 2));
    if (Value bound = high[rowOf(i)])
      result[i] = code.select(code.compare(arith::CmpIPredicate::sle, column, bound), result[i],
                              minusInfinity);
    if (Value bound = low[rowOf(i)])
      result[i] = code.select(code.compare(arith::CmpIPredicate::sge, column, bound), result[i],
                              minusInfinity);
  }
  return result;
}

Value OnlineSoftmax::overQuad(Value x, llvm::function_ref<Value(Value, Value)> combine) {
  for (unsigned distance : {1u, 2u})
    x = combine(x, code.shuffleXor(x, distance));
  return x;
}

/// Two chains: shorter waits than one.
static Value reduce(ArrayRef<Value> values, llvm::function_ref<Value(Value, Value)> combine) {
  Value even = values[0], odd = values[1];
  for (size_t i = 2; i < values.size(); ++i)
    (i % 2 ? odd : even) = combine(i % 2 ? odd : even, values[i]);
  return combine(even, odd);
}

OnlineSoftmax::Step OnlineSoftmax::add(ArrayRef<Value> scores, const SoftmaxState *before) {
  auto maximum = [&](Value a, Value b) { return code.fmax(a, b); };
  auto sum = [&](Value a, Value b) { return code.fadd(a, b); };
  Step step;
  RowPair shift;
  for (int r = 0; r < 2; ++r) {
    SmallVector<Value> row;
    for (size_t i = 0; i < scores.size(); ++i)
      if (rowOf(i) == r)
        row.push_back(scores[i]);
    Value largest = overQuad(reduce(row, maximum), maximum);
    if (before)
      largest = code.fmax(before->maximum[r], largest);
    step.state.maximum[r] = largest;
    shift[r] = code.fmul(largest, negative);
    if (before)
      step.decay[r] =
          code.approximate("ex2.approx.ftz.f32", code.fma(before->maximum[r], scale, shift[r]));
  }
  for (size_t i = 0; i < scores.size(); ++i)
    step.weights.push_back(
        code.approximate("ex2.approx.ftz.f32", code.fma(scores[i], scale, shift[rowOf(i)])));
  for (int r = 0; r < 2; ++r) {
    SmallVector<Value> row;
    for (size_t i = 0; i < scores.size(); ++i)
      if (rowOf(i) == r)
        row.push_back(step.weights[i]);
    Value total = reduce(row, sum);
    step.state.sum[r] = before ? code.fma(before->sum[r], step.decay[r], total) : total;
  }
  return step;
}

RowPair OnlineSoftmax::totals(const SoftmaxState &state) {
  RowPair result;
  for (int r = 0; r < 2; ++r)
    result[r] = overQuad(state.sum[r], [&](Value a, Value b) { return code.fadd(a, b); });
  return result;
}

RowPair OnlineSoftmax::logSumExp(const SoftmaxState &state, RowPair totals) {
  RowPair result;
  for (int r = 0; r < 2; ++r) {
    Value log2 =
        code.fma(state.maximum[r], scale, code.approximate("lg2.approx.ftz.f32", totals[r]));
    result[r] = code.fmul(log2, code.f32(std::numbers::ln2));
  }
  return result;
}
