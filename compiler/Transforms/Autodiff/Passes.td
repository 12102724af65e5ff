//===- Passes.td - Differentiation of lm programs -------------------------===//
#ifndef SMELT_AUTODIFF_PASSES
#define SMELT_AUTODIFF_PASSES

include "mlir/Pass/PassBase.td"

def AutodiffPass : Pass<"smelt-autodiff", "::mlir::ModuleOp"> {
  let summary = "Add the backward pass to every training program";
  let description = [{
    In each function with `smelt.role = "train"`, differentiates result 0 (the objective) with respect to every `lm.parameter` that
    the function reads, and hands each gradient to a `train.gradient` op. The results stay as they are. Gradient ops keep the location of
    their forward op, as `fused<"gradient">[…]`.

    ```mlir
    // before
    %w = lm.read @w : tensor<4xf32>
    %y = lm.multiply %w, %x : tensor<4xf32>
    %objective = lm.sum %y : tensor<4xf32> -> tensor<f32>
    return %objective : tensor<f32>
    // after
    %w = lm.read @w : tensor<4xf32>
    %y = lm.multiply %w, %x : tensor<4xf32>
    %objective = lm.sum %y : tensor<4xf32> -> tensor<f32>
    %one = lm.constant dense<1.0> : tensor<f32>
    %dy = lm.broadcast %one : tensor<f32> -> tensor<4xf32>
    %dw = lm.multiply %dy, %x : tensor<4xf32>
    train.gradient @w, %dw : tensor<4xf32>
    return %objective : tensor<f32>
    ```
  }];
  let dependentDialects = ["::mlir::lm::LMDialect", "::mlir::train::TrainDialect"];
  let statistics = [Statistic<"programs", "programs", "Training programs differentiated">,
                    Statistic<"gradients", "gradients", "Parameter gradients built">];
}
#endif
