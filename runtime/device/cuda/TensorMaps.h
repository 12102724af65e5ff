//===- TensorMaps.h - TMA descriptors ---------------------------*- C++ -*-===//
#pragma once

#include "runtime/device/GpuLaunch.h"
#include "runtime/device/cuda/Driver.h"

namespace smelt::runtime::cuda {

/// The driver's number of an element type in tensor maps, or nothing.
std::optional<int> tensorMapType(DType dtype);

/// The descriptor of the tensor that begins at `address`.
Status encodeTensorMap(const Driver &driver, const GpuTensorMap &map, DevicePointer address,
                       TensorMap &encoded);

} // namespace smelt::runtime::cuda
