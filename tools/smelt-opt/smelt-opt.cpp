//===- smelt-opt.cpp - mlir-opt with Smelt's dialects, passes and pipelines ===//
#include "tools/smelt-opt/RegisterEverything.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  smelt::registerDialects(registry);
  smelt::registerPasses();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "Smelt optimizer driver\n", registry));
}
