//===- Pipelines.cpp - The named phases as pass pipelines -----------------===//
#include "compiler/Pipelines/Pipelines.h"

#include "compiler/Conversion/KernelToCPU/LowerKernelsToCPU.h"
#include "compiler/Conversion/KernelToCPU/RowProgram.h"
#include "compiler/Conversion/KernelToExec/Passes.h"
#include "compiler/Conversion/KernelToGPU/LowerKernelsToGPU.h"
#include "compiler/Transforms/Autodiff/Passes.h"
#include "compiler/Transforms/Distribution/Passes.h"
#include "compiler/Transforms/Fusion/Passes.h"
#include "compiler/Transforms/Memory/Passes.h"
#include "compiler/Transforms/Optimizers/Passes.h"
#include "compiler/Transforms/Placement/Passes.h"
#include "compiler/Transforms/Precision/Passes.h"
#include "mlir/Pass/PassOptions.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

std::string smelt::getActivations(const PipelineOptions &options) {
  if (!options.activations.empty())
    return options.activations;
  return options.gpu.empty() ? "f32" : "bf16";
}

/// The GPU multiplies bf16 with tensor cores, which want operands as they lie in memory. What wgmma
/// takes, mma.sync takes, so programs are the same on all GPUs.
static bool usesTensorCores(const smelt::PipelineOptions &options) {
  return !options.gpu.empty() && smelt::getActivations(options) == "bf16";
}

void smelt::buildToTrainPipeline(OpPassManager &passes, const PipelineOptions &options) {
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
  passes.addPass(createAutodiffPass());
  passes.addPass(createExpandQuantizedMatmulPass());
  passes.addPass(createAccumulateGradientsPass());
  passes.addPass(createApplyOptimizersPass());
  DistributePassOptions distribution;
  distribution.ranks = options.ranks;
  passes.addPass(createDistributePass(distribution));
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
}

void smelt::buildToKernelPipeline(OpPassManager &passes, const PipelineOptions &options) {
  passes.addPass(createExpandElementwiseOptimizersPass());
  passes.addPass(createExpandMuonPass());
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
  OpPassManager &functions = passes.nest<func::FuncOp>();
  if (usesTensorCores(options)) {
    functions.addPass(createMoveScalesBehindProductsPass());
    functions.addPass(createTakeDotsOfMatricesPass());
  }
  functions.addPass(createFormKernelsPass());
  if (usesTensorCores(options)) {
    functions.addPass(createSumAttentionGradientsPass());
    if (options.normFactors && options.fuse)
      functions.addPass(createTakeNormsAsFactorsPass());
    functions.addPass(createCopyMatricesPass());
  }
  if (options.fuse) {
    FusionOptions fusion;
    fusion.whyNotRowOp = options.gpu.empty() ? whyNotRowProgram : whyNotGPURowOp;
    if (usesTensorCores(options)) {
      fusion.whyNotFastGemm = whyNotHopperGemm;
      fusion.whyNotFastAttention = whyNotHopperAttention;
      fusion.whyNotFastShift = whyNotHopperShift;
    }
    buildFusionPipeline(functions, fusion);
  }
  if (usesTensorCores(options))
    functions.addPass(createMarkSymmetricProductsPass());
  ChooseStoragePassOptions storage;
  storage.activations = getActivations(options);
  functions.addPass(createChooseStoragePass(storage));
  OutlineKernelsPassOptions outline;
  outline.remarks = options.remarks;
  passes.addPass(createOutlineKernelsPass(outline));
}

void smelt::buildToExecPipeline(OpPassManager &passes, const PipelineOptions &options) {
  passes.addPass(options.gpu.empty() ? createPlanCPUWorkspacePass(options.cpu)
                                     : createPlanGPUWorkspacePass(options.gpu, options.remarks));
  passes.addPass(createHoistSetupPass());
  passes.addPass(createBufferizeKernelsPass());
  passes.addPass(createSymbolDCEPass()); // Kernels that only reshape are no launches.
  SchedulePassOptions schedule;
  schedule.ranks = options.ranks;
  passes.addPass(createSchedulePass(schedule));
  // With ranks, placement moves launches one by one.
  if (!options.gpu.empty() && options.ranks == 1) {
    passes.addPass(createJoinLaunchesPass());
    passes.addPass(createSymbolDCEPass()); // Parts that no launch runs alone.
  }
  passes.addPass(createPlanMemoryPass());
  if (options.ranks > 1) {
    PlaceCollectivesPassOptions placement;
    placement.ranks = options.ranks;
    placement.gpu = options.gpu;
    passes.addPass(createPlaceCollectivesPass(placement));
  }
}

bool smelt::buildPhasePipeline(OpPassManager &passes, llvm::StringRef phase,
                               const PipelineOptions &options) {
  if (phase == "train")
    buildToTrainPipeline(passes, options);
  else if (phase == "kernel")
    buildToKernelPipeline(passes, options);
  else if (phase == "exec")
    buildToExecPipeline(passes, options);
  else
    return false;
  return true;
}

namespace {
struct PhaseOptions : PassPipelineOptions<PhaseOptions> {
  Option<bool> fuse{*this, "fuse",
                    llvm::cl::desc("Fuse ops into kernels; off: one lm op per kernel"),
                    llvm::cl::init(true)};
  Option<bool> normFactors{*this, "norm-factors",
                           llvm::cl::desc("Norms as factors of the rows of the products that read "
                                          "them, where tensor cores multiply"),
                           llvm::cl::init(true)};
  Option<std::string> cpu{*this, "cpu", llvm::cl::desc("CPU that kernels are planned for"),
                          llvm::cl::init("host")};
  Option<std::string> activations{*this, "activations",
                                  llvm::cl::desc("Storage between kernels: f32 or bf16 "
                                                 "(default: bf16 on GPUs, f32 on the CPU)")};
  Option<int64_t> ranks{*this, "ranks", llvm::cl::desc("Ranks of the job"), llvm::cl::init(1)};
  Option<std::string> gpu{*this, "gpu", llvm::cl::desc("GPU that kernels are planned for instead")};
};

void registerPhase(llvm::StringRef phase, llvm::StringRef description) {
  PassPipelineRegistration<PhaseOptions>(
      ("smelt-to-" + phase).str(), description,
      [phase](OpPassManager &passes, const PhaseOptions &options) {
        smelt::PipelineOptions chosen;
        chosen.fuse = options.fuse;
        chosen.normFactors = options.normFactors;
        chosen.cpu = options.cpu;
        chosen.activations = options.activations;
        chosen.gpu = options.gpu;
        chosen.ranks = options.ranks;
        smelt::buildPhasePipeline(passes, phase, chosen);
      });
}
} // namespace

void smelt::registerPipelines() {
  registerPhase("train", "lm to train: gradients and optimiser programs");
  registerPhase("kernel", "train to kernel: one op per launch");
  registerPhase("exec", "kernel to exec: buffers, programs, launches");
}
