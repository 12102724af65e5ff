//===- SkipCasts.h - Look through conversions of a region --------*- C++ -*-===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_SKIPCASTS_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_SKIPCASTS_H

#include "dialects/LM/LMOps.h"

namespace smelt::gpu {

/// The value behind exact conversions (bf16 to f32) and, when `narrowing`, also behind roundings,
/// which a store does anyway.
inline mlir::Value skipCasts(mlir::Value value, bool narrowing = false) {
  auto width = [](mlir::Value tensor) {
    return mlir::cast<mlir::RankedTensorType>(tensor.getType()).getElementTypeBitWidth();
  };
  while (auto cast = value.getDefiningOp<mlir::lm::CastOp>()) {
    if (!narrowing && width(cast.getX()) > width(cast.getResult()))
      break;
    value = cast.getX();
  }
  return value;
}

} // namespace smelt::gpu
#endif
