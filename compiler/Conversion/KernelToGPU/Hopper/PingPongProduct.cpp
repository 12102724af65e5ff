//===- PingPongProduct.cpp - Two groups in turns, a tile each -------------===//
#include "compiler/Conversion/KernelToGPU/Hopper/PingPongProduct.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

PingPongProduct::PingPongProduct(GPUEmission &emission, StringRef role, Location loc,
                                 const Multiply &multiplication, int64_t stageCount, int64_t steps)
    : ProductKernel(emission, role, loc, {stageCount, tileRows, tileColumns}),
      multiplication(multiplication), steps(steps) {}

SmallVector<Value> PingPongProduct::multiplyStage(RingPosition at, ValueRange blocks, bool first) {
  waitBarrier(code, ring->full(at.stage), at.parity);
  Value stage = code.add(sharedAddress, code.mul(at.stage, stages.bytes()));
  Value a = describeTile(code, stage, multiplication.aMajor);
  Value b = describeTile(code, code.add(stage, stages.aBytes()), multiplication.bMajor);
  return multiplyBlocks(code, multiplication, a, b, blocks, first);
}

void PingPongProduct::consumeTiles(ValueRange carried,
                                   llvm::function_ref<void(Value, ValueRange, MultiplyTile)> body,
                                   llvm::function_ref<SmallVector<Value>(ValueRange)> carryOn) {
  // Consumer 1 gives consumer 0 the first turn; its own first tile lies one tile further in the
  // ring.
  Value isSecond = code.equal(consumer, 1);
  Value mine = code.add(consumer, turnBarrier),
        other = code.sub(code.i32(turnBarrier + 1), consumer);
  code.ifThen(isSecond, [&] { code.barrierArrive(code.i32(turnBarrier), 256); });
  RingPosition start = ring->start(/*producer=*/false), later = ring->advance(start, steps);
  SmallVector<Value> state{code.select(isSecond, later.stage, start.stage),
                           code.select(isSecond, later.parity, start.parity)};
  state.append(carried.begin(), carried.end());
  queue->consume(consumer, state, [&](Value tile, ValueRange now) -> SmallVector<Value> {
    RingPosition end;
    auto multiplyTile = [&] {
      code.barrier(mine, 256);
      Sums sums = multiplyStages({now[0], now[1]}, code.i32(steps), 2, tileColumns,
                                 [&](RingPosition at, ValueRange blocks, bool first) {
                                   return multiplyStage(at, blocks, first);
                                 });
      code.barrierArrive(other, 256);
      finish(sums);
      end = sums.end;
      SmallVector<Value> registers;
      for (Value block : sums.blocks)
        registers.append(unpackAccumulator(code, block));
      return registers;
    };
    body(tile, now.drop_front(2), multiplyTile);
    // The other group's tile lies between this one and the next.
    RingPosition next = ring->advance(end, steps);
    SmallVector<Value> result{next.stage, next.parity};
    result.append(carryOn(now.drop_front(2)));
    return result;
  });
}
