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
#include "runtime/device/GpuProduct.h"
#include "runtime/device/ProgramEntry.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace smelt::runtime {

/// A library's algorithm for a kernel, with a place in the arena for what it needs besides.
struct DeviceLibrary {
  LibraryAlgorithm algorithm;
  uint64_t workspace = 0;
};

struct DeviceKernel {
  std::string symbol;
  /// GPUs: what the kernel is made of; a CPU calls `symbol`.
  std::vector<GpuLaunch> gpu = {};
  std::optional<GpuProduct> product = {};
  /// Computes the product, where the machine has the library; else `gpu` does.
  std::optional<DeviceLibrary> library = {};
};

/// Names a program of a device.
struct DeviceProgram {
  size_t index = 0;
};

/// Bytes of the host for a place of the arena.
struct DeviceWrite {
  uint64_t offset = 0;
  std::span<const std::byte> from;
};

/// Names a read that was started.
struct DeviceRead {
  size_t index = 0;
};

/// When one part of one launch ran, or one collective.
struct LaunchTime {
  size_t launch = 0; ///< Number of the launch or entry.
  size_t part = 0;  ///< Of DeviceKernel::gpu; a CPU's launches have one part.
  double start = 0; ///< Milliseconds after the first launch began.
  double milliseconds = 0;
};

class StreamCollective;

class Device {
public:
  virtual ~Device() = default;

  /// "cpu: Intel(R) Xeon(R) …, 8 threads"
  virtual std::string description() const = 0;

  /// Allocates the arena, aligned to at least 64 bytes and zeroed. Once per device. `largestSum`:
  /// bytes of the largest reduce-scatter in it; collectives may take as much beside it.
  virtual Status allocateArena(uint64_t bytes, uint64_t largestSum = 0) = 0;
  /// After what was started before; `from` may change as soon as this returns.
  virtual Status copyIn(uint64_t offset, std::span<const std::byte> from) = 0;
  /// The same for several places at once. Where the device works beside the host, the bytes travel
  /// while earlier programs run, and only the last, short part waits for them.
  virtual Status copyInTogether(std::span<const DeviceWrite> writes) {
    for (const DeviceWrite &write : writes)
      SMELT_RETURN_IF_ERROR(copyIn(write.offset, write.from));
    return Status::ok();
  }
  /// After what was started before; returns with the bytes, or with what went wrong until then.
  virtual Status copyOut(uint64_t offset, std::span<std::byte> to) = 0;

  /// Starts to copy the ranges out, after what was started before; nobody waits.
  virtual StatusOr<DeviceRead> startRead(std::span<const DeviceRange> ranges) = 0;
  /// Returns with the ranges, one after the other, or with what went wrong until then. Once per
  /// read.
  virtual Status finishRead(DeviceRead read, std::span<std::byte> to) = 0;

  /// Loads the code and looks up every kernel. Once per device.
  virtual Status loadModule(const std::string &path, const std::vector<DeviceKernel> &kernels) = 0;

  /// Resolves launches against the arena and the module.
  virtual StatusOr<DeviceProgram> addProgram(const std::vector<DeviceLaunch> &launches) = 0;

  /// Does the device run collectives itself, beside the host? If not, the host runs them between
  /// parts of programs.
  virtual bool runsCollectives() const { return false; }
  /// The same for a program with collectives.
  virtual StatusOr<DeviceProgram> addEntries(const std::vector<DeviceEntry> &) {
    return internalError("this device runs no collectives");
  }

  /// Who runs collectives on this device's memory, from now on; before programs are added.
  virtual Status setCollective(StreamCollective *) {
    return internalError("this device runs no collectives");
  }
  /// Starts to make the ranges what they are on rank `root`. Where the device runs collectives.
  virtual Status broadcast(std::span<const DeviceRange> /*ranges*/, int /*root*/) {
    return internalError("this device runs no collectives");
  }
  /// From any thread, when another rank is lost: refuses all further work, gives programs back, and
  /// fails whatever waits, once it need not wait any more.
  virtual void abandon() {}

  /// Starts a program's launches, in order, after everything that was started before.
  virtual Status run(DeviceProgram program) = 0;
  /// Returns when everything that was run has finished.
  virtual Status synchronize() = 0;
  /// Does `run` return before the program has finished?
  virtual bool isAsynchronous() const = 0;
  /// Runs launches as `run` would, but one by one; returns when each of their parts began and how
  /// long it took, once all have finished.
  virtual StatusOr<std::vector<LaunchTime>> runTimed(const std::vector<DeviceLaunch> &launches) = 0;
  /// Does a library compute this launch? It has one part then.
  virtual bool usesLibrary(const DeviceLaunch &) const { return false; }
  /// What the ranks of a job must have alike for equal bits: "cuBLASLt 130100 for 3 kernels",
  /// "none".
  virtual std::string libraryOfProducts() const { return "none"; }
  /// How long the launch takes, as generated and by each of the library's first algorithms with at
  /// most `workspaceBytes` of workspace: medians of `rounds` in turns. The generated kernel comes
  /// first. Without a library a failure with the code Usage.
  virtual StatusOr<std::vector<ProductTime>>
  timeProduct(const DeviceLaunch &, uint64_t /*workspaceBytes*/, int /*rounds*/) {
    return usageError("this device has no library of products");
  }
  /// The same for a program with collectives, both lanes side by side.
  virtual StatusOr<std::vector<LaunchTime>> runTimedEntries(const std::vector<DeviceEntry> &) {
    return internalError("this device runs no collectives");
  }
};

} // namespace smelt::runtime
