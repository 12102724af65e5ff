//===- Passes.h - Kernel formation, fusion and outlining --------*- C++ -*-===//
#ifndef SMELT_COMPILER_TRANSFORMS_FUSION_PASSES_H
#define SMELT_COMPILER_TRANSFORMS_FUSION_PASSES_H

#include "compiler/Transforms/Fusion/FusionRules.h"
#include "dialects/Kernel/KernelOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

namespace smelt {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "compiler/Transforms/Fusion/Passes.h.inc"

std::unique_ptr<mlir::Pass> createFuseScalarsIntoUsersPass(const FusionOptions &options);
std::unique_ptr<mlir::Pass> createFuseTokenShiftIntoAttentionPass(const FusionOptions &options);
std::unique_ptr<mlir::Pass> createFuseRowwiseIntoGemmResultPass(const FusionOptions &options);
std::unique_ptr<mlir::Pass> createFuseRowwiseIntoAttentionResultPass(const FusionOptions &options);
std::unique_ptr<mlir::Pass> createFuseRowwiseIntoRowwisePass(const FusionOptions &options,
                                                             bool chainsOnly);
std::unique_ptr<mlir::Pass> createFuseRowwiseIntoGemmLoadPass(const FusionOptions &options);
std::unique_ptr<mlir::Pass>
createFuseRowwiseIntoEmbeddingBackwardPass(const FusionOptions &options);

/// From kernels of one op each (smelt-form-kernels) to as few as the rules allow; README.md tells
/// why in this order.
void buildFusionPipeline(mlir::OpPassManager &functions, const FusionOptions &options);

/// The pipeline `smelt-fuse-kernels`: form, fuse, outline.
void registerFusionPipelines();
} // namespace smelt

#endif
