//===- EmitHopperAttention.cpp - Attention forward on Hopper --------------===//
//
// Persistent blocks of 384 threads take tiles of 128 queries of one head. Warp group 0: one thread
// loads Q (double-buffered) and rings of K and V blocks of 64 keys by TMA, from the diagonal down
// to the first key that the tile's first query sees. Warp groups 1 and 2 have 64 queries each: S =
// Q·Kᵀ of a block and, behind it, O += P·V of the block before are issued together, then the
// softmax of S runs under them. Three bodies: the diagonal block, blocks that every query of the
// group sees whole, and blocks at the lower edge (window or document); blocks that the other group
// alone sees are passed over.
//
// A key offset is the row coordinate of the copies of its feature groups. Row 0 keeps its own
// features: where the first block is loaded, they are written over the zeros that lie before the
// tensor.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/EmitKernels.h"
#include "compiler/Conversion/KernelToGPU/Hopper/AttentionKernel.h"
#include "compiler/Conversion/KernelToGPU/Hopper/SkipCasts.h"
#include <numbers>

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

namespace {

class HopperAttention : AttentionKernel {
public:
  HopperAttention(kernel::AttentionOp op, GPUEmission &emission, const AttentionPlan &plan)
      : AttentionKernel(emission, plan, "attention", op.getLoc()),
        order(plan.tiles(), plan.heads, /*descending=*/true) {
    mapQ = addMap(plan.q.argument, 64, attentionRows);
    addKeyMaps(blockRows);
    mapV = addMap(plan.v.argument, 64, blockRows);
    mapO = addMap(emission.getArgument(op.getOutputs()[0]), 64, 64);
    first = function.getPointer(op.getFirst());
    scale = function.getPointer(op.getScale());
    results = RowResults::make(function, op);
  }

  void emit(int64_t multiprocessors) {
    qOffset = layout.allocate(queryStages * tileBytes(), 1024);
    int64_t grid = beginQueryTiles(order, queryStages, blockStages, blockStages, multiprocessors);
    specialise([&] { produce(); }, [&] { consume(); });
    function.finish({grid, 1, 1}, layout.getBytes());
  }

private:
  static constexpr int64_t queryStages = 2, blockStages = 4;

  void produce() {
    produceQueryTiles(order, [&](const Item &item, Value stage) {
      expectBytes(code, q->full(stage), code.i32(tileBytes()));
      loadHalves(mapQ, placeOf(qOffset, stage, tileBytes()), q->full(stage), item.head, item.row,
                 attentionRows);
    });
  }

  //===- Consumers ----------------------------------------------------------===//

  /// What goes from block to block.
  struct Running {
    Value output;
    SmallVector<Value> weights; ///< bf16 pairs.
    SoftmaxState softmax;
    RingPosition k, v;

    template <typename F> void forEachValue(F &&each) {
      each(output), each(weights), each(softmax.maximum), each(softmax.sum), each(k), each(v);
    }
  };

  /// O += P·V of a block.
  Value multiplyValues(const Running &running) {
    return multiplyRows(running.output, running.weights,
                        addressOf(vOffset, running.v.stage, blockBytes()));
  }

  void consume() {
    Value log2e = code.f32(std::numbers::log2e);
    Value factor = code.load(code.f32Type(), scale, 4);
    softmax.emplace(code, code.fmul(factor, log2e));
    Value zero = code.i32(0);
    consumeItems(order, *q, {zero, zero, zero, zero, zero, zero, code.i32(-1)},
                 [&](const Item &item, ValueRange carried) { return consumeTile(item, carried); });
  }

  SmallVector<Value> consumeTile(const Item &item, ValueRange carried) {
    RingPosition qAt{carried[0], carried[1]};
    Value pending = carried[6], zero = code.i32(0);
    OwnBlocks own = findOwnBlocks(item);
    Value above = code.sub(code.sub(getEnd(item), own.diagonal), 1),
          below = code.sub(own.lowest, getLowest(item.row));
    RowPair rows, firstKey, diagonal;
    for (int r = 0; r < 2; ++r) {
      rows[r] = code.add(own.row, code.add(fragment.row, 8 * r));
      firstKey[r] =
          code.sub(loadFirst(rows[r]), fragment.pair); // Relative to the thread's first column.
      diagonal[r] = code.sub(code.add(fragment.row, 8 * r), fragment.pair);
    }
    Value queries = describe(
        code.add(addressOf(qOffset, qAt.stage, tileBytes()), code.mul(consumer, 64 * swizzleRow)));
    SmallVector<Value> ring = passOver(zero, above, {&*k, &*v}, carried.slice(2, 4));
    RingPosition kAt{ring[0], ring[1]}, vAt{ring[2], ring[3]};
    waitBarrier(code, k->full(kAt.stage), kAt.parity);
    fenceMultiply(code);
    Value scores = multiplyKeyBlock(queries, kAt.stage);
    commitMultiply(code);
    // The last tile's output has left its Q buffer: the producer may have it.
    code.ifThen(code.compare(arith::CmpIPredicate::sge, pending, 0),
                [&] { releaseStored(*q, pending); });
    scores = waitMultiply(code, 0, scores);
    release(*k, kAt.stage);
    SmallVector<Value> visible = softmax->mask(unpackAccumulator(code, scores),
                                               relativeTo(firstKey, own.diagonal), diagonal);
    OnlineSoftmax::Step step = softmax->add(visible, nullptr);
    Running running{zeroHead(), code.packPairs(step.weights), step.state, k->advance(kAt), vAt};
    running = blocks(running, queries, own.diagonal, own.whole, {});
    running = blocks(running, queries, own.whole, own.lowest, firstKey);
    finish(item, own, running, qAt, rows);
    RingPosition qNext = q->advance(qAt), vNext = v->advance(running.v);
    ring = passOver(zero, below, {&*k, &*v},
                    {running.k.stage, running.k.parity, vNext.stage, vNext.parity});
    return {qNext.stage, qNext.parity, ring[0], ring[1], ring[2], ring[3], qAt.stage};
  }

  RowPair relativeTo(RowPair bounds, Value blockOfKeys) {
    Value begin = code.mul(blockOfKeys, blockRows);
    return {code.sub(bounds[0], begin), code.sub(bounds[1], begin)};
  }

  /// Blocks from − 1 down to `to`; `low` masks where it is given.
  Running blocks(const Running &start, Value queries, Value from, Value to, RowPair low) {
    return loopState(
        code, code.i32(0), code.sub(from, to), start, [&](Value index, const Running &running) {
          waitBarrier(code, k->full(running.k.stage), running.k.parity);
          fenceMultiply(code);
          Value scores = multiplyKeyBlock(queries, running.k.stage);
          commitMultiply(code);
          waitBarrier(code, v->full(running.v.stage), running.v.parity);
          fenceMultiply(code);
          Value output = multiplyValues(running);
          commitMultiply(code);
          scores = waitMultiply(code, 1, scores);
          release(*k, running.k.stage);
          SmallVector<Value> visible = unpackAccumulator(code, scores);
          if (low[0])
            visible =
                softmax->mask(visible, relativeTo(low, code.sub(code.sub(from, index), 1)), {});
          OnlineSoftmax::Step step = softmax->add(visible, &running.softmax);
          output = waitMultiply(code, 0, output, running.weights);
          // Not before the wait: the new weights would get the registers of those being read.
          SmallVector<Value> weights = code.packPairs(step.weights);
          release(*v, running.v.stage);
          SmallVector<Value> values = unpackAccumulator(code, output);
          for (size_t i = 0; i < values.size(); ++i)
            values[i] = code.fmul(values[i], step.decay[i / 2 % 2]);
          return Running{packAccumulator(code, values), weights, step.state, k->advance(running.k),
                         v->advance(running.v)};
        });
  }

  void finish(const Item &item, const OwnBlocks &own, const Running &running, RingPosition qAt,
              RowPair rows) {
    waitBarrier(code, v->full(running.v.stage), running.v.parity);
    fenceMultiply(code);
    Value output = multiplyValues(running);
    commitMultiply(code);
    RowPair factors = results.finish(code, plan, attentionRows, *softmax, running.softmax, rows,
                                     item.head, fragment.pair);
    output = waitMultiply(code, 0, output, running.weights);
    release(*v, running.v.stage);
    SmallVector<Value> values = unpackAccumulator(code, output);
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = code.fmul(values[i], factors[i / 2 % 2]);
    // Through this group's part of the Q buffer, which it has read.
    Value place =
        code.at(placeOf(qOffset, qAt.stage, tileBytes()), code.mul(consumer, 64 * swizzleRow));
    storeHead(place, attentionRows, mapO, item.head, own.row, values);
  }

  TileOrder order;
  int64_t qOffset = 0;
  Value mapQ, mapO, scale;
  RowResults results;
  std::optional<OnlineSoftmax> softmax;
};

} // namespace

std::string smelt::whyNotFastAttention(kernel::AttentionOp op, const GPUEmission &emission) {
  if (std::string why = AttentionResult::whyNot(op, emission); !why.empty())
    return why;
  return AttentionPlan::whyNot(op, emission);
}

LogicalResult smelt::emitFastAttention(kernel::AttentionOp op, GPUEmission &emission) {
  AttentionPlan plan = AttentionPlan::make(op, emission);
  HopperAttention(op, emission, plan).emit(emission.getTarget().multiprocessors);
  return success();
}
