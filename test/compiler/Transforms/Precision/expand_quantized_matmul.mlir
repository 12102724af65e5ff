// RUN: smelt-opt %s --smelt-expand-quantized-matmul | FileCheck %s
// RUN: smelt-opt %s --smelt-autodiff --smelt-expand-quantized-matmul --canonicalize --cse | FileCheck %s --check-prefix=SHARED

lm.parameter @w : tensor<6x4xf32> normal 1.0
lm.parameter @v : tensor<8x4xf32> normal 1.0

// CHECK-LABEL: func.func @train
// CHECK: %[[V:.*]] = lm.read @v
// CHECK: %[[W:.*]] = lm.read @w
// CHECK: %[[QX:.*]] = lm.quantize %[[V]] {scale = 5.000000e-01 : f64} : tensor<8x4xf32> -> tensor<8x4xf8E4M3FN>
// CHECK: %[[QW:.*]] = lm.quantize %[[W]] {scale = 2.500000e-01 : f64} : tensor<6x4xf32> -> tensor<6x4xf8E4M3FN>
// CHECK: %[[P:.*]] = lm.matmul %[[QX]], %[[QW]] {transpose_b} : tensor<8x4xf8E4M3FN>, tensor<6x4xf8E4M3FN> -> tensor<8x6xf32>
// CHECK: %[[S:.*]] = lm.constant dense<1.250000e-01> : tensor<f32>
// CHECK: lm.scale %[[P]], %[[S]] : tensor<8x6xf32>, tensor<f32>
// CHECK-NOT: lm.quantized_matmul

// Forward and backward quantise each operand once; the gradient is e5m2.
// SHARED-LABEL: func.func @train
// SHARED: %[[QX:.*]] = lm.quantize %{{.*}} : tensor<8x4xf32> -> tensor<8x4xf8E4M3FN>
// SHARED: %[[QW:.*]] = lm.quantize %{{.*}} : tensor<6x4xf32> -> tensor<6x4xf8E4M3FN>
// SHARED: lm.matmul %[[QX]], %[[QW]] {transpose_b}
// SHARED: %[[QG:.*]] = lm.quantize %{{.*}} : tensor<8x6xf32> -> tensor<8x6xf8E5M2>
// SHARED-NOT: lm.quantize
// SHARED: lm.matmul %[[QG]], %[[QW]] : tensor<8x6xf8E5M2>, tensor<6x4xf8E4M3FN> -> tensor<8x4xf32>
// SHARED-NOT: lm.quantize
// SHARED: lm.matmul %[[QG]], %[[QX]] {transpose_a} : tensor<8x6xf8E5M2>, tensor<8x4xf8E4M3FN> -> tensor<6x4xf32>
// SHARED-NOT: lm.quantize
func.func @train(%targets: tensor<8xi32>) -> tensor<f32> attributes {smelt.role = "train"} {
  %v = lm.read @v : tensor<8x4xf32>
  %w = lm.read @w : tensor<6x4xf32>
  %z = lm.quantized_matmul %v, %w {x_scale = 0.5 : f64, w_scale = 0.25 : f64, gradient_scale = 1.0 : f64} : tensor<8x4xf32>, tensor<6x4xf32> -> tensor<8x6xf32>
  %loss, %lse = lm.cross_entropy %z, %targets : tensor<8x6xf32>, tensor<8xi32> -> tensor<8xf32>, tensor<8xf32>
  %sum = lm.sum %loss : tensor<8xf32> -> tensor<f32>
  return %sum : tensor<f32>
}
