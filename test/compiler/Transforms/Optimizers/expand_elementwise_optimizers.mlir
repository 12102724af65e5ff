// RUN: smelt-opt %s --smelt-expand-elementwise-optimizers --split-input-file | FileCheck %s

// Lanes of the same element types are one launch; the f32 one comes first because its first lane does.
// CHECK-LABEL: func.func @adam
// CHECK-SAME: (%[[A:.*]]: tensor<8xf32>, %[[B:.*]]: tensor<4xbf16>, %[[C:.*]]: tensor<f32>, %[[LR:.*]]: tensor<f32>, %[[C1:.*]]: tensor<f32>, %[[C2:.*]]: tensor<f32>)
// CHECK: %[[F:.*]]:6 = kernel.foreach "adam" lanes 2(%[[A]], %[[C]], %[[A]], %[[C]], %[[A]], %[[C]], %[[A]], %[[C]]) uniforms(%[[LR]], %[[C1]], %[[C2]])
// CHECK-SAME: constants [#lm.numbers<2.0, 4.0>, #lm.numbers<0.0, 0.5>]
// CHECK-SAME: -> (tensor<8xf32>, tensor<f32>, tensor<8xf32>, tensor<f32>, tensor<8xf32>, tensor<f32>)
// CHECK: ^bb0(%[[P:[a-z0-9]+]]: tensor<1x1024xf32>, %[[G:[a-z0-9]+]]: tensor<1x1024xf32>, %[[M:[a-z0-9]+]]: tensor<1x1024xf32>, %[[V:[a-z0-9]+]]: tensor<1x1024xf32>, %{{[a-z0-9]+}}: tensor<f32>, %{{[a-z0-9]+}}: tensor<f32>, %{{[a-z0-9]+}}: tensor<f32>, %{{[a-z0-9]+}}: tensor<f32>, %{{[a-z0-9]+}}: tensor<f32>):
// CHECK: %[[M1:.*]] = lm.mix %[[M]], %[[G]] by
// CHECK: %[[GG:.*]] = lm.multiply %[[G]], %[[G]]
// CHECK: %[[V1:.*]] = lm.mix %[[V]], %[[GG]] by
// CHECK: kernel.yield %{{.*}}, %[[M1]], %[[V1]] : tensor<1x1024xf32>, tensor<1x1024xf32>, tensor<1x1024xf32>
// CHECK: %[[H:.*]]:3 = kernel.foreach "adam" lanes 1(%[[B]], %[[B]], %[[B]], %[[B]]) uniforms
// CHECK: ^bb0(%[[PB:[a-z0-9]+]]: tensor<1x1024xbf16>,
// CHECK: lm.cast %[[PB]] : tensor<1x1024xbf16> -> tensor<1x1024xf32>
// CHECK: kernel.yield %{{.*}} : tensor<1x1024xbf16>, tensor<1x1024xbf16>, tensor<1x1024xbf16>
// CHECK: return %[[F]]#0, %[[H]]#0, %[[F]]#1, %[[F]]#2, %[[H]]#1
func.func @adam(%a: tensor<8xf32>, %b: tensor<4xbf16>, %c: tensor<f32>, %lr: tensor<f32>, %c1: tensor<f32>, %c2: tensor<f32>) -> (tensor<8xf32>, tensor<4xbf16>, tensor<f32>, tensor<8xf32>, tensor<4xbf16>) {
  %p:3, %m:3, %v:3 = train.adam (%a, %b, %c) gradients (%a, %b, %c) moments (%a, %b, %c : %a, %b, %c) lr (%lr) corrections (%c1, %c2)
    {lr_scales = #lm.numbers<2.0, 3.0, 4.0>, weight_decays = #lm.numbers<0.0, 0.25, 0.5>, beta1 = 0.65 : f64, beta2 = 0.95 : f64, eps = 1.0e-8 : f64}
    : (tensor<8xf32>, tensor<4xbf16>, tensor<f32>, tensor<8xf32>, tensor<4xbf16>, tensor<f32>, tensor<8xf32>, tensor<4xbf16>, tensor<f32>, tensor<8xf32>, tensor<4xbf16>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>)
    -> (tensor<8xf32>, tensor<4xbf16>, tensor<f32>, tensor<8xf32>, tensor<4xbf16>, tensor<f32>, tensor<8xf32>, tensor<4xbf16>, tensor<f32>)
  return %p#0, %p#1, %p#2, %m#0, %m#1 : tensor<8xf32>, tensor<4xbf16>, tensor<f32>, tensor<8xf32>, tensor<4xbf16>
}

// -----

// The outer gradient is rounded to bf16; the parameter and its outer copy get the same value.
// CHECK-LABEL: func.func @snoo
// CHECK: kernel.foreach "snoo" lanes 1(%{{.*}}, %{{.*}}, %{{.*}}) uniforms() constants [#lm.numbers<0.68>]
// CHECK: %[[D:.*]] = lm.mix %{{.*}}, %{{.*}} by
// CHECK: %[[R:.*]] = lm.cast %[[D]] : tensor<1x1024xf32> -> tensor<1x1024xbf16>
// CHECK: lm.cast %[[R]] : tensor<1x1024xbf16> -> tensor<1x1024xf32>
func.func @snoo(%p: tensor<4xbf16>, %o: tensor<4xbf16>, %b: tensor<4xbf16>) -> (tensor<4xbf16>, tensor<4xbf16>, tensor<4xbf16>) {
  %0, %1, %2 = train.snoo (%p) outer (%o) momenta (%b) {lrs = #lm.numbers<0.68>, momentum = 0.37 : f64, nesterov = true}
    : (tensor<4xbf16>, tensor<4xbf16>, tensor<4xbf16>) -> (tensor<4xbf16>, tensor<4xbf16>, tensor<4xbf16>)
  return %0, %1, %2 : tensor<4xbf16>, tensor<4xbf16>, tensor<4xbf16>
}

// -----

// Other optimisers stay.
// CHECK-LABEL: func.func @other
// CHECK-NOT: kernel.foreach
func.func @other(%p: tensor<4xf32>) -> tensor<4xf32> {
  %0 = lm.add %p, %p : tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// A rank's part is a launch of its own, a parameter's or a master's.
lm.parameter @a : tensor<8xf32> constant 0.0
lm.parameter @w : tensor<8xbf16> constant 0.0 {smelt.master = f32}
train.state @master.w : tensor<4xf32> {part_names = ["w"], part_rows = array<i64: 8>}
lm.parameter @b : tensor<4xf32> constant 0.0
lm.parameter @c : tensor<4xf32> constant 0.0
// CHECK-LABEL: func.func @parts
// CHECK: %[[A:.*]] = lm.read @a {ranks = 2 : i64}
// CHECK: %[[B:.*]] = lm.read @b
// CHECK: %[[W:.*]] = lm.read @master.w
// CHECK: %[[C:.*]] = lm.read @c
// CHECK: kernel.foreach "adam" lanes 1(%[[A]], %[[A]], %[[A]], %[[A]])
// CHECK: kernel.foreach "adam" lanes 2(%[[B]], %[[C]], %[[B]], %[[C]]
// CHECK: kernel.foreach "adam" lanes 1(%[[W]], %[[W]], %[[W]], %[[W]])
func.func @parts(%lr: tensor<f32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  %a = lm.read @a {ranks = 2 : i64} : tensor<4xf32>
  %b = lm.read @b : tensor<4xf32>
  %w = lm.read @master.w : tensor<4xf32>
  %c = lm.read @c : tensor<4xf32>
  %p:4, %m:4, %v:4 = train.adam (%a, %b, %w, %c) gradients (%a, %b, %w, %c) moments (%a, %b, %w, %c : %a, %b, %w, %c) lr (%lr) corrections (%lr, %lr)
    {lr_scales = #lm.numbers<1.0, 1.0, 1.0, 1.0>, weight_decays = #lm.numbers<0.0, 0.0, 0.0, 0.0>, beta1 = 0.65 : f64, beta2 = 0.95 : f64, eps = 1.0e-8 : f64}
    : (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<f32>, tensor<f32>, tensor<f32>)
    -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>)
  return %p#0, %p#1, %p#2, %p#3 : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}
