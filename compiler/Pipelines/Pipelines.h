//===- Pipelines.h - The named phases as pass pipelines ---------*- C++ -*-===//
//
// spec → lm → train → kernel → exec → bundle. The importer makes `lm`; each function here takes a
// module from one phase to the next; compiler/Target/Bundle writes the bundle. Also registered for
// smelt-opt as --smelt-to-train, --smelt-to-kernel, --smelt-to-exec.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_PIPELINES_PIPELINES_H
#define SMELT_COMPILER_PIPELINES_PIPELINES_H

#include "mlir/Pass/PassManager.h"
#include <string>

namespace smelt {

/// What a user can choose; every field has the default of a plain `smelt compile`.
struct PipelineOptions {
  /// Off: one lm op per kernel, nothing fused. For fused-versus-unfused tests and benchmarks.
  bool fuse = true;
  /// Where tensor cores multiply: norms as factors of the rows of the products that read them.
  bool normFactors = true;
  /// "host", or LLVM's name of the CPU that kernels are planned for.
  std::string cpu = "host";
  /// How values are stored between kernels: "f32" or "bf16"; empty: bf16 on GPUs, f32 on the CPU.
  std::string activations;
  /// "sm_90a" …: the GPU that kernels are planned for instead; empty: the CPU.
  std::string gpu;
  /// Processes that share each step.
  int64_t ranks = 1;
  /// Emit a remark, at its place in the spec, for every fusion that was refused.
  bool remarks = false;
};

/// The storage between kernels that the options mean.
std::string getActivations(const PipelineOptions &options);

/// lm → train: canonical form, gradients, optimiser programs.
void buildToTrainPipeline(mlir::OpPassManager &passes, const PipelineOptions &options);
/// train → kernel: one op per launch, tricks fused into their neighbours, kernels outlined.
void buildToKernelPipeline(mlir::OpPassManager &passes, const PipelineOptions &options);
/// kernel → exec: buffers at fixed offsets, programs of launches.
void buildToExecPipeline(mlir::OpPassManager &passes, const PipelineOptions &options);

/// The pipeline whose result is `phase` ("train", "kernel" or "exec"); false for other names.
bool buildPhasePipeline(mlir::OpPassManager &passes, llvm::StringRef phase,
                        const PipelineOptions &options);

/// Makes the pipelines above known to smelt-opt.
void registerPipelines();

} // namespace smelt
#endif
