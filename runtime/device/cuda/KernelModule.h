//===- KernelModule.h - A cubin and its kernels -----------------*- C++ -*-===//
#pragma once

#include "runtime/device/Device.h"
#include "runtime/device/cuda/Handles.h"
#include "runtime/device/cuda/Products.h"

namespace smelt::runtime::cuda {

/// A function with its parameters, where the driver reads them, or a library's product instead.
/// Moving it leaves them in place.
struct PreparedLaunch {
  PreparedLaunch() = default;
  PreparedLaunch(PreparedLaunch &&) = default;
  PreparedLaunch &operator=(PreparedLaunch &&) = default;

  const GpuLaunch *launch = nullptr;
  Function function = nullptr;
  std::vector<TensorMap> maps; ///< Filled before any pointer to them is taken.
  std::vector<std::vector<DevicePointer>> tables;
  std::vector<void *> pointers;
  PreparedProduct product;

  Status start(const Driver &driver, Stream stream);
};

class KernelModule {
public:
  /// `gpu` is the GPU's name, for messages.
  Status load(const Driver &driver, const std::string &path,
              const std::vector<DeviceKernel> &kernels, const std::string &gpu, Stream stream);
  bool isLoaded() const { return bool(module_); }
  size_t size() const { return kernels_.size(); }
  const DeviceKernel &kernel(size_t index) const { return kernels_[index]; }

  /// Of a launch of a kernel that exists: its functions, or one product of a library.
  size_t countParts(const DeviceLaunch &launch) const {
    return products_.has(launch) ? 1 : kernels_[launch.kernel].gpu.size();
  }
  /// Part `part` of the launch, its buffers in an arena at `arena`.
  StatusOr<PreparedLaunch> prepare(const DeviceLaunch &launch, size_t part,
                                   DevicePointer arena) const;
  /// The same as generated, whatever the library would do.
  StatusOr<PreparedLaunch> prepareGenerated(const DeviceLaunch &launch, size_t part,
                                            DevicePointer arena) const;
  Products &products() { return products_; }
  const Products &products() const { return products_; }

private:
  Status loadCode(const std::string &path, const std::string &gpu);
  StatusOr<Function> findFunction(const std::string &path, const GpuLaunch &launch);

  const Driver *driver_ = nullptr;
  OwnedModule module_;
  std::vector<DeviceKernel> kernels_;
  std::vector<std::vector<Function>> functions_; ///< One per launch of each kernel.
  Products products_;
};

} // namespace smelt::runtime::cuda
