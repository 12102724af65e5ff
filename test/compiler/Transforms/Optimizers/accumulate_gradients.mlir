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

// One micro-batch a step, but an update every other step.
train.run {training = {optimizer_every = 2 : i64, stages = [{micro_batches = 1 : i64}]}}
// CHECK-LABEL: func.func @rare
// CHECK: train.gradient @w, %{{.*}} {total}
func.func @rare(%g: tensor<4xf32>) attributes {smelt.role = "train"} {
  train.gradient @w, %g : tensor<4xf32>
  return
}
