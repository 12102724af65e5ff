//===- ActivationStorage.cpp - Which values are stored in bf16 ------------===//
#include "compiler/Transforms/Precision/ActivationStorage.h"

using namespace mlir;
using namespace mlir::kernel;

namespace smelt {

Region *getYieldingRegion(Operation *op) {
  if (auto gemm = dyn_cast<GemmOp>(op))
    return &gemm.getResult();
  if (auto attention = dyn_cast<AttentionOp>(op))
    return &attention.getResult();
  if (auto rowwise = dyn_cast<RowwiseOp>(op))
    return &rowwise.getBody();
  if (auto embedding = dyn_cast<EmbeddingBackwardOp>(op))
    return &embedding.getResult();
  return nullptr;
}

/// Types of one number per row, or per row and head.
static void collectRowFactors(Operation *op, llvm::DenseSet<Type> &types) {
  auto add = [&](Value value) {
    if (value)
      types.insert(value.getType());
  };
  if (auto scale = dyn_cast<lm::RowScaleOp>(op))
    add(scale.getG());
  else if (isa<lm::RowDotOp, lm::GateOp, lm::TokenShiftDotOp>(op))
    add(op->getResult(0));
  else if (auto gate = dyn_cast<lm::GateBackwardOp>(op))
    add(gate.getGate());
  else if (auto shift = dyn_cast<lm::TokenShiftOp>(op))
    add(shift.getGate());
  else if (auto adjoint = dyn_cast<lm::TokenShiftAdjointOp>(op))
    add(adjoint.getGate());
  else if (auto attention = dyn_cast<AttentionOp>(op))
    add(attention.getLse());
  else if (auto broadcast = dyn_cast<lm::BroadcastOp>(op))
    add(broadcast.getX());
}

ActivationStorage::ActivationStorage(func::FuncOp function) {
  auto role = function->getAttrOfType<StringAttr>("smelt.role");
  isUpdate = role && role.getValue() == "update";
  function.walk([&](Operation *op) { collectRowFactors(op, rowFactors); });
}

/// The operand is an input of one of its kernel's regions, or an array that the kernel reads in any
/// format.
static bool isReadInAnyFormat(OpOperand &use) {
  if (auto backward = dyn_cast<AttentionBackwardOp>(use.getOwner()))
    if (use.get() == backward.getOut() || use.get() == backward.getDout())
      return true;
  auto kernel = dyn_cast<KernelOpInterface>(use.getOwner());
  if (!kernel)
    return false;
  for (unsigned i = 0; i < kernel->getNumRegions(); ++i) {
    OperandRange inputs = kernel.getRegionInputs(i);
    unsigned begin = inputs.getBeginOperandIndex();
    if (use.getOperandNumber() >= begin && use.getOperandNumber() < begin + inputs.size())
      return true;
  }
  return false;
}

llvm::StringRef ActivationStorage::whyNot(OpResult value) const {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || !type.getElementType().isF32())
    return "is not f32";
  if (type.getRank() < 2)
    return "is a number per row, or less";
  if (rowFactors.contains(type))
    return "has the type of factors per row";
  Operation *op = value.getOwner();
  Region *region = getYieldingRegion(op);
  if (!region && !isa<AttentionBackwardOp>(op))
    return "is made by a kernel without a result region";
  if (region) {
    ValueRange yields = region->front().getTerminator()->getOperands();
    if (value.getResultNumber() >= yields.size())
      return "is a statistic of its kernel";
    auto gate = yields[value.getResultNumber()].getDefiningOp<lm::GateBackwardOp>();
    if (gate && yields[value.getResultNumber()] == gate.getDw())
      return "is a sum over all rows";
  }
  if (value.use_empty() || !llvm::all_of(value.getUses(), isReadInAnyFormat))
    return "leaves the program, or is read as it is stored";
  auto isProduct = [](Operation *user) { return isa<GemmOp>(user); };
  if (isUpdate && !isProduct(op) && llvm::none_of(value.getUsers(), isProduct))
    return "is optimiser state on its way";
  return {};
}

} // namespace smelt
