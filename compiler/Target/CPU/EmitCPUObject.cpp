//===- EmitCPUObject.cpp - Kernels to a shared object, in parallel ----------===//
//
// Kernels do not know each other, so that each is compiled by itself, as a nested module: the pass
// manager lowers these in parallel, each then has an LLVM context of its own, and a kernel that was
// compiled before, for whatever model, comes from the cache. Its object knows the kernel by a hash
// of its text; the linker gives it the names that it has in this module.
//
//===----------------------------------------------------------------------===//
#include "compiler/Target/CPU/EmitCPUObject.h"
#include "compiler/Target/CPU/CompileModule.h"
#include "compiler/Target/CPU/KernelUnits.h"
#include "compiler/Target/CPU/LinkSharedObject.h"
#include "compiler/Target/ObjectCache.h"

#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/ThreadPool.h"
#include <chrono>

using namespace mlir;

namespace smelt {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// One kernel on its way through LLVM.
struct Compilation {
  KernelUnit unit;
  std::string object; ///< A file, which goes with this.
  std::string key;    ///< Where the cache keeps it; empty: it does not.
  std::string error;
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code;

  ~Compilation() { llvm::sys::fs::remove(object); }
};

/// `code` to the object, which the cache keeps.
void compile(Compilation &kernel, const CPUTarget &target, const std::string &dumpPrefix,
             const ObjectCache &cache) {
  if (failed(compileModule(*kernel.code, target, kernel.object, dumpPrefix, kernel.error))) {
    if (kernel.error.empty())
      kernel.error = "cannot compile the kernels";
    return;
  }
  if (kernel.key.empty())
    return;
  if (auto object = llvm::MemoryBuffer::getFile(kernel.object, false, false))
    cache.keep(kernel.key, (*object)->getBuffer());
}

/// True if the object was in the cache; it is written then.
bool takeFromCache(const Compilation &kernel, const ObjectCache &cache) {
  if (kernel.key.empty())
    return false;
  std::optional<std::string> object = cache.find(kernel.key);
  if (!object)
    return false;
  std::error_code error;
  llvm::raw_fd_ostream out(kernel.object, error);
  if (error)
    return false; // The compilation will say so.
  out << *object;
  out.close();
  bool written = !out.has_error();
  out.clear_error();
  return written;
}

/// The kernels' objects and names to the shared object `path`.
bool link(llvm::ArrayRef<std::unique_ptr<Compilation>> kernels, llvm::StringRef path,
          std::string &error) {
  std::vector<std::string> objects;
  std::vector<SymbolAlias> aliases;
  for (const auto &kernel : kernels) {
    objects.push_back(kernel->object);
    for (const std::string &name : kernel->unit.names)
      aliases.push_back({name, kernel->unit.symbol});
    if (!kernel->error.empty()) {
      error = kernel->error;
      return false;
    }
  }
  return linkSharedObject(objects, aliases, path, error);
}

} // namespace

LogicalResult emitCPUObject(ModuleOp module, const CPUTarget &target, llvm::StringRef path,
                            const CPUEmissionOptions &options) {
  CPUEmissionTimes times;
  double start = now();
  auto lap = [&](double &slot) {
    double end = now();
    slot = end - start;
    start = end;
  };

  // A dump shows what is compiled, so it asks for all of it.
  std::string compiler =
      options.cache.empty() || !options.dumpPrefix.empty() ? "" : identifyCompiler();
  ObjectCache cache(options.cache);
  std::vector<std::unique_ptr<Compilation>> kernels;
  std::vector<Compilation *> missing;
  for (KernelUnit &unit : splitIntoUnits(module)) {
    std::string object = (path + "." + Twine(kernels.size()) + ".o").str();
    Compilation &kernel =
        *kernels.emplace_back(new Compilation{std::move(unit), object, "", "", {}, nullptr});
    if (!compiler.empty())
      kernel.key = hashText(kernel.unit.hash + " " + compiler + target.name + " " + target.level +
                            " " + std::to_string(target.lanes));
    if (takeFromCache(kernel, cache))
      kernel.unit.module.erase();
    else
      missing.push_back(&kernel);
  }

  PassManager passes(module.getContext());
  buildLowerToLLVMPipeline(passes.nest<ModuleOp>());
  if (failed(passes.run(module)))
    return module.emitError("cannot lower the kernels to the llvm dialect");
  for (Compilation *kernel : missing) {
    kernel->code = translateModuleToLLVMIR(kernel->unit.module, kernel->context, "smelt-kernels");
    if (!kernel->code)
      return module.emitError("cannot translate the kernels to LLVM IR");
  }
  lap(times.lowering);

  {
    llvm::DefaultThreadPool threads(llvm::hardware_concurrency());
    for (Compilation *kernel : missing) {
      std::string dumpPrefix = options.dumpPrefix;
      if (!dumpPrefix.empty() && kernels.size() > 1)
        dumpPrefix += "." + kernel->unit.names.front();
      threads.async([&, kernel, dumpPrefix] { compile(*kernel, target, dumpPrefix, cache); });
    }
    threads.wait();
  }
  if (!missing.empty())
    cache.prune();
  lap(times.compilation);

  std::string error;
  bool linked = link(kernels, path, error);
  lap(times.linking);
  times.kernels = kernels.size();
  times.compiled = missing.size();
  if (options.times)
    *options.times = times;
  if (!linked)
    return module.emitError(error);
  return success();
}

} // namespace smelt
