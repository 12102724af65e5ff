//===- TimeProduct.h - A product as generated and by cuBLASLt ---*- C++ -*-===//
#pragma once

#include "runtime/device/cuda/KernelModule.h"

namespace smelt::runtime::cuda {

/// See Device::timeProduct.
StatusOr<std::vector<ProductTime>> timeProduct(const Driver &driver, KernelModule &module,
                                               const DeviceLaunch &launch, DevicePointer arena,
                                               uint64_t workspaceBytes, int rounds, Stream stream);

} // namespace smelt::runtime::cuda
