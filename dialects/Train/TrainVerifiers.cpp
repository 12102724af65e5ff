//===- TrainVerifiers.cpp - Rules of train ops ----------------------------===//
#include "dialects/Train/TrainOps.h"
#include <limits>

using namespace mlir;
using namespace mlir::train;

size_t ScheduleOp::getPieceSize() {
  auto type = dyn_cast<RankedTensorType>(getType());
  return type && type.getRank() == 1 ? 2 + type.getDimSize(0) : 4;
}

bool ScheduleOp::isConstantInPieces() {
  if (getPower())
    return false;
  ArrayRef<double> pieces = getSegments();
  if (getPieceSize() != 4 || cast<RankedTensorType>(getType()).getRank() == 1)
    return true;
  for (size_t i = 0; i < pieces.size(); i += 4)
    if (pieces[i + 3] != 0)
      return false;
  return true;
}

/// The period and phase of an update.
static LogicalResult verifyPeriod(Operation *op, int64_t every, int64_t offset) {
  if (every < 1 || offset < 0 || offset >= every)
    return op->emitOpError("happens every ") << every << " steps at offset " << offset << "; the offset must be 0 to the period less 1";
  return success();
}

LogicalResult ScheduleOp::verify() {
  auto type = dyn_cast<RankedTensorType>(getType());
  if (!type || !type.hasStaticShape() || type.getRank() > 1)
    return emitOpError("schedules a number or a vector, not ") << getType();
  ArrayRef<double> segments = getSegments();
  if (getPower()) {
    double power = getPower()->convertToDouble();
    if (!segments.empty())
      return emitOpError("has both pieces and a power");
    if (type.getRank() != 0 || !isa<FloatType>(type.getElementType()))
      return emitOpError("needs a float of rank 0 for a power, not ") << type;
    if (!(power >= 0 && power < 1))
      return emitOpError("takes powers of ") << power << ", which is not in [0, 1)";
    return verifyPeriod(*this, *getEvery(), *getOffset());
  }
  size_t size = getPieceSize();
  if (segments.empty() || segments.size() % size) {
    if (type.getRank() == 0)
      return emitOpError("needs segments of four numbers each: first step, last step, value, slope");
    return emitOpError("needs segments of ") << size << " numbers each: first step, last step, " << size - 2 << " values";
  }
  double next = 0;
  for (size_t i = 0; i < segments.size(); i += size) {
    if (!(segments[i] == next) || !(segments[i + 1] >= segments[i]))
      return emitOpError("segment ") << i / size << " covers steps " << segments[i] << " to " << segments[i + 1] << ", but step "
                                     << next << " must come next";
    next = segments[i + 1] + 1;
  }
  return success();
}

LogicalResult StateOp::verify() {
  if (getDerived() && getCopyOf())
    return emitOpError("is computed by the setup program, so it cannot begin as a copy");
  if (bool(getPartNames()) != bool(getPartRows()))
    return emitOpError("has part_names exactly if it has part_rows");
  if (!getPartNames())
    return success();
  auto type = dyn_cast<RankedTensorType>(getType());
  if (getDerived() || (getCopyOf() && getPartNames()->size() != 1) || !type || type.getRank() == 0)
    return emitOpError("cannot be a part of other tensors");
  if (getPartNames()->empty() || getPartNames()->size() != getPartRows()->size())
    return emitOpError("needs one number of rows per tensor that it is a part of");
  ArrayRef<int64_t> partRows = *getPartRows();
  for (int64_t rows : partRows)
    if (rows < 1)
      return emitOpError("is a part of a tensor with ") << rows << " rows";
  return success();
}

static int64_t getInteger(DictionaryAttr config, StringRef key, int64_t otherwise) {
  auto value = config.getAs<IntegerAttr>(key);
  return value ? value.getInt() : otherwise;
}

int64_t OptimizerOp::getEvery() { return getInteger(getConfig(), "every", 1); }
int64_t OptimizerOp::getOffset() { return getInteger(getConfig(), "offset", 0); }

/// What the element-wise optimisers find in `config`.
static LogicalResult verifyElementwiseConfig(OptimizerOp op) {
  constexpr StringRef adam[] = {"every", "offset", "beta1", "beta2", "eps", "weight_decay", "state"}, snoo[] = {"every", "offset", "momentum", "nesterov"};
  ArrayRef<StringRef> known = op.isOuter() ? ArrayRef(snoo) : ArrayRef(adam);
  auto isBelow = [&](StringRef key, double bound) {
    Attribute value = op.getConfig().get(key);
    auto number = dyn_cast_or_null<FloatAttr>(value);
    return !value || (number && number.getValueAsDouble() >= 0 && number.getValueAsDouble() < bound);
  };
  for (NamedAttribute named : op.getConfig())
    if (!llvm::is_contained(known, named.getName().getValue()))
      return op.emitOpError("of kind ") << stringifyEnum(op.getKind()) << " has no config '" << named.getName().getValue() << "'";
  for (StringRef key : {"beta1", "beta2", "momentum"})
    if (!isBelow(key, 1))
      return op.emitOpError("needs a number from 0 to 1 as ") << key << ", not " << op.getConfig().get(key);
  for (StringRef key : {"eps", "weight_decay"})
    if (!isBelow(key, std::numeric_limits<double>::infinity()))
      return op.emitOpError("needs a number that is not negative as ") << key << ", not " << op.getConfig().get(key);
  if (Attribute state = op.getConfig().get("state"))
    if (auto text = dyn_cast<StringAttr>(state); !text || (text != "f32" && text != "bf16"))
      return op.emitOpError("keeps its state in \"f32\" or \"bf16\", not ") << state;
  return success();
}

LogicalResult OptimizerOp::verify() {
  size_t count = getParameters().size();
  if (getLrScales().size() != count || getWeightDecayScales().size() != count || getSplits().size() != count)
    return emitOpError("needs one lr scale, weight decay scale and split per parameter");
  for (Attribute parameter : getParameters())
    if (!isa<FlatSymbolRefAttr>(parameter))
      return emitOpError("lists a parameter that is not a symbol");
  if (failed(verifyPeriod(*this, getEvery(), getOffset())))
    return failure();
  bool isElementwise = llvm::is_contained({OptimizerKind::adamw, OptimizerKind::adam, OptimizerKind::snoo}, getKind());
  return isElementwise ? verifyElementwiseConfig(*this) : success();
}

/// Tensors of one lane have one shape, and results the types of what they replace.
static LogicalResult verifyLanes(Operation *op, size_t count, ArrayRef<OperandRange> positions, ArrayRef<unsigned> replaced) {
  for (size_t i = 0; i < count; ++i) {
    auto parameter = cast<RankedTensorType>(positions[0][i].getType());
    for (OperandRange position : positions)
      if (cast<RankedTensorType>(position[i].getType()).getShape() != parameter.getShape())
        return op->emitOpError("updates parameter ") << i << ", " << parameter << ", with a tensor of another shape, " << position[i].getType();
    for (auto [result, position] : llvm::enumerate(replaced))
      if (op->getResult(result * count + i).getType() != positions[position][i].getType())
        return op->emitOpError("makes ") << op->getResult(result * count + i).getType() << " of parameter " << i << "'s "
                                         << positions[position][i].getType();
  }
  return success();
}

template <typename Op> static LogicalResult verifyAdam(Op op) {
  size_t count = op.getParameters().size();
  if (op.getLrScales().size() != count || op.getWeightDecays().size() != count)
    return op.emitOpError("needs one lr scale and one weight decay per parameter");
  return verifyLanes(op, count, {op.getParameters(), op.getGradients(), op.getFirstMoments(), op.getSecondMoments()}, {0, 2, 3});
}

LogicalResult AdamWOp::verify() { return verifyAdam(*this); }
LogicalResult AdamOp::verify() { return verifyAdam(*this); }

LogicalResult SnooOp::verify() {
  size_t count = getParameters().size();
  if (getLrs().size() != count)
    return emitOpError("needs one rate per parameter");
  return verifyLanes(*this, count, {getParameters(), getOuterCopies(), getMomenta()}, {0, 1, 2});
}
