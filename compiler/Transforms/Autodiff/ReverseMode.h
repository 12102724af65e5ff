//===- ReverseMode.h - Reverse-mode differentiation of a block --*- C++ -*-===//
#ifndef SMELT_COMPILER_TRANSFORMS_AUTODIFF_REVERSEMODE_H
#define SMELT_COMPILER_TRANSFORMS_AUTODIFF_REVERSEMODE_H

#include "mlir/IR/Builders.h"
#include "mlir/Support/LLVM.h"

namespace smelt {

/// Builds, at `insertionPoint`, the gradients of `objective` (rank 0) with respect to each of
/// `sources`; a null entry where the objective does not depend on a source. All values live in one
/// block, before the insertion point. Only what leads from a source to the objective is
/// differentiated; an op on such a path without a gradient is an error on that op.
mlir::FailureOr<llvm::SmallVector<mlir::Value>>
buildReverseMode(mlir::OpBuilder::InsertPoint insertionPoint, mlir::Value objective,
                 llvm::ArrayRef<mlir::Value> sources);

} // namespace smelt

#endif
