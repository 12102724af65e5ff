#include "runtime/device/cuda/TensorMaps.h"

namespace smelt::runtime::cuda {

std::optional<int> tensorMapType(DType dtype) {
  switch (dtype) {
  case DType::BF16:
    return kMapBfloat16;
  case DType::F16:
    return kMapFloat16;
  case DType::F32:
    return kMapFloat32;
  case DType::F8E4M3:
  case DType::F8E5M2:
  case DType::U8:
  case DType::I8:
    return kMapUint8;
  case DType::I32:
    return kMapInt32;
  case DType::F64:
  case DType::I64:
  case DType::I16:
  case DType::Bool:
    return std::nullopt;
  }
  return std::nullopt;
}

Status encodeTensorMap(const Driver &driver, const GpuTensorMap &map, DevicePointer address,
                       TensorMap &encoded) {
  std::optional<int> type = tensorMapType(map.dtype);
  if (!type)
    return internalError("tensor maps have no type ", dtypeName(map.dtype));
  int swizzle = map.swizzle == 128 ? 3 : map.swizzle == 64 ? 2 : map.swizzle == 32 ? 1 : 0;
  std::vector<uint32_t> steps(map.sizes.size(), 1);
  constexpr int kNoInterleave = 0, kPromote256 = 3;
  return driver.check(
      driver.tensorMapEncodeTiled(&encoded, *type, static_cast<uint32_t>(map.sizes.size()),
                                  reinterpret_cast<void *>(address), map.sizes.data(),
                                  map.strides.data(), map.box.data(), steps.data(), kNoInterleave,
                                  swizzle, kPromote256, map.fillNaN),
      concat("cuTensorMapEncodeTiled(", dtypeName(map.dtype), ", ", map.sizes.size(), " axes)"));
}

} // namespace smelt::runtime::cuda
