//===- WarpSpecialisedKernel.h - One group loads, two compute ----*- C++ -*-===//
//
// Blocks of 384 threads, one a multiprocessor: warp group 0 is the producer, whose one thread (or
// warp) copies tiles by TMA into rings of shared memory; warp groups 1 and 2, the consumers,
// multiply what lies there. Products (ProductKernel) and attention (AttentionKernel) are such
// kernels.
//
// How one is made: parameters; shared memory and rings from `layout`; initialiseBarriers(), then
// specialise(), which emits both roles; function.finish() last.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_WARPSPECIALISEDKERNEL_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_WARPSPECIALISEDKERNEL_H

#include "compiler/Conversion/KernelToGPU/GPUEmission.h"
#include "compiler/Conversion/KernelToGPU/Hopper/AsyncCopy.h"
#include "compiler/Conversion/KernelToGPU/Hopper/TileStore.h"

namespace smelt::gpu {

class WarpSpecialisedKernel {
protected:
  WarpSpecialisedKernel(GPUEmission &emission, llvm::StringRef role, mlir::Location loc);

  static constexpr int64_t threads = 384, consumers = 2;
  /// Named barriers: 1 and 2 of a consumer group's own threads; 3 and 4 order the groups'
  /// multiplications.
  static constexpr int64_t ownBarrier = 1, turnBarrier = 3;

  Value getWarpGroup() { return code.uniform(code.shiftRight(thread, 7)); }
  /// One thread does it, then all threads of the block meet.
  void initialiseBarriers(llvm::function_ref<void()> initialise);

  enum class Producer { Thread, Warp };
  /// The two roles of warp group number `group`. The producer keeps `registers` a thread; `consume`
  /// sets `consumer` and `fragment`, and takes the others' registers.
  void specialise(Value group, Producer producer, int64_t registers,
                  llvm::function_ref<void()> produce, llvm::function_ref<void()> consume);
  void takeRegisters(int64_t registers);

  /// A consumer group waits until its stores are in memory; the last thing that it does.
  void finishStores() {
    code.ifThen(fragment.isFirst, [&] { waitStores(code, 0, /*read=*/false); });
  }

  GPUFunction function;
  CodeBuilder code;
  SharedLayout layout;
  Value shared, sharedAddress; ///< Dynamic shared memory as a pointer and as an i32.
  Value thread;
  // Of a consumer.
  Value consumer; ///< 0 or 1.
  FragmentThread fragment;
};

} // namespace smelt::gpu
#endif
