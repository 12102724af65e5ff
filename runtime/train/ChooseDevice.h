//===- ChooseDevice.h - Which device a process runs on ----------*- C++ -*-===//
#pragma once

#include "runtime/bundle/Manifest.h"
#include "runtime/device/Device.h"
#include "runtime/train/DeviceChoice.h"

namespace smelt::runtime {

struct ChosenDevice {
  std::unique_ptr<Device> device;
  std::optional<int> gpu; ///< Its number on this machine.
};

/// The device of a bundle's target, if the user's choice allows it. Ranks of one machine get a GPU
/// each, by local rank, unless the choice names one.
StatusOr<ChosenDevice> chooseDevice(const Manifest &manifest, const DeviceChoice &choice);

} // namespace smelt::runtime
