//===- TrainCollectives.cpp - Rules of communication between ranks --------===//
#include "dialects/Train/TrainCollectives.h"
#include "llvm/ADT/DenseSet.h"

using namespace mlir;
using namespace mlir::train;

RankedTensorType train::getGradientType(lm::ParameterOp parameter) {
  auto type = cast<RankedTensorType>(parameter.getType());
  auto master = parameter->getAttrOfType<TypeAttr>(kMasterAttr);
  return master ? type.clone(master.getValue()) : type;
}

/// The parameter, or the first of a bank; null for another symbol.
static lm::ParameterOp getFirstParameter(Operation *definition) {
  if (auto parameter = dyn_cast_or_null<lm::ParameterOp>(definition))
    return parameter;
  auto bank = dyn_cast_or_null<BankOp>(definition);
  if (!bank || bank.getMembers().empty())
    return {};
  auto first = cast<FlatSymbolRefAttr>(bank.getMembers()[0]);
  return getFirstParameter(SymbolTable::lookupNearestSymbolFrom(bank, first));
}

/// Parameters or banks of them, each once, of one element type, their own or their gradients':
/// `does` says what the op does to each.
static LogicalResult verifyBucket(Operation *op, ArrayAttr names, SymbolTableCollection &symbols,
                                  bool ofGradients, StringRef does, StringRef what) {
  if (names.empty())
    return op->emitOpError("has no ") << what;
  Type common;
  llvm::DenseSet<Attribute> seen;
  for (Attribute name : names) {
    auto symbol = dyn_cast<FlatSymbolRefAttr>(name);
    lm::ParameterOp parameter =
        symbol ? getFirstParameter(symbols.lookupNearestSymbolFrom(op, symbol)) : lm::ParameterOp();
    if (!parameter)
      return op->emitOpError(does) << name << ", which is no parameter or bank of parameters";
    Type type = ofGradients ? getGradientType(parameter).getElementType()
                            : cast<RankedTensorType>(parameter.getType()).getElementType();
    if (!seen.insert(name).second)
      return op->emitOpError(does) << name << " twice";
    if (common && type != common)
      return op->emitOpError("has ")
             << what << " of " << common << " and " << type << " in one bucket";
    common = type;
  }
  return success();
}

static LogicalResult verifyRanks(Operation *op, int64_t ranks) {
  if (ranks < 2)
    return op->emitOpError("makes no sense for ") << ranks << (ranks == 1 ? " rank" : " ranks");
  return success();
}

LogicalResult AllReduceOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyBucket(*this, getGradients(), symbols, /*ofGradients=*/true, "sums the gradient of ",
                      "gradients");
}

LogicalResult ReduceScatterOp::verifySymbolUses(SymbolTableCollection &symbols) {
  if (failed(verifyRanks(*this, getRanks())))
    return failure();
  return verifyBucket(*this, getGradients(), symbols, /*ofGradients=*/true, "sums the gradient of ",
                      "gradients");
}

LogicalResult AllGatherOp::verifySymbolUses(SymbolTableCollection &symbols) {
  if (failed(verifyRanks(*this, getRanks())))
    return failure();
  return verifyBucket(*this, getParameters(), symbols, /*ofGradients=*/false, "gathers ",
                      "parameters");
}

LogicalResult RankConstantOp::verify() {
  auto whole = dyn_cast<RankedTensorType>(getValue().getType());
  auto part = cast<RankedTensorType>(getPart().getType());
  bool fits = whole && whole.getRank() > 0 && whole.getRank() == part.getRank() &&
              whole.getElementType() == part.getElementType() &&
              whole.getShape().drop_front() == part.getShape().drop_front() &&
              part.getDimSize(0) > 0 && whole.getDimSize(0) % part.getDimSize(0) == 0;
  if (!fits || !isa<DenseElementsAttr>(getValue()))
    return emitOpError("cannot take equal parts ") << part << " of " << getValue().getType();
  return success();
}

#define GET_OP_CLASSES
#include "dialects/Train/TrainCollectiveOps.cpp.inc"
