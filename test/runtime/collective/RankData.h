//===- RankData.h - What ranks of tests send --------------------*- C++ -*-===//
#pragma once

#include "runtime/base/DType.h"

#include <cstddef>
#include <vector>

namespace smelt::runtime {

/// Small whole numbers: sums are exact in bf16 too.
inline std::vector<std::byte> makeData(DType type, int rank, size_t count) {
  std::vector<std::byte> data(count * dtypeBytes(type));
  for (size_t i = 0; i < count; ++i)
    storeElement(type, double((i * 7 + rank * 3) % 11), data.data() + i * dtypeBytes(type));
  return data;
}
/// Over all ranks, of element `index`.
inline double sumOf(int size, size_t index) {
  double sum = 0;
  for (int rank = 0; rank < size; ++rank)
    sum += double((index * 7 + rank * 3) % 11);
  return sum;
}

} // namespace smelt::runtime
