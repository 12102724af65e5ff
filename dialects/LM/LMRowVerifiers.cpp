//===- LMRowVerifiers.cpp - Rules of shape, norm, shift, gate and loss ops ===//
#include "dialects/LM/LMOps.h"
#include "dialects/LM/ShapeRules.h"
#include <cmath>

using namespace mlir;
using namespace mlir::lm;

static std::string printShape(ArrayRef<int64_t> shape) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << '[';
  llvm::interleaveComma(shape, stream);
  stream << ']';
  return text;
}

LogicalResult mlir::lm::verifyShape(Operation *op, StringRef name, RankedTensorType type,
                                    ArrayRef<int64_t> shape) {
  if (type.getShape() == shape)
    return success();
  return op->emitOpError() << name << " must have shape " << printShape(shape) << ", but is "
                           << type;
}

LogicalResult mlir::lm::verifyRowFactor(Operation *op, StringRef name, RankedTensorType x,
                                        RankedTensorType factor) {
  if (x.getRank() != 2 && x.getRank() != 3)
    return op->emitOpError("needs [T, D] or [T, H, d], not ") << x;
  int64_t rows = x.getDimSize(0);
  ArrayRef<int64_t> shape = factor.getShape();
  if (shape == ArrayRef<int64_t>{rows} || shape == ArrayRef<int64_t>{rows, 1} ||
      (x.getRank() == 3 && shape == ArrayRef<int64_t>{rows, x.getDimSize(1)}))
    return success();
  InFlightDiagnostic error = op->emitOpError()
                             << name << " must be [" << rows << "], [" << rows << ", 1]";
  if (x.getRank() == 3)
    error << " or [" << rows << ", " << x.getDimSize(1) << "]";
  return error << " for " << x << ", but is " << factor;
}

//===- Shape ----------------------------------------------------------------===//

LogicalResult ReshapeOp::verify() {
  RankedTensorType x = getTensorType(getX()), result = getTensorType(getResult());
  if (x.getElementType() != result.getElementType())
    return emitOpError("turns ") << x.getElementType() << " into " << result.getElementType();
  if (x.getRank() == 0 || result.getRank() == 0 || x.getDimSize(0) != result.getDimSize(0))
    return emitOpError("must keep the first axis, but makes ") << result << " from " << x;
  if (x.getNumElements() != result.getNumElements())
    return emitOpError("makes ") << result.getNumElements() << " elements from "
                                 << x.getNumElements();
  return success();
}

/// The parts' last axes, one after the other, make that of `whole`; all other axes agree.
static LogicalResult verifyParts(Operation *op, RankedTensorType whole, TypeRange parts) {
  if (whole.getRank() == 0)
    return op->emitOpError("needs tensors with a last axis");
  if (parts.empty())
    return op->emitOpError("needs a part");
  int64_t width = 0;
  for (auto [index, type] : llvm::enumerate(parts)) {
    auto part = cast<RankedTensorType>(type);
    if (part.getRank() != whole.getRank() ||
        part.getShape().drop_back() != whole.getShape().drop_back() ||
        part.getElementType() != whole.getElementType())
      return op->emitOpError("part ")
             << index << " is " << part << ", which is no piece of the last axis of " << whole;
    width += part.getShape().back();
  }
  if (width != whole.getShape().back())
    return op->emitOpError("has parts of ")
           << width << " features in all, but " << whole << " has " << whole.getShape().back();
  return success();
}

LogicalResult SplitOp::verify() {
  return verifyParts(*this, getTensorType(getX()), getParts().getTypes());
}
LogicalResult ConcatOp::verify() {
  return verifyParts(*this, getTensorType(getResult()), getParts().getTypes());
}

//===- Norm, rotary embedding ------------------------------------------------===//

static LogicalResult verifyNorm(Operation *op, RankedTensorType x, double eps) {
  if (x.getRank() == 0)
    return op->emitOpError("needs a last axis to normalise");
  if (!(eps >= 0) || !std::isfinite(eps))
    return op->emitOpError("needs a finite eps of at least 0");
  return success();
}

LogicalResult RMSNormOp::verify() {
  return verifyNorm(*this, getTensorType(getX()), getEps().convertToDouble());
}
LogicalResult RMSNormBackwardOp::verify() {
  return verifyNorm(*this, getTensorType(getX()), getEps().convertToDouble());
}

LogicalResult RopeTableOp::verify() {
  RankedTensorType frequencies = getTensorType(getFrequencies()), table = getTensorType(getTable());
  if (frequencies.getRank() != 1)
    return emitOpError("needs frequencies of rank 1, not ") << frequencies;
  if (table.getRank() != 2 || table.getDimSize(1) != 2 * frequencies.getDimSize(0))
    return emitOpError("table must be [T, ")
           << 2 * frequencies.getDimSize(0) << "], but is " << table;
  return success();
}

LogicalResult RopeOp::verify() {
  RankedTensorType x = getTensorType(getX()), table = getTensorType(getTable());
  if (x.getRank() != 3)
    return emitOpError("needs heads of rank 3 [T, H, d], not ") << x;
  if (x.getDimSize(2) % 2)
    return emitOpError("rotates pairs, but heads have ") << x.getDimSize(2) << " features";
  if (table.getRank() != 2 || table.getDimSize(0) < x.getDimSize(0) ||
      table.getDimSize(1) != x.getDimSize(2))
    return emitOpError("needs a table [")
           << x.getDimSize(0) << " or more, " << x.getDimSize(2) << "], not " << table;
  if (getDocumentStart())
    return verifyShape(*this, "document_start", getTensorType(getDocumentStart()),
                       {x.getDimSize(0)});
  return success();
}

//===- Token shift, gate ------------------------------------------------------===//

/// The attributes and document_start, for the three ops of the family; `x` is what is shifted.
template <typename Op> static LogicalResult verifyShift(Op op, RankedTensorType x) {
  if (x.getRank() != 2 && x.getRank() != 3)
    return op.emitOpError("needs [T, D] or [T, H, d], not ") << x;
  if (int64_t(op.getDistance()) < 1)
    return op.emitOpError("needs a distance of at least 1, not ") << int64_t(op.getDistance());

  ArrayRef<int64_t> features = op.getFeatures();
  int64_t width = x.getShape().back(), end = 0;
  if (features.size() % 2)
    return op.emitOpError("has ") << features.size()
                                  << " feature bounds; they come in pairs [begin, end)";
  for (size_t i = 0; i < features.size(); i += 2) {
    if (features[i] < 0 || features[i + 1] > width || features[i] >= features[i + 1])
      return op.emitOpError("has features [")
             << features[i] << ", " << features[i + 1] << "), which is no range of the " << width
             << " features";
    if (features[i] < end)
      return op.emitOpError("has features [")
             << features[i] << ", " << features[i + 1] << ") after a range that ends at " << end
             << "; ranges must be sorted and disjoint";
    end = features[i + 1];
  }

  ArrayRef<int64_t> heads = op.getHeads();
  if (!heads.empty() && x.getRank() != 3)
    return op.emitOpError("lists heads, but ") << x << " has none";
  for (size_t i = 0; i < heads.size(); ++i) {
    if (heads[i] < 0 || heads[i] >= x.getDimSize(1))
      return op.emitOpError("lists head ") << heads[i] << " of " << x.getDimSize(1);
    if (i > 0 && heads[i] <= heads[i - 1])
      return op.emitOpError("lists head ")
             << heads[i] << " after head " << heads[i - 1] << "; heads must ascend";
  }

  if (op.getDocuments() == DocumentRule::mask && !op.getDocumentStart())
    return op.emitOpError("masks documents, so it needs document_start");
  if (op.getDocumentStart())
    return verifyShape(op, "document_start", getTensorType(op.getDocumentStart()),
                       {x.getDimSize(0)});
  return success();
}

LogicalResult TokenShiftOp::verify() {
  RankedTensorType x = getTensorType(getX());
  if (getResult().getType() != x)
    return emitOpError("makes ") << getResult().getType() << " from " << x;
  if (failed(verifyShift(*this, x)))
    return failure();
  return getGate() ? verifyRowFactor(*this, "gate", x, getTensorType(getGate())) : success();
}

LogicalResult TokenShiftAdjointOp::verify() {
  RankedTensorType dy = getTensorType(getDy());
  if (getDx().getType() != dy)
    return emitOpError("makes ") << getDx().getType() << " from " << dy;
  if (failed(verifyShift(*this, dy)))
    return failure();
  return getGate() ? verifyRowFactor(*this, "gate", dy, getTensorType(getGate())) : success();
}

LogicalResult TokenShiftDotOp::verify() {
  RankedTensorType x = getTensorType(getX());
  if (getDy().getType() != x)
    return emitOpError("multiplies ") << x << " and " << getDy().getType();
  if (failed(verifyShift(*this, x)))
    return failure();
  return verifyRowFactor(*this, "result", x, getTensorType(getResult()));
}

/// x [T, D], w [G, n] with n ≤ D, gate [T, G].
static LogicalResult verifyGate(Operation *op, RankedTensorType x, RankedTensorType w,
                                RankedTensorType gate) {
  if (x.getRank() != 2 || w.getRank() != 2)
    return op->emitOpError("needs x [T, D] and w [G, n], not ") << x << " and " << w;
  if (w.getDimSize(1) > x.getDimSize(1))
    return op->emitOpError("reads the first ") << w.getDimSize(1) << " features of " << x;
  return verifyShape(op, "gate", gate, {x.getDimSize(0), w.getDimSize(0)});
}

LogicalResult GateOp::verify() {
  return verifyGate(*this, getTensorType(getX()), getTensorType(getW()),
                    getTensorType(getResult()));
}
LogicalResult GateBackwardOp::verify() {
  return verifyGate(*this, getTensorType(getX()), getTensorType(getW()), getTensorType(getGate()));
}

//===- Loss -------------------------------------------------------------------===//

static LogicalResult verifySoftcap(Operation *op, double amplitude, double temperature) {
  if (!(amplitude > 0) || !std::isfinite(amplitude))
    return op->emitOpError("needs a positive, finite amplitude");
  if (!(temperature > 0) || !std::isfinite(temperature))
    return op->emitOpError("needs a positive, finite temperature");
  return success();
}

LogicalResult SoftcapOp::verify() {
  return verifySoftcap(*this, getAmplitude().convertToDouble(), getTemperature().convertToDouble());
}
LogicalResult SoftcapBackwardOp::verify() {
  return verifySoftcap(*this, getAmplitude().convertToDouble(), getTemperature().convertToDouble());
}

/// logits [T, V]; targets, loss and lse [T].
static LogicalResult verifyLoss(Operation *op, RankedTensorType logits, RankedTensorType targets,
                                RankedTensorType loss, RankedTensorType lse) {
  if (logits.getRank() != 2)
    return op->emitOpError("needs logits [T, V], not ") << logits;
  int64_t rows = logits.getDimSize(0);
  if (failed(verifyShape(op, "targets", targets, {rows})) ||
      failed(verifyShape(op, "loss", loss, {rows})))
    return failure();
  return verifyShape(op, "lse", lse, {rows});
}

LogicalResult CrossEntropyOp::verify() {
  return verifyLoss(*this, getTensorType(getLogits()), getTensorType(getTargets()),
                    getTensorType(getLoss()), getTensorType(getLse()));
}
LogicalResult CrossEntropyBackwardOp::verify() {
  return verifyLoss(*this, getTensorType(getLogits()), getTensorType(getTargets()),
                    getTensorType(getDloss()), getTensorType(getLse()));
}
