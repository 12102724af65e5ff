//===- LowerKernelsToGPU.h - Outlined kernels to GPU functions --*- C++ -*-===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_LOWERKERNELSTOGPU_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_LOWERKERNELSTOGPU_H

#include "compiler/Conversion/KernelToGPU/GPULaunch.h"
#include "compiler/Conversion/KernelToGPU/GPUProduct.h"
#include "compiler/Target/CUDA/GPUTarget.h"
#include "dialects/Kernel/KernelOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Pass/Pass.h"
#include "llvm/ADT/StringMap.h"

namespace smelt {

/// Null if a region with `op` can run on a GPU, else why not. For fusion's remarks.
llvm::StringRef whyNotGPURowOp(mlir::Operation *op);

/// Why the Hopper generator would not take this GEMM with its regions, whatever addresses and
/// formats its operands get; empty if it would. For fusion.
std::string whyNotHopperGemm(mlir::kernel::GemmOp op);

/// The same for attention.
std::string whyNotHopperAttention(mlir::kernel::AttentionOp op);
/// Why attention on Hopper does not load keys (or q, v) with this shift; empty if it does.
std::string whyNotHopperShift(mlir::lm::TokenShiftOp shift, bool isKey);

/// The code of all kernels of a module.
struct GPUKernels {
  mlir::OwningOpRef<mlir::ModuleOp> module;         ///< llvm.func kernels, ready for emitGPUCode.
  llvm::StringMap<std::vector<GPULaunch>> launches; ///< By name of the outlined function.
  llvm::StringMap<GPUProduct> products;             ///< Likewise: those that are plain products.
};

/// By name of the outlined function: for each of its buffers, what divides its address in all
/// launches.
using GPUAlignments = llvm::StringMap<llvm::SmallVector<int64_t>>;

/// Emits every outlined kernel function of `module`, which is not changed; its `kernel.workspace`
/// attributes must be set. None, with errors at the ops, if one cannot be lowered.
std::optional<GPUKernels> lowerKernelsToGPU(mlir::ModuleOp module, const GPUTarget &target,
                                            const GPUAlignments &alignments = {});

class GPUEmission;
/// Why the kernel, a product or attention, runs on the generic path; empty for all others.
std::string whyNotFastPath(const GPUEmission &emission);

/// On an outlined kernel function: why its product or attention does not run on the GPU's fast
/// path.
inline constexpr llvm::StringLiteral genericAttribute = "smelt.generic";

/// Sets `kernel.workspace` on each outlined kernel function that wants a workspace on the GPU
/// `chip`, by emitting it, and `smelt.generic` where the fast generators do not take it.
std::unique_ptr<mlir::Pass> createPlanGPUWorkspacePass(std::string chip = "sm_90a",
                                                       bool remarks = false);
/// Replaces the module's outlined kernel functions by their GPU code, for tests: the launches are
/// printed as an attribute `smelt.launches` on each first function.
std::unique_ptr<mlir::Pass> createKernelToGPUPass(std::string chip = "sm_90a");
void registerKernelToGPUPasses();

} // namespace smelt
#endif
