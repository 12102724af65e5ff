//===- LayoutRules.h - A layout file on the parameters of a model -*- C++ -*-===//
#pragma once

#include "runtime/checkpoint/Safetensors.h"

namespace smelt::runtime {

/// A parameter, or one constant element.
struct TensorPiece {
  std::string parameter; ///< Empty: the constant.
  double constant = 0;
};

/// A tensor of the other side: its pieces one after the other.
struct TensorPlan {
  std::string name;
  DType dtype = DType::F32;
  std::vector<int64_t> shape;
  std::vector<TensorPiece> pieces;
  int64_t padding = -1; ///< How many of the last pieces are padding; −1: it is never padded.
};

/// Resolves the layout's first variant that has exactly one place for each parameter.
StatusOr<std::vector<TensorPlan>> planLayout(const std::string &layout,
                                             const std::map<std::string, TensorView> &parameters);

} // namespace smelt::runtime
