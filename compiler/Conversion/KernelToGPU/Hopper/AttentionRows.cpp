//===- AttentionRows.cpp - Attention's rows, for either tensor core -------===//
#include "compiler/Conversion/KernelToGPU/Hopper/AttentionRows.h"
#include <numbers>

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

Value smelt::gpu::clampRow(CodeBuilder &code, const AttentionPlan &plan, int64_t tileRows,
                           Value row) {
  if (plan.tokens % tileRows == 0)
    return row;
  return code.select(code.less(row, plan.tokens), row, code.i32(plan.tokens - 1));
}

ScoreScale ScoreScale::load(CodeBuilder &code, Value pointer) {
  Value scale = code.load(code.f32Type(), pointer, 4);
  return {scale, code.fmul(scale, code.f32(std::numbers::log2e))};
}

Value ScoreScale::exponential(CodeBuilder &code, Value score, Value lse2) const {
  return code.approximate("ex2.approx.ftz.f32", code.fma(score, scaleLog2e, code.fneg(lse2)));
}

RowResults RowResults::make(GPUFunction &function, kernel::AttentionOp op) {
  RowResults results{function.getPointer(op.getLse()), {}, {}};
  if (Value gate = AttentionResult::make(op).gate) {
    results.gate = function.getPointer(gate);
    results.gateElement = cast<RankedTensorType>(gate.getType()).getElementType();
  }
  return results;
}

RowPair RowResults::finish(CodeBuilder &code, const AttentionPlan &plan, int64_t tileRows,
                           OnlineSoftmax &softmax, const SoftmaxState &state, RowPair rows,
                           Value head, Value pair) const {
  auto loadGate = [&](Value row) -> Value {
    Value index = code.add(code.mul(clampRow(code, plan, tileRows, row), plan.heads), head);
    if (gateElement.isF32())
      return code.load(gateElement, code.at(gate, code.mul(index, 4)), 4);
    Value bits = code.load(code.builder.getI16Type(), code.at(gate, code.mul(index, 2)), 2);
    Value wide = arith::ExtUIOp::create(code.builder, code.loc, code.i32Type(), bits);
    return code.unpackBF16(wide).first;
  };
  RowPair totals = softmax.totals(state), logs = softmax.logSumExp(state, totals), factors;
  for (int r = 0; r < 2; ++r) {
    factors[r] = code.approximate("rcp.approx.ftz.f32", totals[r]);
    if (gate)
      factors[r] = code.fmul(factors[r], loadGate(rows[r]));
    Value writes = code.equal(pair, 0);
    if (plan.tokens % tileRows)
      writes = code.logicalAnd(writes, code.less(rows[r], plan.tokens));
    code.ifThen(writes, [&] {
      Value index = code.add(code.mul(rows[r], plan.heads), head);
      code.store(logs[r], code.at(lse, code.mul(index, 4)), 4);
    });
  }
  return factors;
}
