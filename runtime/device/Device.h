//===- Device.h - What the runtime needs of a device ------------*- C++ -*-===//
//
// A device owns one arena, the kernels of one module and the programs (lists of launches) resolved
// against both. Offsets and sizes come from a validated manifest; the device still refuses a copy
// outside its arena.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/base/Status.h"
#include "runtime/device/GpuLaunch.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace smelt::runtime {

struct DeviceKernel {
  std::string symbol;
  /// GPUs: what the kernel is made of; a CPU calls `symbol`.
  std::vector<GpuLaunch> gpu = {};
};

/// One launch: a kernel and the arena offsets of its arguments.
struct DeviceLaunch {
  uint32_t kernel = 0;
  std::vector<uint64_t> offsets;
};

/// Names a program of a device.
struct DeviceProgram {
  size_t index = 0;
};

class Device {
public:
  virtual ~Device() = default;

  /// "cpu: Intel(R) Xeon(R) …, 8 threads"
  virtual std::string description() const = 0;

  /// Allocates the arena, aligned to at least 64 bytes and zeroed. Once per device.
  virtual Status allocateArena(uint64_t bytes) = 0;
  /// After what was started before; `from` may change as soon as this returns.
  virtual Status copyIn(uint64_t offset, std::span<const std::byte> from) = 0;
  /// After what was started before; returns with the bytes, or with what went wrong until then.
  virtual Status copyOut(uint64_t offset, std::span<std::byte> to) = 0;

  /// Loads the code and looks up every kernel. Once per device.
  virtual Status loadModule(const std::string &path, const std::vector<DeviceKernel> &kernels) = 0;

  /// Resolves launches against the arena and the module.
  virtual StatusOr<DeviceProgram> addProgram(const std::vector<DeviceLaunch> &launches) = 0;

  /// Starts a program's launches, in order, after everything that was started before.
  virtual Status run(DeviceProgram program) = 0;
  /// Returns when everything that was run has finished.
  virtual Status synchronize() = 0;
};

} // namespace smelt::runtime
