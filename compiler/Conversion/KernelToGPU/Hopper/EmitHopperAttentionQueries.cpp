//===- EmitHopperAttentionQueries.cpp - dQ of attention on Hopper ---------===//
//
// A tile is 128 queries of a head, 64 a warp group; blocks of 64 keys go from the diagonal down.
// One thread loads Q and dO (double-buffered) and rings of K and V. A group issues S and dP of a
// block and, behind them, dQ += dS·K of the block before, so that the exponentials run under
// products of its own too. dQ leaves through the group's rows of the Q buffer.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/Hopper/AttentionBackwardKernel.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

namespace {

class QueriesKernel : AttentionBackwardKernel {
public:
  QueriesKernel(kernel::AttentionBackwardOp op, GPUEmission &emission, const AttentionPlan &plan,
                const PreparedAttention &places)
      : AttentionBackwardKernel(op, emission, plan, "attention backward: queries", places),
        order(plan.tiles(), plan.heads, /*descending=*/true) {
    mapQ = addMap(plan.q.argument, 64, attentionRows);
    mapG = addMap(emission.getArgument(op.getDout()), 64, attentionRows);
    addKeyMaps(blockRows);
    mapV = addMap(plan.v.argument, 64, blockRows);
    mapDQ = addMap(emission.getArgument(op.getDq()), 64, 64);
  }

  void emit(int64_t multiprocessors) {
    qOffset = layout.allocate(queryStages * tileBytes(), 1024);
    gOffset = layout.allocate(queryStages * tileBytes(), 1024);
    int64_t grid = beginQueryTiles(order, queryStages, keyStages, valueStages, multiprocessors);
    specialise([&] { produce(); }, [&] { consume(); });
    function.finish({grid, 1, 1}, layout.getBytes());
  }

private:
  static constexpr int64_t queryStages = 2, keyStages = 3, valueStages = 2;

  void produce() {
    produceQueryTiles(order, [&](const Item &item, Value stage) {
      Value full = q->full(stage);
      expectBytes(code, full, code.i32(2 * tileBytes()));
      loadHalves(mapQ, placeOf(qOffset, stage, tileBytes()), full, item.head, item.row,
                 attentionRows);
      loadHalves(mapG, placeOf(gOffset, stage, tileBytes()), full, item.head, item.row,
                 attentionRows);
    });
  }

  //===- Consumers ----------------------------------------------------------===//

  /// What goes from block to block: dQ, dS of the last block (bf16 pairs) and where its keys are.
  struct Running {
    RingPosition k, v;
    Value pending; ///< The stage of keys that `slopes` belong to.
    SmallVector<Value> slopes;
    Value dq;

    template <typename F> void forEachValue(F &&each) {
      each(k), each(v), each(pending), each(dq), each(slopes);
    }
  };

  /// A tile as one warp group sees it.
  struct Rows {
    Value row[2], firstKey[2], lse2[2], delta[2];
    Value queries, gradients; ///< Descriptions of the group's Q and dO.
  };

  void consume() {
    loadScale();
    Value zero = code.i32(0);
    consumeItems(order, *q, {zero, zero, zero, zero, zero, zero},
                 [&](const Item &item, ValueRange carried) { return consumeTile(item, carried); });
  }

  Rows loadRows(const Item &item, Value stage) {
    Rows rows;
    Value inTile = code.add(code.mul(consumer, 64), fragment.row);
    for (int r = 0; r < 2; ++r) {
      rows.row[r] = code.add(item.row, code.add(inTile, 8 * r));
      Value clamped = clampRow(rows.row[r]);
      rows.firstKey[r] = loadIndex(first, clamped);
      Value place = code.mul(code.add(code.mul(item.head, getPadded(plan)), clamped), 4);
      rows.lse2[r] = code.load(code.f32Type(), code.at(lse, place), 4);
      rows.delta[r] = code.load(code.f32Type(), code.at(delta, place), 4);
    }
    Value own = code.mul(consumer, 64 * swizzleRow);
    rows.queries = describe(code.add(addressOf(qOffset, stage, tileBytes()), own));
    rows.gradients = describe(code.add(addressOf(gOffset, stage, tileBytes()), own));
    return rows;
  }

  SmallVector<Value> consumeTile(const Item &item, ValueRange carried) {
    RingPosition qAt{carried[0], carried[1]};
    Value lowest = getLowest(item.row), end = getEnd(item);
    OwnBlocks own = findOwnBlocks(item);
    Rows rows = loadRows(item, qAt.stage);

    Value zero = code.i32(0);
    SmallVector<Value> ring = passOver(zero, code.sub(code.sub(end, own.diagonal), 1), {&*k, &*v},
                                       carried.drop_front(2));
    Running running = begin(rows, own.diagonal, ring);
    running = blocks(running, rows, own.diagonal, own.whole, /*masked=*/false);
    running = blocks(running, rows, own.whole, own.lowest, /*masked=*/true);
    Value dq = multiplyPending(running);
    dq = waitMultiply(code, 0, dq, running.slopes);
    release(*k, running.pending);
    ring = passOver(
        zero, code.sub(own.lowest, lowest), {&*k, &*v},
        {running.k.stage, running.k.parity, running.v.stage, running.v.parity});
    SmallVector<Value> values = unpackAccumulator(code, dq);
    for (Value &value : values)
      value = code.fmul(value, scale.scale);
    // Through this group's part of Q, which it has read.
    Value place =
        code.at(placeOf(qOffset, qAt.stage, tileBytes()), code.mul(consumer, 64 * swizzleRow));
    storeHead(place, attentionRows, mapDQ, item.head, own.row, values);
    releaseStored(*q, qAt.stage);
    RingPosition qNext = q->advance(qAt);
    SmallVector<Value> result{qNext.stage, qNext.parity};
    result.append(ring);
    return result;
  }

  /// The products S and dP of a block, two groups of multiplications in flight.
  std::pair<Value, Value> multiplyBlock(const Rows &rows, RingPosition kAt, RingPosition vAt) {
    waitBarrier(code, k->full(kAt.stage), kAt.parity);
    fenceMultiply(code);
    Value scores = multiplyKeyBlock(rows.queries, kAt.stage);
    commitMultiply(code);
    waitBarrier(code, v->full(vAt.stage), vAt.parity);
    fenceMultiply(code);
    Value values = describe(addressOf(vOffset, vAt.stage, blockBytes()), Major::K, blockRows);
    Value products = multiplyHeads({rows.gradients, attentionRows}, {values, blockRows});
    commitMultiply(code);
    return {scores, products};
  }

  /// P of a block; keys above the row (`causal`) and below its first (`low`) are left out.
  SmallVector<Value> weigh(ArrayRef<Value> scores, const Rows &rows, Value block, bool causal,
                           bool low) {
    Value column = code.add(code.mul(block, blockRows), fragment.pair);
    SmallVector<Value> weights;
    for (size_t i = 0; i < scores.size(); ++i) {
      int r = int(i / 2 % 2);
      Value weight = scale.exponential(code, scores[i], rows.lse2[r]);
      Value key = code.add(column, int64_t(8 * (i / 4) + i % 2));
      if (causal)
        weight = code.select(code.compare(arith::CmpIPredicate::sle, key, rows.row[r]), weight,
                             code.f32(0));
      if (low)
        weight = code.select(code.compare(arith::CmpIPredicate::sge, key, rows.firstKey[r]), weight,
                             code.f32(0));
      weights.push_back(weight);
    }
    return weights;
  }

  SmallVector<Value> getSlopes(ArrayRef<Value> weights, Value products, const Rows &rows) {
    SmallVector<Value> dp = unpackAccumulator(code, products), slopes;
    for (size_t i = 0; i < dp.size(); ++i)
      slopes.push_back(code.fmul(weights[i], code.fsub(dp[i], rows.delta[i / 2 % 2])));
    return slopes;
  }

  /// The block on the diagonal.
  Running begin(const Rows &rows, Value diagonal, ValueRange ring) {
    RingPosition kAt{ring[0], ring[1]}, vAt{ring[2], ring[3]};
    auto [scores, products] = multiplyBlock(rows, kAt, vAt);
    scores = waitMultiply(code, 1, scores);
    SmallVector<Value> weights = weigh(unpackAccumulator(code, scores), rows, diagonal,
                                       /*causal=*/true, /*low=*/true);
    products = waitMultiply(code, 0, products);
    release(*v, vAt.stage);
    SmallVector<Value> slopes = getSlopes(weights, products, rows);
    return {k->advance(kAt), v->advance(vAt), kAt.stage, code.packPairs(slopes), zeroHead()};
  }

  /// Blocks from − 1 down to `to`.
  Running blocks(const Running &start, const Rows &rows, Value from, Value to, bool masked) {
    return loopState(
        code, code.i32(0), code.sub(from, to), start, [&](Value step, const Running &running) {
          auto [scores, products] = multiplyBlock(rows, running.k, running.v);
          Value dq = multiplyPending(running);
          scores = waitMultiply(code, 2, scores);
          SmallVector<Value> weights =
              weigh(unpackAccumulator(code, scores), rows, code.sub(code.sub(from, step), 1),
                    /*causal=*/false, masked);
          products = waitMultiply(code, 1, products);
          release(*v, running.v.stage);
          SmallVector<Value> slopes = getSlopes(weights, products, rows);
          // Not packed before the wait: the words being read must keep their registers.
          dq = waitMultiply(code, 0, dq, running.slopes);
          release(*k, running.pending);
          return Running{k->advance(running.k), v->advance(running.v), running.k.stage,
                         code.packPairs(slopes), dq};
        });
  }

  /// dQ += dS·K of the last block.
  Value multiplyPending(const Running &running) {
    fenceMultiply(code);
    Value dq = multiplyRows(running.dq, running.slopes,
                            addressOf(kOffset, running.pending, blockBytes()), plan.keyGroup);
    commitMultiply(code);
    return dq;
  }

  TileOrder order;
  int64_t qOffset = 0, gOffset = 0;
  Value mapQ, mapG, mapDQ;
};

} // namespace

void smelt::gpu::emitAttentionQueries(kernel::AttentionBackwardOp op, GPUEmission &emission,
                                      const AttentionPlan &plan, const PreparedAttention &places) {
  QueriesKernel(op, emission, plan, places).emit(emission.getTarget().multiprocessors);
}
