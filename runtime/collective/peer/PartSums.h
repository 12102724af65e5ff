//===- PartSums.h - Sums of all ranks' parts on one GPU ---------*- C++ -*-===//
//
// What a reduce-scatter by copy engines has left to do once all ranks' parts are there.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/base/DType.h"
#include "runtime/device/cuda/Handles.h"

namespace smelt::runtime::peer {

class PartSums {
public:
  /// Of vectors of this many bytes; addresses and sizes are multiples of it.
  static constexpr uint64_t kVector = 16;
  static bool has(DType type) { return type == DType::F32 || type == DType::BF16; }

  /// The driver compiles the kernels (sm_80 or newer) for the GPU whose context is current.
  Status load(const cuda::Driver &driver);
  /// Puts into `stream` (perhaps under capture): element i of `sum`, of `bytes` in all, becomes
  /// ((part 0)[i] + (part 1)[i]) + … in f32, rounded once. Of `count` parts `own` is `sum` as it
  /// was; the others lie one behind the other at `others`.
  Status add(DType type, cuda::DevicePointer others, unsigned count, unsigned own,
             cuda::DevicePointer sum, uint64_t bytes, cuda::Stream stream) const;

private:
  const cuda::Driver *driver_ = nullptr;
  cuda::OwnedModule module_;
  cuda::Function f32_ = nullptr, bf16_ = nullptr;
};

} // namespace smelt::runtime::peer
