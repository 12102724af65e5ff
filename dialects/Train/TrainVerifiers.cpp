//===- TrainVerifiers.cpp - Rules of train ops ----------------------------===//
#include "dialects/Train/TrainOps.h"

using namespace mlir;
using namespace mlir::train;

LogicalResult ScheduleOp::verify() {
  ArrayRef<double> segments = getSegments();
  auto type = dyn_cast<RankedTensorType>(getType());
  if (!type || !type.hasStaticShape() || type.getRank() > 1)
    return emitOpError("schedules a number or a vector, not ") << getType();
  size_t count = type.getRank() ? 2 + type.getDimSize(0) : 4;
  if (segments.empty() || segments.size() % count) {
    if (type.getRank())
      return emitOpError("needs segments of ") << count << " numbers each: first step, last step, " << count - 2 << " values";
    return emitOpError("needs segments of four numbers each: first step, last step, value, slope");
  }
  double next = 0;
  for (size_t i = 0; i < segments.size(); i += count) {
    if (!(segments[i] == next) || !(segments[i + 1] >= segments[i]))
      return emitOpError("segment ") << i / count << " covers steps " << segments[i] << " to " << segments[i + 1] << ", but step "
                                     << next << " must come next";
    next = segments[i + 1] + 1;
  }
  return success();
}

LogicalResult OptimizerOp::verify() {
  size_t count = getParameters().size();
  if (getLrScales().size() != count || getWeightDecayScales().size() != count || getSplits().size() != count)
    return emitOpError("needs one lr scale, weight decay scale and split per parameter");
  for (Attribute parameter : getParameters())
    if (!isa<FlatSymbolRefAttr>(parameter))
      return emitOpError("lists a parameter that is not a symbol");
  return success();
}

LogicalResult AdamWOp::verify() {
  size_t count = getParameters().size();
  if (getLrScales().size() != count || getWeightDecays().size() != count)
    return emitOpError("needs one lr scale and one weight decay per parameter");
  return success();
}
