// RUN: smelt-opt %s | smelt-opt | FileCheck %s
// RUN: smelt-opt %s --mlir-print-op-generic | smelt-opt | FileCheck %s

lm.parameter @w : tensor<4x8xf32> constant 0.0
// CHECK: train.schedule @lr : tensor<f32> = [0.0, 9.0, 0.0, 0.1]
train.schedule @lr : tensor<f32> = [0.0, 9.0, 0.0, 0.1]
// CHECK: train.schedule @frequencies : tensor<2xf32> = [0.0, 4.0, 1.0, 0.5, 5.0, 9.0, 0.75, 0.25]
train.schedule @frequencies : tensor<2xf32> = [0.0, 4.0, 1.0, 0.5, 5.0, 9.0, 0.75, 0.25]
// CHECK: train.optimizer adamw @group [@w] lr 1.000000e-02 @lr
train.optimizer adamw @group [@w] lr 0.01 @lr {lr_scales = #lm.numbers<1.0>, weight_decay_scales = #lm.numbers<0.5>, splits = array<i64: 1>, config = {beta1 = 0.9 : f64}}
// CHECK: train.schedule @correction : tensor<f32> one_minus_power 7.500000e-01 every 2 offset 1
train.schedule @correction : tensor<f32> one_minus_power 0.75 every 2 offset 1
// CHECK: train.optimizer snoo @outer [@w] lr 6.800000e-01 @lr {config = {every = 28 : i64, momentum = 3.700000e-01 : f64, nesterov = true}
train.optimizer snoo @outer [@w] lr 0.68 @lr {lr_scales = #lm.numbers<1.0>, weight_decay_scales = #lm.numbers<0.0>, splits = array<i64: 1>, config = {every = 28 : i64, momentum = 0.37 : f64, nesterov = true}}
// CHECK: train.state @outer.w : tensor<4x8xf32> {copy_of = @w}
train.state @outer.w : tensor<4x8xf32> {copy_of = @w}
// CHECK: train.state @m : tensor<4x8xf32>
train.state @m : tensor<4x8xf32>
// CHECK: train.state @table : tensor<8xf32> {derived}
train.state @table : tensor<8xf32> {derived}
lm.parameter @v : tensor<4x8xf32> constant 0.0
// CHECK: train.bank @weights [@w, @v] : tensor<8x8xf32>
train.bank @weights [@w, @v] : tensor<8x8xf32>
// CHECK: train.bank @padded [@w, @v] : tensor<12x8xf32> {padding = 4 : i64}
train.bank @padded [@w, @v] : tensor<12x8xf32> {padding = 4 : i64}
// CHECK: train.state @bank.m : tensor<4x8xf32> {part_names = ["m.w", "m.v"], part_rows = array<i64: 4, 4>}
train.state @bank.m : tensor<4x8xf32> {part_names = ["m.w", "m.v"], part_rows = array<i64: 4, 4>}
// CHECK: train.run {training = {steps = 10 : i64}}
train.run {training = {steps = 10 : i64}}

// CHECK-LABEL: func.func @all
func.func @all(%g: tensor<4x8xf32>, %s: tensor<4x8xbf16>, %lr: tensor<f32>) {
  // CHECK: train.gradient @w, %{{.*}} : tensor<4x8xf32>
  train.gradient @w, %g : tensor<4x8xf32>
  // CHECK: train.gradient @w, %{{.*}} {total} : tensor<4x8xf32>
  train.gradient @w, %g {total} : tensor<4x8xf32>
  // CHECK: train.read_gradient @w : tensor<4x8xf32>
  %0 = train.read_gradient @w : tensor<4x8xf32>
  // CHECK: train.read_gradient @w {first_row = 2 : i64} : tensor<2x8xf32>
  %1 = train.read_gradient @w {first_row = 2 : i64} : tensor<2x8xf32>
  // CHECK: train.write @w, %{{.*}} {first_row = 2 : i64} : tensor<2x8xf32>
  train.write @w, %1 {first_row = 2 : i64} : tensor<2x8xf32>
  // CHECK: train.read_gradient @w {ranks = 2 : i64} : tensor<2x8xf32>
  %2 = train.read_gradient @w {ranks = 2 : i64} : tensor<2x8xf32>
  // CHECK: train.write @w, %{{.*}} {ranks = 2 : i64} : tensor<2x8xf32>
  train.write @w, %2 {ranks = 2 : i64} : tensor<2x8xf32>
  // CHECK: train.adamw(%{{.*}}) gradients(%{{.*}}) moments(%{{.*}} : %{{.*}}) lr(%{{.*}}) corrections(%{{.*}}, %{{.*}})
  %p, %m, %v0 = train.adamw (%0) gradients (%g) moments (%0 : %g) lr (%lr) corrections (%lr, %lr)
    {lr_scales = #lm.numbers<1.0>, weight_decays = #lm.numbers<0.0>, beta1 = 0.9 : f64, beta2 = 0.95 : f64, eps = 1.0e-8 : f64}
    : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>, tensor<f32>, tensor<f32>, tensor<f32>) -> (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>)
  // CHECK: train.adam(%{{.*}}) gradients(%{{.*}}) moments(%{{.*}} : %{{.*}}) lr(%{{.*}}) corrections(%{{.*}}, %{{.*}})
  %p2, %m2, %v2 = train.adam (%0) gradients (%g) moments (%0 : %g) lr (%lr) corrections (%lr, %lr)
    {lr_scales = #lm.numbers<1.0>, weight_decays = #lm.numbers<0.0>, beta1 = 0.65 : f64, beta2 = 0.95 : f64, eps = 1.0e-8 : f64}
    : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>, tensor<f32>, tensor<f32>, tensor<f32>) -> (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>)
  // CHECK: train.snoo(%{{.*}}) outer(%{{.*}}) momenta(%{{.*}}) {lrs = #lm.numbers<0.68>, momentum = 3.700000e-01 : f64, nesterov = true}
  %p3, %o3, %b3 = train.snoo (%0) outer (%g) momenta (%0) {lrs = #lm.numbers<0.68>, momentum = 0.37 : f64, nesterov = true}
    : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>)
  // CHECK: train.muon %{{.*}} gradient %{{.*}} momentum %{{.*}} lr %{{.*}} mu %{{.*}} {coefficients = #lm.numbers<3.0, -4.0, 2.0>, groups = 2 : i64
  %q, %n = train.muon %p gradient %g momentum %m lr %lr mu %lr {groups = 2 : i64, lr_scales = #lm.numbers<1.0, 0.5>, weight_decays = #lm.numbers<0.0, 0.0>, nesterov = true, norm_scale = 1.0 : f64, norm_eps = 1.0e-7 : f64, coefficients = #lm.numbers<3.0, -4.0, 2.0>} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>, tensor<f32>, tensor<f32>) -> (tensor<4x8xf32>, tensor<4x8xf32>)
  // CHECK: train.muon {{.*}} smoothed %{{.*}} lr {{.*}} smoothing = 2.000000e-01 : f64
  %q2:3 = train.muon %p gradient %g momentum %m smoothed %s lr %lr mu %lr {lr_scales = #lm.numbers<1.0>, weight_decays = #lm.numbers<0.0>, nesterov = true, norm_scale = 1.0 : f64, norm_eps = 1.0e-7 : f64, smoothing = 0.2 : f64, coefficients = #lm.numbers<3.0, -4.0, 2.0>} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xbf16>, tensor<f32>, tensor<f32>) -> (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xbf16>)
  %v = lm.constant dense<0.5> : tensor<4xf32>
  // CHECK: train.normuon %{{.*}} gradient %{{.*}} momentum %{{.*}} second %{{.*}} lr %{{.*}} mu %{{.*}} {beta2 = {{.*}} : f64, cautious = true
  %a, %b, %c = train.normuon %p gradient %g momentum %m second %v lr %lr mu %lr {groups = 2 : i64, peak = 0.1 : f64, lr_scales = #lm.numbers<1.0, 0.5>, weight_decays = #lm.numbers<1.0, 1.0>, nesterov = true, beta2 = 0.95 : f64, cautious = true, variance_axis = 1 : i64, norm_scale = 1.02 : f64, norm_eps = 1.0e-6 : f64, coefficients = #lm.numbers<3.0, -4.0, 2.0>} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>, tensor<4xf32>, tensor<f32>, tensor<f32>) -> (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4xf32>)
  // CHECK: train.all_reduce [@w, @v]
  train.all_reduce [@w, @v]
  // CHECK: train.reduce_scatter [@w, @v] ranks 4
  train.reduce_scatter [@w, @v] ranks 4
  // CHECK: train.all_gather [@w] ranks 4
  train.all_gather [@w] ranks 4
  // CHECK: train.rank_constant dense<[1.000000e+00, 5.000000e-01]> : tensor<2xf32> : tensor<1xf32>
  %3 = train.rank_constant dense<[1.0, 0.5]> : tensor<2xf32> : tensor<1xf32>
  return
}
