// RUN: smelt-opt --smelt-take-dots-of-matrices %s | FileCheck %s

// A linear layer: the gradient of the number that scales it is taken of the weight, whose gradient moves before it.
// CHECK-LABEL: func.func @linear
// CHECK: %[[DW:.*]] = lm.matmul %arg2, %arg0 {transpose_a}
// CHECK: %[[DS:.*]] = lm.dot %arg1, %[[DW]]
// CHECK: return %{{.*}}, %[[DS]], %[[DW]]
func.func @linear(%x: tensor<64x4xf32>, %w: tensor<6x4xf32>, %dy: tensor<64x6xf32>) -> (tensor<64x6xf32>, tensor<f32>, tensor<6x4xf32>) {
  %p = lm.matmul %x, %w {transpose_b} : tensor<64x4xf32>, tensor<6x4xf32> -> tensor<64x6xf32>
  %ds = lm.dot %p, %dy : tensor<64x6xf32> -> tensor<f32>
  %dw = lm.matmul %dy, %x {transpose_a} : tensor<64x6xf32>, tensor<64x4xf32> -> tensor<6x4xf32>
  return %p, %ds, %dw : tensor<64x6xf32>, tensor<f32>, tensor<6x4xf32>
}

// The other layout, the operands of the dot product the other way round, and the matrix on the left.
// CHECK-LABEL: func.func @layouts
// CHECK-DAG: %[[DW:.*]] = lm.matmul %arg0, %arg2 {transpose_a}
// CHECK-DAG: lm.dot %arg1, %[[DW]] : tensor<4x6xf32>
// CHECK-DAG: %[[DV:.*]] = lm.matmul %arg4, %arg3 {transpose_b}
// CHECK-DAG: lm.dot %arg5, %[[DV]] : tensor<6x4xf32>
func.func @layouts(%x: tensor<64x4xf32>, %w: tensor<4x6xf32>, %dy: tensor<64x6xf32>, %z: tensor<4x64xf32>, %dz: tensor<6x64xf32>, %v: tensor<6x4xf32>) -> (tensor<f32>, tensor<4x6xf32>, tensor<f32>, tensor<6x4xf32>) {
  %p = lm.matmul %x, %w : tensor<64x4xf32>, tensor<4x6xf32> -> tensor<64x6xf32>
  %dw = lm.matmul %x, %dy {transpose_a} : tensor<64x4xf32>, tensor<64x6xf32> -> tensor<4x6xf32>
  %ds = lm.dot %dy, %p : tensor<64x6xf32> -> tensor<f32>
  %q = lm.matmul %v, %z : tensor<6x4xf32>, tensor<4x64xf32> -> tensor<6x64xf32>
  %dt = lm.dot %q, %dz : tensor<6x64xf32> -> tensor<f32>
  %dv = lm.matmul %dz, %z {transpose_b} : tensor<6x64xf32>, tensor<4x64xf32> -> tensor<6x4xf32>
  return %ds, %dw, %dt, %dv : tensor<f32>, tensor<4x6xf32>, tensor<f32>, tensor<6x4xf32>
}

// Not: a matrix larger than the product; a product that is no gradient of this one; products of groups.
// CHECK-LABEL: func.func @refused
// CHECK-COUNT-3: lm.dot %{{.*}} : tensor<4x6xf32>
func.func @refused(%x: tensor<4x8xf32>, %w: tensor<6x8xf32>, %dy: tensor<4x6xf32>, %a: tensor<4x2xf32>, %b: tensor<6x2xf32>, %c: tensor<4x1xf32>, %g: tensor<2x6xf32>)
    -> (tensor<f32>, tensor<6x8xf32>, tensor<f32>, tensor<2x6xf32>, tensor<f32>, tensor<4x1xf32>) {
  %p = lm.matmul %x, %w {transpose_b} : tensor<4x8xf32>, tensor<6x8xf32> -> tensor<4x6xf32>
  %ds = lm.dot %p, %dy : tensor<4x6xf32> -> tensor<f32>
  %dw = lm.matmul %dy, %x {transpose_a} : tensor<4x6xf32>, tensor<4x8xf32> -> tensor<6x8xf32>
  // bᵀ's gradient, but b is multiplied: the shapes differ.
  %q = lm.matmul %a, %b {transpose_b} : tensor<4x2xf32>, tensor<6x2xf32> -> tensor<4x6xf32>
  %dt = lm.dot %q, %dy : tensor<4x6xf32> -> tensor<f32>
  %db = lm.matmul %a, %dy {transpose_a} : tensor<4x2xf32>, tensor<4x6xf32> -> tensor<2x6xf32>
  %r = lm.matmul %c, %g {groups = 2 : i64} : tensor<4x1xf32>, tensor<2x6xf32> -> tensor<4x6xf32>
  %du = lm.dot %r, %dy : tensor<4x6xf32> -> tensor<f32>
  %e = lm.matmul %dy, %g {transpose_b, groups = 2 : i64} : tensor<4x6xf32>, tensor<2x6xf32> -> tensor<4x1xf32>
  return %ds, %dw, %dt, %db, %du, %e : tensor<f32>, tensor<6x8xf32>, tensor<f32>, tensor<2x6xf32>, tensor<f32>, tensor<4x1xf32>
}
