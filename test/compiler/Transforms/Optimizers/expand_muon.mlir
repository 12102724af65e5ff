// RUN: smelt-opt %s --smelt-expand-muon --canonicalize --cse | FileCheck %s

// Wide: A = X·Xᵀ is 4 x 4.
// CHECK-LABEL: func.func @wide
// CHECK-SAME: (%[[P:.*]]: tensor<4x8xf32>, %[[G:.*]]: tensor<4x8xf32>, %[[M:.*]]: tensor<4x8xf32>, %[[LR:.*]]: tensor<f32>, %[[MU:.*]]: tensor<f32>)
// CHECK: %[[M1:.*]] = lm.mix %[[M]], %[[G]] by %[[MU]], %[[REST:.*]] :
// CHECK: %[[U:.*]] = lm.mix %[[G]], %[[M1]] by %[[REST]], %[[MU]] :
// CHECK: lm.dot %[[U]], %[[U]]
// CHECK: %[[X:.*]] = lm.scale %[[U]], %{{.*}} : tensor<4x8xf32>
// CHECK: %[[A:.*]] = lm.matmul %[[X]], %[[X]] {transpose_b} : tensor<4x8xf32>, tensor<4x8xf32> -> tensor<4x4xf32>
// CHECK: %[[AA:.*]] = lm.matmul %[[A]], %[[A]] : tensor<4x4xf32>, tensor<4x4xf32> -> tensor<4x4xf32>
// CHECK: %[[B:.*]] = lm.mix %[[A]], %[[AA]] by
// CHECK: %[[BX:.*]] = lm.matmul %[[B]], %[[X]] : tensor<4x4xf32>, tensor<4x8xf32> -> tensor<4x8xf32>
// CHECK: %[[X1:.*]] = lm.mix %[[X]], %[[BX]] by
// CHECK: %[[P1:.*]] = lm.mix %[[P]], %[[X1]] by
// CHECK: return %[[P1]], %[[M1]]
func.func @wide(%p: tensor<4x8xf32>, %g: tensor<4x8xf32>, %m: tensor<4x8xf32>, %lr: tensor<f32>, %mu: tensor<f32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  %p1, %m1 = train.muon %p gradient %g momentum %m lr %lr mu %mu {lr_scale = 0.5 : f64, weight_decay = 0.1 : f64, nesterov = true, coefficients = array<f64: 3.0, -4.0, 2.0>} : tensor<4x8xf32>, tensor<f32>, tensor<f32>
  return %p1, %m1 : tensor<4x8xf32>, tensor<4x8xf32>
}

// Tall: A = Xᵀ·X, and X is multiplied from the right.
// CHECK-LABEL: func.func @tall
// CHECK: %[[X:.*]] = lm.scale
// CHECK: %[[A:.*]] = lm.matmul %[[X]], %[[X]] {transpose_a} : tensor<8x4xf32>, tensor<8x4xf32> -> tensor<4x4xf32>
// CHECK: lm.matmul %[[X]], %{{.*}} : tensor<8x4xf32>, tensor<4x4xf32> -> tensor<8x4xf32>
func.func @tall(%p: tensor<8x4xf32>, %g: tensor<8x4xf32>, %m: tensor<8x4xf32>, %lr: tensor<f32>, %mu: tensor<f32>) -> (tensor<8x4xf32>, tensor<8x4xf32>) {
  %p1, %m1 = train.muon %p gradient %g momentum %m lr %lr mu %mu {lr_scale = 0.5 : f64, weight_decay = 0.0 : f64, nesterov = false, coefficients = array<f64: 3.0, -4.0, 2.0>} : tensor<8x4xf32>, tensor<f32>, tensor<f32>
  return %p1, %m1 : tensor<8x4xf32>, tensor<8x4xf32>
}
