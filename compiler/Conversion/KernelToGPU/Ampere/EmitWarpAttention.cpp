//===- EmitWarpAttention.cpp - Attention forward with mma.sync ------------===//
//
// A block has 64 queries of one head, a warp 16 of them. Keys and values come 64 rows at a time,
// from the diagonal down to the first key that the block's first query sees; the next block's
// copies run under this one's products. Three bodies: the diagonal block, blocks that every query
// sees whole, and blocks at the lower edge (window or document). Source: Dao, FlashAttention-2
// (2023), §3.1.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/Ampere/WarpAttention.h"
#include "compiler/Conversion/KernelToGPU/EmitKernels.h"
#include <numbers>

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

namespace {

class WarpAttentionForward : WarpAttention {
public:
  WarpAttentionForward(kernel::AttentionOp op, GPUEmission &emission, const AttentionPlan &plan)
      : WarpAttention(emission, plan, "attention", op.getLoc()), result(AttentionResult::make(op)),
        q(function.getPointer(plan.q.argument)), k(function.getPointer(plan.k.argument)),
        v(function.getPointer(plan.v.argument)), first(function.getPointer(op.getFirst())),
        scale(function.getPointer(op.getScale())), lse(function.getPointer(op.getLse())),
        output(function.getPointer(op.getOutputs()[0])) {
    if (result.gate)
      gate = function.getPointer(result.gate);
  }

  void emit() {
    int64_t bytes = rowsBytes(warpAttentionRows);
    beginBlock(/*descending=*/true);
    loadRows(shared, q, firstRow, warpAttentionRows);
    loadBlock(blockTile, code.i32(0));
    commitCopies(code);
    softmax.emplace(code,
                    code.fmul(code.load(code.f32Type(), scale, 4), code.f32(std::numbers::log2e)));
    lowest = code.shiftRight(loadIndex(first, clampRow(firstRow)), 6);
    Value lastFirst = loadIndex(first, clampRow(code.add(firstRow, warpAttentionRows - 1)));
    // The first block that every query sees whole from below, at most the diagonal one.
    Value whole = code.shiftRight(code.add(lastFirst, warpAttentionRows - 1), 6);
    whole = code.select(code.less(whole, blockTile), whole, blockTile);
    for (int r = 0; r < 2; ++r) {
      rows[r] = code.add(firstRow, code.add(fragment.row, 8 * r));
      // Relative to the thread's first column.
      firstKey[r] = code.sub(loadIndex(first, clampRow(rows[r])), fragment.pair);
      diagonal[r] = code.sub(code.add(fragment.row, 8 * r), fragment.pair);
    }
    Running running = runDiagonal();
    running = runBlocks(running, blockTile, whole, {});
    running = runBlocks(running, whole, lowest, firstKey);
    finish(running);
    function.finish({tiles() * plan.heads, 1, 1}, 5 * bytes);
  }

private:
  struct Running {
    Values output; ///< [16 × d].
    SoftmaxState softmax;
    Value slot; ///< Where the next block lies.

    Values flatten() const {
      Values values(output);
      values.append({softmax.maximum[0], softmax.maximum[1], softmax.sum[0], softmax.sum[1], slot});
      return values;
    }
    static Running restore(ValueRange values) {
      size_t count = values.size() - 5;
      Running running{Values(values.take_front(count)), {}, values.back()};
      ValueRange rest = values.drop_front(count);
      running.softmax = {{rest[0], rest[1]}, {rest[2], rest[3]}};
      return running;
    }
  };

  /// Keys and, behind them, values of one of two slots.
  Value getSlot(Value slot) {
    int64_t bytes = rowsBytes(warpAttentionRows);
    return code.at(shared, code.add(code.mul(slot, 2 * bytes), bytes));
  }
  Value getValues(Value slot) { return code.at(getSlot(slot), rowsBytes(warpAttentionRows)); }

  void loadBlock(Value block, Value slot) {
    Value row = code.mul(block, warpAttentionRows);
    loadRows(getSlot(slot), k, row, warpAttentionRows, /*isKey=*/true);
    loadRows(getValues(slot), v, row, warpAttentionRows);
  }

  /// Waits for `block` and begins to load the one below it.
  void turn(Value block, Value slot) {
    waitCopies(code, 0);
    code.barrierAll();
    code.ifThen(code.less(lowest, block),
                [&] { loadBlock(code.sub(block, 1), code.bitXor(slot, 1)); });
    commitCopies(code);
  }

  RowPair relativeTo(RowPair bounds, Value block) {
    Value begin = code.mul(block, warpAttentionRows);
    return {code.sub(bounds[0], begin), code.sub(bounds[1], begin)};
  }

  Running runDiagonal() {
    Value slot = code.i32(0);
    turn(blockTile, slot);
    queries = loadOwnRows(shared);
    Values scores = zeros(warpAttentionRows);
    multiplyHeads(queries, {}, getSlot(slot), warpAttentionRows, scores);
    scores = softmax->mask(scores, relativeTo(firstKey, blockTile), diagonal);
    OnlineSoftmax::Step step = softmax->add(scores, nullptr);
    Values output = zeros(plan.width);
    multiplyRows(softmax->pack(step.weights), getValues(slot), warpAttentionRows, output);
    return {output, step.state, code.i32(1)};
  }

  /// Blocks from − 1 down to `to`; `low` masks where it is given.
  Running runBlocks(const Running &start, Value from, Value to, RowPair low) {
    Values end =
        code.loop(code.i32(0), code.sub(from, to), code.i32(1), start.flatten(),
                  [&](Value index, ValueRange carried) {
                    Running running = Running::restore(carried);
                    Value block = code.sub(code.sub(from, index), 1);
                    turn(block, running.slot);
                    Values scores = zeros(warpAttentionRows);
                    multiplyHeads(queries, {}, getSlot(running.slot), warpAttentionRows, scores);
                    if (low[0])
                      scores = softmax->mask(scores, relativeTo(low, block), {});
                    OnlineSoftmax::Step step = softmax->add(scores, &running.softmax);
                    Values output(running.output);
                    for (size_t i = 0; i < output.size(); ++i)
                      output[i] = code.fmul(output[i], step.decay[i / 2 % 2]);
                    multiplyRows(softmax->pack(step.weights), getValues(running.slot),
                                 warpAttentionRows, output);
                    return Running{output, step.state, code.bitXor(running.slot, 1)}.flatten();
                  });
    return Running::restore(end);
  }

  Value loadGate(Value row) {
    Type element = cast<RankedTensorType>(result.gate.getType()).getElementType();
    Value index = code.add(code.mul(clampRow(row), plan.heads), head);
    if (element.isF32())
      return code.load(element, code.at(gate, code.mul(index, 4)), 4);
    Value bits = code.load(code.builder.getI16Type(), code.at(gate, code.mul(index, 2)), 2);
    Value wide = arith::ExtUIOp::create(code.builder, code.loc, code.i32Type(), bits);
    return code.unpackBF16(wide).first;
  }

  void finish(const Running &running) {
    RowPair totals = softmax->totals(running.softmax),
            logs = softmax->logSumExp(running.softmax, totals), factor;
    for (int r = 0; r < 2; ++r) {
      factor[r] = code.approximate("rcp.approx.ftz.f32", totals[r]);
      if (gate)
        factor[r] = code.fmul(factor[r], loadGate(rows[r]));
      Value writes = code.equal(fragment.pair, 0);
      if (plan.tokens % warpAttentionRows)
        writes = code.logicalAnd(writes, code.less(rows[r], plan.tokens));
      code.ifThen(writes, [&] {
        Value index = code.add(code.mul(rows[r], plan.heads), head);
        code.store(logs[r], code.at(lse, code.mul(index, 4)), 4);
      });
    }
    Values values(running.output);
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = code.fmul(values[i], factor[i / 2 % 2]);
    storeOwnRows(shared, output, values); // Where its queries lay.
  }

  AttentionResult result;
  Value q, k, v, first, scale, lse, output, gate;
  Value lowest;
  RowPair rows, firstKey, diagonal;
  Values queries;
  std::optional<OnlineSoftmax> softmax;
};

} // namespace

std::string smelt::whyNotWarpAttention(kernel::AttentionOp op, const GPUEmission &emission) {
  if (emission.getTarget().hasWarpgroupMMA())
    return "the target has wgmma";
  if (std::string why = AttentionResult::whyNot(op, emission); !why.empty())
    return why;
  return AttentionPlan::whyNotOperands(op.getQ(), op.getQInputs(), op.getK(), op.getKInputs(),
                                       op.getV(), op.getVInputs(), op.getHeadsType(), emission);
}

LogicalResult smelt::emitWarpAttention(kernel::AttentionOp op, GPUEmission &emission) {
  AttentionPlan plan = AttentionPlan::make(op.getQ(), op.getQInputs(), op.getK(), op.getKInputs(),
                                           op.getV(), op.getVInputs(), op.getHeadsType(), emission);
  WarpAttentionForward(op, emission, plan).emit();
  return success();
}
