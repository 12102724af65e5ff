//===- LaunchOrder.h - An order of launches that needs little memory -*- C++ -*-===//
#ifndef SMELT_COMPILER_TRANSFORMS_MEMORY_LAUNCHORDER_H
#define SMELT_COMPILER_TRANSFORMS_MEMORY_LAUNCHORDER_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include <cstdint>

namespace smelt {

/// The launches of one program, numbered in program order, and the buffers that share memory.
struct LaunchGraph {
  struct Launch {
    llvm::SmallVector<unsigned> after;   ///< Earlier launches that must have run, each once.
    llvm::SmallVector<unsigned> buffers; ///< Buffers that it touches, each once.
    bool awaited = false;                ///< Other ranks wait for what it makes.
  };
  llvm::SmallVector<Launch> launches;
  llvm::SmallVector<int64_t> bytes; ///< Of each buffer.
};

/// How many bytes the plan of the buffers (see MemoryPlan.h) takes when the launches run in
/// `order`.
int64_t getPlannedBytes(const LaunchGraph &graph, llvm::ArrayRef<unsigned> order);

/// List scheduling: of the launches that may run, the one after which the fewest bytes are alive;
/// of equals, the first in program order.
llvm::SmallVector<unsigned> orderGreedily(const LaunchGraph &graph);

/// The same from the end of the program: of the launches that may run last, the one before which
/// the fewest bytes are alive; of equals, the last in program order.
llvm::SmallVector<unsigned> orderGreedilyFromEnd(const LaunchGraph &graph);

/// Program order, or the first of the orders above whose plan is smaller than that of those before;
/// of plans of one size that in which what is awaited is made sooner.
llvm::SmallVector<unsigned> orderLaunches(const LaunchGraph &graph);

} // namespace smelt
#endif
