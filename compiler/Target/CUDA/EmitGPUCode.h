//===- EmitGPUCode.h - GPU functions to PTX and cubin -----------*- C++ -*-===//
#ifndef SMELT_COMPILER_TARGET_CUDA_EMITGPUCODE_H
#define SMELT_COMPILER_TARGET_CUDA_EMITGPUCODE_H

#include "compiler/Target/CUDA/GPUTarget.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/LLVM.h"
#include <string>
#include <vector>

namespace smelt {

/// What ptxas -v says of one kernel.
struct GPUKernelResources {
  std::string symbol;
  int64_t registers = 0, stackBytes = 0, spillBytes = 0, sharedBytes = 0;
};

struct GPUCode {
  std::string ptx;
  std::string cubin; ///< Empty where no ptxas was found: the driver compiles the PTX then.
  std::string log;   ///< What ptxas -v said.
  std::vector<GPUKernelResources> resources; ///< Of the cubin.
  std::vector<std::string> notes;            ///< What else ptxas had to say (serialised wgmma …).
};

struct GPUEmissionOptions {
  /// If not empty, `<dumpPrefix>.mlir`, `.ll` and `.ptx` are written.
  std::string dumpPrefix;
  /// The ptxas to run; empty: PATH, then CUDA's usual places. "none": make PTX only.
  std::string ptxas;
  /// A folder with code that was made before (ObjectCache.h); empty, or with a dump: all is made.
  std::string cache;
};

void registerGPUTargetDialects(mlir::DialectRegistry &registry);

/// Lowers `module` (llvm.func kernels of nvvm, scf, cf, arith and llvm ops) in place and generates its
/// code for `target`. Errors are reported at the module.
mlir::LogicalResult emitGPUCode(mlir::ModuleOp module, const GPUTarget &target, GPUCode &code,
                                const GPUEmissionOptions &options = {});

/// Runs ptxas on `code.ptx`; `error` says why there is no cubin.
bool assemble(const GPUTarget &target, const std::string &ptxas, GPUCode &code,
              std::string &error);
/// `code.log` to `code.resources` and `code.notes`.
void parseLog(GPUCode &code);
/// What ptxas --version says; empty if it says nothing.
std::string identifyPtxas(const std::string &ptxas);
/// The ptxas of this machine, or empty.
std::string findPtxas();

} // namespace smelt
#endif
