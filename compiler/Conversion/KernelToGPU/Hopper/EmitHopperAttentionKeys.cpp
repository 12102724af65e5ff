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
    mapDK = addMap(emission.getArgument(op.getDk()), 64, 64);
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
    gOffset = layout.allocate(queryStages * blockBytes(), 1024);
    sideOffset = layout.allocate(queryStages * sideBytes, 128);
    int64_t count = 2 * (keyStages + queryStages) + keyStages;
    int64_t barrierOffset = layout.allocate(8 * (count + 1), 16);
    allocateItems(keyStages);
    order.allocate(layout);
    beginBody();
    // Rings of tiles (values; keys have full barriers of their own behind them) and of queries: a
    // full barrier has one producer, an empty one of tiles both groups; the last is the first
    // keys'.
    constexpr int64_t q0 = 2 * keyStages, k0 = q0 + 2 * queryStages;
    initialiseBarriers(barrierOffset, count + 1, [&](int64_t i) -> int64_t {
      bool isEmpty = i < q0 ? i >= keyStages : i < k0 && i - q0 >= queryStages;
      return !isEmpty ? 1 : i < q0 ? 2 : releases;
    });
    tiles.emplace(code, *barriers, 0, keyStages);
    ring.emplace(code, *barriers, q0, queryStages);
    keysFull = k0;
    firstKeys = barriers->get(count);
    int64_t grid = std::min(order.countItems(), multiprocessors);
    order.prepare(code, function, shared, grid,
                  [&](Value tile) { return code.sub(getTileEnd(tile), code.mul(tile, 2)); });
    specialise(24, 240, [&] { produce(); }, [&] { consume(); });
    function.finish({grid, 1, 1}, layout.getBytes());
  }

private:
  static constexpr int64_t keyStages = 2, queryStages = 2;
  /// Of a block of queries: lse, δ and first, 4 bytes each.
  static constexpr int64_t sideRow = 4 * blockRows, sideBytes = 3 * sideRow;

  /// The block of queries after those that see any key of block `block`.
  Value getEndOfBlock(Value block) {
    return code.add(code.shiftRight(loadIndex(lastAny, block), 6), 1);
  }
  /// The same of a tile of keys: its last key is seen longest.
  Value getTileEnd(Value tile) { return getEndOfBlock(code.add(code.mul(tile, 2), 1)); }

  void produce() {
    Value zero = code.i32(0), one = code.i32(1);
    produceItems(order, *tiles, {zero, one, zero, one, zero},
                 [&](Value work, ValueRange carried) { return produceTile(work, carried); });
  }

  SmallVector<Value> produceTile(Value work, ValueRange carried) {
    RingPosition at{carried[0], carried[1]};
    Item item = locate(order, work);
    Value begin = code.mul(item.tile, 2), end = getTileEnd(item.tile);
    waitBarrier(code, tiles->empty(at.stage), at.parity);
    announce(at.stage, work);
    Value parity = loadKeys(placeOf(kOffset, at.stage, tileBytes()),
                            barriers->get(keysFull, at.stage), firstKeys, carried[4], item.head,
                            item.row, code.equal(item.tile, 0), attentionRows);
    expectBytes(code, tiles->full(at.stage), code.i32(tileBytes()));
    loadHalves(mapV, placeOf(vOffset, at.stage, tileBytes()), tiles->full(at.stage), item.head,
               item.row, attentionRows);
    SmallVector<Value> state = code.loop(
        begin, end, code.i32(1), {carried[2], carried[3]},
        [&](Value here, ValueRange inner) -> SmallVector<Value> {
          RingPosition position{inner[0], inner[1]};
          loadQueries(item, here, position);
          RingPosition next = ring->advance(position);
          return {next.stage, next.parity};
        });
    RingPosition next = tiles->advance(at);
    return {order.takeNext(code), next.stage, next.parity, state[0], state[1], parity};
  }

  void loadQueries(const Item &item, Value block, RingPosition at) {
    waitBarrier(code, ring->empty(at.stage), at.parity);
    Value full = ring->full(at.stage), row = code.mul(block, blockRows);
    expectBytes(code, full, code.i32(2 * blockBytes() + sideBytes));
    Value side = placeOf(sideOffset, at.stage, sideBytes);
    Value rows[] = {item.head, code.add(item.head, plan.heads), code.i32(2 * plan.heads)};
    for (int64_t i = 0; i < 3; ++i)
      loadTile(code, mapSides, code.at(side, i * sideRow), full, {row, rows[i]});
    loadHalves(mapQ, placeOf(qOffset, at.stage, blockBytes()), full, item.head, row, blockRows);
    loadHalves(mapG, placeOf(gOffset, at.stage, blockBytes()), full, item.head, row, blockRows);
  }

  //===- Consumers ----------------------------------------------------------===//

  void consume() {
    loadScale();
    Value zero = code.i32(0);
    consumeItems(order, *tiles, {zero, zero, zero, zero},
                 [&](const Item &item, ValueRange carried) { return consumeTile(item, carried); });
    code.ifThen(fragment.isFirst, [&] { waitStores(code, 0, /*read=*/false); });
  }

  struct Tile {
    Value keys, values; ///< Descriptions of the group's rows.
    Value row[2];
  };

  SmallVector<Value> consumeTile(const Item &item, ValueRange carried) {
    RingPosition at{carried[0], carried[1]};
    Value begin = code.mul(item.tile, 2), end = getTileEnd(item.tile);
    // This group's blocks of queries: the one on its diagonal, those that see all its keys, those
    // that see some.
    Value group = code.add(begin, consumer), next = code.add(group, 1);
    Value own = clamp(getEndOfBlock(group), begin, end);
    Value diagonal = clamp(group, begin, own), diagonalEnd = clamp(next, begin, own);
    Value whole = code.shiftRight(code.add(loadIndex(lastWhole, group), 1), 6);
    whole = clamp(whole, diagonalEnd, own);
    Tile tile;
    Value offset = code.mul(consumer, 64 * swizzleRow);
    tile.keys = describe(code.add(addressOf(kOffset, at.stage, tileBytes()),
                                  code.mul(consumer, 64 * 2 * plan.keyGroup)),
                         Major::K, attentionRows, 2 * plan.keyGroup);
    tile.values = describe(code.add(addressOf(vOffset, at.stage, tileBytes()), offset));
    Value inTile = code.add(item.row, code.add(code.mul(consumer, 64), fragment.row));
    tile.row[0] = inTile;
    tile.row[1] = code.add(inTile, 8);

    waitBarrier(code, barriers->get(keysFull, at.stage), at.parity);
    SmallVector<Value> state = passOver(begin, diagonal, {&*ring}, carried.drop_front(2));
    state.append({zeroHead(), zeroHead()});
    state = blocks(diagonal, diagonalEnd, tile, /*masked=*/true, state);
    state = blocks(diagonalEnd, whole, tile, /*masked=*/false, state);
    state = blocks(whole, own, tile, /*masked=*/true, state);
    SmallVector<Value> dv = unpackAccumulator(code, state[2]),
                       dk = unpackAccumulator(code, state[3]);
    state = passOver(own, end, {&*ring}, ValueRange(state).take_front(2));
    for (Value &value : dk)
      value = code.fmul(value, scale);
    // Through this group's part of the values and of the keys, which it has read. Narrow groups of
    // features lie otherwise, in rows that the other group may still read: then one after the other.
    Value row = code.add(item.row, code.mul(consumer, 64));
    Value place = code.at(placeOf(vOffset, at.stage, tileBytes()), offset);
    storeHead(place, attentionRows, mapDV, item.head, row, dv);
    if (plan.keyGroup == 64) {
      place = code.at(placeOf(kOffset, at.stage, tileBytes()), offset);
    } else {
      code.ifThen(fragment.isFirst, [&] { waitStores(code, 0, /*read=*/true); });
      meet();
    }
    storeHead(place, attentionRows, mapDK, item.head, row, dk);
    code.ifThen(fragment.isFirst, [&] {
      waitStores(code, 0, /*read=*/true);
      arriveBarrier(code, tiles->empty(at.stage));
    });
    RingPosition following = tiles->advance(at);
    return {following.stage, following.parity, state[0], state[1]};
  }

  SmallVector<Value> blocks(Value from, Value to, const Tile &tile, bool masked,
                            ValueRange carried) {
    return code.loop(from, to, code.i32(1), carried, [&](Value here, ValueRange inner) {
      return consumeBlock(here, tile, masked, inner);
    });
  }

  /// Entry `which` of the sides (lse, δ, first) of this thread's two queries of 8 columns `j`.
  std::array<Value, 2> loadSide(Value side, Type element, int64_t which, int64_t j) {
    Value both = code.load(VectorType::get(2, element), code.at(side, which * sideRow + 32 * j), 8);
    return {LLVM::ExtractElementOp::create(code.builder, code.loc, both, code.i32(0)),
            LLVM::ExtractElementOp::create(code.builder, code.loc, both, code.i32(1))};
  }

  /// P of a block; `side`: this thread's first entries.
  SmallVector<Value> weigh(ArrayRef<Value> scores, const Tile &tile, Value block, Value side,
                           bool masked) {
    // This thread's queries are columns 8·j + p from here.
    Value query = code.add(code.mul(block, blockRows), fragment.pair);
    SmallVector<Value> weights(scores.size());
    for (int64_t j = 0; j < blockRows / 8; ++j) {
      auto lse2 = loadSide(side, code.f32Type(), 0, j);
      std::array<Value, 2> firstKey;
      if (masked)
        firstKey = loadSide(side, code.i32Type(), 2, j);
      for (int64_t i = 4 * j; i < 4 * j + 4; ++i) {
        weights[i] = exponential(scores[i], lse2[i % 2]);
        if (!masked)
          continue;
        Value key = tile.row[i / 2 % 2], at = code.add(query, 8 * j + i % 2);
        Value sees = code.logicalAnd(code.compare(arith::CmpIPredicate::sle, key, at),
                                     code.compare(arith::CmpIPredicate::sge, key, firstKey[i % 2]));
        if (plan.tokens % attentionRows)
          sees = code.logicalAnd(sees, code.less(at, plan.tokens));
        weights[i] = code.select(sees, weights[i], code.f32(0));
      }
    }
    return weights;
  }

  SmallVector<Value> getSlopes(ArrayRef<Value> weights, Value products, Value block, Value side,
                               bool masked) {
    Value query = code.add(code.mul(block, blockRows), fragment.pair);
    SmallVector<Value> dp = unpackAccumulator(code, products), slopes(dp.size());
    for (int64_t j = 0; j < blockRows / 8; ++j) {
      auto rowDelta = loadSide(side, code.f32Type(), 1, j);
      for (int64_t i = 4 * j; i < 4 * j + 4; ++i) {
        // Beyond the last token δ is whatever was there.
        Value difference = code.fsub(dp[i], rowDelta[i % 2]);
        if (masked && plan.tokens % attentionRows)
          difference = code.select(code.less(code.add(query, 8 * j + i % 2), plan.tokens),
                                   difference, code.f32(0));
        slopes[i] = code.fmul(weights[i], difference);
      }
    }
    return slopes;
  }

  SmallVector<Value> consumeBlock(Value here, const Tile &tile, bool masked, ValueRange inner) {
    RingPosition at{inner[0], inner[1]};
    Value side = code.at(placeOf(sideOffset, at.stage, sideBytes), code.mul(fragment.pair, 4));
    waitBarrier(code, ring->full(at.stage), at.parity);
    Value q = addressOf(qOffset, at.stage, blockBytes()),
          g = addressOf(gOffset, at.stage, blockBytes());
    fenceMultiply(code);
    Value scores = multiplyKeyed(tile.keys, describe(q, Major::K, blockRows));
    commitMultiply(code);
    fenceMultiply(code);
    Value products =
        multiplyHeads(tile.values, attentionRows, describe(g, Major::K, blockRows), 64, blockRows);
    commitMultiply(code);
    scores = waitMultiply(code, 1, scores);
    SmallVector<Value> p = weigh(unpackAccumulator(code, scores), tile, here, side, masked);
    SmallVector<Value> weights = packPairs(p);
    // From here on P is what the product reads: 32 registers less.
    for (size_t i = 0; i < p.size(); i += 2)
      std::tie(p[i], p[i + 1]) = code.unpackBF16(weights[i / 2]);
    fenceMultiply(code);
    Value dv = multiplyRows(inner[2], weights, g, blockRows);
    commitMultiply(code);
    products = waitMultiply(code, 1, products);
    SmallVector<Value> slopes = packPairs(getSlopes(p, products, here, side, masked));
    fenceMultiply(code);
    Value dk = multiplyRows(inner[3], slopes, q, blockRows);
    commitMultiply(code);
    dv = waitMultiply(code, 1, dv, weights);
    dk = waitMultiply(code, 0, dk, slopes);
    release(*ring, at.stage);
    RingPosition next = ring->advance(at);
    return {next.stage, next.parity, dv, dk};
  }

  /// Sᵀ = K·Qᵀ of 64 keys (in groups of features) and 64 queries.
  Value multiplyKeyed(Value keyTile, Value queries) {
    Value result =
        LLVM::UndefOp::create(code.builder, code.loc, getAccumulatorType(code, blockRows));
    Multiply shape;
    shape.n = blockRows;
    int64_t perGroup = plan.keyGroup / 16;
    for (int64_t step = 0; step < plan.width / 16; ++step) {
      Value a = code.add(keyTile, step / perGroup * (keyGroupBytes(attentionRows) >> 4) +
                                      step % perGroup * 2);
      Value b = code.add(queries, step / 4 * (halfBytes(blockRows) >> 4) + step % 4 * 2);
      result = multiply(code, shape, a, b, result, step == 0);
    }
    return result;
  }

  TileOrder order;
  int64_t qOffset = 0, gOffset = 0, sideOffset = 0, keysFull = 0;
  Value mapQ, mapG, mapDK, mapDV, mapSides, lastWhole, lastAny;
  std::optional<Ring> tiles, ring;
};

} // namespace

void smelt::gpu::emitAttentionKeys(kernel::AttentionBackwardOp op, GPUEmission &emission,
                                   const AttentionPlan &plan, const PreparedAttention &places) {
  KeysKernel(op, emission, plan, places).emit(emission.getTarget().multiprocessors);
}
