// RUN: smelt-opt %s --smelt-apply-optimizers | FileCheck %s

// Each period has a program; outer optimisers come last, whatever the order of the groups, and may list parameters of other groups.
lm.parameter @a : tensor<4x16xbf16> constant 0.0
lm.parameter @b : tensor<f32> constant 0.0
lm.parameter @c : tensor<f32> constant 0.0
train.schedule @lr : tensor<f32> = [0.0, 9.0, 1.0, 0.0]
train.optimizer snoo @outer [@a, @b] lr 0.5 @lr {lr_scales = #lm.numbers<1.0, 2.0>, weight_decay_scales = #lm.numbers<0.0, 0.0>, splits = array<i64: 1, 1>,
  config = {every = 28 : i64, momentum = 0.25 : f64, nesterov = true}}
train.optimizer adam @rare [@a] lr 0.5 @lr {lr_scales = #lm.numbers<2.0>, weight_decay_scales = #lm.numbers<0.0>, splits = array<i64: 1>,
  config = {every = 2 : i64, offset = 1 : i64, beta1 = 0.5 : f64, beta2 = 0.75 : f64, eps = 1.0e-8 : f64, state = "f32"}}
train.optimizer adamw @often [@b] lr 0.5 @lr {lr_scales = #lm.numbers<1.0>, weight_decay_scales = #lm.numbers<0.0>, splits = array<i64: 1>, config = {}}
train.optimizer adam @early [@c] lr 0.5 @lr {lr_scales = #lm.numbers<1.0>, weight_decay_scales = #lm.numbers<0.0>, splits = array<i64: 1>, config = {every = 3 : i64, state = "bf16"}}

func.func @"train.T8"(%a: tensor<4x16xbf16>, %b: tensor<f32>) attributes {smelt.role = "train"} {
  train.gradient @a, %a : tensor<4x16xbf16>
  train.gradient @b, %b : tensor<f32>
  train.gradient @c, %b : tensor<f32>
  return
}

// The state's type is the config's; without one, the parameter's.
// CHECK-DAG: train.state @adam.m.a : tensor<4x16xf32>
// CHECK-DAG: train.state @adam.v.a : tensor<4x16xf32>
// CHECK-DAG: train.schedule @rare.correction1 : tensor<f32> one_minus_power 5.000000e-01 every 2 offset 1
// CHECK-DAG: train.schedule @rare.correction2 : tensor<f32> one_minus_power 7.500000e-01 every 2 offset 1
// CHECK-LABEL: func.func @update.every2() attributes {smelt.every = 2 : i64, smelt.offset = 1 : i64, smelt.role = "update"}
// CHECK: train.adam(%{{.*}}) gradients(%{{.*}}) moments(%{{.*}} : %{{.*}}) lr(%{{.*}}) corrections
// CHECK-SAME: lr_scales = #lm.numbers<1.0>
// CHECK-SAME: (tensor<4x16xbf16>, tensor<4x16xbf16>, tensor<4x16xf32>, tensor<4x16xf32>
// CHECK: train.write @a
// CHECK: train.state @adamw.m.b : tensor<f32>
// CHECK-LABEL: func.func @update() attributes {smelt.role = "update"}
// CHECK: train.adamw
// CHECK: train.state @adam.m.c : tensor<bf16>
// CHECK-LABEL: func.func @update.every3.offset0() attributes {smelt.every = 3 : i64, smelt.offset = 0 : i64, smelt.role = "update"}
// CHECK: train.adam(
// CHECK-DAG: train.state @snoo.outer.a : tensor<4x16xbf16> {copy_of = @a}
// CHECK-DAG: train.state @snoo.m.a : tensor<4x16xbf16>
// CHECK-DAG: train.state @snoo.outer.b : tensor<f32> {copy_of = @b}
// CHECK-LABEL: func.func @outer.every28() attributes {smelt.every = 28 : i64, smelt.offset = 0 : i64, smelt.role = "update"}
// CHECK: %[[A:.*]] = lm.read @a
// CHECK: %[[OA:.*]] = lm.read @snoo.outer.a
// CHECK: %[[MA:.*]] = lm.read @snoo.m.a
// The rates are constants: an outer optimiser follows no schedule.
// CHECK-NOT: lm.setting
// CHECK: %[[P:.*]]:2, %[[O:.*]]:2, %[[M:.*]]:2 = train.snoo(%[[A]], %{{.*}}) outer(%[[OA]], %{{.*}}) momenta(%[[MA]], %{{.*}}) {lrs = #lm.numbers<0.5, 1.0>, momentum = 2.500000e-01 : f64, nesterov = true}
// CHECK: train.write @a, %[[P]]#0
// CHECK: train.write @snoo.outer.a, %[[O]]#0
// CHECK: train.write @snoo.m.a, %[[M]]#0
