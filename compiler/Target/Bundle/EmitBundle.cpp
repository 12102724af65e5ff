//===- EmitBundle.cpp - An exec module to a bundle folder -----------------===//
#include "compiler/Target/Bundle/EmitBundle.h"
#include "compiler/Conversion/KernelToCPU/LowerKernelsToCPU.h"
#include "compiler/Target/Bundle/BuildManifest.h"
#include "compiler/Target/CPU/EmitCPUObject.h"
#include "runtime/base/Files.h"
#include "runtime/bundle/Bundle.h"
#include "llvm/Support/FileSystem.h"

using namespace mlir;
using namespace smelt;

/// The bytes of the shared object with all kernels.
static runtime::StatusOr<std::string> compileKernels(ModuleOp module, const CPUTarget &target, const BundleOptions &options) {
  OwningOpRef<ModuleOp> lowered = lowerKernelsToCPU(module, target);
  if (!lowered)
    return runtime::internalError("a kernel cannot be lowered for ", target.name);
  llvm::SmallString<128> path;
  if (std::error_code error = llvm::sys::fs::createTemporaryFile("smelt-kernels", "so", path))
    return runtime::storageError("cannot make a temporary file: ", error.message());
  CPUEmissionOptions emission;
  emission.dumpPrefix = options.dumpPrefix;
  LogicalResult emitted = emitCPUObject(*lowered, target, path, emission);
  runtime::StatusOr<std::string> code = succeeded(emitted) ? runtime::readFile(path.str().str())
                                                           : runtime::StatusOr<std::string>(runtime::internalError("the kernels' code could not be made"));
  llvm::sys::fs::remove(path);
  return code;
}

runtime::Status smelt::emitBundle(ModuleOp module, const std::string &directory, const BundleOptions &options) {
  std::string why;
  std::optional<CPUTarget> target = CPUTarget::get(options.cpu, why);
  if (!target)
    return runtime::usageError(why);
  DialectRegistry registry;
  registerCPUTargetDialects(registry);
  module.getContext()->appendDialectRegistry(registry);
  module.getContext()->loadAllAvailableDialects(); // Code is generated outside of any pass that could name its dialects.
  FailureOr<runtime::Manifest> manifest = buildManifest(module, *target);
  if (failed(manifest))
    return runtime::internalError("the module is not ready for a bundle");
  SMELT_ASSIGN_OR_RETURN(std::string code, compileKernels(module, *target, options));
  auto spec = module->getAttrOfType<StringAttr>("smelt.spec");
  std::map<std::string, std::string> files{{"spec.json", spec ? spec.str() : "{}"}, {"cpu.so", std::move(code)}};
  return runtime::writeBundle(directory, *std::move(manifest), files);
}
