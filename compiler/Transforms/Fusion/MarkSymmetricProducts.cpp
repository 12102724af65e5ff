//===- MarkSymmetricProducts.cpp - Which products are symmetric -----------===//
//
// IR before and after: Passes.td. X·Xᵀ and Xᵀ·X are symmetric, so is S·S of a symmetric S (= S·Sᵀ),
// and so is what is computed from symmetric matrices element by element. With groups this holds of
// every matrix for itself.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Fusion/Passes.h"
#include "dialects/Kernel/KernelAttributes.h"

namespace smelt {
#define GEN_PASS_DEF_MARKSYMMETRICPRODUCTSPASS
#include "compiler/Transforms/Fusion/Passes.h.inc"
} // namespace smelt

using namespace mlir;

/// The tensor that a load region passes on, maybe converted (`types`: from which types to which);
/// null if it computes anything.
static Value getLoaded(Region &region, OperandRange inputs, SmallVectorImpl<Type> &types) {
  Value value = cast<kernel::YieldOp>(region.front().getTerminator()).getValues()[0];
  types.push_back(value.getType());
  while (auto convert = value.getDefiningOp<lm::CastOp>()) {
    value = convert.getX();
    types.push_back(value.getType());
  }
  auto argument = dyn_cast<BlockArgument>(value);
  return argument ? inputs[argument.getArgNumber()] : Value();
}

static bool isScalar(Value value) { return cast<RankedTensorType>(value.getType()).getRank() == 0; }

namespace {
struct MarkSymmetricProductsPass
    : smelt::impl::MarkSymmetricProductsPassBase<MarkSymmetricProductsPass> {
  /// The product itself, before the result region.
  bool isSymmetricProduct(kernel::GemmOp op) {
    SmallVector<Type> aTypes, bTypes;
    Value a = getLoaded(op.getA(), op.getAInputs(), aTypes),
          b = getLoaded(op.getB(), op.getBInputs(), bTypes);
    return a && a == b && aTypes == bTypes &&
           (op.getTransposeA() != op.getTransposeB() || symmetric.contains(a));
  }

  /// All that the region yields is computed element by element from symmetric matrices.
  bool isSymmetricRegion(kernel::GemmOp op) {
    Block &body = op.getResult().front();
    llvm::DenseSet<Value> known;
    known.insert(body.getArgument(0));
    for (auto [argument, input] :
         llvm::zip_equal(body.getArguments().drop_front(), op.getResultInputs()))
      if (isScalar(argument) || symmetric.contains(input))
        known.insert(argument);
    auto isKnown = [&](Value value) { return known.contains(value); };
    for (Operation &inner : body.without_terminator()) {
      bool isElementwise = isa<lm::ConstantOp, lm::AddOp, lm::MultiplyOp, lm::MixOp, lm::ScaleOp,
                               lm::UnaryOp, lm::UnaryBackwardOp, lm::CastOp>(inner);
      bool isOfScalars = llvm::all_of(inner.getOperands(), isScalar);
      if ((isElementwise || isOfScalars) && llvm::all_of(inner.getOperands(), isKnown))
        known.insert(inner.result_begin(), inner.result_end());
    }
    return llvm::all_of(body.getTerminator()->getOperands(),
                        [&](Value value) { return isKnown(value) && !isScalar(value); });
  }

  void runOnOperation() override {
    StringAttr name = StringAttr::get(&getContext(), kernel::symmetricAttribute);
    getOperation().walk([&](kernel::GemmOp op) {
      if (!isSymmetricProduct(op) || !isSymmetricRegion(op))
        return;
      op->setAttr(name, UnitAttr::get(&getContext()));
      symmetric.insert(op.getOutputs().begin(), op.getOutputs().end());
      ++marked;
    });
    symmetric.clear();
  }

  /// Tensors whose matrices are their own transposes.
  llvm::DenseSet<Value> symmetric;
};
} // namespace
