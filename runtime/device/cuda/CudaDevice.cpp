#include "runtime/device/cuda/CudaDevice.h"
#include "runtime/base/Files.h"
#include "runtime/device/cuda/Handles.h"
#include "runtime/device/cuda/Staging.h"
#include "runtime/device/cuda/TensorMaps.h"

#include <algorithm>
#include <cstring>
#include <map>

namespace smelt::runtime {

using namespace cuda;

namespace {
/// The bytes of one launch's parameters, where the driver reads them.
struct LaunchParameters {
  std::vector<TensorMap> maps; ///< Filled before any pointer to them is taken.
  std::vector<std::vector<DevicePointer>> tables;
  std::vector<void *> pointers;
};

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
    SMELT_RETURN_IF_ERROR(driver.check(driver.primaryCtxRetain(&context, device),
                                       "cuDevicePrimaryCtxRetain"));
    driver_ = &driver;
    device_ = device;
    return driver.check(driver.ctxSetCurrent(context), "cuCtxSetCurrent");
  }

private:
  const Driver *driver_ = nullptr;
  DeviceHandle device_ = 0;
};

class CudaDevice final : public Device {
public:
  Status open(const Driver &driver, int ordinal) {
    driver_ = &driver;
    ordinal_ = ordinal;
    DeviceHandle device = 0;
    SMELT_RETURN_IF_ERROR(
        driver.check(driver.deviceGet(&device, ordinal), concat("cuDeviceGet(", ordinal, ")")));
    char name[256] = {};
    SMELT_RETURN_IF_ERROR(
        driver.check(driver.deviceGetName(name, sizeof(name) - 1, device), "cuDeviceGetName"));
    name_ = name;
    SMELT_RETURN_IF_ERROR(context_.retain(driver, device));
    Stream stream = nullptr;
    SMELT_RETURN_IF_ERROR(
        driver.check(driver.streamCreate(&stream, kStreamNonBlocking), "cuStreamCreate"));
    stream_ = {&driver, stream};
    return staging_.create(driver);
  }

  std::string description() const override { return concat("cuda:", ordinal_, ": ", name_); }

  Status allocateArena(uint64_t bytes) override {
    if (arena_)
      return internalError("the arena is allocated already");
    DevicePointer pointer = 0;
    uint64_t wanted = std::max<uint64_t>(bytes, 256);
    Result result = driver_->memAlloc(&pointer, wanted);
    if (result != kSuccess) {
      size_t free = 0, total = 0;
      (void)driver_->memGetInfo(&free, &total);
      return internalError(driver_->describe(concat("cuMemAlloc(", wanted, " bytes)"), result),
                           "; ", free, " of ", total, " bytes are free");
    }
    arena_ = {driver_, pointer};
    bytes_ = bytes;
    return driver_->check(driver_->memsetD8Async(pointer, 0, wanted, stream_.get()),
                          "cuMemsetD8Async");
  }

  Status copyIn(uint64_t offset, std::span<const std::byte> from) override {
    SMELT_RETURN_IF_ERROR(checkRange(offset, from.size()));
    return staging_.copyIn(arena_.get() + offset, from, stream_.get());
  }

  Status copyOut(uint64_t offset, std::span<std::byte> to) override {
    SMELT_RETURN_IF_ERROR(checkRange(offset, to.size()));
    return staging_.copyOut(to, arena_.get() + offset, stream_.get());
  }

  Status loadModule(const std::string &path, const std::vector<DeviceKernel> &kernels) override;
  StatusOr<DeviceProgram> addProgram(const std::vector<DeviceLaunch> &launches) override;

  Status run(DeviceProgram program) override {
    if (program.index >= programs_.size())
      return internalError("the device has no program ", program.index);
    const OwnedGraphExec &graph = programs_[program.index];
    if (!graph)
      return Status::ok(); // Nothing to launch.
    return driver_->check(driver_->graphLaunch(graph.get(), stream_.get()), "cuGraphLaunch");
  }

  Status synchronize() override {
    return driver_->check(driver_->streamSynchronize(stream_.get()), "cuStreamSynchronize");
  }

private:
  Status checkRange(uint64_t offset, uint64_t bytes) const {
    if (!arena_ || offset > bytes_ || bytes > bytes_ - offset)
      return internalError("bytes ", offset, "+", bytes, " lie outside the arena");
    return Status::ok();
  }
  Status loadCode(const std::string &path);
  StatusOr<Function> findFunction(const std::string &path, const GpuLaunch &launch);
  Status launch(const GpuLaunch &launch, Function function, const DeviceLaunch &arguments);

  const Driver *driver_ = nullptr;
  int ordinal_ = 0;
  std::string name_;
  PrimaryContext context_; // Released after everything in it.
  OwnedStream stream_;
  Staging staging_;
  OwnedMemory arena_;
  uint64_t bytes_ = 0;
  OwnedModule module_;
  std::vector<DeviceKernel> kernels_;
  std::vector<std::vector<Function>> functions_; ///< One per launch of each kernel.
  std::vector<OwnedGraphExec> programs_;
};

Status CudaDevice::loadCode(const std::string &path) {
  SMELT_ASSIGN_OR_RETURN(std::string code, readFile(path));
  std::string log(8192, '\0');
  int options[] = {kJitErrorLogBuffer, kJitErrorLogBytes};
  void *values[] = {log.data(), reinterpret_cast<void *>(log.size() - 1)};
  Module module = nullptr;
  Result result = driver_->moduleLoadDataEx(&module, code.c_str(), 2, options, values);
  if (result == kSuccess) {
    module_ = {driver_, module};
    return Status::ok();
  }
  // A cubin runs on one architecture; the PTX beside it is compiled for any newer one.
  if (result == kNoBinaryForGpu && path.ends_with(".cubin")) {
    std::string ptx = path.substr(0, path.size() - 5) + "ptx";
    if (isFile(ptx))
      return loadCode(ptx);
  }
  return corruptError("cannot load ", path, " on ", name_, ": ",
                      driver_->describe("cuModuleLoadDataEx", result),
                      log[0] ? "\n" : "", log.c_str());
}

StatusOr<Function> CudaDevice::findFunction(const std::string &path, const GpuLaunch &launch) {
  Function function = nullptr;
  Result result = driver_->moduleGetFunction(&function, module_.get(), launch.symbol.c_str());
  if (result != kSuccess)
    return corruptError(path, " has no symbol \"", launch.symbol, "\"");
  if (launch.sharedBytes)
    SMELT_RETURN_IF_ERROR(driver_->check(
        driver_->funcSetAttribute(function, kFunctionMaxDynamicShared,
                                  static_cast<int>(launch.sharedBytes)),
        concat("cuFuncSetAttribute(", launch.symbol, ", ", launch.sharedBytes,
               " bytes of shared memory)")));
  return function;
}

Status CudaDevice::loadModule(const std::string &path, const std::vector<DeviceKernel> &kernels) {
  if (module_)
    return internalError("a module is loaded already");
  SMELT_RETURN_IF_ERROR(loadCode(path));
  for (const DeviceKernel &kernel : kernels) {
    std::vector<Function> functions;
    for (const GpuLaunch &launch : kernel.gpu) {
      SMELT_ASSIGN_OR_RETURN(Function function, findFunction(path, launch));
      functions.push_back(function);
    }
    functions_.push_back(std::move(functions));
  }
  kernels_ = kernels;
  return Status::ok();
}

Status CudaDevice::launch(const GpuLaunch &launch, Function function,
                          const DeviceLaunch &arguments) {
  LaunchParameters parameters;
  auto address = [&](uint32_t argument) -> DevicePointer {
    return arena_.get() + arguments.offsets[argument];
  };
  size_t maps = 0;
  for (const GpuParameter &parameter : launch.parameters) {
    for (uint32_t argument : parameter.arguments)
      if (argument >= arguments.offsets.size())
        return internalError(launch.symbol, " has no argument ", argument);
    maps += parameter.kind == GpuParameter::Kind::TensorMap;
  }
  parameters.maps.resize(maps);
  parameters.tables.reserve(launch.parameters.size());
  maps = 0;
  for (const GpuParameter &parameter : launch.parameters) {
    if (parameter.kind == GpuParameter::Kind::TensorMap) {
      TensorMap &map = parameters.maps[maps++];
      SMELT_RETURN_IF_ERROR(
          encodeTensorMap(*driver_, parameter.map,
                          address(parameter.arguments[0]) + parameter.byteOffset, map)
              .withContext(launch.symbol));
      parameters.pointers.push_back(&map);
      continue;
    }
    std::vector<DevicePointer> &table = parameters.tables.emplace_back();
    for (uint32_t argument : parameter.arguments)
      table.push_back(address(argument) + parameter.byteOffset);
    parameters.pointers.push_back(table.data());
  }
  return driver_->check(
      driver_->launchKernel(function, launch.grid[0], launch.grid[1], launch.grid[2],
                            launch.threads, 1, 1, launch.sharedBytes, stream_.get(),
                            parameters.pointers.data(), nullptr),
      concat("cuLaunchKernel(", launch.symbol, ", grid ", launch.grid[0], "x", launch.grid[1], "x",
             launch.grid[2], ", ", launch.threads, " threads, ", launch.sharedBytes,
             " bytes of shared memory)"));
}

StatusOr<DeviceProgram> CudaDevice::addProgram(const std::vector<DeviceLaunch> &launches) {
  for (const DeviceLaunch &each : launches) {
    if (each.kernel >= kernels_.size())
      return internalError("the module has no kernel ", each.kernel);
    for (uint64_t offset : each.offsets)
      SMELT_RETURN_IF_ERROR(checkRange(offset, 0));
  }
  if (launches.empty()) {
    programs_.emplace_back();
    return DeviceProgram{programs_.size() - 1};
  }
  // Parameters are copied while the launches are captured.
  SMELT_RETURN_IF_ERROR(driver_->check(
      driver_->streamBeginCapture(stream_.get(), kCaptureThreadLocal), "cuStreamBeginCapture"));
  Status captured;
  for (const DeviceLaunch &each : launches)
    for (size_t i = 0; captured.isOk() && i < kernels_[each.kernel].gpu.size(); ++i)
      captured = launch(kernels_[each.kernel].gpu[i], functions_[each.kernel][i], each);
  Graph graph = nullptr;
  Status ended =
      driver_->check(driver_->streamEndCapture(stream_.get(), &graph), "cuStreamEndCapture");
  OwnedGraph owned(driver_, graph);
  SMELT_RETURN_IF_ERROR(captured);
  SMELT_RETURN_IF_ERROR(ended);
  GraphExec executable = nullptr;
  SMELT_RETURN_IF_ERROR(driver_->check(driver_->graphInstantiate(&executable, graph, 0),
                                       "cuGraphInstantiateWithFlags"));
  programs_.emplace_back(driver_, executable);
  return DeviceProgram{programs_.size() - 1};
}
} // namespace

StatusOr<std::unique_ptr<Device>> makeCudaDevice(int ordinal) {
  SMELT_ASSIGN_OR_RETURN(const Driver *driver, openDriver());
  int count = 0;
  SMELT_RETURN_IF_ERROR(driver->check(driver->deviceGetCount(&count), "cuDeviceGetCount"));
  if (ordinal < 0 || ordinal >= count)
    return usageError("there is no GPU ", ordinal, "; this machine has ", count);
  auto device = std::make_unique<CudaDevice>();
  SMELT_RETURN_IF_ERROR(device->open(*driver, ordinal));
  return std::unique_ptr<Device>(std::move(device));
}

std::string whyNoCuda() {
  auto driver = openDriver();
  return driver.isOk() ? std::string() : driver.status().message();
}

StatusOr<int> cudaCapability(int ordinal) {
  SMELT_ASSIGN_OR_RETURN(const Driver *driver, openDriver());
  DeviceHandle device = 0;
  int major = 0, minor = 0;
  SMELT_RETURN_IF_ERROR(driver->check(driver->deviceGet(&device, ordinal), "cuDeviceGet"));
  SMELT_RETURN_IF_ERROR(driver->check(
      driver->deviceGetAttribute(&major, kAttributeMajor, device), "cuDeviceGetAttribute"));
  SMELT_RETURN_IF_ERROR(driver->check(
      driver->deviceGetAttribute(&minor, kAttributeMinor, device), "cuDeviceGetAttribute"));
  return major * 10 + minor;
}

} // namespace smelt::runtime
