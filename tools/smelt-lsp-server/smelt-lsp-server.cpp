//===- smelt-lsp-server.cpp - Language server for .mlir files of Smelt ----===//
#include "tools/smelt-opt/RegisterEverything.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  smelt::registerDialects(registry);
  smelt::registerPasses();
  return mlir::failed(mlir::MlirLspServerMain(argc, argv, registry));
}
