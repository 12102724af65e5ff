#include "runtime/device/cuda/Driver.h"
#include "runtime/base/SharedLibrary.h"

#include <cstdlib>

#include <dlfcn.h>

namespace smelt::runtime::cuda {

std::string Driver::describe(const std::string &call, Result result) const {
  const char *name = nullptr, *text = nullptr;
  if (getErrorName)
    getErrorName(result, &name);
  if (getErrorString)
    getErrorString(result, &text);
  return concat(call, ": ", name ? name : "error " + std::to_string(result), ", ",
                text ? text : "no description");
}

namespace {
StatusOr<Driver> load() {
  // A folder for tests and unusual installations; else where the system finds it.
  const char *path = std::getenv("SMELT_LIBCUDA");
  SharedLibrary library = openFirst({path ? path : "libcuda.so.1"});
  if (!library.handle)
    return usageError("no NVIDIA driver on this machine (", library.why,
                      "); --device cpu runs bundles compiled with --target cpu");
  Driver driver;
  const char *missing = nullptr;
#define SMELT_CUDA_LOAD(name, symbol, parameters)                                                  \
  driver.name = reinterpret_cast<Result(*) parameters>(::dlsym(library.handle, symbol));           \
  if (!driver.name)                                                                                \
    missing = symbol;
  SMELT_CUDA_FUNCTIONS(SMELT_CUDA_LOAD)
  const char *tooOld = missing;
  missing = nullptr;
  SMELT_CUDA_PEER_FUNCTIONS(SMELT_CUDA_LOAD)
#undef SMELT_CUDA_LOAD
  driver.hasPeers = !missing;
  if (tooOld)
    return usageError("the NVIDIA driver of this machine is too old: libcuda has no ", tooOld,
                      "; CUDA 12 or newer is needed");
  if (Result result = driver.init(0); result != kSuccess)
    return usageError("the NVIDIA driver does not start: ", driver.describe("cuInit", result));
  int count = 0;
  if (Result result = driver.deviceGetCount(&count); result != kSuccess || count == 0)
    return usageError("the NVIDIA driver finds no GPU");
  return driver;
}
} // namespace

StatusOr<const Driver *> openDriver() {
  static const StatusOr<Driver> driver = load();
  if (!driver.isOk())
    return driver.status();
  return &*driver;
}

} // namespace smelt::runtime::cuda
