//===- EmitCPUObject.h - Lowered kernels to a shared object -----*- C++ -*-===//
#ifndef SMELT_COMPILER_TARGET_CPU_EMITCPUOBJECT_H
#define SMELT_COMPILER_TARGET_CPU_EMITCPUOBJECT_H

#include "compiler/Target/CPU/CPUTarget.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/LLVM.h"

namespace smelt {

/// Where the time of emitCPUObject went, in seconds.
struct CPUEmissionTimes {
  double lowering = 0, compilation = 0, linking = 0;
  double total() const { return lowering + compilation + linking; }
};

struct CPUEmissionOptions {
  /// If not empty, the optimised LLVM IR and the assembly are written to `<dumpPrefix>.ll` and `.s`
  /// (`<dumpPrefix>.0.ll` … for many kernels, which are compiled in groups).
  std::string dumpPrefix;
  /// If not null, receives the times.
  CPUEmissionTimes *times = nullptr;
};

/// Appends the passes that take func/scf/vector/memref/math/arith/omp to the llvm dialect.
void buildLowerToLLVMPipeline(mlir::OpPassManager &passes);

/// Replaces f32 exp, log and tanh (scalars and vectors) by polynomials, so that no call is left in
/// a vector loop.
std::unique_ptr<mlir::Pass> createApproximateMathPass();

/// Makes the context able to translate what buildLowerToLLVMPipeline leaves.
void registerCPUTargetDialects(mlir::DialectRegistry &registry);

/// Lowers `module` (its functions, already in upstream dialects) in place, compiles it for `target`
/// and links the shared object `path`, which needs libomp. The same module and target give the same
/// bytes. Errors are reported at the module.
mlir::LogicalResult emitCPUObject(mlir::ModuleOp module, const CPUTarget &target,
                                  llvm::StringRef path, const CPUEmissionOptions &options = {});

} // namespace smelt
#endif
