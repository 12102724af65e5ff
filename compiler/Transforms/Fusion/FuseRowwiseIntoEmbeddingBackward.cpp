//===- FuseRowwiseIntoEmbeddingBackward.cpp - Rows of a table's gradient --===//
//
//   %d = kernel.rowwise(%x, %dy) {rms_norm_backward}
//   %g = kernel.embedding_backward tokens(%t) dy(%d) …      →   %g = kernel.embedding_backward
//   tokens(%t) dy(%x, %dy) … dy {rms_norm_backward}
//
// Each row is added to the table once, so it is computed once. Legal when nobody else reads the
// rows. What is done with the finished table (adding another gradient, accumulation) goes into
// region `result`, as for a GEMM.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Fusion/MergeKernels.h"
#include "compiler/Transforms/Fusion/Passes.h"

namespace smelt {
#define GEN_PASS_DEF_FUSEROWWISEINTOEMBEDDINGBACKWARDPASS
#include "compiler/Transforms/Fusion/Passes.h.inc"
} // namespace smelt

using namespace mlir;
using namespace mlir::kernel;
using namespace smelt;

static bool isRowsOfGradient(OpOperand &use) {
  return isa<EmbeddingBackwardOp>(use.getOwner()) && getRegionOfOperand(use) == 0u;
}

static std::string whyNotRows(RowwiseOp producer, const FusionOptions &options) {
  for (Operation *user : producer->getUsers())
    if (user != *producer->getUsers().begin())
      return "its value is stored for " + user->getName().getStringRef().str();
  return whyNotIntoAllLoads(producer, options);
}

static EmbeddingBackwardOp findTable(RowwiseOp guest) {
  for (Value input : guest.getInputs())
    if (auto table = input.getDefiningOp<EmbeddingBackwardOp>())
      return table;
  return nullptr;
}

namespace {
struct FuseRowwiseIntoEmbeddingBackwardPass
    : smelt::impl::FuseRowwiseIntoEmbeddingBackwardPassBase<FuseRowwiseIntoEmbeddingBackwardPass> {
  FusionOptions options;

  /// Notes a refusal; true if there was none.
  bool check(RowwiseOp op, const std::string &why) {
    ++candidates;
    if (why.empty())
      return ++fused, true;
    noteRefusal(op, "into the gradient of an embedding", why);
    ++refused;
    return false;
  }

  void runOnOperation() override {
    for (RowwiseOp op : SmallVector<RowwiseOp>(getOperation().getOps<RowwiseOp>())) {
      // What starts from memory is no gradient: the forward rows that a shift's adjoint reads, for
      // example.
      if (llvm::any_of(op->getUses(), isRowsOfGradient) && !staysStored(op)) {
        if (!check(op, whyNotRows(op, options)))
          continue;
        cloneIntoRegion(op, cast<KernelOpInterface>(*op->getUsers().begin()), 0);
        op.erase();
      } else if (EmbeddingBackwardOp table = findTable(op)) {
        if (check(op, whyNotIntoResult(table, op, options)))
          mergeIntoResult(table, op);
      }
    }
    sortKernels(getOperation().getBody().front());
  }
};
} // namespace

std::unique_ptr<Pass>
smelt::createFuseRowwiseIntoEmbeddingBackwardPass(const FusionOptions &options) {
  auto pass = std::make_unique<FuseRowwiseIntoEmbeddingBackwardPass>();
  pass->options = options;
  return pass;
}
