//===- AttentionQueryTiles.cpp - Tiles of queries, blocks of keys ---------===//
//
// What the forward kernel and that of dQ share: a tile is 128 queries of a head, 64 a warp group.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/Hopper/AttentionKernel.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

int64_t AttentionKernel::beginQueryTiles(TileOrder &order, int64_t queryStages, int64_t keyStages,
                                         int64_t valueStages, int64_t multiprocessors) {
  kOffset = layout.allocate(keyStages * blockBytes(), 1024);
  vOffset = layout.allocate(valueStages * blockBytes(), 1024);
  q.emplace(code, shared, layout, queryStages, releases);
  k.emplace(code, shared, layout, keyStages, releases);
  v.emplace(code, shared, layout, valueStages, releases);
  firstKeys.emplace(code, shared, layout, 1);
  allocateItems(queryStages);
  order.allocate(layout);
  initialiseBarriers([&] {
    for (Ring *ring : {&*q, &*k, &*v})
      ring->initialise();
    initialiseBarrier(code, firstKeys->get(0), 1);
  });
  int64_t grid = std::min(order.countItems(), multiprocessors);
  order.prepare(code, function, shared, [&](Value tile) {
    return code.sub(code.add(tile, tile), getLowest(code.mul(tile, attentionRows)));
  });
  return grid;
}

void AttentionKernel::produceQueryTiles(
    TileOrder &order, llvm::function_ref<void(const Item &, Value stage)> loadQueries) {
  Value zero = code.i32(0), one = code.i32(1);
  auto produceBlock = [&](const Item &item, Value here, ValueRange inner) -> SmallVector<Value> {
    RingPosition kAt{inner[0], inner[1]}, vAt{inner[2], inner[3]};
    Value row = code.mul(here, blockRows);
    waitBarrier(code, k->empty(kAt.stage), kAt.parity);
    Value parity =
        loadKeys(placeOf(kOffset, kAt.stage, blockBytes()), k->full(kAt.stage), firstKeys->get(0),
                 inner[4], item.head, row, code.equal(here, 0), blockRows);
    waitBarrier(code, v->empty(vAt.stage), vAt.parity);
    expectBytes(code, v->full(vAt.stage), code.i32(blockBytes()));
    loadHalves(mapV, placeOf(vOffset, vAt.stage, blockBytes()), v->full(vAt.stage), item.head, row,
               blockRows);
    RingPosition kNext = k->advance(kAt), vNext = v->advance(vAt);
    return {kNext.stage, kNext.parity, vNext.stage, vNext.parity, parity};
  };
  auto produceTile = [&](Value work, ValueRange carried) -> SmallVector<Value> {
    RingPosition qAt{carried[0], carried[1]};
    Item item = locate(order, work);
    Value lowest = getLowest(item.row), end = getEnd(item);
    waitBarrier(code, q->empty(qAt.stage), qAt.parity);
    announce(qAt.stage, work);
    loadQueries(item, qAt.stage);
    SmallVector<Value> state =
        code.loop(code.i32(0), code.sub(end, lowest), one, carried.drop_front(2),
                  [&](Value step, ValueRange inner) {
                    return produceBlock(item, code.sub(code.sub(end, step), 1), inner);
                  });
    RingPosition qNext = q->advance(qAt);
    SmallVector<Value> result{order.takeNext(code), qNext.stage, qNext.parity};
    result.append(state);
    return result;
  };
  produceItems(order, *q, {zero, one, zero, one, zero, one, zero}, produceTile);
}

AttentionKernel::OwnBlocks AttentionKernel::findOwnBlocks(const Item &item) {
  Value row = code.add(item.row, code.mul(consumer, blockRows));
  Value diagonal = code.shiftRight(row, 6), lowest = getLowest(row);
  Value whole =
      code.shiftRight(code.add(loadFirst(code.add(row, blockRows - 1)), blockRows - 1), 6);
  return {row, diagonal, clamp(whole, lowest, diagonal), lowest};
}

Value AttentionKernel::multiplyKeyBlock(Value queries, Value stage) {
  Value keys =
      describe(addressOf(kOffset, stage, blockBytes()), Major::K, blockRows, 2 * plan.keyGroup);
  return multiplyHeads({queries, attentionRows}, {keys, blockRows, plan.keyGroup});
}
