// RUN: smelt-opt --smelt-form-kernels %s | FileCheck %s

lm.parameter @w : tensor<6x8xf32> normal 1.0

// A matmul becomes a GEMM with identity regions.
// CHECK-LABEL: func.func @linear
// CHECK-SAME: (%[[X:.*]]: tensor<4x8xf32>)
func.func @linear(%x: tensor<4x8xf32>) -> tensor<4x6xf32> {
  // CHECK: %[[W:.*]] = lm.read @w
  %w = lm.read @w : tensor<6x8xf32>
  // CHECK: %[[Y:.*]] = kernel.gemm a(%[[X]]) b(%[[W]]) result() {transpose_b}
  // CHECK: ^bb0(%[[C:.*]]: tensor<4x6xf32>):
  // CHECK-NEXT: kernel.yield %[[C]]
  // CHECK: return %[[Y]]
  %y = lm.matmul %x, %w {transpose_b} : tensor<4x8xf32>, tensor<6x8xf32> -> tensor<4x6xf32>
  return %y : tensor<4x6xf32>
}

// A row op becomes a rowwise kernel; its constants move in, an operand used twice is one argument.
// CHECK-LABEL: func.func @rows
// CHECK-NOT: lm.constant
// CHECK: kernel.rowwise(%arg0) : (tensor<4x8xf32>) -> tensor<4x8xf32>
// CHECK-NEXT: ^bb0(%[[X:.*]]: tensor<4x8xf32>):
// CHECK-NEXT: %[[S:.*]] = lm.constant dense<2.000000e+00>
// CHECK-NEXT: %[[Y:.*]] = lm.mix %[[X]], %[[X]] by %[[S]], %[[S]]
// CHECK-NEXT: kernel.yield %[[Y]]
func.func @rows(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %s = lm.constant dense<2.0> : tensor<f32>
  %y = lm.mix %x, %x by %s, %s : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<f32>, tensor<f32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// Scalar mathematics is a kernel too until it is fused; a returned constant is computed.
// CHECK-LABEL: func.func @scalars
// CHECK: kernel.rowwise(%arg0) : (tensor<f32>) -> tensor<f32>
// CHECK: lm.unary sigmoid
// CHECK: kernel.rowwise() : () -> tensor<f32>
// CHECK: lm.constant
// CHECK-NEXT: kernel.yield
func.func @scalars(%x: tensor<f32>) -> (tensor<f32>, tensor<f32>) {
  %y = lm.unary sigmoid %x : tensor<f32>
  %one = lm.constant dense<1.0> : tensor<f32>
  return %y, %one : tensor<f32>, tensor<f32>
}

// The attention kernels keep their scale and a table of frequencies outside: buffers of constants.
// CHECK-LABEL: func.func @attention
// CHECK: %[[SCALE:.*]] = lm.constant dense<1.250000e-01>
// CHECK: kernel.attention q(%arg0) k(%arg1) v(%arg2) result() first(%arg3) scale(%[[SCALE]])
func.func @attention(%q: tensor<4x2x8xf32>, %k: tensor<4x2x8xf32>, %v: tensor<4x2x8xf32>, %first: tensor<4xi32>) -> tensor<4x2x8xf32> {
  %scale = lm.constant dense<0.125> : tensor<f32>
  %o, %lse = lm.attention %q, %k, %v first %first scale %scale : tensor<4x2x8xf32>, tensor<4xi32>, tensor<f32> -> tensor<4x2x8xf32>, tensor<4x2xf32>
  return %o : tensor<4x2x8xf32>
}
