//===- QueryDevices.cpp - What GPUs this machine has ----------------------===//
#include "runtime/device/cuda/CudaDevice.h"
#include "runtime/device/cuda/Driver.h"

namespace smelt::runtime {

using namespace cuda;

std::string whyNoCuda() {
  auto driver = openDriver();
  return driver.isOk() ? std::string() : driver.status().message();
}

StatusOr<int> countCudaDevices() {
  SMELT_ASSIGN_OR_RETURN(const Driver *driver, openDriver());
  int count = 0;
  SMELT_RETURN_IF_ERROR(driver->check(driver->deviceGetCount(&count), "cuDeviceGetCount"));
  return count;
}

StatusOr<CudaIdentity> cudaIdentity(int ordinal) {
  SMELT_ASSIGN_OR_RETURN(const Driver *driver, openDriver());
  DeviceHandle device = 0;
  char name[256] = {};
  DeviceUuid uuid;
  SMELT_RETURN_IF_ERROR(driver->check(driver->deviceGet(&device, ordinal), "cuDeviceGet"));
  SMELT_RETURN_IF_ERROR(
      driver->check(driver->deviceGetName(name, sizeof(name) - 1, device), "cuDeviceGetName"));
  SMELT_RETURN_IF_ERROR(driver->check(driver->deviceGetUuid(&uuid, device), "cuDeviceGetUuid"));
  CudaIdentity identity{name, ""};
  for (unsigned char byte : uuid.bytes)
    for (unsigned digit : {byte / 16u, byte % 16u})
      identity.uuid += "0123456789abcdef"[digit];
  return identity;
}

StatusOr<int> cudaCapability(int ordinal) {
  SMELT_ASSIGN_OR_RETURN(const Driver *driver, openDriver());
  DeviceHandle device = 0;
  int major = 0, minor = 0;
  SMELT_RETURN_IF_ERROR(driver->check(driver->deviceGet(&device, ordinal), "cuDeviceGet"));
  SMELT_RETURN_IF_ERROR(driver->check(driver->deviceGetAttribute(&major, kAttributeMajor, device),
                                      "cuDeviceGetAttribute"));
  SMELT_RETURN_IF_ERROR(driver->check(driver->deviceGetAttribute(&minor, kAttributeMinor, device),
                                      "cuDeviceGetAttribute"));
  return major * 10 + minor;
}

} // namespace smelt::runtime
