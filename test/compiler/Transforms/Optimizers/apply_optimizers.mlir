// RUN: smelt-opt %s --smelt-apply-optimizers | FileCheck %s

lm.parameter @a : tensor<4x16xf32> constant 0.0
lm.parameter @b : tensor<f32> constant 0.0
lm.parameter @w : tensor<12x16xf32> constant 0.0
lm.parameter @untouched : tensor<f32> constant 0.0
train.schedule @lr : tensor<f32> = [0.0, 9.0, 1.0, 0.0]
train.schedule @momentum : tensor<f32> = [0.0, 9.0, 0.9, 0.0]
// The rate is the group's times the parameter's; so is the decay. @untouched gets no gradient and is left alone.
train.optimizer adamw @scalars [@a, @b, @untouched] lr 0.5 @lr {lr_scales = #lm.numbers<1.0, 2.0, 1.0>, weight_decay_scales = #lm.numbers<1.0, 0.0, 1.0>,
  splits = array<i64: 1, 1, 1>, config = {beta1 = 0.8 : f64, beta2 = 0.99 : f64, eps = 1.0e-8 : f64, weight_decay = 0.25 : f64}}
train.optimizer muon @matrices [@w] lr 0.25 @lr {lr_scales = #lm.numbers<2.0>, weight_decay_scales = #lm.numbers<1.0>, splits = array<i64: 3>,
  config = {coefficients = #lm.numbers<3.0, -4.0, 2.0>, momentum_schedule = @momentum, nesterov = false}}
// Banks by shape; @x and @y are both split into 2 x 8, @z is not.
lm.parameter @x : tensor<4x8xbf16> constant 0.0
lm.parameter @y : tensor<6x8xbf16> constant 0.0
lm.parameter @z : tensor<3x8xbf16> constant 0.0
train.optimizer normuon @gates [@x, @y, @z] lr 0.25 @lr {lr_scales = #lm.numbers<2.0, 1.0, 1.0>, weight_decay_scales = #lm.numbers<1.0, 0.5, 1.0>, splits = array<i64: 2, 3, 1>,
  config = {coefficients = #lm.numbers<3.0, -4.0, 2.0>, momentum_schedule = @momentum, cautious = true, weight_decay = 1.5 : f64, beta2 = 0.9 : f64, variance_axes = array<i64: 1, 1, 0>}}
lm.parameter @h : tensor<4x8xbf16> constant 0.0
train.optimizer muon @masters [@h] lr 0.25 @lr {lr_scales = #lm.numbers<1.0>, weight_decay_scales = #lm.numbers<1.0>, splits = array<i64: 1>,
  config = {coefficients = #lm.numbers<3.0, -4.0, 2.0>, momentum_schedule = @momentum, update_smoothing = 0.2 : f64, master = "bf16_plus_16", norm_scale = 1.0 : f64}}

func.func @"train.T8"(%a: tensor<4x16xf32>, %b: tensor<f32>, %w: tensor<12x16xf32>, %x: tensor<4x8xbf16>, %y: tensor<6x8xbf16>, %z: tensor<3x8xbf16>) attributes {smelt.role = "train"} {
  train.gradient @a, %a : tensor<4x16xf32>
  train.gradient @b, %b : tensor<f32>
  train.gradient @w, %w : tensor<12x16xf32>
  train.gradient @x, %x : tensor<4x8xbf16>
  train.gradient @y, %y : tensor<6x8xbf16>
  train.gradient @z, %z : tensor<3x8xbf16>
  train.gradient @h, %x : tensor<4x8xbf16>
  return
}

// CHECK-DAG: train.state @adamw.m.a : tensor<4x16xf32>
// CHECK-DAG: train.schedule @scalars.correction1 : tensor<f32> one_minus_power 8.000000e-01 every 1 offset 0
// CHECK-DAG: train.schedule @scalars.correction2 : tensor<f32> one_minus_power {{0.9[89][0-9]*}} every 1 offset 0
// CHECK-DAG: train.state @adamw.v.b : tensor<f32>
// CHECK-DAG: train.state @muon.m.w : tensor<12x16xf32>
// CHECK-NOT: untouched : {{.*}}state
// CHECK-DAG: train.bank @bank.0 [@x, @y] : tensor<10x8xbf16>
// CHECK-DAG: train.state @normuon.v.y : tensor<6xbf16>
// CHECK-DAG: train.bank @normuon.v.bank.0 [@normuon.v.x, @normuon.v.y] : tensor<10xbf16>
// CHECK-DAG: train.state @muon.s.h : tensor<4x8xbf16>
// CHECK-LABEL: func.func @update() attributes {smelt.role = "update"}
// CHECK: %[[A:.*]] = lm.read @a : tensor<4x16xf32>
// CHECK: %[[GA:.*]] = train.read_gradient @a : tensor<4x16xf32>
// CHECK: %[[MA:.*]] = lm.read @adamw.m.a
// CHECK: %[[VA:.*]] = lm.read @adamw.v.a
// CHECK: %[[B:.*]] = lm.read @b : tensor<f32>
// CHECK: %[[LR:.*]] = lm.setting @lr : tensor<f32>
// CHECK: %[[C1:.*]] = lm.setting @scalars.correction1 : tensor<f32>
// CHECK: %[[C2:.*]] = lm.setting @scalars.correction2 : tensor<f32>
// CHECK: %[[P:.*]]:2, %[[M:.*]]:2, %[[V:.*]]:2 = train.adamw(%[[A]], %[[B]]) gradients(%[[GA]], %{{.*}}) moments(%[[MA]], %{{.*}} : %[[VA]], %{{.*}}) lr(%[[LR]]) corrections(%[[C1]], %[[C2]])
// CHECK-SAME: beta1 = 8.000000e-01 : f64
// CHECK-SAME: lr_scales = #lm.numbers<0.5, 1.0>
// CHECK-SAME: weight_decays = #lm.numbers<0.25, 0.0>
// CHECK: train.write @a, %[[P]]#0
// CHECK: train.write @adamw.m.a, %[[M]]#0
// CHECK: train.write @adamw.v.a, %[[V]]#0
// Three blocks of rows: matrices of one bank, which needs no buffer of its own beside the parameter.
// CHECK: %[[W:.*]] = lm.read @w : tensor<12x16xf32>
// CHECK: %[[NEW:.*]], %[[MOMENTUM:.*]] = train.muon %[[W]] {{.*}}groups = 3 : i64, lr_scales = #lm.numbers<0.5, 0.5, 0.5>, nesterov = false, norm_eps = 9.9999999999999995E-8 : f64, norm_scale = 1.015625
// CHECK: train.write @w, %[[NEW]] : tensor<12x16xf32>
// CHECK: train.write @muon.m.w, %[[MOMENTUM]] : tensor<12x16xf32>

// Stored in bf16, computed in f32.
// CHECK: %[[G:.*]] = train.read_gradient @bank.0 : tensor<10x8xbf16>
// CHECK: lm.cast %[[G]] : tensor<10x8xbf16> -> tensor<10x8xf32>
// CHECK: lm.read @normuon.m.bank.0 : tensor<10x8xbf16>
// CHECK: lm.read @normuon.v.bank.0 : tensor<10xbf16>
// CHECK: lm.read @bank.0 : tensor<10x8xbf16>
// CHECK: train.normuon {{.*}}beta2 = 9.000000e-01 : f64, cautious = true, {{.*}}groups = 5 : i64, lr_scales = #lm.numbers<2.0, 2.0, 1.0, 1.0, 1.0>, {{.*}}peak = 2.500000e-01 : f64, variance_axis = 1 : i64, weight_decays = #lm.numbers<1.5, 1.5, 0.75, 0.75, 0.75>
// CHECK: train.write @bank.0
// CHECK: train.write @normuon.m.bank.0
// CHECK: train.write @normuon.v.bank.0
// CHECK: lm.read @normuon.v.z : tensor<1x8xbf16>
// CHECK: train.normuon {{.*}}variance_axis = 0 : i64

// CHECK: %[[LOW:.*]] = lm.read @master.low.h : tensor<4x8xi16>
// CHECK: %[[P32:.*]] = lm.join_master %{{.*}}, %[[LOW]]
// CHECK: train.muon %[[P32]] {{.*}} smoothed %{{.*}}norm_scale = 1.000000e+00 : f64, smoothing = 2.000000e-01
// CHECK: %[[HIGH:.*]], %[[REST:.*]] = lm.split_master
// CHECK: train.write @h, %[[HIGH]]
// CHECK: train.write @master.low.h, %[[REST]]
