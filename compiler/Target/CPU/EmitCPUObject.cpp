//===- EmitCPUObject.cpp - Kernels to a shared object, in parallel ----------===//
//
// Kernels do not know each other, so that they are compiled in a few groups, as nested modules: the
// pass manager lowers these in parallel, and each then has an LLVM context and a thread of its own.
// The groups depend on the kernels alone, not on the machine.
//
//===----------------------------------------------------------------------===//
#include "compiler/Target/CPU/EmitCPUObject.h"
#include "compiler/Target/CPU/CompileModule.h"
#include "compiler/Target/CPU/LinkSharedObject.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/ThreadPool.h"
#include <chrono>

using namespace mlir;

namespace smelt {
namespace {

constexpr size_t mostGroups = 8;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// True if some function calls another one that has a body: such modules stay whole.
bool hasInternalCalls(ModuleOp module) {
  bool found = false;
  module.walk([&](func::CallOp call) {
    auto callee = module.lookupSymbol<func::FuncOp>(call.getCallee());
    found |= callee && !callee.isDeclaration();
  });
  return found;
}

/// Moves the functions of `module` into nested modules of about the same number of operations each.
SmallVector<ModuleOp> splitIntoGroups(ModuleOp module) {
  SmallVector<Operation *> shared; // Declarations and constant tables: each group has its own.
  SmallVector<func::FuncOp> functions;
  SmallVector<size_t> sizes;
  size_t total = 0;
  for (auto table : module.getOps<memref::GlobalOp>())
    shared.push_back(table);
  for (auto function : module.getOps<func::FuncOp>()) {
    if (function.isDeclaration()) {
      shared.push_back(function);
      continue;
    }
    functions.push_back(function);
    size_t size = 0;
    function.walk([&](Operation *) { ++size; });
    sizes.push_back(size);
    total += size;
  }
  size_t count =
      hasInternalCalls(module) ? 1 : std::min(mostGroups, std::max<size_t>(1, functions.size()));
  OpBuilder b(module.getBodyRegion());
  b.setInsertionPointToEnd(module.getBody());
  SmallVector<ModuleOp> groups;
  size_t before = 0;
  for (auto [function, size] : llvm::zip(functions, sizes)) {
    // The group that the middle of this function falls into, by operations.
    size_t wanted = (before + size / 2) * count / std::max<size_t>(total, 1);
    before += size;
    if (groups.empty() || wanted >= groups.size()) {
      groups.push_back(ModuleOp::create(b, module.getLoc()));
      for (Operation *op : shared)
        groups.back().push_back(op->clone());
    }
    function->moveBefore(groups.back().getBody(), groups.back().getBody()->end());
  }
  for (Operation *op : shared)
    op->erase();
  return groups;
}

/// One group on its way through LLVM.
struct Group {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code;
  std::string object, error;
};

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

  SmallVector<ModuleOp> nested = splitIntoGroups(module);
  PassManager passes(module.getContext());
  buildLowerToLLVMPipeline(passes.nest<ModuleOp>());
  if (failed(passes.run(module)))
    return module.emitError("cannot lower the kernels to the llvm dialect");
  std::vector<Group> groups(nested.size());
  for (auto [i, group] : llvm::enumerate(groups)) {
    group.object = (path + "." + Twine(i) + ".o").str();
    group.code = translateModuleToLLVMIR(nested[i], group.context, "smelt-kernels");
    if (!group.code)
      return module.emitError("cannot translate the kernels to LLVM IR");
  }
  lap(times.lowering);

  {
    llvm::DefaultThreadPool threads(llvm::hardware_concurrency());
    for (auto [i, group] : llvm::enumerate(groups)) {
      std::string dumpPrefix = options.dumpPrefix;
      if (!dumpPrefix.empty() && groups.size() > 1)
        dumpPrefix += "." + std::to_string(i);
      threads.async([&group, &target, dumpPrefix] {
        if (failed(compileModule(*group.code, target, group.object, dumpPrefix, group.error)) &&
            group.error.empty())
          group.error = "cannot compile the kernels";
      });
    }
    threads.wait();
  }
  lap(times.compilation);

  std::string error;
  std::vector<std::string> objects;
  for (Group &group : groups) {
    objects.push_back(group.object);
    if (error.empty())
      error = group.error;
  }
  if (error.empty())
    linkSharedObject(objects, path, error);
  for (const std::string &object : objects)
    llvm::sys::fs::remove(object);
  lap(times.linking);
  if (options.times)
    *options.times = times;
  if (!error.empty())
    return module.emitError(error);
  return success();
}

} // namespace smelt
