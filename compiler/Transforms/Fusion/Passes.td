//===- Passes.td - Kernel formation, fusion and outlining ----------------===//
#ifndef SMELT_FUSION_PASSES
#define SMELT_FUSION_PASSES

include "mlir/Pass/PassBase.td"

def FormKernelsPass : Pass<"smelt-form-kernels", "::mlir::func::FuncOp"> {
  let summary = "Makes every computing lm op a kernel op of its own";
  let description = [{
    Matmuls become `kernel.gemm` with identity regions, attention, embedding gradients and RoPE tables their kernels, and each row
    op a `kernel.rowwise` of one op. Constants that row ops use move into the regions. Reads, settings, gradients and writes stay.
  }];
  let dependentDialects = ["::mlir::lm::LMDialect", "::mlir::kernel::KernelDialect"];
  let statistics = [Statistic<"formed", "kernels formed", "Number of kernel ops made">];
}

def MoveScalesBehindProductsPass : Pass<"smelt-move-scales-behind-products", "::mlir::func::FuncOp"> {
  let summary = "Multiplies a product by the number that scales its operand";
  let description = [{
    Before kernels are formed, for targets that load operands as they are stored.

    ```mlir
    // before
    %a = lm.scale %x, %s : tensor<8x4xf32>, tensor<f32>
    %y = lm.matmul %a, %w : tensor<8x4xf32>, tensor<4x6xf32> -> tensor<8x6xf32>
    // after
    %p = lm.matmul %x, %w : tensor<8x4xf32>, tensor<4x6xf32> -> tensor<8x6xf32>
    %y = lm.scale %p, %s : tensor<8x6xf32>, tensor<f32>
    ```
  }];
  let dependentDialects = ["::mlir::lm::LMDialect"];
  let statistics = [Statistic<"moved", "moved", "Number of scales moved">];
}

class FusionPass<string flag> : Pass<flag, "::mlir::func::FuncOp"> {
  let statistics = [Statistic<"candidates", "candidates", "Number of kernels looked at">,
                    Statistic<"fused", "fused", "Number of kernels fused">,
                    Statistic<"refused", "refused", "Number of kernels refused">];
}

def FuseScalarsIntoUsersPass : FusionPass<"smelt-fuse-scalars-into-users"> {
  let summary = "Computes scalar mathematics in every kernel that reads it";
}

def FuseTokenShiftIntoAttentionPass : FusionPass<"smelt-fuse-token-shift-into-attention"> {
  let summary = "Makes a token_shift of q, k or v a row index of the attention kernels";
}

def FuseRowwiseIntoGemmResultPass : FusionPass<"smelt-fuse-rowwise-into-gemm-result"> {
  let summary = "Computes rows in the result region of the GEMM that they read or feed";
}

def FuseRowwiseIntoAttentionResultPass : FusionPass<"smelt-fuse-rowwise-into-attention-result"> {
  let summary = "Computes rows (gates) in the result region of attention";
}

def FuseRowwiseIntoRowwisePass : FusionPass<"smelt-fuse-rowwise-into-rowwise"> {
  let summary = "Joins rowwise kernels: a chain, a consumer with its producer, and neighbours that read the same";
  let options = [Option<"chainsOnly", "chains-only", "bool", "false", "Join only producers with a single user">];
}

def FuseRowwiseIntoGemmLoadPass : FusionPass<"smelt-fuse-rowwise-into-gemm-load"> {
  let summary = "Computes rows where GEMMs and other kernels load them, instead of storing them";
}

def FuseRowwiseIntoEmbeddingBackwardPass : FusionPass<"smelt-fuse-rowwise-into-embedding-backward"> {
  let summary = "Computes the rows that a table's gradient adds up where they are added";
}

def RecomputeFromStoredPass : FusionPass<"smelt-recompute-from-stored"> {
  let summary = "Computes scaled slices of a stored product where they are read, instead of storing them as well";
}

def OutlineKernelsPass : Pass<"smelt-outline-kernels", "::mlir::ModuleOp"> {
  let summary = "Moves each kernel op into a private function; identical kernels share one";
  let description = [{
    The call carries what `explain` and the exec lowering want: `smelt.label`, `smelt.steps` (paths of the spec steps inside),
    `smelt.flops`, `smelt.bytes` and, when fusions were refused, `smelt.refused`.
  }];
  let dependentDialects = ["::mlir::func::FuncDialect"];
  let options = [Option<"remarks", "remarks", "bool", "false", "Emit a remark for each refused fusion of a kernel that stands alone">];
  let statistics = [Statistic<"launches", "launches", "Number of calls made">,
                    Statistic<"kernels", "kernels", "Number of different kernels">];
}
#endif
