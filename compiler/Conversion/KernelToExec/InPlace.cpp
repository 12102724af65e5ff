//===- InPlace.cpp - May a kernel write where it reads? -------------------===//
#include "compiler/Conversion/KernelToExec/InPlace.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::kernel;

/// Does element i of every result depend on element i of `operand` alone (beside the other operands)?
static bool isElementwiseIn(OpOperand &operand) {
  Operation *op = operand.getOwner();
  Type type = operand.get().getType();
  if (isa<lm::AddOp, lm::MultiplyOp, lm::UnaryOp, lm::UnaryBackwardOp, lm::SoftcapOp, lm::SoftcapBackwardOp, lm::CastOp, lm::QuantizeOp, lm::AtLeastOp, lm::JoinMasterOp,
          lm::SplitMasterOp>(op))
    return true;
  if (isa<lm::MixOp, lm::ScaleOp>(op)) // Not as a coefficient of something larger.
    return op->getResult(0).getType() == type;
  return isa<lm::RowScaleOp>(op) && operand.getOperandNumber() == 0;
}

/// Is the result used for nothing in the kernel but to be yielded?
static bool yieldsOnly(Operation *op) {
  return llvm::all_of(op->getUsers(), [](Operation *user) { return isa<YieldOp>(user); });
}

/// A sum over everything or over groups of rows, or a row's own sum that only such sums want: emitters add up a row before they store it.
static bool isSumOnly(Operation *op) {
  if (isa<lm::SumOp, lm::DotOp, lm::GroupSumOp>(op))
    return yieldsOnly(op);
  return isa<lm::RowDotOp>(op) && llvm::all_of(op->getUsers(), [](Operation *user) { return isa<lm::SumOp, lm::GroupSumOp>(user) && yieldsOnly(user); });
}

/// Positions among the terminator's operands that depend on `argument`, if all paths there are element-wise. Sums over everything are
/// left out if `allowSums`.
static std::optional<llvm::SmallSetVector<unsigned, 4>> followElementwise(BlockArgument argument, bool allowSums) {
  llvm::SmallSetVector<unsigned, 4> reached;
  llvm::SmallSetVector<Value, 8> work;
  work.insert(argument);
  for (size_t i = 0; i < work.size(); ++i)
    for (OpOperand &use : work[i].getUses()) {
      if (isa<YieldOp>(use.getOwner()))
        reached.insert(use.getOperandNumber());
      else if (allowSums && isSumOnly(use.getOwner()))
        continue;
      else if (isElementwiseIn(use))
        work.insert(use.getOwner()->result_begin(), use.getOwner()->result_end());
      else
        return std::nullopt;
    }
  return reached;
}

/// The region whose yields are the op's results, if such a region writes each element once it has it.
static std::optional<unsigned> getResultRegion(Operation *op) {
  if (isa<RowwiseOp>(op))
    return 0;
  if (isa<GemmOp>(op))
    return 2;
  if (isa<EmbeddingBackwardOp>(op))
    return 1;
  return std::nullopt;
}

bool smelt::mayOverwrite(func::FuncOp kernel, unsigned argument, unsigned result) {
  Block &body = kernel.getBody().front();
  BlockArgument value = body.getArgument(argument);
  if (!value.hasOneUse())
    return false;
  OpOperand &use = *value.use_begin();
  Operation *op = use.getOwner();
  auto yielded = cast<OpResult>(body.getTerminator()->getOperand(result));
  if (yielded.getOwner() != op || yielded.getType() != value.getType())
    return false;
  if (auto foreach = dyn_cast<ForeachOp>(op)) { // All loads of a chunk come before its stores.
    unsigned lanes = foreach.getLanes(), input = use.getOperandNumber();
    return input < foreach.getInputs().size() && input % lanes == yielded.getResultNumber() % lanes;
  }
  std::optional<unsigned> region = getResultRegion(op);
  if (!region)
    return false;
  auto interface = cast<KernelOpInterface>(op);
  OperandRange inputs = interface.getRegionInputs(*region);
  unsigned begin = inputs.getBeginOperandIndex(), index = use.getOperandNumber() - begin;
  if (use.getOperandNumber() < begin || index >= inputs.size())
    return false;
  Block &block = op->getRegion(*region).front();
  auto reached = followElementwise(block.getArgument(interface.getNumLeadingArguments(*region) + index), isa<RowwiseOp, GemmOp>(op));
  return reached && reached->contains(yielded.getResultNumber()) && (isa<RowwiseOp, GemmOp>(op) || reached->size() == 1);
}

std::optional<unsigned> smelt::getReshapedArgument(func::FuncOp kernel) {
  Block &body = kernel.getBody().front();
  auto rowwise = dyn_cast<RowwiseOp>(body.front());
  if (!rowwise || rowwise.getNumResults() != 1 || body.getTerminator()->getNumOperands() != 1)
    return std::nullopt;
  Value value = rowwise.getBody().front().getTerminator()->getOperand(0);
  bool reshapes = false;
  while (auto reshape = value.getDefiningOp<lm::ReshapeOp>()) {
    value = reshape.getX();
    reshapes = true;
  }
  auto argument = dyn_cast<BlockArgument>(value);
  if (!reshapes || !argument)
    return std::nullopt;
  auto outer = dyn_cast<BlockArgument>(rowwise.getInputs()[argument.getArgNumber()]);
  return outer ? std::optional<unsigned>(outer.getArgNumber()) : std::nullopt;
}
