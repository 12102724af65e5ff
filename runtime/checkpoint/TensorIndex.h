//===- TensorIndex.h - Tensors of several files, whole or in rows ----*- C++ -*-===//
//
// What a rank has of a tensor is stored as "NAME[FIRST:LAST]": rows FIRST up to before LAST.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/checkpoint/Safetensors.h"

#include <string>
#include <vector>

namespace smelt::runtime {

std::string nameOfRows(const std::string &name, int64_t first, int64_t last);

/// Views into files, which live at least as long.
class TensorIndex {
public:
  struct Rows {
    int64_t first = 0, last = 0;
    const TensorView *tensor = nullptr;
  };

  explicit TensorIndex(const std::vector<const SafetensorsFile *> &files);
  explicit TensorIndex(const std::vector<SafetensorsFile> &files);

  /// The tensor of exactly that name; null if there is none.
  const TensorView *find(const std::string &name) const;
  /// The pieces of the tensor, or the whole, by first row.
  const std::vector<Rows> &findRows(const std::string &name) const;

private:
  void add(const SafetensorsFile &file);
  std::map<std::string, const TensorView *> tensors_;
  std::map<std::string, std::vector<Rows>> rows_;
};

} // namespace smelt::runtime
