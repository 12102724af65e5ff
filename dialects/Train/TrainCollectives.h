//===- TrainCollectives.h - Communication between ranks ---------*- C++ -*-===//
#ifndef SMELT_DIALECTS_TRAIN_TRAINCOLLECTIVES_H
#define SMELT_DIALECTS_TRAIN_TRAINCOLLECTIVES_H

#include "dialects/Train/TrainOps.h"

namespace mlir::train {

/// On an lm.parameter: the element type of its master, where that is wider than what the ranks
/// gather and programs read. The master is a train.state that has the parameter among its
/// `part_names`; gradients have its type.
inline constexpr StringLiteral kMasterAttr = "smelt.master";

/// The type of a parameter's gradient.
RankedTensorType getGradientType(lm::ParameterOp parameter);

} // namespace mlir::train

#define GET_OP_CLASSES
#include "dialects/Train/TrainCollectiveOps.h.inc"

#endif
