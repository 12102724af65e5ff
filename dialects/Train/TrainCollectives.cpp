//===- TrainCollectives.cpp - Rules of communication between ranks --------===//
#include "dialects/Train/TrainCollectives.h"
#include "llvm/ADT/DenseSet.h"

using namespace mlir;
using namespace mlir::train;

/// The element type of a parameter's or bank's gradient; null for another symbol.
static Type getGradientElementType(Operation *definition) {
  if (auto parameter = dyn_cast_or_null<lm::ParameterOp>(definition))
    return cast<RankedTensorType>(parameter.getType()).getElementType();
  auto bank = dyn_cast_or_null<BankOp>(definition);
  if (!bank || bank.getMembers().empty())
    return Type();
  auto first = cast<FlatSymbolRefAttr>(bank.getMembers()[0]);
  return getGradientElementType(SymbolTable::lookupNearestSymbolFrom(bank, first));
}

LogicalResult AllReduceOp::verifySymbolUses(SymbolTableCollection &symbols) {
  if (getGradients().empty())
    return emitOpError("has no gradients");
  Type common;
  llvm::DenseSet<Attribute> seen;
  for (Attribute name : getGradients()) {
    auto symbol = dyn_cast<FlatSymbolRefAttr>(name);
    Type type =
        symbol ? getGradientElementType(symbols.lookupNearestSymbolFrom(*this, symbol)) : Type();
    if (!type)
      return emitOpError("sums the gradient of ")
             << name << ", which is no parameter or bank of parameters";
    if (!seen.insert(name).second)
      return emitOpError("sums the gradient of ") << name << " twice";
    if (common && type != common)
      return emitOpError("has gradients of ") << common << " and " << type << " in one bucket";
    common = type;
  }
  return success();
}

#define GET_OP_CLASSES
#include "dialects/Train/TrainCollectiveOps.cpp.inc"
