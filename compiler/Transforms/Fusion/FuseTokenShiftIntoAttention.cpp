//===- FuseTokenShiftIntoAttention.cpp - A key offset is a row index ------===//
//
//   %s = kernel.rowwise(%k) {token_shift}
//   … = kernel.attention q(%q) k(%s) v(%v) …           →  … = kernel.attention q(%q) k(%k) v(%v) …
//   k {token_shift} … = kernel.attention_backward q(%q) k(%s) v(%v) …     … =
//   kernel.attention_backward q(%q) k(%k) v(%v) … k {token_shift}
//
// The attention kernels then load row t − 1 where the shift says so: no op, buffer, launch or byte
// is left of it, forward and backward. (The gradient of k, token_shift_adjoint, goes with the rows
// that read dk.)
//
// Legal when the kernel holds nothing but changes of index and every user is a load of q, k or v;
// another user needs the shifted tensor in memory anyway, and so do kernels that cannot load it so
// (options.whyNotFastShift).
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Fusion/MergeKernels.h"
#include "compiler/Transforms/Fusion/Passes.h"

namespace smelt {
#define GEN_PASS_DEF_FUSETOKENSHIFTINTOATTENTIONPASS
#include "compiler/Transforms/Fusion/Passes.h.inc"
} // namespace smelt

using namespace mlir;
using namespace mlir::kernel;
using namespace smelt;

static bool isShift(RowwiseOp op) {
  bool hasShift = false;
  for (Operation &inner : op.getBody().front().without_terminator()) {
    if (!isa<lm::TokenShiftOp, lm::ReshapeOp, lm::ConstantOp>(inner))
      return false;
    hasShift |= isa<lm::TokenShiftOp>(inner);
  }
  return hasShift;
}

static bool isAttentionLoad(OpOperand &use) {
  std::optional<unsigned> region = getRegionOfOperand(use);
  return region && isa<AttentionOp, AttentionBackwardOp>(use.getOwner()) &&
         getResultRegion(use.getOwner()) != *region;
}

static std::string whyNot(RowwiseOp shift, const FusionOptions &options) {
  for (OpOperand &use : shift->getUses())
    if (!isAttentionLoad(use))
      return "the shifted tensor is also read by " +
             use.getOwner()->getName().getStringRef().str() + ", so it is stored";
  if (options.whyNotFastShift)
    for (OpOperand &use : shift->getUses())
      for (auto op : shift.getBody().getOps<lm::TokenShiftOp>())
        if (std::string why = options.whyNotFastShift(op, *getRegionOfOperand(use) == 1);
            !why.empty())
          return "what attention loads " + why;
  return whyNotIntoAllLoads(shift, options);
}

namespace {
struct FuseTokenShiftIntoAttentionPass
    : smelt::impl::FuseTokenShiftIntoAttentionPassBase<FuseTokenShiftIntoAttentionPass> {
  FusionOptions options;

  void runOnOperation() override {
    SmallVector<RowwiseOp> shifts;
    for (auto op : getOperation().getOps<RowwiseOp>())
      if (isShift(op) && llvm::any_of(op->getUses(), isAttentionLoad))
        shifts.push_back(op);
    for (RowwiseOp shift : shifts) {
      ++candidates;
      if (std::string why = whyNot(shift, options); !why.empty()) {
        noteRefusal(shift, "into attention", why);
        ++refused;
        continue;
      }
      cloneIntoAllLoads(shift);
      ++fused;
    }
  }
};
} // namespace

std::unique_ptr<Pass> smelt::createFuseTokenShiftIntoAttentionPass(const FusionOptions &options) {
  auto pass = std::make_unique<FuseTokenShiftIntoAttentionPass>();
  pass->options = options;
  return pass;
}
