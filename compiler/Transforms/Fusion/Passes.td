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

def TakeDotsOfMatricesPass : Pass<"smelt-take-dots-of-matrices", "::mlir::func::FuncOp"> {
  let summary =
      "The gradient of a number that scales a product comes from the matrix and its gradient";
  let description = [{
    Before kernels are formed, for targets that do not add up a product's elements while they store it. The product need not be kept for
    the backward pass then.

    ```mlir
    // before
    %p = lm.matmul %x, %w {transpose_b} : tensor<64x4xf32>, tensor<6x4xf32> -> tensor<64x6xf32>
    %ds = lm.dot %p, %dy : tensor<64x6xf32> -> tensor<f32>
    %dw = lm.matmul %dy, %x {transpose_a} : tensor<64x6xf32>, tensor<64x4xf32> -> tensor<6x4xf32>
    // after
    %p = lm.matmul %x, %w {transpose_b} : tensor<64x4xf32>, tensor<6x4xf32> -> tensor<64x6xf32>
    %dw = lm.matmul %dy, %x {transpose_a} : tensor<64x6xf32>, tensor<64x4xf32> -> tensor<6x4xf32>
    %ds = lm.dot %w, %dw : tensor<6x4xf32> -> tensor<f32>
    ```
  }];
  let dependentDialects = ["::mlir::lm::LMDialect"];
  let statistics = [Statistic<"taken", "taken", "Number of dot products taken of matrices">];
}

def SumAttentionGradientsPass : Pass<"smelt-sum-attention-gradients", "::mlir::func::FuncOp"> {
  let summary = "Attention's backward kernels are given Σ out·dout of each head, not the output";
  let description = [{
    After kernels are formed. The sums are a row kernel's work, done where the output's gradient is made; and where the output passes
    through factors per head, they are Σ of the scaled output with its gradient: the output itself need not be stored then. The factor's
    own gradient is the same sum divided by the factor (at least 1e-30: a gate that is smaller has no gradient in f32 anyway).

    ```mlir
    // before: %y = row_scale %o, %g, later its gradients and attention's
    %do = kernel.rowwise(%dy, %g) {row_scale}
    %dg = kernel.rowwise(%o, %dy) {row_dot}
    %dq, %dk, %dv = kernel.attention_backward … out(%o, %lse, %do)
    // after
    %do = kernel.rowwise(%dy, %g) {row_scale}
    %sums = kernel.rowwise(%y, %dy) {row_dot}
    %dg = kernel.rowwise(%sums, %g) {at_least, reciprocal, multiply}
    %dq, %dk, %dv = kernel.attention_backward … out(%sums, %lse, %do)
    ```
  }];
  let dependentDialects = ["::mlir::lm::LMDialect", "::mlir::kernel::KernelDialect"];
  let statistics =
      [Statistic<"summed", "summed", "Number of attention kernels that are given sums">,
       Statistic<"gated", "gated", "Number of those whose output passes through factors per head">];
}

def TakeNormsAsFactorsPass : Pass<"smelt-take-norms-as-factors", "::mlir::func::FuncOp"> {
  let summary = "Products take x and a factor per row instead of norm(x), which is not stored";
  let description = [{
    After kernels are formed. norm(x) = r·x has a factor per row: norm(x)·w = r·(x·w), and yᵀ·norm(x) = (r·y)ᵀ·x. Squares are added in parts where x is made,
    128 (or 64) columns each: a tile of a product that makes x has these. Done where products and gates alone read the norm, and where what a weight's gradient
    multiplies it with is read by products alone.

    ```mlir
    // before
    %n = kernel.rowwise(%x) {rms_norm}
    %h = kernel.gemm a(%n) b(%w) …
    %dw = kernel.gemm a(%dh) b(%n) {transpose_a} …
    %dn = kernel.gemm a(%dh) b(%w) …
    // after
    %s = kernel.rowwise(%x) {reshape, row_dot}             // Σ x² of each part
    %r = kernel.rowwise(%s) {row_dot, scale, add, sqrt, reciprocal}
    %p = kernel.gemm a(%x) b(%w) …
    %h = kernel.rowwise(%p, %r) {row_scale}
    %y = kernel.rowwise(%dh, %r) {row_scale}
    %dw = kernel.gemm a(%y) b(%x) {transpose_a} …
    %q = kernel.gemm a(%y) b(%w) …
    %dn = kernel.rowwise(%q, %r) {reciprocal, row_scale}
    ```
  }];
  let dependentDialects = ["::mlir::lm::LMDialect", "::mlir::kernel::KernelDialect"];
  let options = [Option<"part", "part", "int64_t", "0",
                        "Columns whose squares are added together (0: 128, or 64)">];
  let statistics = [Statistic<"taken", "taken", "Number of norms taken as factors">];
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

def MarkSymmetricProductsPass : Pass<"smelt-mark-symmetric-products", "::mlir::func::FuncOp"> {
  let summary = "Marks products whose matrices are their own transposes";
  let description = [{
    After fusion. Newton–Schulz multiplies X·Xᵀ, then the result with itself: a target may compute half of such matrices.

    ```mlir
    // before
    %s = kernel.gemm a(%x) b(%x) result() {transpose_b} … // X·Xᵀ
    %t = kernel.gemm a(%s) b(%s) result(%s) …             // c·S·S + b·S in the result region
    // after
    %s = kernel.gemm a(%x) b(%x) result() {kernel.symmetric, transpose_b} …
    %t = kernel.gemm a(%s) b(%s) result(%s) {kernel.symmetric} …
    ```
  }];
  let dependentDialects = ["::mlir::kernel::KernelDialect"];
  let statistics = [Statistic<"marked", "marked", "Number of products marked">];
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
