//===- ProductKernel.cpp - What the kernels of products share -------------===//
#include "compiler/Conversion/KernelToGPU/Hopper/ProductKernel.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

ProductKernel::ProductKernel(GPUEmission &emission, StringRef role, Location loc, Stages stages)
    : WarpSpecialisedKernel(emission, role, loc), stages(stages) {
  layout.allocate(stages.count * stages.bytes(), 1024);
}

void ProductKernel::emitRoles(Producer producer, llvm::function_ref<void()> produce,
                              llvm::function_ref<void()> consume,
                              llvm::function_ref<void()> initialise) {
  Value group = getWarpGroup();
  initialiseBarriers([&] {
    ring->initialise();
    initialise();
    if (queue)
      queue->initialise();
  });
  specialise(group, producer, 40, produce, [&] {
    consumer = code.sub(group, 1);
    takeRegisters(232);
    fragment = getFragmentThread(code, thread);
    consume();
  });
}

void ProductKernel::produceTiles(llvm::function_ref<RingPosition(Value, RingPosition)> body) {
  RingPosition start = ring->start(/*producer=*/true);
  queue->produce({start.stage, start.parity}, [&](Value tile, ValueRange carried) {
    RingPosition end = body(tile, {carried[0], carried[1]});
    return SmallVector<Value>{end.stage, end.parity};
  });
}

RingPosition ProductKernel::fillStages(RingPosition from, int64_t count, Load load) {
  return loopState(code, code.i32(0), code.i32(count), from, [&](Value step, RingPosition at) {
    fillStage(step, at, load);
    return ring->advance(at);
  });
}

void ProductKernel::fillStage(Value step, RingPosition at, Load load) {
  waitBarrier(code, ring->empty(at.stage), at.parity);
  Value full = ring->full(at.stage);
  expectBytes(code, full, code.i32(stages.bytes()));
  load(step, at.stage, full);
}

ProductKernel::Sums ProductKernel::multiplyStages(RingPosition at, Value count, int64_t blocks,
                                                  int64_t columns, MultiplyStage multiplyStage) {
  SmallVector<Value> zero(
      blocks, LLVM::UndefOp::create(code.builder, code.loc, getAccumulatorType(code, columns)));
  SmallVector<Value> first = multiplyStage(at, zero, /*first=*/true);
  Sums start{ring->advance(at), at.stage, first};
  return loopState(code, code.i32(1), count, start, [&](Value, const Sums &before) {
    RingPosition here = before.end;
    SmallVector<Value> sums = multiplyStage(here, before.blocks, /*first=*/false);
    waitMultiply(code, 1); // The stage before has been read.
    release(before.lastStage);
    return Sums{ring->advance(here), here.stage, sums};
  });
}
