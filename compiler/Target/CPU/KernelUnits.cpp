//===- KernelUnits.cpp - A module's kernels, one by one -------------------===//
#include "compiler/Target/CPU/KernelUnits.h"
#include "compiler/Target/ObjectCache.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;

namespace smelt {
namespace {

bool hasInternalCalls(ModuleOp module) {
  bool found = false;
  module.walk([&](func::CallOp call) {
    auto callee = module.lookupSymbol<func::FuncOp>(call.getCallee());
    found |= callee && !callee.isDeclaration();
  });
  return found;
}

ModuleOp nestAll(ModuleOp module) {
  OpBuilder b(module.getContext());
  auto whole = ModuleOp::create(b, module.getLoc());
  whole.getBody()->getOperations().splice(whole.getBody()->end(),
                                          module.getBody()->getOperations());
  module.push_back(whole);
  return whole;
}

/// Moves `function` into a module of its own, as @kernel, with what it uses of `from`; tables are
/// counted anew.
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

std::string hashModule(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream out(text);
  module.print(out, OpPrintingFlags().useLocalScope());
  return hashText(text);
}

} // namespace

std::vector<KernelUnit> splitIntoUnits(ModuleOp module) {
  if (hasInternalCalls(module)) {
    ModuleOp whole = nestAll(module);
    return {{whole, hashModule(whole), "", {}}};
  }
  std::vector<KernelUnit> units;
  llvm::StringMap<size_t> known; // By hash.
  for (auto function : llvm::make_early_inc_range(module.getOps<func::FuncOp>())) {
    if (function.isDeclaration())
      continue;
    std::string name = function.getSymName().str();
    ModuleOp nested = takeOut(function, module);
    std::string hash = hashModule(nested);
    auto [place, isNew] = known.try_emplace(hash, units.size());
    if (isNew) {
      units.push_back({nested, hash, "kernel_" + hash, {name}});
      function.setSymName(units.back().symbol);
    } else {
      units[place->second].names.push_back(name);
      nested.erase();
    }
  }
  for (Operation &op : llvm::make_early_inc_range(*module.getBody()))
    if (!isa<ModuleOp>(op))
      op.erase(); // Declarations and tables.
  return units;
}

} // namespace smelt
