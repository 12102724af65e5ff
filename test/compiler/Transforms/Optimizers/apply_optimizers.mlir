// RUN: smelt-opt %s --smelt-apply-optimizers | FileCheck %s

lm.parameter @a : tensor<4x16xf32> constant 0.0
lm.parameter @b : tensor<f32> constant 0.0
lm.parameter @w : tensor<12x16xf32> constant 0.0
lm.parameter @untouched : tensor<f32> constant 0.0
train.schedule @lr : tensor<f32> = [0.0, 9.0, 1.0, 0.0]
train.schedule @momentum : tensor<f32> = [0.0, 9.0, 0.9, 0.0]
// The rate is the group's times the parameter's; so is the decay. @untouched gets no gradient and is left alone.
train.optimizer adamw @scalars [@a, @b, @untouched] lr 0.5 @lr {lr_scales = array<f64: 1.0, 2.0, 1.0>, weight_decay_scales = array<f64: 1.0, 0.0, 1.0>,
  splits = array<i64: 1, 1, 1>, config = {beta1 = 0.8 : f64, beta2 = 0.99 : f64, eps = 1.0e-8 : f64, weight_decay = 0.25 : f64}}
train.optimizer muon @matrices [@w] lr 0.25 @lr {lr_scales = array<f64: 2.0>, weight_decay_scales = array<f64: 1.0>, splits = array<i64: 3>,
  config = {coefficients = array<f64: 3.0, -4.0, 2.0>, momentum_schedule = @momentum, nesterov = false}}

func.func @"train.T8"(%a: tensor<4x16xf32>, %b: tensor<f32>, %w: tensor<12x16xf32>) attributes {smelt.role = "train"} {
  train.gradient @a, %a : tensor<4x16xf32>
  train.gradient @b, %b : tensor<f32>
  train.gradient @w, %w : tensor<12x16xf32>
  return
}

// CHECK-DAG: train.state @adamw.m.a : tensor<4x16xf32>
// CHECK-DAG: train.state @adamw.v.b : tensor<f32>
// CHECK-DAG: train.state @muon.m.w : tensor<12x16xf32>
// CHECK-NOT: untouched : {{.*}}state
// CHECK-LABEL: func.func @update() attributes {smelt.role = "update"}
// CHECK: %[[A:.*]] = lm.read @a : tensor<4x16xf32>
// CHECK: %[[GA:.*]] = train.read_gradient @a : tensor<4x16xf32>
// CHECK: %[[MA:.*]] = lm.read @adamw.m.a
// CHECK: %[[VA:.*]] = lm.read @adamw.v.a
// CHECK: %[[B:.*]] = lm.read @b : tensor<f32>
// CHECK: %[[LR:.*]] = lm.setting @lr : tensor<f32>
// CHECK: %[[STEP:.*]] = lm.setting @step : tensor<f32>
// CHECK: %[[P:.*]]:2, %[[M:.*]]:2, %[[V:.*]]:2 = train.adamw(%[[A]], %[[B]]) gradients(%[[GA]], %{{.*}}) moments(%[[MA]], %{{.*}} : %[[VA]], %{{.*}}) lr(%[[LR]]) step(%[[STEP]])
// CHECK-SAME: beta1 = 8.000000e-01 : f64
// CHECK-SAME: lr_scales = array<f64: 5.000000e-01, 1.000000e+00>
// CHECK-SAME: weight_decays = array<f64: 2.500000e-01, 0.000000e+00>
// CHECK: train.write @a, %[[P]]#0
// CHECK: train.write @adamw.m.a, %[[M]]#0
// CHECK: train.write @adamw.v.a, %[[V]]#0
// Three blocks of rows, each a matrix of its own.
// CHECK: lm.read @w : tensor<4x16xf32>
// CHECK: train.muon {{.*}}lr_scale = 5.000000e-01 : f64, nesterov = false
// CHECK: train.write @w, %{{.*}} : tensor<4x16xf32>
// CHECK: lm.read @w {first_row = 4 : i64} : tensor<4x16xf32>
// CHECK: train.read_gradient @w {first_row = 4 : i64} : tensor<4x16xf32>
// CHECK: lm.read @muon.m.w {first_row = 4 : i64}
// CHECK: train.write @w, %{{.*}} {first_row = 4 : i64} : tensor<4x16xf32>
// CHECK: train.write @muon.m.w, %{{.*}} {first_row = 4 : i64}
// CHECK: train.write @w, %{{.*}} {first_row = 8 : i64} : tensor<4x16xf32>
