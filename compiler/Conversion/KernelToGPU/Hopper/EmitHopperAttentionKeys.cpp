//===- EmitHopperAttentionKeys.cpp - dK and dV of attention on Hopper -----===//
//
// A tile is 128 keys of a head, 64 a warp group; blocks of 64 queries go from the diagonal up to
// the last query that sees any of the keys. One thread loads K and V (double-buffered) and a ring
// of Q and dO with their lse, δ and first keys. Products are transposed, keys × queries, so that P
// and dS are A operands as they lie in registers. dV and dK leave through the group's rows of the V
// and K buffers.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/Hopper/AttentionBackwardKernel.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

namespace {

class KeysKernel : AttentionBackwardKernel {
public:
  KeysKernel(kernel::AttentionBackwardOp op, GPUEmission &emission, const AttentionPlan &plan,
             const PreparedAttention &places)
      : AttentionBackwardKernel(op, emission, plan, "attention backward: keys", places),
        order(plan.tiles(), plan.heads, /*descending=*/false),
        lastWhole(function.getWorkspace(places.lastWhole)),
        lastAny(function.getWorkspace(places.lastAny)) {
    mapQ = addMap(plan.q.argument, 64, blockRows);
    mapG = addMap(emission.getArgument(op.getDout()), 64, blockRows);
    addKeyMaps(attentionRows);
    mapV = addMap(plan.v.argument, 64, attentionRows);
    mapDK = addMap(emission.getArgument(op.getDk()), plan.keyGroup, 64);
    mapDV = addMap(emission.getArgument(op.getDv()), 64, 64);
    GPUTensorMap sides; // A plain bulk copy would do; racecheck understands copies of tensors alone.
    sides.element = GPUTensorMap::Element::I32;
    sides.sizes = {getPadded(plan), 2 * plan.heads + 1};
    sides.strides = {getPadded(plan) * 4};
    sides.box = {blockRows, 1};
    mapSides = function.addTensorMap(emission.getWorkspaceArgument(), sides, places.lse);
  }

  void emit(int64_t multiprocessors) {
    kOffset = layout.allocate(keyStages * tileBytes(), 1024);
    vOffset = layout.allocate(keyStages * tileBytes(), 1024);
    qOffset = layout.allocate(queryStages * blockBytes(), 1024);
    gOffset = layout.allocate(gradientStages * blockBytes(), 1024);
    sideOffset = layout.allocate(gradientStages * sideBytes, 128);
    tiles.emplace(code, shared, layout, keyStages, releases);
    q.emplace(code, shared, layout, queryStages, releases);
    gradients.emplace(code, shared, layout, gradientStages, releases);
    keysFull.emplace(code, shared, layout, keyStages);
    firstKeys.emplace(code, shared, layout, 1);
    allocateItems(keyStages);
    order.allocate(layout);
    initialiseBarriers([&] {
      for (Ring *ring : {&*tiles, &*q, &*gradients})
        ring->initialise();
      for (int64_t stage = 0; stage < keyStages; ++stage)
        initialiseBarrier(code, keysFull->get(stage), 1);
      initialiseBarrier(code, firstKeys->get(0), 1);
    });
    int64_t grid = std::min(order.countItems(), multiprocessors);
    order.prepare(code, function, shared,
                  [&](Value tile) { return code.sub(getTileEnd(tile), code.mul(tile, 2)); });
    specialise([&] { produce(); }, [&] { consume(); });
    function.finish({grid, 1, 1}, layout.getBytes());
  }

private:
  static constexpr int64_t keyStages = 2, queryStages = 3, gradientStages = 2;
  /// Of a block of queries: lse, δ and first, 4 bytes each.
  static constexpr int64_t sideRow = 4 * blockRows, sideBytes = 3 * sideRow;

  /// The block of queries after those that see any key of block `block`.
  Value getEndOfBlock(Value block) {
    return code.add(code.shiftRight(loadIndex(lastAny, block), 6), 1);
  }
  /// The same of a tile of keys: its last key is seen longest. Both groups have a diagonal block,
  /// also beyond the last token.
  Value getTileEnd(Value tile) {
    Value last = code.add(code.mul(tile, 2), 1), end = getEndOfBlock(last);
    if (plan.tokens % attentionRows == 0)
      return end;
    return code.select(code.less(last, end), end, code.add(last, 1));
  }

  void produce() {
    Value zero = code.i32(0), one = code.i32(1);
    produceItems(order, *tiles, {zero, one, zero, one, zero, one, zero},
                 [&](Value work, ValueRange carried) { return produceTile(work, carried); });
  }

  SmallVector<Value> produceTile(Value work, ValueRange carried) {
    RingPosition at{carried[0], carried[1]};
    Item item = locate(order, work);
    Value begin = code.mul(item.tile, 2), end = getTileEnd(item.tile);
    waitBarrier(code, tiles->empty(at.stage), at.parity);
    announce(at.stage, work);
    Value parity = loadKeys(placeOf(kOffset, at.stage, tileBytes()), keysFull->get(0, at.stage),
                            firstKeys->get(0), carried[6], item.head, item.row,
                            code.equal(item.tile, 0), attentionRows);
    expectBytes(code, tiles->full(at.stage), code.i32(tileBytes()));
    loadHalves(mapV, placeOf(vOffset, at.stage, tileBytes()), tiles->full(at.stage), item.head,
               item.row, attentionRows);
    SmallVector<Value> state =
        code.loop(begin, end, code.i32(1), carried.slice(2, 4), [&](Value here, ValueRange inner) {
          return loadQueries(item, here, {inner[0], inner[1]}, {inner[2], inner[3]});
        });
    RingPosition next = tiles->advance(at);
    SmallVector<Value> result{order.takeNext(code), next.stage, next.parity};
    result.append(state);
    result.push_back(parity);
    return result;
  }

  /// Returns the positions behind.
  SmallVector<Value> loadQueries(const Item &item, Value block, RingPosition qAt,
                                 RingPosition gAt) {
    Value row = code.mul(block, blockRows), full = q->full(qAt.stage);
    waitBarrier(code, q->empty(qAt.stage), qAt.parity);
    expectBytes(code, full, code.i32(blockBytes()));
    loadHalves(mapQ, placeOf(qOffset, qAt.stage, blockBytes()), full, item.head, row, blockRows);
    waitBarrier(code, gradients->empty(gAt.stage), gAt.parity);
    full = gradients->full(gAt.stage);
    expectBytes(code, full, code.i32(blockBytes() + sideBytes));
    Value side = placeOf(sideOffset, gAt.stage, sideBytes);
    Value rows[] = {item.head, code.add(item.head, plan.heads), code.i32(2 * plan.heads)};
    for (int64_t i = 0; i < 3; ++i)
      loadTile(code, mapSides, code.at(side, i * sideRow), full, {row, rows[i]});
    loadHalves(mapG, placeOf(gOffset, gAt.stage, blockBytes()), full, item.head, row, blockRows);
    RingPosition qNext = q->advance(qAt), gNext = gradients->advance(gAt);
    return {qNext.stage, qNext.parity, gNext.stage, gNext.parity};
  }

  //===- Consumers ----------------------------------------------------------===//

  /// What goes from block to block: dV, dK, dS of the last block (bf16 pairs) and where its queries
  /// are.
  struct Running {
    RingPosition q, g;
    Value pending; ///< The stage of queries that `slopes` belong to.
    SmallVector<Value> slopes;
    Value dv, dk;

    template <typename F> void forEachValue(F &&each) {
      each(q), each(g), each(pending), each(dv), each(dk), each(slopes);
    }
  };

  struct Tile {
    Value keys, values; ///< Descriptions of the group's rows.
    Value row[2];
  };

  void consume() {
    loadScale();
    Value zero = code.i32(0);
    consumeItems(order, *tiles, {zero, zero, zero, zero, zero, zero},
                 [&](const Item &item, ValueRange carried) { return consumeTile(item, carried); });
  }

  SmallVector<Value> consumeTile(const Item &item, ValueRange carried) {
    RingPosition at{carried[0], carried[1]};
    Value begin = code.mul(item.tile, 2), end = getTileEnd(item.tile);
    // This group's blocks of queries: the one on its diagonal, those that see all its keys, those
    // that see some.
    Value group = code.add(begin, consumer), next = code.add(group, 1);
    Value own = clamp(getEndOfBlock(group), next, end);
    Value whole = code.shiftRight(code.add(loadIndex(lastWhole, group), 1), 6);
    whole = clamp(whole, next, own);
    Tile tile;
    Value offset = code.mul(consumer, 64 * swizzleRow),
          keyRows = code.mul(consumer, keyGroupBytes(64));
    tile.keys = describe(code.add(addressOf(kOffset, at.stage, tileBytes()), keyRows), Major::K,
                         attentionRows, 2 * plan.keyGroup);
    tile.values = describe(code.add(addressOf(vOffset, at.stage, tileBytes()), offset));
    Value inTile = code.add(item.row, code.add(code.mul(consumer, 64), fragment.row));
    tile.row[0] = inTile;
    tile.row[1] = code.add(inTile, 8);

    waitBarrier(code, keysFull->get(0, at.stage), at.parity);
    SmallVector<Value> rings = passOver(begin, group, {&*q, &*gradients}, carried.drop_front(2));
    Running running{{rings[0], rings[1]}, {rings[2], rings[3]}, {}, {}, zeroHead(), zeroHead()};
    running = consumeEdge(group, tile, Mask::diagonal, running);
    running = loopState(code, next, whole, running, [&](Value here, const Running &before) {
      return consumeWhole(here, tile, before);
    });
    running = loopState(code, whole, own, running, [&](Value here, const Running &before) {
      return consumeEdge(here, tile, Mask::edge, before);
    });
    Value lastProduct = multiplyPending(running);
    lastProduct = waitMultiply(code, 0, lastProduct, running.slopes);
    release(*q, running.pending);
    SmallVector<Value> dv = unpackAccumulator(code, running.dv),
                       dk = unpackAccumulator(code, lastProduct);
    rings = passOver(own, end, {&*q, &*gradients},
                     {running.q.stage, running.q.parity, running.g.stage, running.g.parity});
    for (Value &value : dk)
      value = code.fmul(value, scale.scale);
    // Through this group's part of the values and of the keys, which it has read.
    Value row = code.add(item.row, code.mul(consumer, 64));
    Value place = code.at(placeOf(vOffset, at.stage, tileBytes()), offset);
    storeHead(place, attentionRows, mapDV, item.head, row, dv);
    place = code.at(placeOf(kOffset, at.stage, tileBytes()), keyRows);
    storeHead(place, attentionRows, mapDK, item.head, row, dk, plan.keyGroup);
    releaseStored(*tiles, at.stage);
    RingPosition following = tiles->advance(at);
    SmallVector<Value> result{following.stage, following.parity};
    result.append(rings);
    return result;
  }

  /// Entry `which` of the sides (lse, δ, first) of this thread's two queries of 8 columns `j`.
  std::array<Value, 2> loadSide(Value side, Type element, int64_t which, int64_t j) {
    Value both = code.load(VectorType::get(2, element), code.at(side, which * sideRow + 32 * j), 8);
    return {LLVM::ExtractElementOp::create(code.builder, code.loc, both, code.i32(0)),
            LLVM::ExtractElementOp::create(code.builder, code.loc, both, code.i32(1))};
  }

  /// What of a block is left out: nothing, queries that do not see a key, or also keys above a
  /// query. Queries beyond the last token are left out unless it is nothing.
  enum class Mask { none, edge, diagonal };

  /// P of a block; `side`: this thread's first entries.
  SmallVector<Value> weigh(ArrayRef<Value> scores, const Tile &tile, Value block, Value side,
                           Mask mask) {
    // This thread's queries are columns 8·j + p from here.
    Value query = code.add(code.mul(block, blockRows), fragment.pair);
    SmallVector<Value> weights(scores.size());
    for (int64_t j = 0; j < blockRows / 8; ++j) {
      auto lse2 = loadSide(side, code.f32Type(), 0, j);
      std::array<Value, 2> firstKey;
      if (mask != Mask::none)
        firstKey = loadSide(side, code.i32Type(), 2, j);
      for (int64_t i = 4 * j; i < 4 * j + 4; ++i) {
        weights[i] = scale.exponential(code, scores[i], lse2[i % 2]);
        if (mask == Mask::none)
          continue;
        Value key = tile.row[i / 2 % 2], at = code.add(query, 8 * j + i % 2);
        Value sees = code.compare(arith::CmpIPredicate::sge, key, firstKey[i % 2]);
        if (mask == Mask::diagonal)
          sees = code.logicalAnd(code.compare(arith::CmpIPredicate::sle, key, at), sees);
        if (plan.tokens % attentionRows)
          sees = code.logicalAnd(sees, code.less(at, plan.tokens));
        weights[i] = code.select(sees, weights[i], code.f32(0));
      }
    }
    return weights;
  }

  SmallVector<Value> getSlopes(ArrayRef<Value> weights, Value products, Value block, Value side,
                               Mask mask) {
    Value query = code.add(code.mul(block, blockRows), fragment.pair);
    SmallVector<Value> dp = unpackAccumulator(code, products), slopes(dp.size());
    for (int64_t j = 0; j < blockRows / 8; ++j) {
      auto rowDelta = loadSide(side, code.f32Type(), 1, j);
      for (int64_t i = 4 * j; i < 4 * j + 4; ++i) {
        // Beyond the last token δ is whatever was there.
        Value difference = code.fsub(dp[i], rowDelta[i % 2]);
        if (mask != Mask::none && plan.tokens % attentionRows)
          difference = code.select(code.less(code.add(query, 8 * j + i % 2), plan.tokens),
                                   difference, code.f32(0));
        slopes[i] = code.fmul(weights[i], difference);
      }
    }
    return slopes;
  }

  /// The products Sᵀ and dPᵀ of a block, two groups of multiplications in flight.
  std::pair<Value, Value> multiplyBlock(const Tile &tile, RingPosition qAt, RingPosition gAt) {
    waitBarrier(code, q->full(qAt.stage), qAt.parity);
    fenceMultiply(code);
    Value queries = describe(addressOf(qOffset, qAt.stage, blockBytes()), Major::K, blockRows);
    Value scores = multiplyHeads({tile.keys, attentionRows, plan.keyGroup}, {queries, blockRows});
    commitMultiply(code);
    waitBarrier(code, gradients->full(gAt.stage), gAt.parity);
    fenceMultiply(code);
    Value dout = describe(addressOf(gOffset, gAt.stage, blockBytes()), Major::K, blockRows);
    Value products = multiplyHeads({tile.values, attentionRows}, {dout, blockRows});
    commitMultiply(code);
    return {scores, products};
  }

  Value getSide(Value stage) {
    return code.at(placeOf(sideOffset, stage, sideBytes), code.mul(fragment.pair, 4));
  }

  /// P in bf16 pairs, and what these are as f32: from there on P is what the product reads, so that
  /// the exponentials themselves need no registers.
  std::pair<SmallVector<Value>, SmallVector<Value>>
  weighPacked(Value scores, const Tile &tile, Value block, Value side, Mask mask) {
    SmallVector<Value> p = weigh(unpackAccumulator(code, scores), tile, block, side, mask);
    SmallVector<Value> words = code.packPairs(p);
    for (size_t i = 0; i < p.size(); i += 2)
      std::tie(p[i], p[i + 1]) = code.unpackBF16(words[i / 2]);
    return {words, p};
  }

  Value multiplyPending(const Running &running) {
    fenceMultiply(code);
    Value dk =
        multiplyRows(running.dk, running.slopes, addressOf(qOffset, running.pending, blockBytes()));
    commitMultiply(code);
    return dk;
  }

  Value multiplyGradients(const Running &running, ArrayRef<Value> weights) {
    fenceMultiply(code);
    Value dv = multiplyRows(running.dv, weights, addressOf(gOffset, running.g.stage, blockBytes()));
    commitMultiply(code);
    return dv;
  }

  Running advance(const Running &running, Value dv, Value dk, ArrayRef<Value> slopes) {
    return {q->advance(running.q),
            gradients->advance(running.g),
            running.q.stage,
            SmallVector<Value>(slopes),
            dv,
            dk};
  }

  /// A block at an edge, `running` without slopes for a tile's first. Masks need registers: dK is
  /// waited for.
  Running consumeEdge(Value here, const Tile &tile, Mask mask, const Running &running) {
    Value side = getSide(running.g.stage), dk = running.dk;
    if (!running.slopes.empty())
      dk = multiplyPending(running);
    auto [scores, products] = multiplyBlock(tile, running.q, running.g);
    if (!running.slopes.empty()) {
      dk = waitMultiply(code, 2, dk, running.slopes);
      release(*q, running.pending);
    }
    scores = waitMultiply(code, 1, scores);
    auto [weights, p] = weighPacked(scores, tile, here, side, mask);
    Value dv = multiplyGradients(running, weights);
    products = waitMultiply(code, 1, products);
    SmallVector<Value> slopes = code.packPairs(getSlopes(p, products, here, side, mask));
    dv = waitMultiply(code, 0, dv, weights);
    release(*gradients, running.g.stage);
    return advance(running, dv, dk, slopes);
  }

  /// A block that all queries see whole; dK of the block before runs under its exponentials.
  Running consumeWhole(Value here, const Tile &tile, const Running &running) {
    Value side = getSide(running.g.stage);
    auto [scores, products] = multiplyBlock(tile, running.q, running.g);
    Value dk = multiplyPending(running);
    scores = waitMultiply(code, 2, scores);
    auto [weights, p] = weighPacked(scores, tile, here, side, Mask::none);
    Value dv = multiplyGradients(running, weights);
    products = waitMultiply(code, 2, products);
    SmallVector<Value> slopes = getSlopes(p, products, here, side, Mask::none);
    // Not packed before the wait: the words being read must keep their registers.
    dk = waitMultiply(code, 1, dk, running.slopes);
    release(*q, running.pending);
    SmallVector<Value> words = code.packPairs(slopes);
    dv = waitMultiply(code, 0, dv, weights);
    release(*gradients, running.g.stage);
    return advance(running, dv, dk, words);
  }

  TileOrder order;
  int64_t qOffset = 0, gOffset = 0, sideOffset = 0;
  Value mapQ, mapG, mapDK, mapDV, mapSides, lastWhole, lastAny;
  std::optional<Ring> tiles, gradients; ///< Tiles: of values and for both to be released.
  std::optional<BarrierArray> keysFull; ///< Of a tile's keys, which come by a barrier of their own.
};

} // namespace

void smelt::gpu::emitAttentionKeys(kernel::AttentionBackwardOp op, GPUEmission &emission,
                                   const AttentionPlan &plan, const PreparedAttention &places) {
  KeysKernel(op, emission, plan, places).emit(emission.getTarget().multiprocessors);
}
