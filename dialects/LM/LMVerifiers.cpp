//===- LMVerifiers.cpp - Rules of lm ops: leaves, contractions, element-wise ===//
//
// What ODS constraints do not say. The rules of shape, norm, shift and loss ops are in
// LMRowVerifiers.cpp.
//
//===----------------------------------------------------------------------===//
#include "dialects/LM/LMOps.h"
#include "dialects/LM/ShapeRules.h"
#include <cmath>

using namespace mlir;
using namespace mlir::lm;

//===- Parameters, constants --------------------------------------------------===//

LogicalResult ParameterOp::verify() {
  auto type = dyn_cast<RankedTensorType>(getType());
  if (!type || !type.hasStaticShape() || !isa<FloatType>(type.getElementType()))
    return emitOpError("needs a float tensor type of static shape, not ") << getType();
  double value = getInitValue().convertToDouble();
  if (!std::isfinite(value))
    return emitOpError("has an initial value that is not finite");
  if (getInit() != InitKind::constant && !(value >= 0))
    return emitOpError("has a negative ")
           << (getInit() == InitKind::uniform ? "bound" : "standard deviation");
  return success();
}

/// The symbol is declared, and has the rows that are read.
LogicalResult ReadOp::verifySymbolUses(SymbolTableCollection &symbols) {
  Operation *definition = symbols.lookupNearestSymbolFrom(*this, getSymbolAttr());
  if (!definition)
    return emitOpError("reads @") << getSymbol() << ", which is not declared";
  auto attribute = definition->getAttrOfType<TypeAttr>("type");
  auto whole = attribute ? dyn_cast<RankedTensorType>(attribute.getValue()) : RankedTensorType();
  if (!whole) {
    InFlightDiagnostic error = emitOpError("reads @") << getSymbol() << ", which is not a tensor";
    error.attachNote(definition->getLoc()) << "declared here";
    return error;
  }
  auto part = cast<RankedTensorType>(getValue().getType());
  int64_t first = getFirstRow();
  bool sameRows =
      part.getRank() == whole.getRank() && part.getElementType() == whole.getElementType() &&
      (part.getRank() == 0 || part.getShape().drop_front() == whole.getShape().drop_front());
  if (int64_t ranks = getRanks(); ranks != 1) {
    if (sameRows && ranks > 1 && first == 0 && part.getRank() > 0 &&
        ranks * part.getDimSize(0) >= whole.getDimSize(0))
      return success();
    InFlightDiagnostic error = emitOpError("reads a part of ")
                               << part << " of @" << getSymbol() << " for each of " << ranks
                               << " ranks; it is " << whole;
    error.attachNote(definition->getLoc()) << "declared here";
    return error;
  }
  bool inside = part.getRank() == 0
                    ? first == 0
                    : first >= 0 && first <= whole.getDimSize(0) - part.getDimSize(0);
  if (sameRows && inside)
    return success();
  InFlightDiagnostic error = emitOpError("reads ") << part << " from row " << first << " of @"
                                                   << getSymbol() << ", which is " << whole;
  error.attachNote(definition->getLoc()) << "declared here";
  return error;
}

LogicalResult ConstantOp::verify() {
  if (!isa<DenseElementsAttr>(getValue()))
    return emitOpError("needs dense elements");
  return success();
}

//===- Contractions, embedding, attention -----------------------------------===//

static bool isFloat8(Type type) { return isa<Float8E4M3FNType, Float8E5M2Type>(type); }

LogicalResult MatmulOp::verify() {
  RankedTensorType a = getTensorType(getA()), b = getTensorType(getB()),
                   result = getTensorType(getResult());
  if (a.getRank() != 2 || b.getRank() != 2)
    return emitOpError("multiplies matrices, not ") << a << " and " << b;
  int64_t groups = getGroups();
  if (groups < 1 || a.getDimSize(0) % groups || b.getDimSize(0) % groups)
    return emitOpError("cannot cut ") << a << " and " << b << " into " << groups << " groups";
  int64_t aRows = a.getDimSize(0) / groups, bRows = b.getDimSize(0) / groups;
  int64_t m = getTransposeA() ? a.getDimSize(1) : aRows,
          k = getTransposeA() ? aRows : a.getDimSize(1);
  int64_t bk = getTransposeB() ? b.getDimSize(1) : bRows,
          n = getTransposeB() ? bRows : b.getDimSize(1);
  if (k != bk)
    return emitOpError("has inner sizes ") << k << " and " << bk;
  bool isF8 = isFloat8(a.getElementType());
  if (isF8 != isFloat8(b.getElementType()))
    return emitOpError("multiplies f8 with another type: ") << a << " and " << b;
  if (isF8 && !result.getElementType().isF32())
    return emitOpError("of f8 operands gives f32, not ") << result;
  return verifyShape(*this, "result", result, {groups * m, n});
}

/// table [V, D], tokens [T], rows [T, D].
static LogicalResult verifyLookup(Operation *op, StringRef rowsName, RankedTensorType table,
                                  RankedTensorType tokens, RankedTensorType rows) {
  if (table.getRank() != 2)
    return op->emitOpError("needs a table of rank 2, not ") << table;
  if (rows.getElementType() != table.getElementType())
    return op->emitOpError("mixes ") << table.getElementType() << " and " << rows.getElementType();
  return verifyShape(op, rowsName, rows, {tokens.getDimSize(0), table.getDimSize(1)});
}

LogicalResult EmbeddingOp::verify() {
  return verifyLookup(*this, "result", getTensorType(getTable()), getTensorType(getTokens()),
                      getTensorType(getResult()));
}

LogicalResult EmbeddingBackwardOp::verify() {
  return verifyLookup(*this, "dy", getTensorType(getResult()), getTensorType(getTokens()),
                      getTensorType(getDy()));
}

LogicalResult AttentionRangeOp::verify() {
  if (getBlocks() && int64_t(*getBlocks()) < 1)
    return emitOpError("needs blocks of at least one token, not ") << int64_t(*getBlocks());
  return verifyShape(*this, "result", getTensorType(getResult()),
                     getTensorType(getDocumentStart()).getShape());
}

/// heads [T, H, d], first [T], lse [T, H].
static LogicalResult verifyHeads(Operation *op, Value heads, Value first, Value lse) {
  RankedTensorType type = getTensorType(heads);
  if (type.getRank() != 3)
    return op->emitOpError("needs heads of rank 3 [T, H, d], not ") << type;
  if (failed(verifyShape(op, "first", getTensorType(first), {type.getDimSize(0)})))
    return failure();
  return verifyShape(op, "lse", getTensorType(lse), {type.getDimSize(0), type.getDimSize(1)});
}

LogicalResult AttentionOp::verify() {
  if (failed(verifyHeads(*this, getQ(), getFirst(), getLse())))
    return failure();
  return verifyShape(*this, "result", getTensorType(getResult()), getTensorType(getQ()).getShape());
}

LogicalResult AttentionBackwardOp::verify() {
  return verifyHeads(*this, getQ(), getFirst(), getLse());
}

//===- Element-wise ---------------------------------------------------------===//

LogicalResult MixOp::verify() {
  if (getValues().empty())
    return emitOpError("needs a value");
  if (getValues().size() != getCoefficients().size())
    return emitOpError("has ") << getValues().size() << " values and " << getCoefficients().size()
                               << " coefficients";
  for (auto [index, value] : llvm::enumerate(getValues()))
    if (value.getType() != getResult().getType())
      return emitOpError("value ")
             << index << " is " << value.getType() << ", the result is " << getResult().getType();
  return success();
}

LogicalResult RowScaleOp::verify() {
  return verifyRowFactor(*this, "g", getTensorType(getX()), getTensorType(getG()));
}

LogicalResult RowDotOp::verify() {
  return verifyRowFactor(*this, "result", getTensorType(getA()), getTensorType(getResult()));
}

LogicalResult UnaryBackwardOp::verify() {
  if (getFromOutput() && !supportsFromOutput(getKind()))
    return emitOpError("cannot get the derivative of ")
           << stringifyUnaryKind(getKind()) << " from its output";
  return success();
}

bool UnaryBackwardOp::supportsFromOutput(UnaryKind kind) {
  switch (kind) {
  case UnaryKind::sigmoid:
  case UnaryKind::tanh:
  case UnaryKind::relu:
  case UnaryKind::relu_squared:
  case UnaryKind::exp:
  case UnaryKind::sqrt:
  case UnaryKind::reciprocal:
    return true;
  case UnaryKind::identity:
  case UnaryKind::negate:
  case UnaryKind::gelu:
  case UnaryKind::silu:
  case UnaryKind::step:
    return false;
  }
  return false;
}

LogicalResult CastOp::verify() {
  return verifyShape(*this, "result", getTensorType(getResult()), getTensorType(getX()).getShape());
}

LogicalResult BroadcastOp::verify() {
  RankedTensorType x = getTensorType(getX()), result = getTensorType(getResult());
  if (x.getElementType() != result.getElementType())
    return emitOpError("turns ") << x.getElementType() << " into " << result.getElementType();
  if (x.getRank() != 0 &&
      (result.getRank() != x.getRank() + 1 || result.getShape().drop_back() != x.getShape()))
    return emitOpError(
               "can repeat a rank-0 value everywhere or [T], [T, H] along one more axis, but not ")
           << x << " to " << result;
  return success();
}

//===- Groups of rows -------------------------------------------------------===//

/// rows [N·R], groups [N].
static LogicalResult verifyGroups(Operation *op, RankedTensorType rows, RankedTensorType groups) {
  if (rows.getRank() != 1 || groups.getRank() != 1)
    return op->emitOpError("works on one number per row, not on ") << rows << " and " << groups;
  if (rows.getElementType() != groups.getElementType())
    return op->emitOpError("mixes ") << rows.getElementType() << " and " << groups.getElementType();
  if (groups.getDimSize(0) == 0 || rows.getDimSize(0) % groups.getDimSize(0))
    return op->emitOpError("cannot cut ")
           << rows.getDimSize(0) << " rows into " << groups.getDimSize(0) << " groups";
  return success();
}

LogicalResult GroupSumOp::verify() {
  return verifyGroups(*this, getTensorType(getX()), getTensorType(getResult()));
}

LogicalResult ExpandGroupsOp::verify() {
  return verifyGroups(*this, getTensorType(getResult()), getTensorType(getX()));
}
