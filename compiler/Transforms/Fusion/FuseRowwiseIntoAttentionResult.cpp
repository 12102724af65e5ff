//===- FuseRowwiseIntoAttentionResult.cpp - Gates on attention's output ---===//
//
//   %o, %lse = kernel.attention … result {identity}
//   %y = kernel.rowwise(%o, %gate) {row_scale, reshape}    →   %y, %lse = kernel.attention …
//   result(%gate) {row_scale, reshape}
//
// Legal as for a GEMM's result region. When the attention output itself is stored (the backward
// pass wants it) and the users are GEMMs, computing the gate in their loads saves more, and
// FuseRowwiseIntoGemmLoad does that.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Fusion/MergeKernels.h"
#include "compiler/Transforms/Fusion/Passes.h"

namespace smelt {
#define GEN_PASS_DEF_FUSEROWWISEINTOATTENTIONRESULTPASS
#include "compiler/Transforms/Fusion/Passes.h.inc"
} // namespace smelt

using namespace mlir;
using namespace mlir::kernel;
using namespace smelt;

static AttentionOp findHost(RowwiseOp guest) {
  for (Value input : guest.getInputs())
    if (auto attention = input.getDefiningOp<AttentionOp>())
      return attention;
  return nullptr;
}

namespace {
struct FuseRowwiseIntoAttentionResultPass
    : smelt::impl::FuseRowwiseIntoAttentionResultPassBase<FuseRowwiseIntoAttentionResultPass> {
  FusionOptions options;

  void runOnOperation() override {
    SmallVector<RowwiseOp> guests(getOperation().getOps<RowwiseOp>());
    for (RowwiseOp guest : guests) {
      AttentionOp host = findHost(guest);
      if (!host)
        continue;
      ++candidates;
      if (std::string why = whyNotIntoResult(host, guest, options); !why.empty()) {
        noteRefusal(guest, "into the result of attention", why);
        ++refused;
      } else if (!prefersLoads(host, guest, options)) {
        mergeIntoResult(host, guest);
        ++fused;
      }
    }
    sortKernels(getOperation().getBody().front());
  }
};
} // namespace

std::unique_ptr<Pass>
smelt::createFuseRowwiseIntoAttentionResultPass(const FusionOptions &options) {
  auto pass = std::make_unique<FuseRowwiseIntoAttentionResultPass>();
  pass->options = options;
  return pass;
}
