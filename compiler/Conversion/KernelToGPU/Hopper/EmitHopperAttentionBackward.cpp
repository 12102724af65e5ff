//===- EmitHopperAttentionBackward.cpp - Attention's gradients on Hopper --===//
//
// Three launches, all deterministic:
//   prepare  δ[t, h] = Σ dO·O and the base-2 lse, both [H, T] with T padded to whole tiles;
//   `first`, padded too; for each tile of keys the
//            last query that sees any of its keys (`first` never falls, so one query decides).
//   queries  128 queries a tile, 64 a warp group; blocks of 64 keys: S = Q·Kᵀ, dP = dO·Vᵀ, dS =
//   P∘(dP − δ), dQ += dS·K. keys     128 keys a tile, 64 a warp group; blocks of 64 queries: Sᵀ =
//   K·Qᵀ, dPᵀ = V·dOᵀ, dV += Pᵀ·dO, dK += dSᵀ·Q.
// The products S and dP are made twice; in return nothing is added in an order that depends on the
// run. P = exp2(S·scale·log2 e − lse₂). Source: Dao, FlashAttention-2 (2023), §3.1.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/EmitKernels.h"
#include "compiler/Conversion/KernelToGPU/Hopper/AttentionKernel.h"
#include <numbers>

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

namespace {

/// Keys of a block of the queries kernel, queries of a block of the keys kernel.
constexpr int64_t blockRows = 64;

/// What the first launch leaves for the others, as offsets in the workspace.
struct Prepared {
  int64_t delta, lse, first, lastQuery;
};
/// Entries of a head's row, or of `first`.
int64_t getPadded(const AttentionPlan &plan) { return plan.tiles() * attentionRows; }

//===- Prepare --------------------------------------------------------------===//

/// A warp per token and head; the first warp of a token also settles the tiles of keys that end
/// with it.
void emitPrepare(kernel::AttentionBackwardOp op, GPUEmission &emission, const AttentionPlan &plan,
                 const Prepared &places) {
  constexpr int64_t threads = 256;
  GPUFunction function(emission, "attention backward: prepare", threads);
  CodeBuilder code(function.builder(), op.getLoc());
  Value out = function.getPointer(op.getOut()), dout = function.getPointer(op.getDout());
  Value lse = function.getPointer(op.getLse()), first = function.getPointer(op.getFirst());
  Value delta = function.getWorkspace(places.delta), lse2 = function.getWorkspace(places.lse);
  Value lastQuery = function.getWorkspace(places.lastQuery),
        padded = function.getWorkspace(places.first);
  Value thread = code.threadIndex(), lane = code.bitAnd(thread, 31);
  Value row = code.add(code.mul(code.blockIndex(), threads / 32),
                       code.shiftRight(thread, 5)); // token · H + head
  code.ifThen(code.less(row, plan.tokens * plan.heads), [&] {
    // A lane has pairs of features: d/2 pairs over 32 lanes.
    Value sum = code.f32(0);
    for (int64_t i = 0; i < plan.width / 64; ++i) {
      Value column = code.add(code.mul(lane, 2), 64 * i);
      auto pair = [&](Value matrix) {
        return code.unpackBF16(
            code.load(code.i32Type(), code.atElement(matrix, row, plan.width, column, 2), 4));
      };
      auto [o0, o1] = pair(out);
      auto [g0, g1] = pair(dout);
      sum = code.fma(o0, g0, code.fma(o1, g1, sum));
    }
    for (unsigned distance : {1u, 2u, 4u, 8u, 16u})
      sum = code.fadd(sum, code.shuffleXor(sum, distance));
    code.ifThen(code.equal(lane, 0), [&] {
      Value token = code.div(row, plan.heads), head = code.rem(row, plan.heads);
      Value place = code.mul(code.add(code.mul(head, getPadded(plan)), token), 4);
      code.store(sum, code.at(delta, place), 4);
      Value natural = code.load(code.f32Type(), code.at(lse, code.mul(row, 4)), 4);
      code.store(code.fmul(natural, code.f32(std::numbers::log2e)), code.at(lse2, place), 4);
      code.ifThen(code.equal(head, 0), [&] {
        // Query t is the last that sees key κ when first[t] ≤ κ < first[t + 1]; beyond the end
        // nothing does.
        auto load = [&](Value t) {
          return code.load(code.i32Type(), code.at(first, code.mul(t, 4)), 4);
        };
        Value isEnd = code.equal(token, plan.tokens - 1);
        Value here = load(token);
        Value next = load(code.select(isEnd, token, code.add(token, 1)));
        next = code.select(isEnd, code.i32(getPadded(plan)), next);
        code.store(here, code.at(padded, code.mul(token, 4)), 4);
        // Tiles j with here ≤ 128·j + 127 < next.
        code.loop(code.shiftRight(here, 7), code.shiftRight(next, 7), code.i32(1), {},
                  [&](Value tile, ValueRange) -> SmallVector<Value> {
                    code.store(token, code.at(lastQuery, code.mul(tile, 4)), 4);
                    return {};
                  });
      });
    });
  });
  int64_t warps = threads / 32, rows = plan.tokens * plan.heads;
  function.finish({(rows + warps - 1) / warps, 1, 1});
}

//===- What both kernels do with a block -------------------------------------===//

class BackwardKernel : protected AttentionKernel {
protected:
  BackwardKernel(kernel::AttentionBackwardOp op, GPUEmission &emission, const AttentionPlan &plan,
                 StringRef role, const Prepared &places)
      : AttentionKernel(emission, plan, role, op.getLoc()),
        scalePointer(function.getPointer(op.getScale())), first(function.getPointer(op.getFirst())),
        delta(function.getWorkspace(places.delta)), lse(function.getWorkspace(places.lse)) {}

  void loadScale() {
    scale = code.load(code.f32Type(), scalePointer, 4);
    scaleLog2e = code.fmul(scale, code.f32(std::numbers::log2e));
  }
  Value exponential(Value score, Value lse2) {
    return code.approximate("ex2.approx.ftz.f32", code.fma(score, scaleLog2e, code.fneg(lse2)));
  }
  /// bf16 pairs: the A operand of the next product.
  SmallVector<Value> packPairs(ArrayRef<Value> values) {
    SmallVector<Value> words;
    for (size_t i = 0; i < values.size(); i += 2)
      words.push_back(code.packBF16(values[i], values[i + 1]));
    return words;
  }
  Value zeroHead() {
    SmallVector<Value> zeros(plan.width / 2, code.f32(0));
    return packAccumulator(code, zeros);
  }
  Value describe(Value address, Major major = Major::K, int64_t rows = attentionRows,
                 int64_t swizzle = 128) {
    return describeTile(code, address, major, halfBytes(rows), swizzle);
  }
  Value addressOf(int64_t offset, Value stage, int64_t bytes) {
    return code.add(sharedAddress, code.add(code.mul(stage, bytes), offset));
  }
  Value placeOf(int64_t offset, Value stage, int64_t bytes) {
    return code.at(shared, code.add(code.mul(stage, bytes), offset));
  }
  void release(const Ring &ring, Value stage) {
    code.ifThen(fragment.isFirst, [&] { arriveBarrier(code, ring.empty(stage)); });
  }
  /// acc += weights[64, 64]·B with B 64 rows of halves `rows` high.
  Value multiplyRows(Value acc, ArrayRef<Value> weights, Value address, int64_t rows) {
    Value tile = describe(address, Major::MN, rows);
    for (int64_t step = 0; step < blockRows / 16; ++step)
      acc = multiplyRegisters(code, plan.width, weights.slice(4 * step, 4),
                              code.add(tile, step * (16 * swizzleRow >> 4)), acc);
    return acc;
  }

  Value scalePointer, first, delta, lse, scale, scaleLog2e;
};

//===- dQ ----------------------------------------------------------------------===//

class QueriesKernel : BackwardKernel {
public:
  QueriesKernel(kernel::AttentionBackwardOp op, GPUEmission &emission, const AttentionPlan &plan,
                const Prepared &places)
      : BackwardKernel(op, emission, plan, "attention backward: queries", places),
        tileBytes(attentionRows * plan.width * 2), blockBytes(blockRows * plan.width * 2) {
    mapQ = addMap(plan.q.argument, 64, attentionRows);
    mapG = addMap(emission.getArgument(op.getDout()), 64, attentionRows);
    mapK = addMap(plan.k.argument, plan.keyGroup, blockRows);
    mapV = addMap(plan.v.argument, 64, blockRows);
    mapDQ = addMap(emission.getArgument(op.getDq()), 64, 64);
    keys = function.getPointer(plan.k.argument);
  }

  void emit(int64_t multiprocessors) {
    qOffset = layout.allocate(tileBytes, 1024);
    gOffset = layout.allocate(tileBytes, 1024);
    kOffset = layout.allocate(stages * blockBytes, 1024);
    vOffset = layout.allocate(stages * blockBytes, 1024);
    int64_t barrierOffset = layout.allocate(8 * (2 + 4 * stages + 1), 16);
    beginBody();
    // 0, 1: queries full and empty; then keys, then values; the last: first keys.
    initialiseBarriers(barrierOffset, 2 + 4 * stages + 1, [&](int64_t i) -> int64_t {
      if (i == 1)
        return 2;
      return i >= 2 && i < 2 + 4 * stages && (i - 2) / stages % 2 ? 2 : 1;
    });
    k.emplace(code, *barriers, 2, stages);
    v.emplace(code, *barriers, 2 + 2 * stages, stages);
    items = plan.tiles() * plan.heads;
    grid = std::min(items, multiprocessors);
    specialise(24, 240, [&] { produce(); }, [&] { consume(); });
    function.finish({grid, 1, 1}, layout.getBytes());
  }

private:
  static constexpr int64_t stages = 3;

  struct Item {
    Value tile, head, query;
  };
  Item locate(Value work) {
    Value tile = code.sub(code.i32(plan.tiles() - 1), code.div(work, plan.heads));
    return {tile, code.rem(work, plan.heads), code.mul(tile, attentionRows)};
  }
  /// Blocks of keys [lowest, end) that a tile sees.
  std::pair<Value, Value> range(const Item &item) {
    Value lowest = code.shiftRight(loadIndex(first, clampRow(item.query)), 6);
    return {lowest, code.mul(code.add(item.tile, 1), attentionRows / blockRows)};
  }

  void produce() {
    Value zero = code.i32(0), one = code.i32(1);
    code.loop(
        block, code.i32(items), code.i32(grid), {one, zero, one, zero},
        [&](Value work, ValueRange carried) -> SmallVector<Value> {
          Item item = locate(work);
          auto [lowest, end] = range(item);
          waitBarrier(code, barriers->get(1), carried[0]);
          Value full = barriers->get(0);
          expectBytes(code, full, code.i32(2 * tileBytes));
          loadHalves(mapQ, code.at(shared, qOffset), full, item.head, item.query, attentionRows);
          loadHalves(mapG, code.at(shared, gOffset), full, item.head, item.query, attentionRows);
          SmallVector<Value> state = code.loop(
              code.i32(0), code.sub(end, lowest), code.i32(1), {carried[1], carried[2], carried[3]},
              [&](Value step, ValueRange inner) -> SmallVector<Value> {
                RingPosition at{inner[0], inner[1]};
                Value here = code.sub(code.sub(end, step), 1), row = code.mul(here, blockRows);
                waitBarrier(code, k->empty(at.stage), at.parity);
                Value parity = loadKeys(mapK, keys, placeOf(kOffset, at.stage, blockBytes),
                                        k->full(at.stage), barriers->get(2 + 4 * stages), inner[2],
                                        item.head, row, code.equal(here, 0), blockRows);
                waitBarrier(code, v->empty(at.stage), at.parity);
                expectBytes(code, v->full(at.stage), code.i32(blockBytes));
                loadHalves(mapV, placeOf(vOffset, at.stage, blockBytes), v->full(at.stage),
                           item.head, row, blockRows);
                RingPosition next = k->advance(at);
                return {next.stage, next.parity, parity};
              });
          return {code.bitXor(carried[0], 1), state[0], state[1], state[2]};
        });
  }

  void consume() {
    loadScale();
    Value zero = code.i32(0);
    code.loop(block, code.i32(items), code.i32(grid), {zero, zero, zero},
              [&](Value work, ValueRange carried) { return consumeTile(work, carried); });
    code.ifThen(fragment.isFirst, [&] { waitStores(code, 0, /*read=*/false); });
  }

  SmallVector<Value> consumeTile(Value work, ValueRange carried) {
    Item item = locate(work);
    auto [lowest, end] = range(item);
    Value own = code.mul(consumer, 64 * swizzleRow),
          inTile = code.add(code.mul(consumer, 64), fragment.row);
    Value rows[2], firstKey[2], lse2[2], rowDelta[2];
    for (int r = 0; r < 2; ++r) {
      rows[r] = code.add(item.query, code.add(inTile, 8 * r));
      Value clamped = clampRow(rows[r]);
      firstKey[r] = loadIndex(first, clamped);
      Value place = code.mul(code.add(code.mul(item.head, getPadded(plan)), clamped), 4);
      lse2[r] = code.load(code.f32Type(), code.at(lse, place), 4);
      rowDelta[r] = code.load(code.f32Type(), code.at(delta, place), 4);
    }
    Value queries = describe(code.add(code.add(sharedAddress, qOffset), own)),
          gradients = describe(code.add(code.add(sharedAddress, gOffset), own));
    waitBarrier(code, barriers->get(0), carried[0]);
    SmallVector<Value> state = code.loop(
        code.i32(0), code.sub(end, lowest), code.i32(1), {carried[1], carried[2], zeroHead()},
        [&](Value step, ValueRange inner) -> SmallVector<Value> {
          RingPosition at{inner[0], inner[1]};
          Value column =
              code.add(code.mul(code.sub(code.sub(end, step), 1), blockRows), fragment.pair);
          waitBarrier(code, k->full(at.stage), at.parity);
          fenceMultiply(code);
          Value keyTile = describe(addressOf(kOffset, at.stage, blockBytes), Major::K, blockRows,
                                   2 * plan.keyGroup);
          Value scores = multiplyHeads(queries, attentionRows, keyTile, plan.keyGroup, blockRows);
          commitMultiply(code);
          waitBarrier(code, v->full(at.stage), at.parity);
          fenceMultiply(code);
          Value products =
              multiplyHeads(gradients, attentionRows,
                            describe(addressOf(vOffset, at.stage, blockBytes), Major::K, blockRows),
                            64, blockRows);
          commitMultiply(code);
          scores = waitMultiply(code, 1, scores);
          SmallVector<Value> s = unpackAccumulator(code, scores), p;
          for (size_t i = 0; i < s.size(); ++i) {
            int r = int(i / 2 % 2);
            Value key = code.add(column, int64_t(8 * (i / 4) + i % 2));
            Value sees = code.logicalAnd(code.compare(arith::CmpIPredicate::sle, key, rows[r]),
                                         code.compare(arith::CmpIPredicate::sge, key, firstKey[r]));
            p.push_back(code.select(sees, exponential(s[i], lse2[r]), code.f32(0)));
          }
          products = waitMultiply(code, 0, products);
          release(*v, at.stage);
          SmallVector<Value> dp = unpackAccumulator(code, products);
          for (size_t i = 0; i < p.size(); ++i)
            p[i] = code.fmul(p[i], code.fsub(dp[i], rowDelta[i / 2 % 2]));
          SmallVector<Value> words = packPairs(p);
          Value dq = inner[2];
          fenceMultiply(code);
          dq = multiplyKeyGroups(dq, words, addressOf(kOffset, at.stage, blockBytes));
          commitMultiply(code);
          dq = waitMultiply(code, 0, dq, words);
          release(*k, at.stage);
          RingPosition next = k->advance(at);
          return {next.stage, next.parity, dq};
        });
    SmallVector<Value> values = unpackAccumulator(code, state[2]);
    for (Value &value : values)
      value = code.fmul(value, scale);
    // Through this group's part of Q, which it has read.
    storeHead(code.at(code.at(shared, qOffset), own), attentionRows, mapDQ, item.head,
              code.add(item.query, code.mul(consumer, 64)), values);
    code.ifThen(fragment.isFirst, [&] {
      waitStores(code, 0, /*read=*/true);
      arriveBarrier(code, barriers->get(1));
    });
    return {code.bitXor(carried[0], 1), state[0], state[1]};
  }

  /// dQ += dS·K: a product per group of features, since groups of 32 are panels of their own.
  Value multiplyKeyGroups(Value dq, ArrayRef<Value> words, Value address) {
    if (plan.keyGroup == 64)
      return multiplyRows(dq, words, address, blockRows);
    SmallVector<Value> registers = unpackAccumulator(code, dq), result;
    int64_t perGroup = plan.keyGroup / 2;
    for (int64_t group = 0; group < plan.width / plan.keyGroup; ++group) {
      Value part = packAccumulator(code, ArrayRef(registers).slice(group * perGroup, perGroup));
      Value tile = describe(code.add(address, group * keyGroupBytes(blockRows)), Major::MN,
                            blockRows, 2 * plan.keyGroup);
      for (int64_t step = 0; step < blockRows / 16; ++step)
        part = multiplyRegisters(code, plan.keyGroup, words.slice(4 * step, 4),
                                 code.add(tile, step * (16 * 2 * plan.keyGroup >> 4)), part);
      result.append(unpackAccumulator(code, part));
    }
    return packAccumulator(code, result);
  }

  int64_t tileBytes, blockBytes, items = 0, grid = 0, qOffset = 0, gOffset = 0, kOffset = 0,
                                 vOffset = 0;
  Value mapQ, mapG, mapK, mapV, mapDQ, keys;
  std::optional<Ring> k, v;
};

//===- dK, dV ------------------------------------------------------------------===//

class KeysKernel : BackwardKernel {
public:
  KeysKernel(kernel::AttentionBackwardOp op, GPUEmission &emission, const AttentionPlan &plan,
             const Prepared &places)
      : BackwardKernel(op, emission, plan, "attention backward: keys", places),
        tileBytes(attentionRows * plan.width * 2), blockBytes(blockRows * plan.width * 2),
        lastQuery(function.getWorkspace(places.lastQuery)),
        paddedFirst(function.getWorkspace(places.first)) {
    mapQ = addMap(plan.q.argument, 64, blockRows);
    mapG = addMap(emission.getArgument(op.getDout()), 64, blockRows);
    mapK = addMap(plan.k.argument, plan.keyGroup, attentionRows);
    mapV = addMap(plan.v.argument, 64, attentionRows);
    mapDK = addMap(emission.getArgument(op.getDk()), 64, 64);
    mapDV = addMap(emission.getArgument(op.getDv()), 64, 64);
    keys = function.getPointer(plan.k.argument);
  }

  void emit(int64_t multiprocessors) {
    kOffset = layout.allocate(tileBytes, 1024);
    vOffset = layout.allocate(tileBytes, 1024);
    qOffset = layout.allocate(stages * blockBytes, 1024);
    gOffset = layout.allocate(stages * blockBytes, 1024);
    outOffset = layout.allocate(tileBytes, 1024);
    sideOffset = layout.allocate(stages * sideBytes, 16);
    int64_t barrierOffset = layout.allocate(8 * (3 + 2 * stages + 1), 16);
    beginBody();
    // 0: keys full, 1: values full, 2: both empty; then the ring of queries; the last: first keys.
    initialiseBarriers(barrierOffset, 3 + 2 * stages + 1, [&](int64_t i) -> int64_t {
      return i == 2 || (i >= 3 + stages && i < 3 + 2 * stages) ? 2 : 1;
    });
    ring.emplace(code, *barriers, 3, stages);
    items = plan.tiles() * plan.heads;
    grid = std::min(items, multiprocessors);
    specialise(24, 240, [&] { produce(); }, [&] { consume(); });
    function.finish({grid, 1, 1}, layout.getBytes());
  }

private:
  static constexpr int64_t stages = 2;
  /// Of a block of queries: lse, δ and first, 4 bytes each.
  static constexpr int64_t sideRow = 4 * blockRows, sideBytes = 3 * sideRow;

  struct Item {
    Value tile, head, key;
  };
  Item locate(Value work) {
    Value tile = code.div(work, plan.heads);
    return {tile, code.rem(work, plan.heads), code.mul(tile, attentionRows)};
  }
  /// Blocks of queries [begin, end) that see the tile.
  std::pair<Value, Value> range(const Item &item) {
    Value begin = code.mul(item.tile, attentionRows / blockRows);
    return {begin, code.add(code.shiftRight(loadIndex(lastQuery, item.tile), 6), 1)};
  }

  void produce() {
    Value zero = code.i32(0), one = code.i32(1);
    code.loop(block, code.i32(items), code.i32(grid), {one, zero, one, zero},
              [&](Value work, ValueRange carried) -> SmallVector<Value> {
                Item item = locate(work);
                auto [begin, end] = range(item);
                waitBarrier(code, barriers->get(2), carried[0]);
                Value parity = loadKeys(mapK, keys, code.at(shared, kOffset), barriers->get(0),
                                        barriers->get(3 + 2 * stages), carried[3], item.head,
                                        item.key, code.equal(item.tile, 0), attentionRows);
                expectBytes(code, barriers->get(1), code.i32(tileBytes));
                loadHalves(mapV, code.at(shared, vOffset), barriers->get(1), item.head, item.key,
                           attentionRows);
                SmallVector<Value> state = code.loop(
                    begin, end, code.i32(1), {carried[1], carried[2]},
                    [&](Value here, ValueRange inner) -> SmallVector<Value> {
                      RingPosition at{inner[0], inner[1]};
                      waitBarrier(code, ring->empty(at.stage), at.parity);
                      Value full = ring->full(at.stage), row = code.mul(here, blockRows);
                      expectBytes(code, full, code.i32(2 * blockBytes + sideBytes));
                      Value side = placeOf(sideOffset, at.stage, sideBytes),
                            inHead =
                                code.mul(code.add(code.mul(item.head, getPadded(plan)), row), 4);
                      loadBytes(code, code.at(lse, inHead), side, full, code.i32(sideRow));
                      loadBytes(code, code.at(delta, inHead), code.at(side, sideRow), full,
                                code.i32(sideRow));
                      loadBytes(code, code.at(paddedFirst, code.mul(row, 4)),
                                code.at(side, 2 * sideRow), full, code.i32(sideRow));
                      loadHalves(mapQ, placeOf(qOffset, at.stage, blockBytes), full, item.head, row,
                                 blockRows);
                      loadHalves(mapG, placeOf(gOffset, at.stage, blockBytes), full, item.head, row,
                                 blockRows);
                      RingPosition next = ring->advance(at);
                      return {next.stage, next.parity};
                    });
                return {code.bitXor(carried[0], 1), state[0], state[1], parity};
              });
  }

  void consume() {
    loadScale();
    Value zero = code.i32(0);
    code.loop(block, code.i32(items), code.i32(grid), {zero, zero, zero},
              [&](Value work, ValueRange carried) { return consumeTile(work, carried); });
    code.ifThen(fragment.isFirst, [&] { waitStores(code, 0, /*read=*/false); });
  }

  SmallVector<Value> consumeTile(Value work, ValueRange carried) {
    Item item = locate(work);
    auto [begin, end] = range(item);
    Value own = code.mul(consumer, 64 * swizzleRow),
          ownKeys = code.mul(consumer, 64 * 2 * plan.keyGroup);
    Value inTile = code.add(code.mul(consumer, 64), fragment.row);
    Value rows[2] = {code.add(item.key, inTile), code.add(item.key, code.add(inTile, 8))};
    Value keyTile = describe(code.add(code.add(sharedAddress, kOffset), ownKeys), Major::K,
                             attentionRows, 2 * plan.keyGroup);
    Value valueTile = describe(code.add(code.add(sharedAddress, vOffset), own));
    waitBarrier(code, barriers->get(0), carried[0]);
    waitBarrier(code, barriers->get(1), carried[0]);
    SmallVector<Value> state =
        code.loop(begin, end, code.i32(1), {carried[1], carried[2], zeroHead(), zeroHead()},
                  [&](Value here, ValueRange inner) {
                    return consumeBlock(item, here, keyTile, valueTile, rows, inner);
                  });
    SmallVector<Value> dv = unpackAccumulator(code, state[2]),
                       dk = unpackAccumulator(code, state[3]);
    for (Value &value : dk)
      value = code.fmul(value, scale);
    // Both have read the keys and values when they arrive here; the next tile's may be loaded.
    code.ifThen(fragment.isFirst, [&] {
      waitStores(code, 0, /*read=*/true); // The last tile's outputs have left the area.
      arriveBarrier(code, barriers->get(2));
    });
    code.barrier(code.add(consumer, ownBarrier), 128);
    Value area = code.at(code.at(shared, outOffset), own),
          row = code.add(item.key, code.mul(consumer, 64));
    storeHead(area, attentionRows, mapDV, item.head, row, dv);
    code.ifThen(fragment.isFirst, [&] { waitStores(code, 0, /*read=*/true); });
    code.barrier(code.add(consumer, ownBarrier), 128);
    storeHead(area, attentionRows, mapDK, item.head, row, dk);
    return {code.bitXor(carried[0], 1), state[0], state[1]};
  }

  SmallVector<Value> consumeBlock(const Item &item, Value here, Value keyTile, Value valueTile,
                                  Value (&rows)[2], ValueRange inner) {
    RingPosition at{inner[0], inner[1]};
    // This thread's queries are columns 8·j + p from here.
    Value query = code.add(code.mul(here, blockRows), fragment.pair);
    Value side = code.at(placeOf(sideOffset, at.stage, sideBytes), code.mul(fragment.pair, 4));
    auto loadSide = [&](Type element, int64_t which, int64_t j) -> std::array<Value, 2> {
      Value both =
          code.load(VectorType::get(2, element), code.at(side, which * sideRow + 32 * j), 8);
      return {LLVM::ExtractElementOp::create(code.builder, code.loc, both, code.i32(0)),
              LLVM::ExtractElementOp::create(code.builder, code.loc, both, code.i32(1))};
    };
    waitBarrier(code, ring->full(at.stage), at.parity);
    Value q = addressOf(qOffset, at.stage, blockBytes),
          g = addressOf(gOffset, at.stage, blockBytes);
    fenceMultiply(code);
    Value scores = multiplyKeyed(keyTile, describe(q, Major::K, blockRows));
    commitMultiply(code);
    fenceMultiply(code);
    Value products =
        multiplyHeads(valueTile, attentionRows, describe(g, Major::K, blockRows), 64, blockRows);
    commitMultiply(code);
    scores = waitMultiply(code, 1, scores);
    SmallVector<Value> s = unpackAccumulator(code, scores), p(s.size()), ds(s.size());
    for (int64_t j = 0; j < blockRows / 8; ++j) {
      auto lse2 = loadSide(code.f32Type(), 0, j), firstKey = loadSide(code.i32Type(), 2, j);
      for (int64_t i = 4 * j; i < 4 * j + 4; ++i) {
        Value key = rows[i / 2 % 2], at = code.add(query, 8 * j + i % 2);
        Value sees = code.logicalAnd(code.compare(arith::CmpIPredicate::sle, key, at),
                                     code.compare(arith::CmpIPredicate::sge, key, firstKey[i % 2]));
        if (plan.tokens % attentionRows)
          sees = code.logicalAnd(sees, code.less(at, plan.tokens));
        p[i] = code.select(sees, exponential(s[i], lse2[i % 2]), code.f32(0));
      }
    }
    products = waitMultiply(code, 0, products);
    SmallVector<Value> dp = unpackAccumulator(code, products);
    for (int64_t j = 0; j < blockRows / 8; ++j) {
      auto rowDelta = loadSide(code.f32Type(), 1, j);
      for (int64_t i = 4 * j; i < 4 * j + 4; ++i) {
        // Beyond the last token δ is whatever was there.
        Value difference = code.fsub(dp[i], rowDelta[i % 2]);
        if (plan.tokens % attentionRows)
          difference = code.select(code.less(code.add(query, 8 * j + i % 2), plan.tokens),
                                   difference, code.f32(0));
        ds[i] = code.fmul(p[i], difference);
      }
    }
    SmallVector<Value> weights = packPairs(p), slopes = packPairs(ds);
    fenceMultiply(code);
    Value dv = multiplyRows(inner[2], weights, g, blockRows);
    Value dk = multiplyRows(inner[3], slopes, q, blockRows);
    commitMultiply(code);
    dv = waitMultiply(code, 0, dv, weights);
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

  int64_t tileBytes, blockBytes, items = 0, grid = 0, kOffset = 0, vOffset = 0, qOffset = 0,
                                 gOffset = 0, sideOffset = 0, outOffset = 0;
  Value mapQ, mapG, mapK, mapV, mapDK, mapDV, keys, lastQuery, paddedFirst;
  std::optional<Ring> ring;
};

} // namespace

std::string smelt::whyNotFastAttention(kernel::AttentionBackwardOp op,
                                       const GPUEmission &emission) {
  for (Value tensor : {op.getOut(), op.getDout(), op.getDq(), op.getDk(), op.getDv()}) {
    if (!cast<RankedTensorType>(tensor.getType()).getElementType().isBF16())
      return "an output or its gradient is not stored in bf16";
    if (emission.getAlignment(emission.getArgument(tensor)) % 16)
      return "a gradient does not begin at a multiple of 16 bytes";
  }
  return AttentionPlan::whyNot(op.getQ(), op.getQInputs(), op.getK(), op.getKInputs(), op.getV(),
                               op.getVInputs(), op.getHeadsType(), emission);
}

LogicalResult smelt::emitFastAttention(kernel::AttentionBackwardOp op, GPUEmission &emission) {
  AttentionPlan plan = AttentionPlan::make(op.getQ(), op.getQInputs(), op.getK(), op.getKInputs(),
                                           op.getV(), op.getVInputs(), op.getHeadsType(), emission);
  Prepared places;
  places.delta = emission.allocateWorkspace(getPadded(plan) * plan.heads * 4);
  places.lse = emission.allocateWorkspace(getPadded(plan) * plan.heads * 4);
  places.first = emission.allocateWorkspace(getPadded(plan) * 4);
  places.lastQuery = emission.allocateWorkspace(plan.tiles() * 4);
  emitPrepare(op, emission, plan, places);
  int64_t multiprocessors = emission.getTarget().multiprocessors;
  QueriesKernel(op, emission, plan, places).emit(multiprocessors);
  KeysKernel(op, emission, plan, places).emit(multiprocessors);
  return success();
}
