//===- EmitCPUObject.h - Lowered kernels to a shared object -----*- C++ -*-===//
#ifndef SMELT_COMPILER_TARGET_CPU_EMITCPUOBJECT_H
#define SMELT_COMPILER_TARGET_CPU_EMITCPUOBJECT_H

#include "compiler/Target/CPU/CPUTarget.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/LLVM.h"

namespace smelt {

/// Where the time of emitCPUObject went, in seconds, and on how much.
struct CPUEmissionTimes {
  double lowering = 0, compilation = 0, linking = 0;
  size_t kernels = 0;  ///< That differ in more than name.
  size_t compiled = 0; ///< Of these; the others were in the cache.
  double total() const { return lowering + compilation + linking; }
};

struct CPUEmissionOptions {
  /// If not empty, the optimised LLVM IR and the assembly are written to `<dumpPrefix>.ll` and `.s`
  /// (`<dumpPrefix>.<kernel>.ll` … for many kernels). Then all are compiled.
  std::string dumpPrefix;
  /// The folder of an ObjectCache; empty: none.
  std::string cache = {};
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
/// bytes, from the cache or not. Errors are reported at the module.
mlir::LogicalResult emitCPUObject(mlir::ModuleOp module, const CPUTarget &target,
                                  llvm::StringRef path, const CPUEmissionOptions &options = {});

} // namespace smelt
#endif
