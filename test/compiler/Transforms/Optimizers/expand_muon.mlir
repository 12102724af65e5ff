// RUN: smelt-opt %s --smelt-expand-muon --canonicalize --cse | FileCheck %s

// Two wide matrices below each other: A = X·Xᵀ is 4 x 4 for each.
// CHECK-LABEL: func.func @wide
// CHECK-SAME: (%[[P:.*]]: tensor<8x8xf32>, %[[G:.*]]: tensor<8x8xf32>, %[[M:.*]]: tensor<8x8xf32>, %[[LR:.*]]: tensor<f32>, %[[MU:.*]]: tensor<f32>)
// CHECK: %[[M1:.*]] = lm.mix %[[M]], %[[G]] by %[[MU]], %[[REST:.*]] :
// CHECK: %[[U:.*]] = lm.mix %[[G]], %[[M1]] by %[[REST]], %[[MU]] :
// CHECK: %[[SQUARES:.*]] = lm.row_dot %[[U]], %[[U]] : tensor<8x8xf32> -> tensor<8xf32>
// CHECK: %[[SUM:.*]] = lm.group_sum %[[SQUARES]] : tensor<8xf32> -> tensor<2xf32>
// CHECK: lm.expand_groups %[[SUM]] : tensor<2xf32> -> tensor<8xf32>
// CHECK: %[[X:.*]] = lm.row_scale %[[U]], %{{.*}} : tensor<8x8xf32>, tensor<8xf32>
// CHECK: %[[A:.*]] = lm.matmul %[[X]], %[[X]] {groups = 2 : i64, transpose_b} : tensor<8x8xf32>, tensor<8x8xf32> -> tensor<8x4xf32>
// CHECK: %[[AA:.*]] = lm.matmul %[[A]], %[[A]] {groups = 2 : i64} : tensor<8x4xf32>, tensor<8x4xf32> -> tensor<8x4xf32>
// CHECK: %[[B:.*]] = lm.mix %[[A]], %[[AA]] by
// CHECK: %[[BX:.*]] = lm.matmul %[[B]], %[[X]] {groups = 2 : i64} : tensor<8x4xf32>, tensor<8x8xf32> -> tensor<8x8xf32>
// CHECK: %[[X1:.*]] = lm.mix %[[X]], %[[BX]] by
// CHECK: %[[P1:.*]] = lm.mix %[[P]], %[[X1]] by
// CHECK: return %[[P1]], %[[M1]]
func.func @wide(%p: tensor<8x8xf32>, %g: tensor<8x8xf32>, %m: tensor<8x8xf32>, %lr: tensor<f32>, %mu: tensor<f32>) -> (tensor<8x8xf32>, tensor<8x8xf32>) {
  %p1, %m1 = train.muon %p gradient %g momentum %m lr %lr mu %mu {groups = 2 : i64, lr_scales = #lm.numbers<0.5, 0.5>, weight_decays = #lm.numbers<0.1, 0.1>, nesterov = true, norm_scale = 1.0 : f64, norm_eps = 1.0e-7 : f64, coefficients = #lm.numbers<3.0, -4.0, 2.0>} : (tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>, tensor<f32>, tensor<f32>) -> (tensor<8x8xf32>, tensor<8x8xf32>)
  return %p1, %m1 : tensor<8x8xf32>, tensor<8x8xf32>
}

// Tall: A = Xᵀ·X, and X is multiplied from the right. Rates that differ are a table with one number per matrix.
// CHECK-LABEL: func.func @tall
// CHECK-DAG: lm.constant dense<[-0.707106769, -1.41421354]> : tensor<2xf32>
// CHECK: %[[X:.*]] = lm.row_scale
// CHECK: lm.matmul %[[X]], %[[X]] {groups = 2 : i64, transpose_a} : tensor<16x4xf32>, tensor<16x4xf32> -> tensor<8x4xf32>
// CHECK: lm.matmul %[[X]], %{{.*}} {groups = 2 : i64} : tensor<16x4xf32>, tensor<8x4xf32> -> tensor<16x4xf32>
func.func @tall(%p: tensor<16x4xf32>, %g: tensor<16x4xf32>, %m: tensor<16x4xf32>, %lr: tensor<f32>, %mu: tensor<f32>) -> (tensor<16x4xf32>, tensor<16x4xf32>) {
  %p1, %m1 = train.muon %p gradient %g momentum %m lr %lr mu %mu {groups = 2 : i64, lr_scales = #lm.numbers<0.5, 1.0>, weight_decays = #lm.numbers<0.0, 0.0>, nesterov = false, norm_scale = 1.0 : f64, norm_eps = 1.0e-7 : f64, coefficients = #lm.numbers<3.0, -4.0, 2.0>} : (tensor<16x4xf32>, tensor<16x4xf32>, tensor<16x4xf32>, tensor<f32>, tensor<f32>) -> (tensor<16x4xf32>, tensor<16x4xf32>)
  return %p1, %m1 : tensor<16x4xf32>, tensor<16x4xf32>
}

// The smoothed update is stored in bf16, and the step takes what is stored.
// CHECK-LABEL: func.func @smoothed
// CHECK-SAME: %[[S:[a-z0-9]+]]: tensor<4x8xbf16>
// CHECK: %[[OLD:.*]] = lm.cast %[[S]] : tensor<4x8xbf16> -> tensor<4x8xf32>
// CHECK: %[[MOVED:.*]] = lm.mix %[[OLD]], %{{.*}} by
// CHECK: %[[NEW:.*]] = lm.cast %[[MOVED]] : tensor<4x8xf32> -> tensor<4x8xbf16>
// CHECK: %[[STEP:.*]] = lm.cast %[[NEW]] : tensor<4x8xbf16> -> tensor<4x8xf32>
// CHECK: lm.mix %{{.*}}, %[[STEP]] by
func.func @smoothed(%p: tensor<4x8xf32>, %s: tensor<4x8xbf16>, %lr: tensor<f32>) -> (tensor<4x8xf32>, tensor<4x8xbf16>) {
  %r:3 = train.muon %p gradient %p momentum %p smoothed %s lr %lr mu %lr {lr_scales = #lm.numbers<1.0>, weight_decays = #lm.numbers<0.0>, nesterov = true, norm_scale = 1.0 : f64, norm_eps = 1.0e-7 : f64, smoothing = 0.2 : f64, coefficients = #lm.numbers<3.0, -4.0, 2.0>} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xbf16>, tensor<f32>, tensor<f32>) -> (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xbf16>)
  return %r#0, %r#2 : tensor<4x8xf32>, tensor<4x8xbf16>
}

// NorMuon: one second moment per row; decay where update and parameter agree.
// CHECK-LABEL: func.func @normuon
// CHECK-SAME: (%[[P:.*]]: tensor<8x8xf32>, %[[V:.*]]: tensor<8xf32>
// CHECK: lm.matmul
// CHECK: %[[SECOND:.*]] = lm.mix %[[V]], %{{.*}} by
// CHECK: lm.at_least %[[SECOND]] {bound = 1.000000e-10 : f64}
// CHECK-COUNT-2: lm.group_sum %{{.*}} : tensor<8xf32> -> tensor<2xf32>
// CHECK: %[[UPDATE:.*]] = lm.row_scale
// CHECK: %[[PRODUCT:.*]] = lm.multiply %[[UPDATE]], %[[P]]
// CHECK: lm.unary step %[[PRODUCT]]
func.func @normuon(%p: tensor<8x8xf32>, %v: tensor<8xf32>, %lr: tensor<f32>) -> (tensor<8x8xf32>, tensor<8xf32>) {
  %r:3 = train.normuon %p gradient %p momentum %p second %v lr %lr mu %lr {groups = 2 : i64, peak = 0.1 : f64, lr_scales = #lm.numbers<1.0, 1.0>, weight_decays = #lm.numbers<1.0, 1.0>, nesterov = true, beta2 = 0.95 : f64, cautious = true, variance_axis = 1 : i64, norm_scale = 1.02 : f64, norm_eps = 1.0e-6 : f64, coefficients = #lm.numbers<3.0, -4.0, 2.0>} : (tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>) -> (tensor<8x8xf32>, tensor<8x8xf32>, tensor<8xf32>)
  return %r#0, %r#2 : tensor<8x8xf32>, tensor<8xf32>
}
