#include "runtime/device/cuda/KernelModule.h"
#include "runtime/base/Files.h"
#include "runtime/device/cuda/TensorMaps.h"

#include <algorithm>

namespace smelt::runtime::cuda {

Status KernelModule::loadCode(const std::string &path, const std::string &gpu) {
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
      return loadCode(ptx, gpu);
  }
  if (result == kNoBinaryForGpu)
    return usageError(path, " is not for this GPU, ", gpu,
                      ", and there is no kernels.ptx beside it; compile the spec for it with "
                      "--target");
  return corruptError("cannot load ", path, " on ", gpu, ": ",
                      driver_->describe("cuModuleLoadDataEx", result), log[0] ? "\n" : "",
                      log.c_str());
}

StatusOr<Function> KernelModule::findFunction(const std::string &path, const GpuLaunch &launch) {
  Function function = nullptr;
  Result result = driver_->moduleGetFunction(&function, module_.get(), launch.symbol.c_str());
  if (result != kSuccess)
    return corruptError(path, " has no symbol \"", launch.symbol, "\"");
  if (launch.sharedBytes)
    SMELT_RETURN_IF_ERROR(
        driver_->check(driver_->funcSetAttribute(function, kFunctionMaxDynamicShared,
                                                 static_cast<int>(launch.sharedBytes)),
                       concat("cuFuncSetAttribute(", launch.symbol, ", ", launch.sharedBytes,
                              " bytes of shared memory)")));
  return function;
}

Status KernelModule::load(const Driver &driver, const std::string &path,
                          const std::vector<DeviceKernel> &kernels, const std::string &gpu,
                          Stream stream) {
  driver_ = &driver;
  SMELT_RETURN_IF_ERROR(loadCode(path, gpu));
  for (const DeviceKernel &kernel : kernels) {
    std::vector<Function> functions;
    for (const GpuLaunch &launch : kernel.gpu) {
      SMELT_ASSIGN_OR_RETURN(Function function, findFunction(path, launch));
      functions.push_back(function);
    }
    functions_.push_back(std::move(functions));
  }
  kernels_ = kernels;
  return products_.load(driver, kernels, stream);
}

StatusOr<PreparedLaunch> KernelModule::prepare(const DeviceLaunch &arguments, size_t part,
                                               DevicePointer arena) const {
  if (!products_.has(arguments))
    return prepareGenerated(arguments, part, arena);
  PreparedLaunch prepared;
  prepared.product = products_.prepare(arguments, arena);
  return prepared;
}

StatusOr<PreparedLaunch> KernelModule::prepareGenerated(const DeviceLaunch &arguments, size_t part,
                                                        DevicePointer arena) const {
  const GpuLaunch &launch = kernels_[arguments.kernel].gpu[part];
  PreparedLaunch prepared;
  prepared.launch = &launch;
  prepared.function = functions_[arguments.kernel][part];
  auto address = [&](uint32_t argument) -> DevicePointer {
    return arena + arguments.offsets[argument];
  };
  size_t maps = 0;
  for (const GpuParameter &parameter : launch.parameters) {
    for (uint32_t argument : parameter.arguments)
      if (argument >= arguments.offsets.size())
        return internalError(launch.symbol, " has no argument ", argument);
    maps += parameter.kind == GpuParameter::Kind::TensorMap;
  }
  prepared.maps.resize(maps);
  prepared.tables.reserve(launch.parameters.size());
  maps = 0;
  for (const GpuParameter &parameter : launch.parameters) {
    if (parameter.kind == GpuParameter::Kind::TensorMap) {
      TensorMap &map = prepared.maps[maps++];
      SMELT_RETURN_IF_ERROR(encodeTensorMap(*driver_, parameter.map,
                                            address(parameter.arguments[0]) + parameter.byteOffset,
                                            map)
                                .withContext(launch.symbol));
      prepared.pointers.push_back(&map);
      continue;
    }
    std::vector<DevicePointer> &table = prepared.tables.emplace_back();
    for (uint32_t argument : parameter.arguments)
      table.push_back(address(argument) + parameter.byteOffset);
    prepared.pointers.push_back(table.data());
  }
  return prepared;
}

Status PreparedLaunch::start(const Driver &driver, Stream stream) {
  if (product.product)
    return product.start(stream);
  Result result = driver.launchKernel(function, launch->grid[0], launch->grid[1], launch->grid[2],
                                      launch->threads, 1, 1, launch->sharedBytes, stream,
                                      pointers.data(), nullptr);
  if (result == kSuccess)
    return Status::ok();
  return internalError(
      driver.describe(concat("cuLaunchKernel(", launch->symbol, ", grid ", launch->grid[0], "x",
                             launch->grid[1], "x", launch->grid[2], ", ", launch->threads,
                             " threads, ", launch->sharedBytes, " bytes of shared memory)"),
                      result));
}

} // namespace smelt::runtime::cuda
