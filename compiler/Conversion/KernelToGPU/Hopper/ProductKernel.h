//===- ProductKernel.h - What the kernels of products share ------*- C++ -*-===//
//
// A ring of stages: each holds 128 bytes of k of a tile of A and, behind it, of a tile of B, as TMA
// swizzles them. The producer fills stages, consumer groups multiply them and let go of each when
// the multiplication after it has been issued.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_PRODUCTKERNEL_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_PRODUCTKERNEL_H

#include "compiler/Conversion/KernelToGPU/Hopper/LoopState.h"
#include "compiler/Conversion/KernelToGPU/Hopper/TileQueue.h"
#include "compiler/Conversion/KernelToGPU/Hopper/WarpGroupMultiply.h"
#include "compiler/Conversion/KernelToGPU/Hopper/WarpSpecialisedKernel.h"

namespace smelt::gpu {

class ProductKernel : protected WarpSpecialisedKernel {
protected:
  struct Stages {
    int64_t count, aRows, bRows;
    int64_t aBytes() const { return aRows * swizzleRow; }
    int64_t bytes() const { return (aRows + bRows) * swizzleRow; }
  };
  /// The stages are the first thing in shared memory.
  ProductKernel(GPUEmission &emission, llvm::StringRef role, mlir::Location loc, Stages stages);

  /// The ring of the stages, behind what is laid out; `releases`: arrivals that empty a stage.
  void addRing(int64_t releases) { ring.emplace(code, shared, layout, stages.count, releases); }
  /// The body. `initialise`: barriers beside the ring's and the queue's.
  void emitRoles(
      Producer producer, llvm::function_ref<void()> produce, llvm::function_ref<void()> consume,
      llvm::function_ref<void()> initialise = [] {});

  //===- The producer -------------------------------------------------------===//

  /// Copies to a stage, which lies at placeOf(stage); `full` is its barrier, which knows how many
  /// bytes will come.
  using Load = llvm::function_ref<void(Value step, Value stage, Value full)>;
  Value placeOf(Value stage) { return code.at(shared, code.mul(stage, stages.bytes())); }
  /// Each of the queue's tiles: `body` fills its stages from a position on, and returns the one
  /// behind.
  void produceTiles(llvm::function_ref<RingPosition(Value tile, RingPosition at)> body);
  /// Steps 0 … count−1, a stage each.
  RingPosition fillStages(RingPosition from, int64_t count, Load load);
  void fillStage(Value step, RingPosition at, Load load);

  //===- A consumer group ---------------------------------------------------===//

  /// Accumulators of one tile, a block of 64 rows each.
  struct Sums {
    RingPosition end; ///< Behind its stages.
    Value lastStage;  ///< Not yet released.
    llvm::SmallVector<Value> blocks;

    template <typename F> void forEachValue(F &&each) { each(end), each(lastStage), each(blocks); }
  };
  /// One stage's multiplications, issued and committed; they start from zero if `first`.
  using MultiplyStage =
      llvm::function_ref<llvm::SmallVector<Value>(RingPosition at, ValueRange blocks, bool first)>;
  /// `count` stages (one at least) from `at` on. The last one's multiplications are still running
  /// when it ends: see finish.
  Sums multiplyStages(RingPosition at, Value count, int64_t blocks, int64_t columns,
                      MultiplyStage multiplyStage);
  void finish(const Sums &sums) {
    waitMultiply(code, 0);
    release(sums.lastStage);
  }
  /// The group has read a stage; one thread says so.
  void release(Value stage) {
    code.ifThen(fragment.isFirst, [&] { arriveBarrier(code, ring->empty(stage)); });
  }

  const Stages stages;
  std::optional<Ring> ring;
  std::optional<TileQueue> queue; ///< Where tiles come from one.
};

} // namespace smelt::gpu
#endif
