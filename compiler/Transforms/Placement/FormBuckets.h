//===- FormBuckets.h - Sums in the order in which gradients end -*- C++ -*-===//
#ifndef SMELT_COMPILER_TRANSFORMS_PLACEMENT_FORMBUCKETS_H
#define SMELT_COMPILER_TRANSFORMS_PLACEMENT_FORMBUCKETS_H

#include "compiler/Transforms/Placement/ArenaAccess.h"

namespace smelt {

/// Forms the buckets of the sums that begin `update` and of the gathers that end it anew: gradients in
/// the order in which `train` finishes them, weights in that in which `update` does; those of one kind
/// and element type together.
void formBuckets(mlir::exec::ProgramOp update, mlir::exec::ProgramOp train, const ArenaAccess &access, int64_t bucketBytes);

} // namespace smelt
#endif
