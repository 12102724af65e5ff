//===- EmitBundle.cpp - An exec module to a bundle folder -----------------===//
#include "compiler/Target/Bundle/EmitBundle.h"
#include "compiler/Conversion/KernelToCPU/LowerKernelsToCPU.h"
#include "compiler/Target/Bundle/AddGPULaunches.h"
#include "compiler/Target/Bundle/BuildManifest.h"
#include "compiler/Target/CPU/EmitCPUObject.h"
#include "compiler/Target/CUDA/EmitGPUCode.h"
#include "runtime/base/Files.h"
#include "runtime/bundle/Bundle.h"
#include "llvm/Support/FileSystem.h"

using namespace mlir;
using namespace smelt;

namespace {
using Files = std::map<std::string, std::string>;

/// The bytes of the shared object with all kernels.
runtime::StatusOr<std::string> compileKernels(ModuleOp module, const CPUTarget &target,
                                              const BundleOptions &options) {
  OwningOpRef<ModuleOp> lowered = lowerKernelsToCPU(module, target);
  if (!lowered)
    return runtime::internalError("a kernel cannot be lowered for ", target.name);
  llvm::SmallString<128> path;
  if (std::error_code error = llvm::sys::fs::createTemporaryFile("smelt-kernels", "so", path))
    return runtime::storageError("cannot make a temporary file: ", error.message());
  CPUEmissionOptions emission;
  emission.dumpPrefix = options.dumpPrefix;
  emission.cache = options.cache;
  LogicalResult emitted = emitCPUObject(*lowered, target, path, emission);
  runtime::StatusOr<std::string> code =
      succeeded(emitted) ? runtime::readFile(path.str().str())
                         : runtime::StatusOr<std::string>(
                               runtime::internalError("the kernels' code could not be made"));
  llvm::sys::fs::remove(path);
  return code;
}

runtime::Status addCPU(ModuleOp module, const BundleOptions &options, runtime::Manifest &manifest,
                       Files &files) {
  std::string why;
  std::optional<CPUTarget> target = CPUTarget::get(options.cpu, why);
  if (!target)
    return runtime::usageError(why);
  manifest.cpu = {target->name, target->features};
  SMELT_ASSIGN_OR_RETURN(files["cpu.so"], compileKernels(module, *target, options));
  return runtime::Status::ok();
}

runtime::Status addGPU(ModuleOp module, const BundleOptions &options, runtime::Manifest &manifest,
                       Files &files) {
  std::string why;
  std::optional<GPUTarget> target = GPUTarget::get(options.gpu, why);
  if (!target)
    return runtime::usageError(why);
  std::optional<GPUKernels> kernels = lowerKernelsToGPU(module, *target, findAlignments(manifest));
  if (!kernels)
    return runtime::internalError("a kernel cannot be lowered for ", target->chip);
  addGPULaunches(manifest, *kernels, *target);
  GPUCode code;
  GPUEmissionOptions emission;
  emission.dumpPrefix = options.dumpPrefix;
  emission.ptxas = options.ptxas;
  emission.cache = options.cache;
  if (failed(emitGPUCode(*kernels->module, *target, code, emission)))
    return runtime::internalError("the kernels' code could not be made");
  files["kernels.ptx"] = std::move(code.ptx);
  if (!code.cubin.empty())
    files["kernels.cubin"] = std::move(code.cubin);
  return runtime::Status::ok();
}
} // namespace

runtime::Status smelt::emitBundle(ModuleOp module, const std::string &directory,
                                  const BundleOptions &options) {
  DialectRegistry registry;
  registerCPUTargetDialects(registry);
  registerGPUTargetDialects(registry);
  module.getContext()->appendDialectRegistry(registry);
  // Code is generated outside of any pass that could name its dialects.
  module.getContext()->loadAllAvailableDialects();
  FailureOr<runtime::Manifest> manifest = buildManifest(module);
  if (failed(manifest))
    return runtime::internalError("the module is not ready for a bundle");
  auto spec = module->getAttrOfType<StringAttr>("smelt.spec");
  Files files{{"spec.json", spec ? spec.str() : "{}"}};
  SMELT_RETURN_IF_ERROR(options.gpu.empty() ? addCPU(module, options, *manifest, files)
                                            : addGPU(module, options, *manifest, files));
  return runtime::writeBundle(directory, *std::move(manifest), files);
}
