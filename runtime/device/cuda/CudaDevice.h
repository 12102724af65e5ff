//===- CudaDevice.h - Kernels of a cubin on an NVIDIA GPU -------*- C++ -*-===//
#pragma once

#include "runtime/device/Device.h"

namespace smelt::runtime {

/// GPU number `ordinal` of this machine. Fails with the code Usage and one sentence where there is
/// no driver or no such GPU.
StatusOr<std::unique_ptr<Device>> makeCudaDevice(int ordinal = 0);

/// Empty where makeCudaDevice can work, else why not.
std::string whyNoCuda();

StatusOr<int> countCudaDevices();

struct CudaIdentity {
  std::string name; ///< "NVIDIA H200"
  std::string uuid; ///< No two GPUs in the world have the same.
};
StatusOr<CudaIdentity> cudaIdentity(int ordinal);

/// 90 for compute capability 9.0.
StatusOr<int> cudaCapability(int ordinal = 0);

} // namespace smelt::runtime
