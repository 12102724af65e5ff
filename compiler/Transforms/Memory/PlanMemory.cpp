//===- PlanMemory.cpp - Place every buffer in the arena -------------------===//
#include "compiler/Transforms/Memory/BufferLifetimes.h"
#include "compiler/Transforms/Memory/MemoryPlan.h"
#include "compiler/Transforms/Memory/Passes.h"

using namespace mlir;
using namespace mlir::exec;

namespace smelt {
#define GEN_PASS_DEF_PLANMEMORYPASS
#include "compiler/Transforms/Memory/Passes.h.inc"
} // namespace smelt

using namespace smelt;

LogicalResult smelt::checkMemory(ModuleOp module) {
  BufferLifetimes buffers = findBufferLifetimes(module);
  SmallVector<Lifetime> lifetimes;
  SmallVector<BufferOp> ops;
  auto add = [&](BufferOp buffer, int64_t first, int64_t last) {
    lifetimes.push_back({static_cast<int64_t>(buffer.getBytes()), first, last, static_cast<int64_t>(buffer.getOffset())});
    ops.push_back(buffer);
  };
  for (BufferOp buffer : buffers.own)
    add(buffer, 0, std::numeric_limits<int64_t>::max() - 1);
  for (const BufferLifetime &buffer : buffers.shared)
    add(buffer.buffer, buffer.first, buffer.last);
  if (auto overlap = findOverlap(lifetimes)) {
    auto error = ops[overlap->first].emitError("overlaps @") << ops[overlap->second].getSymName() << ", which is alive at the same time";
    error.attachNote(ops[overlap->second].getLoc()) << "the other buffer";
    return error;
  }
  auto arenas = module.getOps<ArenaOp>();
  int64_t arena = arenas.empty() ? 0 : (*arenas.begin()).getBytes();
  for (BufferOp buffer : ops)
    if (static_cast<int64_t>(buffer.getOffset() + buffer.getBytes()) > arena)
      return buffer.emitError("ends at byte ") << buffer.getOffset() + buffer.getBytes() << " of an arena of " << arena;
  return success();
}

namespace {
struct PlanMemoryPass : smelt::impl::PlanMemoryPassBase<PlanMemoryPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    BufferLifetimes buffers = findBufferLifetimes(module);
    SmallVector<int64_t> distances = llvm::map_to_vector(buffers.ranges, [](auto &range) {
      return static_cast<int64_t>(range.first.getOffset() - range.second.getOffset());
    });
    int64_t end = 0;
    for (BufferOp buffer : buffers.own) {
      buffer.setOffset(end);
      end += alignMemory(buffer.getBytes());
    }
    ownBytes += end;
    end += placeShared(buffers.shared, end);
    for (auto [range, distance] : llvm::zip(buffers.ranges, distances))
      range.first.setOffset(range.second.getOffset() + distance);

    for (auto arena : llvm::make_early_inc_range(module.getOps<ArenaOp>()))
      arena.erase();
    auto builder = OpBuilder::atBlockBegin(module.getBody());
    ArenaOp::create(builder, module.getLoc(), end);
    if (failed(checkMemory(module)))
      signalPassFailure();
  }

  /// Places the shared buffers from `begin` on and returns how many bytes they take.
  int64_t placeShared(ArrayRef<BufferLifetime> shared, int64_t begin) {
    SmallVector<Lifetime> lifetimes, apart;
    for (const BufferLifetime &buffer : shared) {
      auto bytes = static_cast<int64_t>(const_cast<BufferOp &>(buffer.buffer).getBytes());
      lifetimes.push_back({bytes, buffer.first, buffer.last});
      apart.push_back({bytes, buffer.wholeFirst, buffer.wholeLast, 0,
                       buffer.ofUpdate ? Lifetime::Left : buffer.atEndOfMicroBatch ? Lifetime::Right : Lifetime::None});
    }
    int64_t bytes = planMemory(lifetimes);
    if (planMemory(apart) <= bytes) // Launches that share no bytes can change places.
      lifetimes = std::move(apart);
    for (auto [buffer, lifetime] : llvm::zip(shared, lifetimes))
      const_cast<BufferOp &>(buffer.buffer).setOffset(begin + lifetime.offset);
    sharedBytes += bytes;
    peakBytes += getPeak(lifetimes);
    return bytes;
  }
};
} // namespace
