//===- Passes.td - Optimisers and gradient accumulation -------------------===//
#ifndef SMELT_OPTIMIZERS_PASSES
#define SMELT_OPTIMIZERS_PASSES

include "mlir/Pass/PassBase.td"

def AccumulateGradientsPass : Pass<"smelt-accumulate-gradients", "::mlir::ModuleOp"> {
  let summary = "Add each micro-batch's gradients to those of the micro-batches before it";
  let description = [{
    If the run (`train.run`) has a stage with several micro-batches, the gradient buffer takes `setting(accumulate)·old + new`, where the
    setting is 0 for the first micro-batch of a step and 1 after it. The gradients of a group that is updated every P steps do so in any
    case, with the setting `accumulate.P` (`accumulate.P.O` at an offset O other than P − 1), which is 0 for the first micro-batch after
    an update. The mix ends in the kernel that makes the gradient.

    ```mlir
    // before
    train.gradient @w, %g : tensor<4xf32>
    // after
    %old = train.read_gradient @w : tensor<4xf32>
    %keep = lm.setting @accumulate : tensor<f32>
    %one = lm.constant dense<1.0> : tensor<f32>
    %sum = lm.mix %old, %g by %keep, %one : …
    train.gradient @w, %sum {total} : tensor<4xf32>
    ```
  }];
  let dependentDialects = ["::mlir::lm::LMDialect", "::mlir::train::TrainDialect"];
  let statistics = [Statistic<"accumulated", "accumulated", "Gradients that accumulate">];
}

def ApplyOptimizersPass : Pass<"smelt-apply-optimizers", "::mlir::ModuleOp"> {
  let summary = "Write the update program that the optimiser groups describe";
  let description = [{
    Makes a `func.func` with `smelt.role = "update"` for each period that groups have (`every`, `offset`), and one `train.state` per
    tensor that an optimiser keeps: @update (every step), @update.every2 …, then for outer optimisers @outer.every28 …, which run after
    the others. AdamW, Adam and Snoo take a whole group at once (one launch); Muon and NorMuon take a bank
    (`train.bank`) of all matrices of one shape, cut into blocks of rows where the group says so. Parameters that get no
    gradient in any training program are left alone. The group ops stay, for `explain`.

    ```mlir
    // before
    train.optimizer adamw @scalars [@w] lr 0.1 @lr {…}
    // after
    train.state @"adamw.m.w" : tensor<4xf32>
    train.state @"adamw.v.w" : tensor<4xf32>
    func.func @update() attributes {smelt.role = "update"} {
      %p = lm.read @w : tensor<4xf32>
      %g = train.read_gradient @w : tensor<4xf32>
      %m = lm.read @"adamw.m.w" : tensor<4xf32>
      %v = lm.read @"adamw.v.w" : tensor<4xf32>
      %p1, %m1, %v1 = train.adamw (%p) gradients (%g) moments (%m : %v) lr (%lr) corrections (%c1, %c2) {…}
      train.write @w, %p1 : tensor<4xf32>
      …
    ```
  }];
  let dependentDialects = ["::mlir::lm::LMDialect", "::mlir::train::TrainDialect"];
  let statistics = [Statistic<"updated", "updated", "Parameters with an update rule">];
}

def ExpandElementwiseOptimizersPass : Pass<"smelt-expand-elementwise-optimizers", "::mlir::ModuleOp"> {
  let summary = "Write Adam, AdamW and Snoo as kernel.foreach";
  let description = [{
    One `kernel.foreach` for all parameters of a `train.adamw`, `train.adam` or `train.snoo` whose tensors have the same element types;
    per-parameter rates and decays become its constants. What is not f32 is cast at the region's ends.

    ```mlir
    // before
    %p1, %m1, %v1 = train.adam (%p) gradients (%g) moments (%m : %v) lr (%lr) corrections (%c1, %c2) {lr_scales = #lm.numbers<2.0>, …}
    // after
    %0:3 = kernel.foreach "adam" lanes 1 (%p, %g, %m, %v) uniforms (%lr, %c1, %c2) constants [#lm.numbers<2.0>, #lm.numbers<0.0>] : … {
    ^bb0(%p: tensor<1x1024xbf16>, …, %scale: tensor<f32>, %decay: tensor<f32>, %lr: tensor<f32>, …):
    ```
  }];
  let dependentDialects = ["::mlir::lm::LMDialect", "::mlir::kernel::KernelDialect"];
  let statistics = [Statistic<"expanded", "expanded", "Optimiser ops">];
}

def ExpandMuonPass : Pass<"smelt-expand-muon", "::mlir::ModuleOp"> {
  let summary = "Write Muon as matrix products and element-wise ops";
  let description = [{
    Replaces `train.muon` and `train.normuon` by lm ops on whole banks, which the passes for kernels then fuse like any others. With `X`
    wide (rows ≤ columns), each Newton–Schulz iteration is three products of groups with mixes on their results:
    `A = X·Xᵀ`, `B = b·A + c·A·A`, `X = a·X + B·X`; a tall one has `A = Xᵀ·X` and `X = a·X + X·B`.
  }];
  let dependentDialects = ["::mlir::lm::LMDialect"];
  let statistics = [Statistic<"expanded", "expanded", "Matrices orthogonalised">];
}
#endif
