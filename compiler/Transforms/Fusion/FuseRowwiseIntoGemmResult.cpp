//===- FuseRowwiseIntoGemmResult.cpp - Rows in a GEMM's result region -----===//
//
//   %c = kernel.gemm a(%x) b(%w) result() …  result {identity}
//   %y = kernel.rowwise(%c, %z) {relu_squared, add}           →   %y = kernel.gemm a(%x) b(%w)
//   result(%z) … result {relu_squared, add}
//
// A kernel that reads the product is computed on the product's tiles; the product itself is stored
// only if somebody else reads it. So is a kernel that feeds the result region: what it makes is not
// stored either (`%z` above, if a rowwise kernel makes it for this GEMM only). Several results are
// fine, sums over rows (gradients of scalars, the loss) too.
//
// Legal when both work on the same rows, no other row of the product is needed (another tile
// computes it), and no third kernel stands between. Refused as well when it is cheaper to compute
// the rows in the loads of their users (FuseRowwiseIntoGemmLoad).
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Fusion/MergeKernels.h"
#include "compiler/Transforms/Fusion/Passes.h"
#include "llvm/ADT/SetVector.h"

namespace smelt {
#define GEN_PASS_DEF_FUSEROWWISEINTOGEMMRESULTPASS
#include "compiler/Transforms/Fusion/Passes.h.inc"
} // namespace smelt

using namespace mlir;
using namespace mlir::kernel;
using namespace smelt;

/// GEMMs whose results the kernel reads, the one with the largest saving first.
static SmallVector<GemmOp> findProducers(RowwiseOp guest) {
  llvm::SmallSetVector<GemmOp, 4> hosts;
  for (Value input : guest.getInputs())
    if (auto gemm = input.getDefiningOp<GemmOp>())
      hosts.insert(gemm);
  SmallVector<GemmOp> sorted(hosts.begin(), hosts.end());
  std::sort(sorted.begin(), sorted.end(), [&](GemmOp a, GemmOp b) {
    return countSavingIntoResult(a, guest) > countSavingIntoResult(b, guest);
  });
  return sorted;
}

/// GEMMs whose result regions read the kernel.
static SmallVector<GemmOp> findConsumers(RowwiseOp guest) {
  llvm::SmallSetVector<GemmOp, 4> hosts;
  for (OpOperand &use : guest->getUses())
    if (auto gemm = dyn_cast<GemmOp>(use.getOwner());
        gemm && getRegionOfOperand(use) == getResultRegion(gemm))
      hosts.insert(gemm);
  SmallVector<GemmOp> sorted(hosts.begin(), hosts.end());
  // In program order: a use list's order does not survive a trip through text.
  llvm::sort(sorted, [](GemmOp a, GemmOp b) { return a->isBeforeInBlock(b); });
  return sorted;
}

namespace {
struct FuseRowwiseIntoGemmResultPass
    : smelt::impl::FuseRowwiseIntoGemmResultPassBase<FuseRowwiseIntoGemmResultPass> {
  FusionOptions options;

  /// Fuses into the first host that may; notes why the others may not. (That a kernel cannot join a
  /// later one which it feeds among others is no missed chance: most of the residual stream is like
  /// that.)
  void tryHosts(RowwiseOp guest, ArrayRef<GemmOp> hosts, bool notes) {
    std::string reasons;
    for (GemmOp host : hosts) {
      std::string why = whyNotIntoResult(host, guest, options);
      if (why.empty() && prefersLoads(host, guest, options))
        return; // Not refused: another pass does better.
      if (why.empty()) {
        mergeIntoResult(host, guest);
        ++fused;
        return;
      }
      reasons = why;
    }
    if (notes) {
      ++refused;
      noteRefusal(guest, "into the result of a GEMM", reasons);
    }
  }

  void runOnOperation() override {
    for (bool producers : {true, false}) {
      SmallVector<RowwiseOp> guests(getOperation().getOps<RowwiseOp>());
      for (RowwiseOp guest : guests) {
        SmallVector<GemmOp> hosts = producers ? findProducers(guest) : findConsumers(guest);
        if (hosts.empty())
          continue;
        ++candidates;
        tryHosts(guest, hosts, /*notes=*/producers);
      }
    }
    sortKernels(getOperation().getBody().front());
  }
};
} // namespace

std::unique_ptr<Pass> smelt::createFuseRowwiseIntoGemmResultPass(const FusionOptions &options) {
  auto pass = std::make_unique<FuseRowwiseIntoGemmResultPass>();
  pass->options = options;
  return pass;
}
