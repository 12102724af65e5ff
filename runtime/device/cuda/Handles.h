//===- Handles.h - Owners of the driver's objects ---------------*- C++ -*-===//
#pragma once

#include "runtime/device/cuda/Driver.h"

namespace smelt::runtime::cuda {

/// Move-only owner of one object of the driver; `get()` is the view.
template <typename Object, Result (*Driver::*Release)(Object)> class Owner {
public:
  Owner() = default;
  Owner(const Driver *driver, Object object) : driver_(driver), object_(object) {}
  Owner(Owner &&other) noexcept : driver_(other.driver_), object_(other.object_) {
    other.object_ = Object();
  }
  Owner &operator=(Owner &&other) noexcept {
    std::swap(driver_, other.driver_);
    std::swap(object_, other.object_);
    return *this;
  }
  // A failure while something is given back has no one to tell, and changes nothing.
  ~Owner() {
    if (object_)
      (void)(driver_->*Release)(object_);
  }
  Object get() const { return object_; }
  explicit operator bool() const { return object_ != Object(); }

private:
  const Driver *driver_ = nullptr;
  Object object_ = Object();
};

using OwnedStream = Owner<Stream, &Driver::streamDestroy>;
using OwnedEvent = Owner<Event, &Driver::eventDestroy>;
using OwnedModule = Owner<Module, &Driver::moduleUnload>;
using OwnedGraph = Owner<Graph, &Driver::graphDestroy>;
using OwnedGraphExec = Owner<GraphExec, &Driver::graphExecDestroy>;
using OwnedMemory = Owner<DevicePointer, &Driver::memFree>;
using OwnedHostMemory = Owner<void *, &Driver::memFreeHost>;

/// A context of the GPU, current in this thread as long as the device lives.
class PrimaryContext {
public:
  PrimaryContext() = default;
  PrimaryContext(const PrimaryContext &) = delete;
  PrimaryContext &operator=(const PrimaryContext &) = delete;
  ~PrimaryContext() {
    if (driver_)
      (void)driver_->primaryCtxRelease(device_);
  }
  Status retain(const Driver &driver, DeviceHandle device) {
    Context context = nullptr;
    SMELT_RETURN_IF_ERROR(
        driver.check(driver.primaryCtxRetain(&context, device), "cuDevicePrimaryCtxRetain"));
    driver_ = &driver;
    device_ = device;
    context_ = context;
    return makeCurrent();
  }
  /// In another thread too.
  Status makeCurrent() const {
    return driver_->check(driver_->ctxSetCurrent(context_), "cuCtxSetCurrent");
  }

private:
  Context context_ = nullptr;
  const Driver *driver_ = nullptr;
  DeviceHandle device_ = 0;
};

} // namespace smelt::runtime::cuda
