//===- TensorLayout.h - Parameters under somebody else's names --*- C++ -*-===//
//
// models/layouts/README.md says what a layout file says. Every tensor of the other side is a
// concatenation of parameters and constants, so both directions are copies.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/checkpoint/Safetensors.h"

#include <string>

namespace smelt::runtime {

/// Tensors with bytes of their own.
class TensorSet {
public:
  TensorSet() = default;
  TensorSet(TensorSet &&) = default;
  TensorSet &operator=(TensorSet &&) = default;
  TensorSet(const TensorSet &) = delete; // The views look into the data.

  /// A new tensor of zeros; its bytes are to be filled in.
  std::span<std::byte> add(const std::string &name, DType dtype, std::vector<int64_t> shape);
  const std::map<std::string, TensorView> &views() const { return views_; }

private:
  std::map<std::string, std::vector<std::byte>> data_;
  std::map<std::string, TensorView> views_;
};

/// The text of a layout: that of a file, if `nameOrPath` ends in .json, else the built-in one of
/// that name.
StatusOr<std::string> findLayout(const std::string &nameOrPath);

/// The parameters as the layout lays them.
StatusOr<TensorSet> applyLayout(const std::string &layout,
                                const std::map<std::string, TensorView> &parameters);

/// The other way: parameters with the names, types and shapes of `like` (whose bytes are not
/// looked at) from tensors laid as the layout says.
StatusOr<TensorSet> undoLayout(const std::string &layout,
                               const std::map<std::string, TensorView> &tensors,
                               const std::map<std::string, TensorView> &like);

/// Copies with conversion; fails where a value would change.
Status convertElements(const TensorView &from, DType dtype, std::span<std::byte> to);

} // namespace smelt::runtime
