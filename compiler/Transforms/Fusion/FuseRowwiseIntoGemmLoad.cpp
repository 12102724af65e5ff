//===- FuseRowwiseIntoGemmLoad.cpp - Rows computed where they are loaded --===//
//
//   %n = kernel.rowwise(%x) {rms_norm}
//   %y = kernel.gemm a(%n) b(%w) …              →   %y = kernel.gemm a(%x) b(%w) …      a
//   {rms_norm} %dw = kernel.gemm a(%dy) b(%n) …                %dw = kernel.gemm a(%dy) b(%x) … b
//   {rms_norm}
//
// Cheap rows of a stored tensor are computed anew by every kernel that reads them (GEMM loads,
// other regions) instead of being stored. Neighbour rows are fine: what a load reads is in memory.
//
// Legal when every user can do so; done when that saves traffic after paying for the operations
// that are done more than once.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Fusion/MergeKernels.h"
#include "compiler/Transforms/Fusion/Passes.h"

namespace smelt {
#define GEN_PASS_DEF_FUSEROWWISEINTOGEMMLOADPASS
#include "compiler/Transforms/Fusion/Passes.h.inc"
} // namespace smelt

using namespace mlir;
using namespace mlir::kernel;
using namespace smelt;

namespace {
struct FuseRowwiseIntoGemmLoadPass
    : smelt::impl::FuseRowwiseIntoGemmLoadPassBase<FuseRowwiseIntoGemmLoadPass> {
  FusionOptions options;

  std::string whyNot(RowwiseOp producer) {
    if (std::string why = whyNotIntoAllLoads(producer, options); !why.empty())
      return why;
    if (countSavingIntoLoads(producer, options) <= 0)
      return "computing it in each of its users would cost more than storing it";
    return "";
  }

  void runOnOperation() override {
    SmallVector<RowwiseOp> producers(getOperation().getOps<RowwiseOp>());
    // From the last: a user that is itself computed in loads hands its producers on to those.
    for (RowwiseOp producer : llvm::reverse(producers)) {
      if (producer->use_empty() || !feedsGemmLoad(producer) || staysStored(producer))
        continue;
      ++candidates;
      if (std::string why = whyNot(producer); !why.empty()) {
        noteRefusal(producer, "into the loads of its users", why);
        ++refused;
        continue;
      }
      cloneIntoAllLoads(producer);
      ++fused;
    }
    sortKernels(getOperation().getBody().front());
  }
};
} // namespace

std::unique_ptr<Pass> smelt::createFuseRowwiseIntoGemmLoadPass(const FusionOptions &options) {
  auto pass = std::make_unique<FuseRowwiseIntoGemmLoadPass>();
  pass->options = options;
  return pass;
}
