//===- FusionPipeline.cpp - The fusion passes in order --------------------===//
#include "compiler/Transforms/Fusion/Passes.h"

#include "mlir/Transforms/Passes.h"

using namespace mlir;

void smelt::buildFusionPipeline(OpPassManager &functions, const FusionOptions &options) {
  functions.addPass(createFuseScalarsIntoUsersPass(options));
  functions.addPass(createFuseTokenShiftIntoAttentionPass(options));
  functions.addPass(createFuseRowwiseIntoRowwisePass(options, /*chainsOnly=*/true));
  // Twice: rows that were computed in loads bring their readers next to other producers.
  for (int round = 0; round < 2; ++round) {
    functions.addPass(createFuseRowwiseIntoGemmResultPass(options));
    functions.addPass(createFuseRowwiseIntoAttentionResultPass(options));
    functions.addPass(createFuseRowwiseIntoRowwisePass(options, /*chainsOnly=*/round == 0));
    functions.addPass(createFuseRowwiseIntoGemmLoadPass(options));
    functions.addPass(createFuseRowwiseIntoEmbeddingBackwardPass(options));
  }
  functions.addPass(createCSEPass());
}

void smelt::registerFusionPipelines() {
  PassPipelineRegistration<>(
      "smelt-fuse-kernels",
      "Form kernels, fuse them for a target that can run every region, outline them",
      [](OpPassManager &manager) {
        OpPassManager &functions = manager.nest<func::FuncOp>();
        functions.addPass(createFormKernelsPass());
        buildFusionPipeline(functions, FusionOptions());
        manager.addPass(createOutlineKernelsPass());
      });
}
