//===- Passes.td - Number formats -----------------------------------------===//
#ifndef SMELT_PRECISION_PASSES
#define SMELT_PRECISION_PASSES

include "mlir/Pass/PassBase.td"

def ExpandQuantizedMatmulPass : Pass<"smelt-expand-quantized-matmul", "::mlir::ModuleOp"> {
  let summary = "Take lm.quantized_matmul apart: quantize, matmul on f8, scale";
  let description = [{
    Runs after autodiff, whose gradient of the op is in such pieces already: common subexpression elimination then quantises each operand once
    for forward and backward.

    ```mlir
    // before
    %z = lm.quantized_matmul %x, %w {x_scale = 0.5, w_scale = 0.25, gradient_scale = 1.0} : tensor<8x4xf32>, tensor<6x4xf32> -> tensor<8x6xf32>
    // after
    %qx = lm.quantize %x {scale = 0.5} : tensor<8x4xf32> -> tensor<8x4xf8E4M3FN>
    %qw = lm.quantize %w {scale = 0.25} : tensor<6x4xf32> -> tensor<6x4xf8E4M3FN>
    %p = lm.matmul %qx, %qw {transpose_b} : tensor<8x4xf8E4M3FN>, tensor<6x4xf8E4M3FN> -> tensor<8x6xf32>
    %s = lm.constant dense<0.125> : tensor<f32>
    %z = lm.scale %p, %s : tensor<8x6xf32>, tensor<f32>
    ```
  }];
  let dependentDialects = ["::mlir::lm::LMDialect"];
  let statistics = [Statistic<"expanded", "expanded", "Products taken apart">];
}

def CopyMatricesPass : Pass<"smelt-copy-matrices", "::mlir::func::FuncOp"> {
  let summary = "bf16 copies of the f32 matrices that products read, all made by one launch";
  let description = [{
    For targets whose matrix unit multiplies bf16. Runs after kernels are formed. A product of a matrix that the spec casts to bf16 gets the same
    numbers as before; one of an f32 matrix is rounded, as all bf16 products are.

    ```mlir
    // before
    %w = lm.read @w : tensor<6x4xf32>
    %c = kernel.rowwise(%w) … { lm.cast to bf16 }
    %d = kernel.rowwise(%c) … { lm.cast to f32 }
    %y = kernel.gemm a(%x) b(%d) … b { ^bb0(%b: tensor<6x4xf32>): kernel.yield %b : tensor<6x4xf32> } …
    // after
    %w = lm.read @w : tensor<6x4xf32>
    %c = kernel.foreach "bf16 copies of matrices" lanes 1 (%w) … : (tensor<6x4xf32>) -> tensor<6x4xbf16> …
    %y = kernel.gemm a(%x) b(%c) … b { ^bb0(%b: tensor<6x4xbf16>): %1 = lm.cast %b : … -> tensor<6x4xf32>  kernel.yield %1 : tensor<6x4xf32> } …
    ```
  }];
  let dependentDialects = ["::mlir::kernel::KernelDialect", "::mlir::lm::LMDialect"];
  let statistics = [Statistic<"copied", "copied", "Matrices copied">];
}

def ChooseStoragePass : Pass<"smelt-choose-storage", "::mlir::func::FuncOp"> {
  let summary = "Store what passes from kernel to kernel in bf16";
  let description = [{
    Runs after fusion, before kernels are outlined. With `activations=bf16`, each value that `ActivationStorage` chooses becomes bf16: its producer
    rounds it in its last op, its consumers widen it in their first. Inside kernels everything stays f32. With `activations=f32` nothing
    happens.

    ```mlir
    // before
    %y = kernel.rowwise(%x) : … { …  kernel.yield %r : tensor<8x4xf32> }
    %z = kernel.gemm a(%y) … a { ^bb0(%a: tensor<8x4xf32>): kernel.yield %a : tensor<8x4xf32> } …
    // after
    %y = kernel.rowwise(%x) : … { …  %n = lm.cast %r : tensor<8x4xf32> -> tensor<8x4xbf16>  kernel.yield %n : tensor<8x4xbf16> }
    %z = kernel.gemm a(%y) … a { ^bb0(%a: tensor<8x4xbf16>): %w = lm.cast %a : … -> tensor<8x4xf32>  kernel.yield %w : tensor<8x4xf32> } …
    ```
  }];
  let options = [Option<"activations", "activations", "std::string", /*default=*/"\"f32\"", "f32 or bf16">];
  let dependentDialects = ["::mlir::kernel::KernelDialect", "::mlir::lm::LMDialect"];
  let statistics = [Statistic<"stored", "stored", "Values stored in bf16">];
}
#endif
