//===- PrintImport.cpp - Prints the module of a spec ----------------------===//
#include "compiler/Import/Grammar.h"
#include "compiler/Import/Import.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"
#include <cstring>

int main(int argc, char **argv) {
  mlir::MLIRContext context;
  llvm::SourceMgr sourceMgr;
  mlir::SourceMgrDiagnosticHandler handler(sourceMgr, &context, llvm::errs());
  smelt::ImportOptions options;
  options.sourceMgr = &sourceMgr;
  const char *path = nullptr;
  bool locations = false, quiet = false;
  for (int i = 1; i < argc; ++i) {
    if (!std::strcmp(argv[i], "--set") && i + 1 < argc)
      options.overrides.push_back(argv[++i]);
    else if (!std::strcmp(argv[i], "--precision") && i + 1 < argc)
      options.precision = argv[++i];
    else if (!std::strcmp(argv[i], "--locations"))
      locations = true;
    else if (!std::strcmp(argv[i], "--schema")) {
      llvm::outs() << smelt::printSchema();
      return 0;
    } else if (!std::strcmp(argv[i], "--overlay-schema")) {
      llvm::outs() << smelt::printOverlaySchema();
      return 0;
    } else if (!std::strcmp(argv[i], "--quiet"))
      quiet = true;
    else
      path = argv[i];
  }
  if (!path) {
    llvm::errs() << "usage: smelt-import SPEC [--set KEY=VALUE]… [--precision spec|f32] "
                    "[--locations] [--quiet]\n";
    return 2;
  }
  mlir::OwningOpRef<mlir::ModuleOp> module = smelt::importSpec(context, path, options);
  if (!module)
    return 3;
  mlir::OpPrintingFlags flags;
  flags.enableDebugInfo(locations, /*prettyForm=*/true);
  if (!quiet)
    module->print(llvm::outs(), flags);
  return 0;
}
