//===- LowerKernelsToCPU.cpp - The two passes -------------------------------===//
//
//   func.func private @kernel_0(%a: tensor<64x32xf32>, …) -> tensor<64x96xf32> attributes
//   {kernel.workspace = 12288 : i64} {
//     %0 = kernel.gemm …
//     return %0
//   }
// becomes
//   func.func @smelt_kernel_0(%buffers: !llvm.ptr) { … omp, scf, vector … }
// whose buffers are the arguments, the results and the workspace.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToCPU/LowerKernelsToCPU.h"
#include "compiler/Conversion/KernelToCPU/EmitKernels.h"
#include "compiler/Conversion/OutlinedKernel.h"
#include "compiler/Target/CPU/EmitCPUObject.h"

using namespace mlir;

namespace smelt {
namespace {

/// Null if the function's results are the kernel's, each once; else why not.
const char *whyNotNative(func::FuncOp function, Operation *kernel) {
  llvm::SmallPtrSet<Value, 4> seen;
  for (Value value : function.getBody().front().getTerminator()->getOperands()) {
    if (value.getDefiningOp() != kernel)
      return "returns a value that its kernel does not compute";
    if (!seen.insert(value).second)
      return "returns a value twice";
  }
  if (seen.size() != kernel->getNumResults())
    return "leaves out a result of its kernel";
  return nullptr;
}

LogicalResult lowerKernel(func::FuncOp function, Operation *kernel, const CPUTarget &target,
                          ModuleOp into) {
  if (const char *why = whyNotNative(function, kernel))
    return function.emitError("outlined kernel ") << why;
  int64_t workspace = getWorkspaceBytes(kernel, target);
  if (workspace != getPlannedWorkspace(function))
    return function.emitError("kernel.workspace is ")
           << getPlannedWorkspace(function) << " but the kernel wants " << workspace
           << " bytes: run smelt-plan-cpu-workspace for the same CPU";
  KernelFunction native(into, function, kernel, target, workspace);
  if (failed(emitKernel(kernel, native)))
    return failure();
  native.finish();
  return success();
}

std::optional<CPUTarget> getTarget(Operation *op, const std::string &cpu) {
  std::string why;
  std::optional<CPUTarget> target = CPUTarget::get(cpu, why);
  if (!target)
    op->emitError(why);
  return target;
}

struct PlanCPUWorkspacePass : PassWrapper<PlanCPUWorkspacePass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PlanCPUWorkspacePass)
  PlanCPUWorkspacePass() = default;
  PlanCPUWorkspacePass(const PlanCPUWorkspacePass &other) : PassWrapper(other) {}
  Option<std::string> cpu{*this, "cpu", llvm::cl::desc("CPU to plan for"), llvm::cl::init("host")};
  StringRef getArgument() const final { return "smelt-plan-cpu-workspace"; }
  StringRef getDescription() const final {
    return "Set kernel.workspace, the bytes of workspace of each outlined kernel on a CPU";
  }
  void runOnOperation() final {
    std::optional<CPUTarget> target = getTarget(getOperation(), cpu);
    if (!target)
      return signalPassFailure();
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (Operation *kernel = getOutlinedKernel(function))
        setPlannedWorkspace(function, getWorkspaceBytes(kernel, *target));
    }
  }
};

struct KernelToCPUPass : PassWrapper<KernelToCPUPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(KernelToCPUPass)
  KernelToCPUPass() = default;
  KernelToCPUPass(const KernelToCPUPass &other) : PassWrapper(other) {}
  Option<std::string> cpu{*this, "cpu", llvm::cl::desc("CPU to generate code for"),
                          llvm::cl::init("host")};
  StringRef getArgument() const final { return "smelt-kernel-to-cpu"; }
  StringRef getDescription() const final {
    return "Lower outlined kernels to native functions in upstream dialects";
  }
  void getDependentDialects(DialectRegistry &registry) const final {
    registerCPUTargetDialects(registry);
  }
  void runOnOperation() final {
    ModuleOp module = getOperation();
    std::optional<CPUTarget> target = getTarget(module, cpu);
    if (!target)
      return signalPassFailure();
    OwningOpRef<ModuleOp> lowered = lowerKernelsToCPU(module, *target);
    if (!lowered)
      return signalPassFailure();
    for (auto function : llvm::make_early_inc_range(module.getOps<func::FuncOp>()))
      if (getOutlinedKernel(function) && SymbolTable::symbolKnownUseEmpty(function, module))
        function.erase();
    module.getBody()->getOperations().splice(module.getBody()->end(),
                                             lowered->getBody()->getOperations());
  }
};

} // namespace

OwningOpRef<ModuleOp> lowerKernelsToCPU(ModuleOp module, const CPUTarget &target) {
  OwningOpRef<ModuleOp> lowered = ModuleOp::create(module.getLoc());
  bool good = true;
  for (auto function : module.getOps<func::FuncOp>())
    if (Operation *kernel = getOutlinedKernel(function))
      good &= succeeded(lowerKernel(function, kernel, target, *lowered));
  return good ? std::move(lowered) : OwningOpRef<ModuleOp>();
}

std::unique_ptr<Pass> createPlanCPUWorkspacePass(std::string cpu) {
  auto pass = std::make_unique<PlanCPUWorkspacePass>();
  pass->cpu = std::move(cpu);
  return pass;
}

std::unique_ptr<Pass> createKernelToCPUPass(std::string cpu) {
  auto pass = std::make_unique<KernelToCPUPass>();
  pass->cpu = std::move(cpu);
  return pass;
}

void registerKernelToCPUPasses() {
  registerPass([] { return createPlanCPUWorkspacePass(); });
  registerPass([] { return createKernelToCPUPass(); });
}

} // namespace smelt
