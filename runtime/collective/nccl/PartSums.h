//===- PartSums.h - Sums of parts that lie one behind the other -*- C++ -*-===//
//
// What a reduce-scatter by copy engines has left to do once all ranks' parts are on one GPU.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/base/DType.h"
#include "runtime/device/cuda/Handles.h"

namespace smelt::runtime::nccl {

class PartSums {
public:
  /// Of vectors of this many bytes; addresses and sizes are multiples of it.
  static constexpr uint64_t kVector = 16;
  static bool has(DType type) { return type == DType::F32 || type == DType::BF16; }

  /// The driver compiles the kernels (sm_80 or newer) for the GPU whose context is current.
  Status load(const cuda::Driver &driver);
  /// Puts into `stream` (perhaps under capture): element i of `sum`, of `bytes` in all, becomes
  /// ((part 0)[i] + (part 1)[i]) + … in f32, rounded once. Parts are `count` times `bytes` at
  /// `parts`.
  Status add(DType type, cuda::DevicePointer parts, unsigned count, cuda::DevicePointer sum,
             uint64_t bytes, cuda::Stream stream) const;

private:
  const cuda::Driver *driver_ = nullptr;
  cuda::OwnedModule module_;
  cuda::Function f32_ = nullptr, bf16_ = nullptr;
};

} // namespace smelt::runtime::nccl
