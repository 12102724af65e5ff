//===- WithoutGPU.cpp - The public functions of a build without GPU code --===//
//
// Built in place of the generators with SMELT_CUDA=OFF: what other folders call of this one and of
// compiler/Target/CUDA. GPUTarget::get knows no GPU then, so tools stop there, with a reason.
// test/compiler/Conversion/KernelToGPU checks that no function is missing here.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/LowerKernelsToGPU.h"
#include "compiler/Target/CUDA/EmitGPUCode.h"

using namespace mlir;

namespace smelt {
namespace {

/// Fails with GPUTarget::get's reason.
struct NoGPUPass : PassWrapper<NoGPUPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(NoGPUPass)

  explicit NoGPUPass(std::string chip) : chip(std::move(chip)) {}
  StringRef getArgument() const final { return "smelt-no-gpu"; }
  StringRef getDescription() const final { return "Says that there are no GPU code generators"; }

  void runOnOperation() override {
    std::string why;
    GPUTarget::get(chip, why);
    getOperation().emitError(why);
    signalPassFailure();
  }

  std::string chip;
};

} // namespace

llvm::StringRef whyNotGPURowOp(Operation *) { return "there are no GPU code generators"; }

std::string whyNotHopperGemm(kernel::GemmOp) { return ""; }
std::string whyNotHopperAttention(kernel::AttentionOp) { return ""; }
std::string whyNotHopperShift(lm::TokenShiftOp, bool) { return ""; }

std::optional<GPUKernels> lowerKernelsToGPU(ModuleOp module, const GPUTarget &target,
                                            const GPUAlignments &) {
  std::string why;
  GPUTarget::get(target.chip, why);
  module.emitError(why);
  return std::nullopt;
}

std::unique_ptr<Pass> createPlanGPUWorkspacePass(std::string chip, bool) {
  return std::make_unique<NoGPUPass>(std::move(chip));
}

std::unique_ptr<Pass> createKernelToGPUPass(std::string chip) {
  return std::make_unique<NoGPUPass>(std::move(chip));
}

void registerKernelToGPUPasses() {}

void registerGPUTargetDialects(DialectRegistry &) {}

LogicalResult emitGPUCode(ModuleOp module, const GPUTarget &target, GPUCode &,
                          const GPUEmissionOptions &) {
  std::string why;
  GPUTarget::get(target.chip, why);
  return module.emitError(why);
}

} // namespace smelt
