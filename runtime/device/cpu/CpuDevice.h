//===- CpuDevice.h - Kernels of a shared object on this machine -*- C++ -*-===//
#pragma once

#include "runtime/device/Device.h"

namespace smelt::runtime {

/// `threads` = 0 leaves the choice to the OpenMP runtime (OMP_NUM_THREADS, else all cores).
std::unique_ptr<Device> makeCpuDevice(int threads = 0);

} // namespace smelt::runtime
