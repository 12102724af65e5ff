//===- StepCosts.h - How long launches and collectives take -----*- C++ -*-===//
//
// Coarse on purpose: it decides what is placed beside what, never what is computed.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_TRANSFORMS_PLACEMENT_STEPCOSTS_H
#define SMELT_COMPILER_TRANSFORMS_PLACEMENT_STEPCOSTS_H

#include "compiler/Transforms/Placement/ArenaAccess.h"
#include "compiler/Transforms/Placement/ArrangeStep.h"

namespace smelt {

/// Microseconds by arithmetic, bytes and a fixed part.
struct StepCosts {
  double operationsPerMicrosecond, bytesPerMicrosecond, launch;
  double linkBytesPerMicrosecond, collective;
  int64_t multiprocessors = 0;  ///< 0: not a GPU.
  int64_t collectiveBlocks = 0; ///< Multiprocessors that a collective takes.
  int64_t ranks = 2;
  SleepingLinks links = {};

  /// Measured on H200s (docs of this folder); a CPU core or two with Gloo over loopback.
  static StepCosts get(llvm::StringRef gpu, int64_t ranks);

  double getLaunch(mlir::exec::LaunchOp op) const;
  /// A ring: each rank sends all parts but one; an all-reduce does so twice.
  double getCollective(mlir::Operation *op, const ArenaAccess &access) const;
};

} // namespace smelt
#endif
