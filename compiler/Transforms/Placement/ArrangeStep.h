//===- ArrangeStep.h - The order of a step's two lanes ----------*- C++ -*-===//
#ifndef SMELT_COMPILER_TRANSFORMS_PLACEMENT_ARRANGESTEP_H
#define SMELT_COMPILER_TRANSFORMS_PLACEMENT_ARRANGESTEP_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

namespace smelt {

/// A launch or collective of the end of a step.
struct StepEntry {
  bool isCollective = false;
  double microseconds = 0;
  llvm::SmallVector<unsigned> after; ///< Entries before it that must have ended.
};

struct Arrangement {
  /// All entries. A collective stands where it begins, at the earliest; a launch waits for the
  /// collectives among its `after`.
  llvm::SmallVector<unsigned> order;
  llvm::SmallVector<double> begin, end; ///< By entry.
  llvm::SmallVector<double> exposed;    ///< By entry: how long the main lane waits for it.
  double microseconds = 0;
};

/// Links between GPUs that go to sleep. All zero: they do not.
struct SleepingLinks {
  double microseconds = 0; ///< Without traffic, after which they sleep.
  double cost = 0;         ///< The share of its speed that awake ones take from a GPU.
};

/// How long links are awake of an arrangement's time, µs, when such steps follow each other at once
/// (one micro-batch a step; with more they sleep longer between them).
double findAwake(llvm::ArrayRef<StepEntry> entries, const Arrangement &arrangement,
                 const SleepingLinks &links);

/// List scheduling: the first `fixed` launches keep their order; of the others the one comes next
/// that can begin soonest, of equals the first, or the one that most must come after (its update
/// and what gathers it), or the one whose gather should come first by Johnson's rule, whichever
/// ends soonest. Collectives begin as soon as they may, one at a time; of several, that which the
/// earliest entry waits for. With `early` others come between the fixed ones too, so that
/// collectives after them begin sooner: those whose collectives have ended long ago.
/// Where links sleep, collectives that would wake them long before the next ones wait for these, if
/// that saves more than it costs.
Arrangement arrangeStep(llvm::ArrayRef<StepEntry> entries, unsigned fixed, bool early,
                        const SleepingLinks &links = {});

} // namespace smelt
#endif
