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
      : WarpAttention(emission, plan, "attention", op.getLoc()),
        q(function.getPointer(plan.q.argument)), k(function.getPointer(plan.k.argument)),
        v(function.getPointer(plan.v.argument)), first(function.getPointer(op.getFirst())),
        scale(function.getPointer(op.getScale())) {
    function.getPointer(op.getLse()); // Before the output: parameters stand in the order of asking.
    output = function.getPointer(op.getOutputs()[0]);
    results = RowResults::make(function, op);
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

    template <typename F> void forEachValue(F &&each) {
      each(output), each(softmax.maximum), each(softmax.sum), each(slot);
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
    multiplyRows(code.packPairs(step.weights), getValues(slot), warpAttentionRows, output);
    return {output, step.state, code.i32(1)};
  }

  /// Blocks from − 1 down to `to`; `low` masks where it is given.
  Running runBlocks(const Running &start, Value from, Value to, RowPair low) {
    return loopState(code, code.i32(0), code.sub(from, to), start,
                     [&](Value index, const Running &running) {
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
                       multiplyRows(code.packPairs(step.weights), getValues(running.slot),
                                    warpAttentionRows, output);
                       return Running{output, step.state, code.bitXor(running.slot, 1)};
                     });
  }

  void finish(const Running &running) {
    RowPair factors = results.finish(code, plan, warpAttentionRows, *softmax, running.softmax, rows,
                                     head, fragment.pair);
    Values values(running.output);
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = code.fmul(values[i], factors[i / 2 % 2]);
    storeOwnRows(shared, output, values); // Where its queries lay.
  }

  Value q, k, v, first, scale, output;
  RowResults results;
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
  return AttentionPlan::whyNotOperands(op, emission);
}

LogicalResult smelt::emitWarpAttention(kernel::AttentionOp op, GPUEmission &emission) {
  AttentionPlan plan = AttentionPlan::make(op, emission);
  WarpAttentionForward(op, emission, plan).emit();
  return success();
}
