//===- EmitCPUObject.cpp - Kernels to a shared object, in parallel ----------===//
//
// Kernels do not know each other, so that each is compiled by itself, as a nested module: the pass
// manager lowers these in parallel, each then has an LLVM context of its own, and a kernel that was
// compiled before, for whatever model, comes from the cache. Its object knows the kernel by a hash
// of its text; the linker gives it the name that it has in this module.
//
//===----------------------------------------------------------------------===//
#include "compiler/Target/CPU/EmitCPUObject.h"
#include "compiler/Target/CPU/CompileModule.h"
#include "compiler/Target/CPU/LinkSharedObject.h"
#include "compiler/Target/CPU/ObjectCache.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SHA256.h"
#include "llvm/Support/ThreadPool.h"
#include <chrono>

using namespace mlir;

namespace smelt {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string hash(llvm::StringRef text) {
  return llvm::toHex(llvm::SHA256::hash(llvm::arrayRefFromStringRef(text)), /*LowerCase=*/true);
}

/// One nested module on its way through LLVM.
struct Unit {
  ModuleOp module;
  std::string text;               ///< What `module` was before it was lowered.
  std::vector<std::string> names; ///< What its kernel is called; none: as in `module`.
  std::string symbol;             ///< What its object calls the kernel.
  std::string object, key, error;
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code;
};

using Units = llvm::MapVector<llvm::StringRef, std::unique_ptr<Unit>>;

/// True if some function calls another one that has a body: such modules stay whole.
bool hasInternalCalls(ModuleOp module) {
  bool found = false;
  module.walk([&](func::CallOp call) {
    auto callee = module.lookupSymbol<func::FuncOp>(call.getCallee());
    found |= callee && !callee.isDeclaration();
  });
  return found;
}

/// Moves `function` into a module of its own, with the declarations and the constant tables that it
/// uses; all have names there that do not depend on what else the first module holds.
ModuleOp takeOut(func::FuncOp function, ModuleOp from) {
  OpBuilder b(from.getBodyRegion());
  b.setInsertionPointToEnd(from.getBody());
  auto unit = ModuleOp::create(b, from.getLoc());
  b.setInsertionPointToEnd(unit.getBody());
  llvm::MapVector<StringAttr, StringAttr> tables;
  function.walk([&](Operation *op) {
    if (auto call = dyn_cast<func::CallOp>(op)) {
      if (!unit.lookupSymbol(call.getCallee()))
        b.clone(*from.lookupSymbol(call.getCallee()));
    } else if (auto use = dyn_cast<memref::GetGlobalOp>(op)) {
      StringAttr &name = tables[use.getNameAttr().getAttr()];
      if (!name) {
        auto table = cast<memref::GlobalOp>(b.clone(*from.lookupSymbol(use.getName())));
        name = b.getStringAttr("table_" + llvm::Twine(tables.size() - 1));
        table.setSymName(name);
      }
      use.setNameAttr(FlatSymbolRefAttr::get(name));
    }
  });
  function->moveBefore(unit.getBody(), unit.getBody()->end());
  function.setSymName("kernel");
  return unit;
}

std::string printed(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream out(text);
  module.print(out, OpPrintingFlags().useLocalScope());
  return text;
}

/// Leaves nothing in `module` but the units, one for each kernel; kernels that differ only in name
/// are one unit.
void splitIntoUnits(ModuleOp module, Units &units) {
  auto add = [&](ModuleOp nested, std::string text) -> Unit & {
    auto unit = std::make_unique<Unit>();
    unit->module = nested;
    unit->text = std::move(text);
    unit->symbol = "kernel_" + hash(unit->text).substr(0, 32);
    Unit &added = *unit;
    units.insert({added.text, std::move(unit)});
    return added;
  };
  if (hasInternalCalls(module)) {
    OpBuilder b(module.getContext());
    auto whole = ModuleOp::create(b, module.getLoc());
    whole.getBody()->getOperations().splice(whole.getBody()->end(),
                                            module.getBody()->getOperations());
    module.push_back(whole);
    add(whole, printed(whole));
    return;
  }
  for (auto function : llvm::make_early_inc_range(module.getOps<func::FuncOp>())) {
    if (function.isDeclaration())
      continue;
    std::string name = function.getSymName().str();
    ModuleOp nested = takeOut(function, module);
    std::string text = printed(nested);
    auto known = units.find(text);
    if (known != units.end()) {
      known->second->names.push_back(name);
      nested.erase();
      continue;
    }
    Unit &unit = add(nested, std::move(text));
    unit.names.push_back(name);
    function.setSymName(unit.symbol);
  }
  for (Operation &op : llvm::make_early_inc_range(*module.getBody()))
    if (!isa<ModuleOp>(op))
      op.erase();
}

/// The object of a unit that is in `code` by now: compiled, written and kept.
void compileUnit(Unit &unit, const CPUTarget &target, const std::string &dumpPrefix,
                 const ObjectCache &cache) {
  if (failed(compileModule(*unit.code, target, unit.object, dumpPrefix, unit.error))) {
    if (unit.error.empty())
      unit.error = "cannot compile the kernels";
    return;
  }
  if (unit.key.empty())
    return;
  if (auto object = llvm::MemoryBuffer::getFile(unit.object, false, false))
    cache.keep(unit.key, (*object)->getBuffer());
}

/// True if the unit's object was in the cache; it is written then.
bool takeFromCache(Unit &unit, const ObjectCache &cache) {
  std::optional<std::string> object = cache.find(unit.key);
  if (!object)
    return false;
  std::error_code error;
  llvm::raw_fd_ostream out(unit.object, error);
  if (error)
    return false; // The compilation will say so.
  out << *object;
  out.close();
  bool written = !out.has_error();
  out.clear_error();
  return written;
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

  Units units;
  splitIntoUnits(module, units);
  // A dump shows what is compiled, so it asks for all of it.
  std::string compiler =
      options.cache.empty() || !options.dumpPrefix.empty() ? "" : identifyCompiler();
  ObjectCache cache(compiler.empty() ? "" : options.cache);
  std::vector<Unit *> missing;
  for (auto [i, entry] : llvm::enumerate(units)) {
    Unit &unit = *entry.second;
    unit.object = (path + "." + Twine(i) + ".o").str();
    if (!compiler.empty())
      unit.key = hash(unit.text + "\n" + compiler + target.name + " " + target.level + " " +
                      std::to_string(target.lanes));
    if (!unit.key.empty() && takeFromCache(unit, cache))
      unit.module.erase();
    else
      missing.push_back(&unit);
  }

  PassManager passes(module.getContext());
  buildLowerToLLVMPipeline(passes.nest<ModuleOp>());
  if (failed(passes.run(module)))
    return module.emitError("cannot lower the kernels to the llvm dialect");
  for (Unit *unit : missing) {
    unit->code = translateModuleToLLVMIR(unit->module, unit->context, "smelt-kernels");
    if (!unit->code)
      return module.emitError("cannot translate the kernels to LLVM IR");
  }
  lap(times.lowering);

  {
    llvm::DefaultThreadPool threads(llvm::hardware_concurrency());
    for (Unit *unit : missing) {
      std::string dumpPrefix = options.dumpPrefix;
      if (!dumpPrefix.empty() && units.size() > 1)
        dumpPrefix += "." + unit->names.front();
      threads.async([&, unit, dumpPrefix] { compileUnit(*unit, target, dumpPrefix, cache); });
    }
    threads.wait();
  }
  if (!missing.empty())
    cache.prune();
  lap(times.compilation);

  std::string error;
  std::vector<std::string> objects;
  std::vector<SymbolAlias> aliases;
  for (auto &[text, unit] : units) {
    objects.push_back(unit->object);
    for (const std::string &name : unit->names)
      aliases.push_back({name, unit->symbol});
    if (error.empty())
      error = unit->error;
  }
  if (error.empty())
    linkSharedObject(objects, aliases, path, error);
  for (const std::string &object : objects)
    llvm::sys::fs::remove(object);
  lap(times.linking);
  times.kernels = units.size();
  times.compiled = missing.size();
  if (options.times)
    *options.times = times;
  if (!error.empty())
    return module.emitError(error);
  return success();
}

} // namespace smelt
