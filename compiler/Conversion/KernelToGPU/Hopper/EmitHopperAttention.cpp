//===- EmitHopperAttention.cpp - Attention forward on Hopper --------------===//
//
// Persistent blocks of 384 threads take tiles of 128 queries of one head. Warp group 0: one thread
// loads Q (double-buffered) and rings of K and V tiles of 128 keys by TMA, from the diagonal down
// to the first key that the tile's first query sees. Warp groups 1 and 2 have 64 queries each: S =
// Q·Kᵀ of a block and, behind it, O += P·V of the block before are issued together, in turns
// between the groups, then the softmax of S runs under them. Three bodies: the diagonal block,
// blocks that every query sees whole, and blocks at the lower edge (window or document).
//
// A key offset is the row coordinate of the copies of its feature groups. Row 0 keeps its own
// features: where the first block is loaded, they are written over the zeros that lie before the
// tensor.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/EmitKernels.h"
#include "compiler/Conversion/KernelToGPU/Hopper/AttentionKernel.h"
#include "compiler/Conversion/KernelToGPU/Hopper/OnlineSoftmax.h"
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
        order(plan.tiles(), plan.heads, /*descending=*/true), result(AttentionResult::make(op)),
        tileBytes(attentionRows * plan.width * 2) {
    mapQ = addMap(plan.q.argument, 64, attentionRows);
    addKeyMaps(attentionRows);
    mapV = addMap(plan.v.argument, 64, attentionRows);
    mapO = addMap(emission.getArgument(op.getOutputs()[0]), 64, 64);
    first = function.getPointer(op.getFirst());
    scale = function.getPointer(op.getScale());
    lse = function.getPointer(op.getLse());
    if (result.gate) {
      gate = function.getPointer(result.gate);
      gateElement = cast<RankedTensorType>(result.gate.getType()).getElementType();
    }
  }

  void emit(int64_t multiprocessors) {
    qOffset = layout.allocate(stages * tileBytes, 1024);
    kOffset = layout.allocate(stages * tileBytes, 1024);
    vOffset = layout.allocate(stages * tileBytes, 1024);
    int64_t barrierOffset = layout.allocate(8 * (6 * stages + 1), 16);
    allocateItems(stages);
    order.allocate(layout);
    beginBody();
    // A full barrier has one producer, an empty one of queries both groups; the last is the first
    // keys'.
    initialiseBarriers(barrierOffset, 6 * stages + 1, [&](int64_t i) -> int64_t {
      bool isEmpty = i < 6 * stages && i / stages % 2;
      return !isEmpty ? 1 : i < 2 * stages ? 2 : releases;
    });
    q.emplace(code, *barriers, 0, stages);
    k.emplace(code, *barriers, 2 * stages, stages);
    v.emplace(code, *barriers, 4 * stages, stages);
    int64_t grid = std::min(order.countItems(), multiprocessors);
    order.prepare(code, function, shared, grid, [&](Value tile) {
      return code.sub(tile, code.shiftRight(loadFirst(code.mul(tile, attentionRows)), 7));
    });
    specialise(24, 240, [&] { emitProducer(); }, [&] { emitConsumer(); });
    function.finish({grid, 1, 1}, layout.getBytes());
  }

private:
  static constexpr int64_t stages = 2;

  Value loadFirst(Value row) { return loadIndex(first, clampRow(row)); }

  //===- Producer -----------------------------------------------------------===//

  void emitProducer() {
    Value zero = code.i32(0), one = code.i32(1);
    produceItems(order, *q, {zero, one, zero, one, zero, one, zero},
                 [&](Value work, ValueRange carried) { return produce(work, carried); });
  }

  Value place(int64_t offset, Value stage) {
    return code.at(shared, code.add(code.mul(stage, tileBytes), offset));
  }

  void loadRows(Value map, Ring &ring, int64_t offset, RingPosition at, Value head, Value row) {
    Value full = ring.full(at.stage);
    expectBytes(code, full, code.i32(tileBytes));
    loadHalves(map, place(offset, at.stage), full, head, row, attentionRows);
  }

  Value loadKeyTile(RingPosition at, Value head, Value blockOfKeys, Value parity) {
    waitBarrier(code, k->empty(at.stage), at.parity);
    return loadKeys(place(kOffset, at.stage), k->full(at.stage), barriers->get(6 * stages), parity,
                    head, code.mul(blockOfKeys, attentionRows), code.equal(blockOfKeys, 0),
                    attentionRows);
  }

  SmallVector<Value> produce(Value work, ValueRange carried) {
    RingPosition qAt{carried[0], carried[1]}, kAt{carried[2], carried[3]},
        vAt{carried[4], carried[5]};
    Value parity = carried[6];
    Item item = locate(order, work);
    Value lowest = code.shiftRight(loadFirst(item.row), 7);
    waitBarrier(code, q->empty(qAt.stage), qAt.parity);
    announce(qAt.stage, work);
    loadRows(mapQ, *q, qOffset, qAt, item.head, item.row);
    parity = loadKeyTile(kAt, item.head, item.tile, parity);
    kAt = k->advance(kAt);
    SmallVector<Value> state =
        code.loop(code.i32(0), code.sub(item.tile, lowest), code.i32(1),
                  {kAt.stage, kAt.parity, vAt.stage, vAt.parity, parity},
                  [&](Value step, ValueRange inner) -> SmallVector<Value> {
                    RingPosition kHere{inner[0], inner[1]}, vHere{inner[2], inner[3]};
                    Value here = code.sub(item.tile, step);
                    Value next = loadKeyTile(kHere, item.head, code.sub(here, 1), inner[4]);
                    waitBarrier(code, v->empty(vHere.stage), vHere.parity);
                    loadRows(mapV, *v, vOffset, vHere, item.head, code.mul(here, attentionRows));
                    RingPosition kNext = k->advance(kHere), vNext = v->advance(vHere);
                    return {kNext.stage, kNext.parity, vNext.stage, vNext.parity, next};
                  });
    vAt = {state[2], state[3]};
    Value next = order.takeNext(code);
    waitBarrier(code, v->empty(vAt.stage), vAt.parity);
    loadRows(mapV, *v, vOffset, vAt, item.head, code.mul(lowest, attentionRows));
    vAt = v->advance(vAt);
    qAt = q->advance(qAt);
    return {next, qAt.stage, qAt.parity, state[0], state[1], vAt.stage, vAt.parity, state[4]};
  }

  //===- Consumers ----------------------------------------------------------===//

  /// What goes from block to block.
  struct Running {
    Value output;
    SmallVector<Value> weights; ///< bf16 pairs.
    SoftmaxState softmax;
    RingPosition k, v;

    SmallVector<Value> pack() const {
      SmallVector<Value> values{output};
      values.append(weights);
      values.append({softmax.maximum[0], softmax.maximum[1], softmax.sum[0], softmax.sum[1],
                     k.stage, k.parity, v.stage, v.parity});
      return values;
    }
    static Running unpack(ValueRange values) {
      Running running;
      running.output = values[0];
      size_t words = attentionRows / 4;
      running.weights.assign(values.begin() + 1, values.begin() + 1 + words);
      ValueRange rest = values.drop_front(1 + words);
      running.softmax = {{rest[0], rest[1]}, {rest[2], rest[3]}};
      running.k = {rest[4], rest[5]};
      running.v = {rest[6], rest[7]};
      return running;
    }
  };

  Value address(int64_t offset, Value stage) {
    return code.add(sharedAddress, code.add(code.mul(stage, tileBytes), offset));
  }

  /// S = Q·Kᵀ of 64 queries and 128 keys.
  Value multiplyKeys(Value queries, Value stage) {
    Value tile =
        describeTile(code, address(kOffset, stage), Major::K, panelBytes, 2 * plan.keyGroup);
    return multiplyHeads(queries, attentionRows, tile, plan.keyGroup, attentionRows);
  }

  /// O += P·V of 128 keys.
  Value multiplyValues(Value output, ArrayRef<Value> weights, Value stage) {
    Value tile = describeTile(code, address(vOffset, stage), Major::MN, halfBytes(attentionRows));
    for (int64_t step = 0; step < attentionRows / 16; ++step)
      output = multiplyRegisters(code, plan.width, weights.slice(4 * step, 4),
                                 code.add(tile, step * (16 * 128 >> 4)), output);
    return output;
  }

  void emitConsumer() {
    Value log2e = code.f32(std::numbers::log2e);
    Value factor = code.load(code.f32Type(), scale, 4);
    softmax.emplace(code, code.fmul(factor, log2e));
    mine = code.add(consumer, turnBarrier);
    other = code.sub(code.i32(turnBarrier + 1), consumer);
    code.ifThen(code.equal(consumer, 1), [&] { code.barrierArrive(code.i32(turnBarrier), 256); });
    Value zero = code.i32(0);
    consumeItems(order, *q, {zero, zero, zero, zero, zero, zero, code.i32(-1)},
                 [&](const Item &item, ValueRange carried) { return consume(item, carried); });
    code.ifThen(fragment.isFirst, [&] { waitStores(code, 0, /*read=*/false); });
  }

  SmallVector<Value> consume(const Item &item, ValueRange carried) {
    RingPosition qAt{carried[0], carried[1]}, kAt{carried[2], carried[3]},
        vAt{carried[4], carried[5]};
    Value pending = carried[6];
    Value lowest = code.shiftRight(loadFirst(item.row), 7);
    Value lastFirst = loadFirst(code.add(item.row, attentionRows - 1));
    // The first block that every query sees whole from below, at most the diagonal one.
    Value whole = code.shiftRight(code.add(lastFirst, attentionRows - 1), 7);
    whole = code.select(code.less(whole, item.tile), whole, item.tile);
    whole = code.select(code.less(whole, lowest), lowest, whole);
    Value rowInTile = code.add(code.mul(consumer, 64), fragment.row);
    RowPair rows, firstKey, diagonal;
    for (int r = 0; r < 2; ++r) {
      rows[r] = code.add(item.row, code.add(rowInTile, 8 * r));
      firstKey[r] =
          code.sub(loadFirst(rows[r]), fragment.pair); // Relative to the thread's first column.
      diagonal[r] = code.sub(code.add(rowInTile, 8 * r), fragment.pair);
    }
    Value queries = describeTile(
        code, code.add(address(qOffset, qAt.stage), code.mul(consumer, 64 * 128)), Major::K);
    waitBarrier(code, k->full(kAt.stage), kAt.parity);
    fenceMultiply(code);
    Value scores = multiplyKeys(queries, kAt.stage);
    commitMultiply(code);
    // The last tile's output has left its Q buffer: the producer may have it.
    code.ifThen(fragment.isFirst, [&] {
      code.ifThen(code.compare(arith::CmpIPredicate::sge, pending, 0), [&] {
        waitStores(code, 0, /*read=*/true);
        arriveBarrier(code, q->empty(pending));
      });
    });
    scores = waitMultiply(code, 0, scores);
    release(*k, kAt.stage);
    SmallVector<Value> visible =
        softmax->mask(unpackAccumulator(code, scores), relativeTo(firstKey, item.tile), diagonal);
    OnlineSoftmax::Step step = softmax->add(visible, nullptr);
    SmallVector<Value> zeros(plan.width / 2, code.f32(0));
    Running running{packAccumulator(code, zeros), softmax->pack(step.weights), step.state,
                    k->advance(kAt), vAt};
    running = blocks(running, queries, item.tile, whole, {});
    running = blocks(running, queries, whole, lowest, firstKey);
    return finish(item, running, qAt, rows);
  }

  RowPair relativeTo(RowPair bounds, Value blockOfKeys) {
    Value begin = code.mul(blockOfKeys, attentionRows);
    return {code.sub(bounds[0], begin), code.sub(bounds[1], begin)};
  }

  /// Blocks from − 1 down to `to`; `low` masks where it is given.
  Running blocks(const Running &start, Value queries, Value from, Value to, RowPair low) {
    SmallVector<Value> end =
        code.loop(code.i32(0), code.sub(from, to), code.i32(1), start.pack(),
                  [&](Value index, ValueRange carried) {
                    Running running = Running::unpack(carried);
                    waitBarrier(code, k->full(running.k.stage), running.k.parity);
                    code.barrier(mine, 256);
                    fenceMultiply(code);
                    Value scores = multiplyKeys(queries, running.k.stage);
                    commitMultiply(code);
                    waitBarrier(code, v->full(running.v.stage), running.v.parity);
                    fenceMultiply(code);
                    Value output = multiplyValues(running.output, running.weights, running.v.stage);
                    commitMultiply(code);
                    code.barrierArrive(other, 256);
                    scores = waitMultiply(code, 1, scores);
                    release(*k, running.k.stage);
                    SmallVector<Value> visible = unpackAccumulator(code, scores);
                    if (low[0])
                      visible = softmax->mask(
                          visible, relativeTo(low, code.sub(code.sub(from, index), 1)), {});
                    OnlineSoftmax::Step step = softmax->add(visible, &running.softmax);
                    output = waitMultiply(code, 0, output, running.weights);
                    // Not before the wait: the new weights would get the registers of those being
                    // read.
                    SmallVector<Value> weights = softmax->pack(step.weights);
                    release(*v, running.v.stage);
                    SmallVector<Value> values = unpackAccumulator(code, output);
                    for (size_t i = 0; i < values.size(); ++i)
                      values[i] = code.fmul(values[i], step.decay[i / 2 % 2]);
                    return Running{packAccumulator(code, values), weights, step.state,
                                   k->advance(running.k), v->advance(running.v)}
                        .pack();
                  });
    return Running::unpack(end);
  }

  Value loadGate(Value row, Value head) {
    Value index = code.add(code.mul(clampRow(row), plan.heads), head);
    if (gateElement.isF32())
      return code.load(gateElement, code.at(gate, code.mul(index, 4)), 4);
    Value bits = code.load(code.builder.getI16Type(), code.at(gate, code.mul(index, 2)), 2);
    Value wide = arith::ExtUIOp::create(code.builder, code.loc, code.i32Type(), bits);
    return code.unpackBF16(wide).first;
  }

  SmallVector<Value> finish(const Item &item, const Running &running, RingPosition qAt,
                            RowPair rows) {
    waitBarrier(code, v->full(running.v.stage), running.v.parity);
    fenceMultiply(code);
    Value output = multiplyValues(running.output, running.weights, running.v.stage);
    commitMultiply(code);
    RowPair totals = softmax->totals(running.softmax),
            logs = softmax->logSumExp(running.softmax, totals);
    RowPair inverse;
    for (int r = 0; r < 2; ++r) {
      inverse[r] = code.approximate("rcp.approx.ftz.f32", totals[r]);
      if (gate)
        inverse[r] = code.fmul(inverse[r], loadGate(rows[r], item.head));
      Value writes = code.equal(fragment.pair, 0);
      if (plan.tokens % attentionRows)
        writes = code.logicalAnd(writes, code.less(rows[r], plan.tokens));
      code.ifThen(writes, [&] {
        code.store(logs[r],
                   code.at(lse, code.mul(code.add(code.mul(rows[r], plan.heads), item.head), 4)),
                   4);
      });
    }
    output = waitMultiply(code, 0, output, running.weights);
    release(*v, running.v.stage);
    SmallVector<Value> values = unpackAccumulator(code, output);
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = code.fmul(values[i], inverse[i / 2 % 2]);
    // Through this group's part of the Q buffer, which it has read.
    storeHead(code.at(place(qOffset, qAt.stage), code.mul(consumer, 64 * swizzleRow)),
              attentionRows, mapO, item.head, code.add(item.row, code.mul(consumer, 64)), values);
    RingPosition vNext = v->advance(running.v), qNext = q->advance(qAt);
    return {qNext.stage, qNext.parity, running.k.stage, running.k.parity,
            vNext.stage, vNext.parity, qAt.stage};
  }

  TileOrder order;
  AttentionResult result;
  Type gateElement;
  int64_t tileBytes, qOffset = 0, kOffset = 0, vOffset = 0;
  Value mapQ, mapV, mapO, first, scale, lse, gate, mine, other;
  std::optional<Ring> q, k, v;
  std::optional<OnlineSoftmax> softmax;
};

} // namespace

std::string smelt::whyNotFastAttention(kernel::AttentionOp op, const GPUEmission &emission) {
  if (std::string why = AttentionResult::whyNot(op, emission); !why.empty())
    return why;
  return AttentionPlan::whyNot(op.getQ(), op.getQInputs(), op.getK(), op.getKInputs(), op.getV(),
                               op.getVInputs(), op.getHeadsType(), emission);
}

LogicalResult smelt::emitFastAttention(kernel::AttentionOp op, GPUEmission &emission) {
  AttentionPlan plan = AttentionPlan::make(op.getQ(), op.getQInputs(), op.getK(), op.getKInputs(),
                                           op.getV(), op.getVInputs(), op.getHeadsType(), emission);
  HopperAttention(op, emission, plan).emit(emission.getTarget().multiprocessors);
  return success();
}
