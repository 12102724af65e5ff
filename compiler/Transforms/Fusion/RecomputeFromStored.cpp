//===- RecomputeFromStored.cpp - Slices of a stored product are not stored again ---===//
//
//   %p, %q = kernel.gemm … result {yield %c, reshape (split (scale %c, %s))#0}
//   %r = kernel.rowwise(%p, %q) …      →   %p = kernel.gemm … result {yield %c}
//                                          %r = kernel.rowwise(%p, %s) {scale, split, reshape …} …
//
// Backward kernels read a product (for the gradient of a number that scales it) and, scaled and cut
// into heads, the same numbers once more (for the gradient of a norm). What differs by a number or
// a layout from another result of the same GEMM is computed where it is read.
//
// Legal when every reader is a rowwise kernel that reads its own rows; done when each of them reads
// the other result anyway, so that no byte is added.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Fusion/MergeKernels.h"
#include "compiler/Transforms/Fusion/Passes.h"
#include "mlir/IR/IRMapping.h"

namespace smelt {
#define GEN_PASS_DEF_RECOMPUTEFROMSTOREDPASS
#include "compiler/Transforms/Fusion/Passes.h.inc"
} // namespace smelt

using namespace mlir;
using namespace mlir::kernel;

namespace {

/// Result `result` of a GEMM is `ops`, applied in this order to its result `source`.
struct Derived {
  unsigned result, source;
  SmallVector<Operation *> ops;
};

/// Scaled by a number that the region is given, or the same numbers in another shape.
bool isCheap(Operation *op) {
  if (auto scale = dyn_cast<lm::ScaleOp>(op))
    return isa<BlockArgument>(scale.getS());
  return isa<lm::SplitOp, lm::ReshapeOp>(op);
}

std::optional<Derived> findSource(GemmOp gemm, unsigned result) {
  OperandRange yields = gemm.getResult().front().getTerminator()->getOperands();
  Derived derived{result, 0, {}};
  Value value = yields[result];
  while (Operation *op = value.getDefiningOp()) {
    if (!isCheap(op))
      return std::nullopt;
    derived.ops.push_back(op);
    value = op->getOperand(0);
    if (auto found = llvm::find(yields, value); found != yields.end()) {
      derived.source = found - yields.begin();
      std::reverse(derived.ops.begin(), derived.ops.end());
      return derived;
    }
  }
  return std::nullopt;
}

std::string whyNot(GemmOp gemm, const Derived &derived) {
  for (OpOperand &use : gemm->getResult(derived.result).getUses()) {
    auto reader = dyn_cast<RowwiseOp>(use.getOwner());
    if (!reader)
      return "a reader is no rowwise kernel";
    if (!llvm::is_contained(reader.getInputs(), gemm->getResult(derived.source)))
      return "a reader does not read the product";
    if (smelt::getRowAccess(reader.getBody().getArgument(use.getOperandNumber())) !=
        smelt::RowAccess::SameRow)
      return "a reader reads other rows";
  }
  return "";
}

/// A kernel of the derivation alone, which its readers take over.
RowwiseOp buildDerivation(GemmOp gemm, const Derived &derived) {
  OpBuilder builder(gemm->getContext());
  builder.setInsertionPointAfter(gemm);
  Value yielded = gemm.getResult().front().getTerminator()->getOperand(derived.result);
  Value base = derived.ops.front()->getOperand(0);
  SmallVector<Value> inputs{gemm->getResult(derived.source)}, inside{base};
  for (Operation *op : derived.ops)
    if (auto scale = dyn_cast<lm::ScaleOp>(op)) {
      inside.push_back(scale.getS());
      inputs.push_back(
          gemm.getResultInputs()[cast<BlockArgument>(scale.getS()).getArgNumber() - 1]);
    }
  auto rowwise = RowwiseOp::create(builder, yielded.getLoc(), TypeRange(yielded.getType()), inputs);
  SmallVector<Location> locations(inputs.size(), yielded.getLoc());
  Block *block =
      builder.createBlock(&rowwise.getBody(), {}, ValueRange(inputs).getTypes(), locations);
  IRMapping map;
  map.map(inside, block->getArguments());
  for (Operation *op : derived.ops)
    builder.clone(*op, map);
  YieldOp::create(builder, yielded.getLoc(), map.lookup(yielded));
  return rowwise;
}

struct RecomputeFromStoredPass : smelt::impl::RecomputeFromStoredPassBase<RecomputeFromStoredPass> {
  /// One result of the GEMM that need not be stored; null: there is none.
  Operation *dropOne(GemmOp gemm) {
    for (unsigned result = 0; result < gemm->getNumResults(); ++result) {
      std::optional<Derived> derived = findSource(gemm, result);
      if (!derived)
        continue;
      ++candidates;
      if (!whyNot(gemm, *derived).empty()) {
        ++refused;
        continue;
      }
      RowwiseOp derivation = buildDerivation(gemm, *derived);
      gemm->getResult(result).replaceAllUsesWith(derivation.getResult(0));
      while (!derivation->use_empty()) {
        OpOperand &use = *derivation->getUses().begin();
        smelt::cloneIntoRegion(derivation, cast<KernelOpInterface>(use.getOwner()), 0);
      }
      derivation.erase();
      ++fused;
      return smelt::simplifyKernel(gemm);
    }
    return nullptr;
  }

  void runOnOperation() override {
    SmallVector<GemmOp> gemms(getOperation().getOps<GemmOp>());
    for (GemmOp gemm : gemms)
      for (Operation *left = gemm; left;)
        left = dropOne(cast<GemmOp>(left));
    smelt::sortKernels(getOperation().getBody().front());
  }
};
} // namespace
