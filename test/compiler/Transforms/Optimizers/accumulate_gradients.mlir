// RUN: smelt-opt %s --smelt-accumulate-gradients --split-input-file | FileCheck %s

// Two micro-batches in one stage: the gradient is added to what the buffer holds.
train.run {training = {stages = [{micro_batches = 1 : i64}, {micro_batches = 2 : i64}]}}
// CHECK-LABEL: func.func @several
// CHECK-SAME: (%[[G:.*]]: tensor<4xf32>)
// CHECK: %[[OLD:.*]] = train.read_gradient @w : tensor<4xf32>
// CHECK: %[[KEEP:.*]] = lm.setting @accumulate : tensor<f32>
// CHECK: %[[ONE:.*]] = lm.constant dense<1.0
// CHECK: %[[SUM:.*]] = lm.mix %[[OLD]], %[[G]] by %[[KEEP]], %[[ONE]]
// CHECK: train.gradient @w, %[[SUM]] {total}
func.func @several(%g: tensor<4xf32>) attributes {smelt.role = "train"} {
  train.gradient @w, %g : tensor<4xf32>
  return
}

// -----

train.run {training = {stages = [{micro_batches = 1 : i64}]}}
// CHECK-LABEL: func.func @one
// CHECK-SAME: (%[[G:.*]]: tensor<4xf32>)
// CHECK-NEXT: train.gradient @w, %[[G]] : tensor<4xf32>
func.func @one(%g: tensor<4xf32>) attributes {smelt.role = "train"} {
  train.gradient @w, %g : tensor<4xf32>
  return
}

// -----

// One micro-batch a step; @w is updated every other step, @u every third at the period's first step, @v every step.
train.schedule @lr : tensor<f32> = [0.0, 9.0, 1.0, 0.0]
train.optimizer adam @rare [@w] lr 0.5 @lr {lr_scales = #lm.numbers<1.0>, weight_decay_scales = #lm.numbers<0.0>, splits = array<i64: 1>, config = {every = 2 : i64, offset = 1 : i64}}
train.optimizer adam @early [@u] lr 0.5 @lr {lr_scales = #lm.numbers<1.0>, weight_decay_scales = #lm.numbers<0.0>, splits = array<i64: 1>, config = {every = 3 : i64}}
train.optimizer adamw @often [@v] lr 0.5 @lr {lr_scales = #lm.numbers<1.0>, weight_decay_scales = #lm.numbers<0.0>, splits = array<i64: 1>, config = {}}
// An outer optimiser reads no gradients: it changes nothing.
train.optimizer snoo @outer [@w, @v] lr 0.5 @lr {lr_scales = #lm.numbers<1.0, 1.0>, weight_decay_scales = #lm.numbers<0.0, 0.0>, splits = array<i64: 1, 1>, config = {every = 28 : i64}}
train.run {training = {stages = [{micro_batches = 1 : i64}]}}
// CHECK-LABEL: func.func @periods
// CHECK-SAME: (%[[G:.*]]: tensor<4xf32>)
// CHECK: %[[OLD:.*]] = train.read_gradient @w : tensor<4xf32>
// CHECK: %[[KEEP:.*]] = lm.setting @accumulate.2 : tensor<f32>
// CHECK: lm.mix %[[OLD]], %[[G]] by %[[KEEP]]
// CHECK: train.gradient @w, %{{.*}} {total}
// CHECK: lm.setting @accumulate.3.0 : tensor<f32>
// CHECK: train.gradient @u, %{{.*}} {total}
// CHECK-NEXT: train.gradient @v, %[[G]] : tensor<4xf32>
func.func @periods(%g: tensor<4xf32>) attributes {smelt.role = "train"} {
  train.gradient @w, %g : tensor<4xf32>
  train.gradient @u, %g : tensor<4xf32>
  train.gradient @v, %g : tensor<4xf32>
  return
}
