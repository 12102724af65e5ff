//===- AttentionKernel.cpp - What attention's kernels share ---------------===//
#include "compiler/Conversion/KernelToGPU/Hopper/AttentionKernel.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

AttentionKernel::AttentionKernel(GPUEmission &emission, const AttentionPlan &plan, StringRef role,
                                 Location loc)
    : WarpSpecialisedKernel(emission, role, loc), emission(emission), plan(plan),
      block(code.blockIndex()) {}

Value AttentionKernel::addMap(uint32_t argument, int64_t columns, int64_t rows) {
  GPUTensorMap map;
  map.sizes = {plan.width, plan.heads, plan.tokens};
  map.strides = {plan.width * 2, plan.heads * plan.width * 2};
  map.box = {columns, 1, rows};
  map.swizzle = int(2 * columns);
  return function.addTensorMap(argument, map);
}

void AttentionKernel::specialise(llvm::function_ref<void()> produce,
                                 llvm::function_ref<void()> consume) {
  Value group = getWarpGroup();
  WarpSpecialisedKernel::specialise(group, Producer::Thread, 24, produce, [&] {
    takeRegisters(240);
    consumer = code.sub(group, 1);
    fragment = getFragmentThread(code, thread);
    consume();
  });
}

void AttentionKernel::produceItems(TileOrder &order, const Ring &ring, ValueRange carried,
                                   llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  SmallVector<Value> start{block};
  start.append(carried.begin(), carried.end());
  SmallVector<Value> end = code.loopWhile(
      start,
      [&](ValueRange values) {
        return std::pair(order.isItem(code, values[0]), SmallVector<Value>(values));
      },
      [&](ValueRange values) { return body(values[0], values.drop_front()); });
  // The ring's position comes first of what is carried.
  waitBarrier(code, ring.empty(end[1]), end[2]);
  announce(end[1], end[0]);
  arriveBarrier(code, ring.full(end[1]));
}

void AttentionKernel::consumeItems(
    TileOrder &order, const Ring &ring, ValueRange carried,
    llvm::function_ref<SmallVector<Value>(const Item &, ValueRange)> body) {
  code.loopWhile(
      carried,
      [&](ValueRange values) {
        waitBarrier(code, ring.full(values[0]), values[1]);
        Value item = readItem(values[0]);
        SmallVector<Value> passed(values);
        passed.push_back(item);
        return std::pair(order.isItem(code, item), passed);
      },
      [&](ValueRange values) { return body(locate(order, values.back()), values.drop_back()); });
  finishStores();
}

Value AttentionKernel::readItem(Value stage) {
  auto read = [&] { return SmallVector<Value>{code.load(code.i32Type(), itemPlace(stage), 4)}; };
  auto skip = [&] { return SmallVector<Value>{code.i32(0)}; };
  return code.uniform(code.choose(code.equal(fragment.lane, 0), 1, read, skip)[0]);
}

void AttentionKernel::releaseStored(const Ring &ring, Value stage) {
  code.ifThen(fragment.isFirst, [&] { waitStores(code, 0, /*read=*/true); });
  code.ifThen(code.equal(fragment.lane, 0), [&] { arriveBarrier(code, ring.empty(stage)); });
}

void AttentionKernel::release(const Ring &ring, Value stage) {
  code.syncWarp();
  code.ifThen(code.equal(fragment.lane, 0), [&] { arriveBarrier(code, ring.empty(stage)); });
}

SmallVector<Value> AttentionKernel::passOver(Value from, Value to, ArrayRef<const Ring *> rings,
                                             ValueRange positions) {
  return code.loop(from, to, code.i32(1), positions,
                   [&](Value, ValueRange inner) -> SmallVector<Value> {
                     for (auto [i, ring] : llvm::enumerate(rings))
                       waitBarrier(code, ring->full(inner[2 * i]), inner[2 * i + 1]);
                     for (auto [i, ring] : llvm::enumerate(rings))
                       release(*ring, inner[2 * i]);
                     SmallVector<Value> result;
                     for (auto [i, ring] : llvm::enumerate(rings)) {
                       RingPosition next = ring->advance({inner[2 * i], inner[2 * i + 1]});
                       result.append({next.stage, next.parity});
                     }
                     return result;
                   });
}

Value AttentionKernel::clamp(Value x, Value low, Value high) {
  x = code.select(code.less(x, high), x, high);
  return code.select(code.less(x, low), low, x);
}

void AttentionKernel::loadHalves(Value map, Value place, Value barrier, Value head, Value row,
                                 int64_t rows) {
  for (int64_t half = 0; half < plan.width / 64; ++half)
    loadTile(code, map, code.at(place, half * halfBytes(rows)), barrier,
             {code.i32(64 * half), head, row});
}

void AttentionKernel::loadKeyGroups(Value map, Value place, Value barrier, Value head, Value row,
                                    int64_t rows) {
  expectBytes(code, barrier, code.i32(rows * plan.width * 2));
  for (auto [i, isShifted] : llvm::enumerate(plan.k.shifted))
    loadTile(code, map, code.at(place, int64_t(i) * keyGroupBytes(rows)), barrier,
             {code.i32(int64_t(i) * plan.keyGroup), head, isShifted ? code.sub(row, 1) : row});
}

void AttentionKernel::addKeyMaps(int64_t rows) {
  mapK = addMap(plan.k.argument, plan.keyGroup, rows);
  if (plan.hasShift)
    mapOwn = addMap(plan.k.argument, plan.keyGroup, 1);
}

Value AttentionKernel::loadKeys(Value place, Value full, Value patch, Value parity, Value head,
                                Value row, Value isFirst, int64_t rows) {
  if (!plan.hasShift) {
    loadKeyGroups(mapK, place, full, head, row, rows);
    return parity;
  }
  auto first = [&] {
    Value zero = code.i32(0);
    loadKeyGroups(mapK, place, patch, head, zero, rows);
    waitBarrier(code, patch, parity);
    expectBytes(code, full, code.i32(llvm::count(plan.k.shifted, true) * plan.keyGroup * 2));
    for (auto [i, isShifted] : llvm::enumerate(plan.k.shifted))
      if (isShifted)
        loadTile(code, mapOwn, code.at(place, int64_t(i) * keyGroupBytes(rows)), full,
                 {code.i32(int64_t(i) * plan.keyGroup), head, zero});
  };
  code.ifElse(isFirst, first, [&] { loadKeyGroups(mapK, place, full, head, row, rows); });
  return code.select(isFirst, code.bitXor(parity, 1), parity);
}

Value AttentionKernel::zeroHead() {
  SmallVector<Value> zeros(plan.width / 2, code.f32(0));
  return packAccumulator(code, zeros);
}

Value AttentionKernel::multiplyRows(Value acc, ArrayRef<Value> weights, Value address,
                                    int64_t columns) {
  int64_t row = 2 * columns;
  Value tile = describeTile(code, address, Major::MN, blockRows * row, row);
  Multiply shape;
  shape.n = plan.width;
  shape.bMajor = Major::MN;
  for (int64_t step = 0; step < blockRows / 16; ++step)
    acc = multiplyRegisters(code, shape, weights.slice(4 * step, 4),
                            code.add(tile, step * (16 * row >> 4)), acc, /*first=*/false);
  return acc;
}

Value AttentionKernel::multiplyHeads(const HeadTile &a, const HeadTile &b) {
  Value result = LLVM::UndefOp::create(code.builder, code.loc, getAccumulatorType(code, b.rows));
  Multiply shape;
  shape.n = b.rows;
  for (int64_t step = 0; step < plan.width / 16; ++step) {
    auto advance = [&](const HeadTile &of) {
      int64_t perGroup = of.columns / 16;
      return code.add(of.tile,
                      step / perGroup * (of.rows * of.columns * 2 >> 4) + step % perGroup * 2);
    };
    Value aStep = advance(a), bStep = advance(b);
    result = multiply(code, shape, aStep, bStep, result, step == 0);
  }
  return result;
}

void AttentionKernel::storeHead(Value area, int64_t rows, Value map, Value head, Value row,
                                ArrayRef<Value> values, int64_t columns) {
  int64_t bytes = 2 * columns, groupBytes = rows * bytes;
  Value line = code.add(code.mul(fragment.warpInGroup, 16), code.bitAnd(fragment.lane, 15));
  Value right = code.shiftRight(fragment.lane, 4);
  // 16 bytes change places with others of their row by the number of 128 bytes before it.
  Value swizzle = columns == 64
                      ? code.bitAnd(fragment.lane, 7)
                      : code.bitAnd(code.shiftRight(code.mul(line, bytes), 7), bytes / 16 - 1);
  Value start = code.at(area, code.mul(line, bytes));
  for (int64_t group = 0; group < plan.width / columns; ++group)
    for (int64_t j = 0; j < columns / 16; ++j) {
      SmallVector<Value> words;
      for (int64_t i = 0; i < 4; ++i) {
        int64_t element = (group * columns / 8 + 2 * j + i / 2) * 4 + i % 2 * 2;
        words.push_back(code.packBF16(values[element], values[element + 1]));
      }
      Value place =
          code.at(code.at(start, code.mul(code.bitXor(code.add(right, 2 * j), swizzle), 16)),
                  group * groupBytes);
      storeMatrices(code, place, words);
    }
  fenceSharedWrites(code);
  code.barrier(code.add(consumer, ownBarrier), 128);
  code.ifThen(fragment.isFirst, [&] {
    for (int64_t group = 0; group < plan.width / columns; ++group)
      storeTile(code, map, code.at(area, group * groupBytes),
                {code.i32(columns * group), head, row});
    commitStores(code);
  });
}
