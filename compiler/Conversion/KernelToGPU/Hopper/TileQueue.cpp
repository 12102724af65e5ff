//===- TileQueue.cpp - Tiles for whichever block is free ------------------===//
#include "compiler/Conversion/KernelToGPU/Hopper/TileQueue.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

TileQueue::TileQueue(CodeBuilder &code, GPUFunction &function, SharedLayout &layout, int64_t tiles,
                     Consumers consumers, int64_t multiprocessors)
    : code(code), tiles(tiles), multiprocessors(multiprocessors), consumers(consumers),
      counter(function.allocateCounter()) {
  constexpr int64_t slots = groups;
  Value shared = function.getDynamicShared();
  // Every thread reads the word and says so itself: one lane's arrival would not order the reads of
  // the others before the next number is written. (ptxas leaves nothing of bar.warp.sync here, so
  // racecheck would not see that either.)
  ring.emplace(code, shared, layout, slots, 128 * (consumers == Consumers::InTurn ? 1 : groups));
  words = code.at(shared, layout.allocate(4 * slots, 16));
  function.setPersistent();
}

Value TileQueue::takeNumber() {
  Value number = LLVM::AtomicRMWOp::create(code.builder, code.loc, LLVM::AtomicBinOp::add, counter,
                                           code.i32(1), LLVM::AtomicOrdering::monotonic, "device");
  return code.add(number, prompt);
}

RingPosition TileQueue::publish(Value tile, RingPosition slot) {
  waitBarrier(code, ring->empty(slot.stage), slot.parity);
  code.store(tile, code.at(words, code.mul(slot.stage, 4)), 4);
  arriveBarrier(code, ring->full(slot.stage));
  return ring->advance(slot);
}

void TileQueue::produce(ValueRange carried, Body body) {
  Value grid = code.gridSize(), block = code.blockIndex();
  int64_t most = std::max<int64_t>(1, getGrid() - mayBeLate);
  prompt = code.select(code.less(grid, most), grid, code.i32(most));
  Value first = code.choose(
      code.less(block, prompt), 1, [&] { return SmallVector<Value>{block}; },
      [&] { return SmallVector<Value>{takeNumber()}; })[0];
  RingPosition slot = ring->start(/*producer=*/true);
  SmallVector<Value> state{first, slot.stage, slot.parity};
  state.append(carried.begin(), carried.end());
  state = code.loopWhile(
      state,
      [&](ValueRange now) { return std::pair(code.less(now[0], tiles), SmallVector<Value>(now)); },
      [&](ValueRange now) {
        RingPosition next = publish(now[0], {now[1], now[2]});
        SmallVector<Value> after{Value(), next.stage, next.parity};
        after.append(body(now[0], now.drop_front(3)));
        // Not before: tiles are taken in the order in which they are multiplied, so neighbours run
        // at the same time and share what they load. The ring is full meanwhile.
        after[0] = takeNumber();
        return after;
      });
  // The number that is too large tells the consumers that there is no more.
  RingPosition end{state[1], state[2]};
  for (int64_t i = 0; i < (consumers == Consumers::InTurn ? groups : 1); ++i)
    end = publish(state[0], end);
  // Every block takes one number too many: this is the last of all.
  code.ifThen(code.compare(arith::CmpIPredicate::eq, state[0], code.add(grid, tiles - 1)),
              [&] { code.store(code.i32(0), counter, 4); });
}

Value TileQueue::readAgain() { return code.uniform(code.load(code.i32Type(), place, 4)); }

SmallVector<Value> TileQueue::consume(Value group, ValueRange carried, Body body) {
  bool inTurn = consumers == Consumers::InTurn;
  // One number says slot and parity, since registers are scarce.
  SmallVector<Value> state{code.i32(0)};
  state.append(carried.begin(), carried.end());
  state = code.loopWhile(
      state,
      [&](ValueRange now) {
        Value slot = inTurn ? group : code.bitAnd(now[0], 1);
        Value parity = code.bitAnd(inTurn ? now[0] : code.shiftRight(now[0], 1), 1);
        waitBarrier(code, ring->full(slot), parity);
        place = code.at(words, code.mul(slot, 4));
        Value tile = readAgain();
        if (inTurn)
          arriveBarrier(code, ring->empty(slot));
        SmallVector<Value> passed{tile};
        passed.append(now.begin(), now.end());
        return std::pair(code.less(tile, tiles), passed);
      },
      [&](ValueRange now) {
        Value slot = code.bitAnd(now[1], 1);
        if (!inTurn)
          place = code.at(words, code.mul(slot, 4));
        SmallVector<Value> after{code.add(now[1], 1)};
        after.append(body(now[0], now.drop_front(2)));
        if (!inTurn)
          arriveBarrier(code, ring->empty(slot));
        return after;
      });
  return SmallVector<Value>(ArrayRef(state).drop_front(2));
}
