//===- GpuJson.h - The manifest's gpu sections ------------------*- C++ -*-===//
#pragma once

#include "runtime/base/JsonReader.h"
#include "runtime/bundle/Manifest.h"

namespace smelt::runtime {

GpuLaunch readGpuLaunch(JsonObject &object, Status &failure);
nlohmann::ordered_json gpuLaunchJson(const GpuLaunch &launch);

/// Each kernel of target cuda has launches that a GPU can make; kernels of other targets have none.
Status checkGpuKernels(const Manifest &manifest);
/// The launch's buffers hold what its tensor maps and offsets reach.
Status checkGpuLaunch(const Manifest &manifest, const Kernel &kernel, const Launch &launch);

} // namespace smelt::runtime
