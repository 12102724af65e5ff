//===- AsyncCopy.h - Barriers in shared memory and bulk copies ---*- C++ -*-===//
//
// A copy by the tensor memory accelerator (TMA) runs beside the threads and tells an mbarrier when
// its bytes have come. A Ring is the usual producer and consumer arrangement on top: `stages`
// pieces of shared memory, each with a full and an empty barrier.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_ASYNCCOPY_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_ASYNCCOPY_H

#include "compiler/Conversion/KernelToGPU/Hopper/CodeBuilder.h"

namespace smelt::gpu {

/// Gives out ranges of a kernel's dynamic shared memory at compile time.
class SharedLayout {
public:
  int64_t allocate(int64_t bytes, int64_t alignment) {
    int64_t offset = (next + alignment - 1) / alignment * alignment;
    next = offset + bytes;
    return offset;
  }
  int64_t getBytes() const { return next; }

private:
  int64_t next = 0;
};

/// Barriers of 8 bytes one after the other in shared memory.
class BarrierArray {
public:
  BarrierArray(CodeBuilder &code, Value shared, SharedLayout &layout, int64_t count)
      : code(code), base(code.at(shared, layout.allocate(8 * count, 16))) {}

  Value get(int64_t index) const { return code.at(base, 8 * index); }
  /// Number `first` + `index`.
  Value get(int64_t first, Value index) const { return code.at(get(first), code.mul(index, 8)); }

private:
  CodeBuilder &code;
  Value base;
};

void initialiseBarrier(CodeBuilder &code, Value barrier, int64_t arrivals);
/// Makes initialised barriers visible to the accelerator.
void fenceBarriers(CodeBuilder &code);
void waitBarrier(CodeBuilder &code, Value barrier, Value parity);
void arriveBarrier(CodeBuilder &code, Value barrier);
/// Arrives, and announces bytes that copies will bring.
void expectBytes(CodeBuilder &code, Value barrier, Value bytes);

/// Copies a box of the tensor that `map` describes; coordinates innermost first. Elements outside
/// the tensor are zero.
void loadTile(CodeBuilder &code, Value map, Value shared, Value barrier, ValueRange coordinates);
/// Copies a box back; elements outside the tensor are left out.
void storeTile(CodeBuilder &code, Value map, Value shared, ValueRange coordinates);
void commitStores(CodeBuilder &code);
/// Waits until all but `pending` groups of this thread's stores have read shared memory, or (not
/// `read`) have finished.
void waitStores(CodeBuilder &code, unsigned pending, bool read);
/// Makes what threads wrote to shared memory visible to the accelerator.
void fenceSharedWrites(CodeBuilder &code);

/// Where in a ring a warp group is: the stage, and the parity that its next wait wants.
struct RingPosition {
  Value stage, parity;

  template <typename F> void forEachValue(F &&each) { each(stage), each(parity); }
};

/// The barriers of stages of shared memory: full[0 … stages−1] lie first, then the empty ones. A
/// full barrier takes one arrival (the producer's), an empty one `releases` (the consumers').
class Ring {
public:
  Ring(CodeBuilder &code, Value shared, SharedLayout &layout, int64_t stages, int64_t releases)
      : code(code), barriers(code, shared, layout, 2 * stages), stages(stages), releases(releases) {
  }

  /// One thread, before anybody waits.
  void initialise();

  Value full(Value stage) const { return barriers.get(0, stage); }
  Value empty(Value stage) const { return barriers.get(stages, stage); }
  RingPosition start(bool producer) { return {code.i32(0), code.i32(producer ? 1 : 0)}; }
  /// The position `count` stages on; the parity turns at the ring's end.
  RingPosition advance(RingPosition from, int64_t count = 1) const;

private:
  CodeBuilder &code;
  BarrierArray barriers;
  int64_t stages, releases;
};

} // namespace smelt::gpu
#endif
