//===- ProductJson.h - Kernels that are products, as JSON -------*- C++ -*-===//
#pragma once

#include "runtime/base/JsonReader.h"
#include "runtime/bundle/Manifest.h"

namespace smelt::runtime {

GpuProduct readProduct(JsonObject &object, Status &failure);
nlohmann::ordered_json productJson(const GpuProduct &product);

KernelLibrary readKernelLibrary(JsonObject &object, Status &failure);
nlohmann::ordered_json kernelLibraryJson(const KernelLibrary &library);

/// 64 bytes as 128 hexadecimal digits, and back; nothing if they are not that.
std::string algorithmText(const std::array<uint64_t, 8> &data);
std::optional<std::array<uint64_t, 8>> parseAlgorithm(std::string_view text);

/// The kernel's product has sizes and arguments; its choice has a workspace.
Status checkKernelProduct(const Manifest &manifest, const Kernel &kernel);
/// The launch's buffers are as large as the kernel's product needs them.
Status checkLaunchProduct(const Manifest &manifest, const Kernel &kernel, const Launch &launch);

} // namespace smelt::runtime
