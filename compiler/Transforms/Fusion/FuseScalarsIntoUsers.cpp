//===- FuseScalarsIntoUsers.cpp - Scalar mathematics where it is read -----===//
//
// Coefficients such as sigmoid(skip) or a + b are a few operations on rank-0 values. Each kernel
// that reads them computes them itself:
//
//   %s = kernel.rowwise(%skip) {sigmoid}
//   %y = kernel.rowwise(%x, %z, %s) {mix}      →   %y = kernel.rowwise(%x, %z, %skip) {sigmoid,
//   mix}
//
// Always legal, since a region may read scalars. What others read (attention's scale, a result of
// the program) stays.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Fusion/MergeKernels.h"
#include "compiler/Transforms/Fusion/Passes.h"

namespace smelt {
#define GEN_PASS_DEF_FUSESCALARSINTOUSERSPASS
#include "compiler/Transforms/Fusion/Passes.h.inc"
} // namespace smelt

using namespace mlir;
using namespace mlir::kernel;

/// Moves copies of `scalars` into the regions that read it; true if nobody else reads it then.
static bool fuse(RowwiseOp scalars) {
  bool changed = true;
  while (changed) {
    changed = false;
    for (OpOperand &use : scalars->getUses())
      if (std::optional<unsigned> region = smelt::getRegionOfOperand(use)) {
        smelt::cloneIntoRegion(scalars, cast<KernelOpInterface>(use.getOwner()), *region);
        changed = true;
        break;
      }
  }
  return scalars->use_empty();
}

namespace {
struct FuseScalarsIntoUsersPass
    : smelt::impl::FuseScalarsIntoUsersPassBase<FuseScalarsIntoUsersPass> {
  smelt::FusionOptions options;

  void runOnOperation() override {
    SmallVector<RowwiseOp> scalars;
    for (auto op : getOperation().getOps<RowwiseOp>())
      if (smelt::isScalarMath(op.getBody()))
        scalars.push_back(op);
    // Chains fold from their ends: a user takes its producers' copies along.
    for (RowwiseOp op : llvm::reverse(scalars)) {
      ++candidates;
      if (!fuse(op))
        continue;
      op.erase();
      ++fused;
    }
  }
};
} // namespace

std::unique_ptr<Pass> smelt::createFuseScalarsIntoUsersPass(const FusionOptions &options) {
  auto pass = std::make_unique<FuseScalarsIntoUsersPass>();
  pass->options = options;
  return pass;
}
