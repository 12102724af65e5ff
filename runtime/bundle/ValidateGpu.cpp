//===- ValidateGpu.cpp - Launches that a GPU can make ---------------------===//
//
// The limits are those of every architecture that the compiler knows; what one GPU lacks (shared
// memory, clusters) its driver says at load.
//
//===----------------------------------------------------------------------===//
#include "runtime/bundle/GpuJson.h"
#include "runtime/bundle/ProductJson.h"

namespace smelt::runtime {

namespace {
constexpr uint32_t kMaxSharedBytes = 227 * 1024;
constexpr size_t kMaxTable = 4000; // Parameters of a kernel have 32,764 bytes.

/// Bytes from the tensor's first element to the end of its last one; nothing if that overflows.
std::optional<uint64_t> extentOf(const GpuTensorMap &map) {
  uint64_t extent = map.sizes[0] * dtypeBytes(map.dtype);
  for (size_t axis = 1; axis < map.sizes.size(); ++axis) {
    uint64_t steps = map.sizes[axis] - 1, stride = map.strides[axis - 1];
    if (steps && stride > (uint64_t(1) << 46) / steps)
      return std::nullopt;
    extent += steps * stride;
  }
  return extent;
}

Status checkTensorMap(const GpuTensorMap &map, uint64_t byteOffset) {
  size_t rank = map.sizes.size();
  if (rank < 1 || rank > 5 || map.strides.size() != rank - 1 || map.box.size() != rank)
    return corruptError("a tensor map has 1 to 5 sizes, as many box sizes and one stride fewer");
  for (uint64_t size : map.sizes)
    if (size < 1 || size > (uint64_t(1) << 32))
      return corruptError("a tensor map's size ", size, " is out of range");
  for (uint64_t stride : map.strides)
    if (stride % 16 != 0 || stride >= (uint64_t(1) << 40))
      return corruptError("a tensor map's stride ", stride, " is no multiple of 16 below 2^40");
  for (uint32_t size : map.box)
    if (size < 1 || size > 256)
      return corruptError("a tensor map's box size ", size, " is out of range");
  if (map.swizzle != 0 && map.swizzle != 32 && map.swizzle != 64 && map.swizzle != 128)
    return corruptError("there is no swizzle of ", map.swizzle, " bytes");
  uint64_t inner = map.box[0] * dtypeBytes(map.dtype);
  if (inner % 16 != 0 || (map.swizzle && inner > map.swizzle))
    return corruptError("a tensor map's box is ", inner, " bytes wide");
  if (byteOffset % 16 != 0)
    return corruptError("a tensor map begins at byte ", byteOffset, ", no multiple of 16");
  if (!extentOf(map))
    return corruptError("a tensor map's extent overflows");
  return Status::ok();
}

Status checkParameter(const Kernel &kernel, const GpuParameter &parameter) {
  bool isTable = parameter.kind == GpuParameter::Kind::PointerTable;
  if (parameter.arguments.empty() || parameter.arguments.size() > (isTable ? kMaxTable : 1))
    return corruptError("a parameter has ", parameter.arguments.size(), " buffers");
  for (uint32_t argument : parameter.arguments)
    if (argument >= kernel.arguments)
      return corruptError("there is no argument ", argument);
  if (parameter.kind == GpuParameter::Kind::TensorMap)
    return checkTensorMap(parameter.map, parameter.byteOffset);
  return Status::ok();
}

Status checkShape(const Kernel &kernel, const GpuLaunch &launch) {
  if (launch.symbol.empty() || launch.symbol.find('\0') != std::string::npos)
    return corruptError("a launch has no symbol");
  if (launch.grid[0] < 1 || launch.grid[1] < 1 || launch.grid[2] < 1 ||
      launch.grid[0] > 0x7fffffff || launch.grid[1] > 65535 || launch.grid[2] > 65535)
    return corruptError(launch.symbol, ": the grid ", launch.grid[0], "x", launch.grid[1], "x",
                        launch.grid[2], " is out of range");
  if (launch.threads < 1 || launch.threads > 1024)
    return corruptError(launch.symbol, ": a block cannot have ", launch.threads, " threads");
  if (launch.sharedBytes > kMaxSharedBytes)
    return corruptError(launch.symbol, ": no GPU has ", launch.sharedBytes,
                        " bytes of shared memory a block");
  if (launch.cluster < 1 || launch.cluster > 16 || launch.grid[0] % launch.cluster != 0)
    return corruptError(launch.symbol, ": clusters of ", launch.cluster, " do not divide the grid");
  for (const GpuParameter &parameter : launch.parameters)
    SMELT_RETURN_IF_ERROR(checkParameter(kernel, parameter).withContext(launch.symbol));
  return Status::ok();
}
} // namespace

Status checkGpuKernels(const Manifest &manifest) {
  bool isCuda = manifest.target == "cuda";
  if (!isCuda && manifest.target != "cpu")
    return corruptError("unknown target \"", manifest.target, "\"");
  if (isCuda != !manifest.gpu.architecture.empty())
    return corruptError(isCuda ? "gpu: the architecture is missing"
                               : "gpu: target cpu has no GPU architecture");
  for (const Kernel &kernel : manifest.kernels) {
    if (isCuda == kernel.gpu.empty())
      return corruptError("kernel \"", kernel.name, "\" has ", isCuda ? "no" : "",
                          " launches on a GPU");
    for (const GpuLaunch &launch : kernel.gpu)
      SMELT_RETURN_IF_ERROR(
          checkShape(kernel, launch).withContext(concat("kernel \"", kernel.name, "\"")));
    SMELT_RETURN_IF_ERROR(checkKernelProduct(manifest, kernel));
  }
  return Status::ok();
}

Status checkGpuLaunch(const Manifest &manifest, const Kernel &kernel, const Launch &launch) {
  for (const GpuLaunch &gpu : kernel.gpu)
    for (const GpuParameter &parameter : gpu.parameters) {
      if (parameter.kind == GpuParameter::Kind::PointerTable)
        continue;
      const Buffer &buffer = manifest.buffers[launch.arguments[parameter.arguments[0]]];
      bool isMap = parameter.kind == GpuParameter::Kind::TensorMap;
      uint64_t extent = isMap ? *extentOf(parameter.map) : 0;
      if (parameter.byteOffset > buffer.bytes || extent > buffer.bytes - parameter.byteOffset)
        return corruptError(gpu.symbol, " reaches beyond buffer \"", buffer.name, "\"");
      if (isMap && buffer.offset % 16 != 0)
        return corruptError(gpu.symbol, " needs buffer \"", buffer.name,
                            "\" at a multiple of 16 bytes");
    }
  return checkLaunchProduct(manifest, kernel, launch);
}

} // namespace smelt::runtime
