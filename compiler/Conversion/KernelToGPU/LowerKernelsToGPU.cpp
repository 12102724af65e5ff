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
#include "compiler/Conversion/KernelToGPU/PlainProduct.h"
#include "compiler/Conversion/OutlinedKernel.h"
#include "compiler/Target/CUDA/EmitGPUCode.h"

using namespace mlir;

namespace smelt {
namespace {

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
      Operation *kernel = getOutlinedKernel(function);
      if (!kernel)
        continue;
      // What the emitter asks for is what it needs: there is no second formula to keep true.
      OwningOpRef<ModuleOp> scratch = ModuleOp::create(function.getLoc());
      GPUEmission emission(*scratch, function, kernel, *target);
      if (failed(emitGPUKernel(emission)))
        return signalPassFailure();
      if (std::string why = whyNotFastPath(emission); !why.empty()) {
        function->setAttr(genericAttribute, StringAttr::get(&getContext(), why));
        if (remarks)
          emitRemark(function.getLoc())
              << kernel->getName() << " runs on the generic path: " << why;
      }
      setPlannedWorkspace(function, emission.getWorkspaceBytes());
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
      if (getOutlinedKernel(function) && SymbolTable::symbolKnownUseEmpty(function, module))
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
    Operation *kernel = getOutlinedKernel(function);
    if (!kernel)
      continue;
    auto known = alignments.find(function.getSymName());
    GPUEmission emission(*result.module, function, kernel, target,
                         known == alignments.end() ? ArrayRef<int64_t>()
                                                   : ArrayRef<int64_t>(known->second));
    if (failed(emitGPUKernel(emission))) {
      good = false;
      continue;
    }
    if (emission.getWorkspaceBytes() > getPlannedWorkspace(function)) {
      function.emitError("kernel.workspace is ")
          << getPlannedWorkspace(function) << " but the kernel wants "
          << emission.getWorkspaceBytes()
          << " bytes: run smelt-plan-gpu-workspace for the same GPU";
      good = false;
    }
    result.launches[function.getSymName()] = emission.getLaunches();
    std::string why;
    if (auto gemm = dyn_cast<kernel::GemmOp>(kernel))
      if (std::optional<GPUProduct> product = matchPlainProduct(gemm, emission, why))
        result.products[function.getSymName()] = *product;
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
