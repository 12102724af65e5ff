//===- Passes.td - Kernel formation, fusion and outlining ----------------===//
#ifndef SMELT_FUSION_PASSES
#define SMELT_FUSION_PASSES

include "mlir/Pass/PassBase.td"

def FormKernelsPass : Pass<"smelt-form-kernels", "::mlir::func::FuncOp"> {
  let summary = "Makes every computing lm op a kernel op of its own";
  let description = [{
    Matmuls become `kernel.gemm` with identity regions, attention, embedding gradients, RoPE tables and AdamW their kernels, and each row
    op a `kernel.rowwise` of one op. Constants that row ops use move into the regions. Reads, settings, gradients and writes stay.
  }];
  let dependentDialects = ["::mlir::lm::LMDialect", "::mlir::kernel::KernelDialect"];
  let statistics = [Statistic<"formed", "kernels formed", "Number of kernel ops made">];
}

def OutlineKernelsPass : Pass<"smelt-outline-kernels", "::mlir::ModuleOp"> {
  let summary = "Moves each kernel op into a private function; identical kernels share one";
  let description = [{
    The call carries what `explain` and the exec lowering want: `smelt.label`, `smelt.steps` (paths of the spec steps inside),
    `smelt.flops`, `smelt.bytes` and, when fusions were refused, `smelt.refused`.
  }];
  let dependentDialects = ["::mlir::func::FuncDialect"];
  let statistics = [Statistic<"launches", "launches", "Number of calls made">,
                    Statistic<"kernels", "kernels", "Number of different kernels">];
}
#endif
