//===- ChooseStorage.cpp - Store activations in bf16 ----------------------===//
//
// What is stored how is decided in ActivationStorage; here types and casts follow. IR before and
// after: Passes.td.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Precision/ActivationStorage.h"
#include "compiler/Transforms/Precision/Passes.h"

using namespace mlir;
using namespace mlir::kernel;

namespace smelt {
#define GEN_PASS_DEF_CHOOSESTORAGEPASS
#include "compiler/Transforms/Precision/Passes.h.inc"
} // namespace smelt

namespace {

Type narrowed(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  return tensor.clone(BFloat16Type::get(tensor.getContext()));
}

/// `value` in bf16. The cast goes above reshapes, and meets there the cast of an input: a kernel
/// that only reshapes stays one.
Value narrow(Value value) {
  OpBuilder builder(value.getContext());
  builder.setInsertionPointAfterValue(value);
  if (auto widened = value.getDefiningOp<lm::CastOp>())
    if (widened.getX().getType() == narrowed(value.getType()))
      return widened.getX();
  if (auto reshape = value.getDefiningOp<lm::ReshapeOp>())
    return lm::ReshapeOp::create(builder, reshape.getLoc(), narrowed(value.getType()),
                                 narrow(reshape.getX()));
  return lm::CastOp::create(builder, value.getLoc(), narrowed(value.getType()), value);
}

/// The block arguments that stand for operand `use` of a kernel.
BlockArgument getInside(OpOperand &use) {
  auto kernel = cast<KernelOpInterface>(use.getOwner());
  for (Region &region : kernel->getRegions()) {
    unsigned index = region.getRegionNumber();
    OperandRange inputs = kernel.getRegionInputs(index);
    unsigned begin = inputs.getBeginOperandIndex(), operand = use.getOperandNumber();
    if (operand >= begin && operand < begin + inputs.size())
      return region.getArgument(kernel.getNumLeadingArguments(index) + operand - begin);
  }
  return {}; // attention_backward's out and dout.
}

void widenInside(BlockArgument argument) {
  Type wide = argument.getType();
  argument.setType(narrowed(wide));
  OpBuilder builder = OpBuilder::atBlockBegin(argument.getOwner());
  Value value = lm::CastOp::create(builder, argument.getLoc(), wide, argument);
  argument.replaceAllUsesExcept(value, value.getDefiningOp());
}

void storeNarrow(OpResult value) {
  for (OpOperand &use : value.getUses())
    if (BlockArgument inside = getInside(use))
      widenInside(inside);
  value.setType(narrowed(value.getType()));
}

/// Rounds what the kernel's region yields for its results that are narrow now, and removes what
/// became unused by that.
void roundYields(Operation *op) {
  Region *region = smelt::getYieldingRegion(op);
  if (!region)
    return; // attention_backward: its results are rounded as they are stored.
  Operation *yield = region->front().getTerminator();
  for (OpOperand &operand : yield->getOpOperands())
    if (operand.get().getType() != op->getResult(operand.getOperandNumber()).getType())
      operand.set(narrow(operand.get()));
}

void eraseUnused(Region &region) {
  SmallVector<Operation *> ops;
  for (Operation &op : region.front().without_terminator())
    ops.push_back(&op);
  for (Operation *op : llvm::reverse(ops))
    if (op->use_empty())
      op->erase();
}

/// A kernel that only widened its inputs passes them on now: its readers read the inputs.
void bypassIdentity(RowwiseOp op) {
  Block &block = op.getBody().front();
  auto isInput = [&](Value value) {
    auto argument = dyn_cast<BlockArgument>(value);
    return argument && argument.getOwner() == &block;
  };
  ValueRange yields = block.getTerminator()->getOperands();
  if (!llvm::all_of(yields, isInput))
    return;
  for (auto [result, value] : llvm::zip_equal(op.getResults(), yields))
    result.replaceAllUsesWith(op.getInputs()[cast<BlockArgument>(value).getArgNumber()]);
  op.erase();
}

struct ChooseStoragePass : smelt::impl::ChooseStoragePassBase<ChooseStoragePass> {
  using Base::Base;

  void runOnOperation() override {
    if (activations != "f32" && activations != "bf16") {
      getOperation().emitError("activations are stored in f32 or bf16, not ") << activations;
      return signalPassFailure();
    }
    func::FuncOp function = getOperation();
    if (activations == "f32" || function.isDeclaration() || function.isPrivate())
      return;
    smelt::ActivationStorage storage(function);
    SmallVector<OpResult> chosen;
    for (auto kernel : function.getOps<KernelOpInterface>())
      for (OpResult result : kernel->getResults())
        if (storage.whyNot(result).empty())
          chosen.push_back(result);
    for (OpResult result : chosen)
      storeNarrow(result);
    for (auto kernel : function.getOps<KernelOpInterface>()) {
      roundYields(kernel);
      for (Region &region : kernel->getRegions())
        eraseUnused(region);
    }
    for (auto rowwise : llvm::make_early_inc_range(function.getOps<RowwiseOp>()))
      if (llvm::all_of(rowwise.getResults(),
                       [&](OpResult result) { return llvm::is_contained(chosen, result); }))
        bypassIdentity(rowwise);
    stored += chosen.size();
  }
};

} // namespace
