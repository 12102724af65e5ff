//===- LowerKernelsToGPU.cpp - Outlined kernels to GPU functions ----------===//
//
//   func.func private @kernel_0(%a: tensor<64x32xf32>, …) -> tensor<64x96xf32> {
//     %0 = kernel.gemm …
//     return %0
//   }
// becomes
//   llvm.func @smelt_kernel_0(%a: !llvm.ptr<1>, …) attributes {nvvm.kernel, …} { … }
// and, where a kernel takes more than one launch, @smelt_kernel_0_1 … beside it.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/LowerKernelsToGPU.h"
#include "compiler/Conversion/KernelToGPU/EmitKernels.h"
#include "compiler/Conversion/KernelToGPU/JoinFunctions.h"
#include "compiler/Conversion/KernelToGPU/PlainProduct.h"
#include "compiler/Conversion/OutlinedKernel.h"
#include "compiler/Target/CUDA/EmitGPUCode.h"

using namespace mlir;

namespace smelt {
namespace {

/// What all kernels of an outlined function come to.
struct EmittedFunction {
  std::vector<GPULaunch> launches;
  int64_t workspaceBytes = 0;
  std::string generic;               ///< Why one of them does not run on the fast path.
  std::optional<GPUProduct> product; ///< If that is all that the function computes.
};

FailureOr<EmittedFunction> emitFunction(ModuleOp module, func::FuncOp function,
                                        ArrayRef<Operation *> kernels, const GPUTarget &target,
                                        ArrayRef<int64_t> alignments = {}) {
  EmittedFunction emitted;
  std::optional<GPUEmission> before;
  for (Operation *kernel : kernels) {
    GPUEmission emission(module, function, kernel, target, alignments, before ? &*before : nullptr);
    if (failed(emitGPUKernel(emission)))
      return failure();
    emitted.launches = joinLaunches(module, std::move(emitted.launches), emission.getLaunches());
    emitted.workspaceBytes = emission.getWorkspaceBytes();
    if (std::string why = whyNotFastPath(emission); !why.empty())
      emitted.generic = why;
    std::string why;
    if (auto gemm = dyn_cast<kernel::GemmOp>(kernel); gemm && kernels.size() == 1)
      emitted.product = matchPlainProduct(gemm, emission, why);
    before.emplace(emission);
  }
  return emitted;
}

std::optional<GPUTarget> getTarget(Operation *op, const std::string &chip) {
  std::string why;
  std::optional<GPUTarget> target = GPUTarget::get(chip, why);
  if (!target)
    op->emitError(why);
  return target;
}

struct PlanGPUWorkspacePass : PassWrapper<PlanGPUWorkspacePass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PlanGPUWorkspacePass)
  PlanGPUWorkspacePass() = default;
  PlanGPUWorkspacePass(const PlanGPUWorkspacePass &other) : PassWrapper(other) {}
  Option<std::string> chip{*this, "chip", llvm::cl::desc("GPU to plan for"),
                           llvm::cl::init("sm_90a")};
  Option<bool> remarks{*this, "remarks",
                       llvm::cl::desc("Emit a remark for each kernel that does not run on the "
                                      "GPU's fast path"),
                       llvm::cl::init(false)};
  StringRef getArgument() const final { return "smelt-plan-gpu-workspace"; }
  StringRef getDescription() const final {
    return "Set kernel.workspace, the bytes of workspace of each outlined kernel on a GPU";
  }
  void getDependentDialects(DialectRegistry &registry) const final {
    registerGPUTargetDialects(registry);
  }
  void runOnOperation() final {
    std::optional<GPUTarget> target = getTarget(getOperation(), chip);
    if (!target)
      return signalPassFailure();
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      SmallVector<Operation *> kernels = getOutlinedKernels(function);
      if (kernels.empty())
        continue;
      // What the emitter asks for is what it needs: there is no second formula to keep true.
      OwningOpRef<ModuleOp> scratch = ModuleOp::create(function.getLoc());
      FailureOr<EmittedFunction> emitted = emitFunction(*scratch, function, kernels, *target);
      if (failed(emitted))
        return signalPassFailure();
      if (!emitted->generic.empty()) {
        function->setAttr(genericAttribute, StringAttr::get(&getContext(), emitted->generic));
        if (remarks)
          emitRemark(function.getLoc())
              << kernels.front()->getName() << " runs on the generic path: " << emitted->generic;
      }
      setPlannedWorkspace(function, emitted->workspaceBytes);
      setLaunchShapes(function, llvm::map_to_vector(emitted->launches, getShape));
    }
  }
};

struct KernelToGPUPass : PassWrapper<KernelToGPUPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(KernelToGPUPass)
  KernelToGPUPass() = default;
  KernelToGPUPass(const KernelToGPUPass &other) : PassWrapper(other) {}
  Option<std::string> chip{*this, "chip", llvm::cl::desc("GPU to generate code for"),
                           llvm::cl::init("sm_90a")};
  StringRef getArgument() const final { return "smelt-kernel-to-gpu"; }
  StringRef getDescription() const final { return "Lower outlined kernels to GPU functions"; }
  void getDependentDialects(DialectRegistry &registry) const final {
    registerGPUTargetDialects(registry);
  }
  void runOnOperation() final {
    ModuleOp module = getOperation();
    std::optional<GPUTarget> target = getTarget(module, chip);
    if (!target)
      return signalPassFailure();
    std::optional<GPUKernels> kernels = lowerKernelsToGPU(module, *target);
    if (!kernels)
      return signalPassFailure();
    for (auto function : llvm::make_early_inc_range(module.getOps<func::FuncOp>()))
      if (!getOutlinedKernels(function).empty() &&
          SymbolTable::symbolKnownUseEmpty(function, module))
        function.erase();
    module.getBody()->getOperations().splice(module.getBody()->end(),
                                             kernels->module->getBody()->getOperations());
  }
};

} // namespace

std::string whyNotHopperAttention(kernel::AttentionOp op) {
  if (op.getOutputs().size() > 1)
    return "the Hopper generator stores one tensor of attention";
  unsigned factors = 0;
  for (Operation &inner : op.getResult().front()) {
    auto scale = dyn_cast<lm::RowScaleOp>(inner);
    bool isFactor = scale && isa<BlockArgument>(scale.getG()) &&
                    cast<RankedTensorType>(scale.getX().getType()).getRank() == 3 && !factors++;
    if (!isFactor && !isa<lm::CastOp, lm::ReshapeOp, kernel::YieldOp>(inner))
      return "the Hopper generator stores attention as it is, or times a factor per head";
  }
  return "";
}

std::optional<GPUKernels> lowerKernelsToGPU(ModuleOp module, const GPUTarget &target,
                                            const GPUAlignments &alignments) {
  GPUKernels result;
  result.module = ModuleOp::create(module.getLoc());
  bool good = true;
  for (auto function : module.getOps<func::FuncOp>()) {
    SmallVector<Operation *> kernels = getOutlinedKernels(function);
    if (kernels.empty())
      continue;
    auto known = alignments.find(function.getSymName());
    FailureOr<EmittedFunction> emitted = emitFunction(
        *result.module, function, kernels, target,
        known == alignments.end() ? ArrayRef<int64_t>() : ArrayRef<int64_t>(known->second));
    if (failed(emitted)) {
      good = false;
      continue;
    }
    if (emitted->workspaceBytes > getPlannedWorkspace(function)) {
      function.emitError("kernel.workspace is ")
          << getPlannedWorkspace(function) << " but the kernel wants " << emitted->workspaceBytes
          << " bytes: run smelt-plan-gpu-workspace for the same GPU";
      good = false;
    }
    result.launches[function.getSymName()] = std::move(emitted->launches);
    if (emitted->product)
      result.products[function.getSymName()] = *emitted->product;
  }
  if (!good)
    return std::nullopt;
  return result;
}

std::unique_ptr<Pass> createPlanGPUWorkspacePass(std::string chip, bool remarks) {
  auto pass = std::make_unique<PlanGPUWorkspacePass>();
  pass->remarks = remarks;
  pass->chip = std::move(chip);
  return pass;
}

std::unique_ptr<Pass> createKernelToGPUPass(std::string chip) {
  auto pass = std::make_unique<KernelToGPUPass>();
  pass->chip = std::move(chip);
  return pass;
}

void registerKernelToGPUPasses() {
  registerPass([] { return createPlanGPUWorkspacePass(); });
  registerPass([] { return createKernelToGPUPass(); });
}

} // namespace smelt
