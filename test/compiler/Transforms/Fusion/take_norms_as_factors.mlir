// RUN: smelt-opt --smelt-form-kernels --smelt-take-norms-as-factors %s | FileCheck %s

// Forward, a gate and backward: Σ x² of two parts of 128 columns, its factor, and x itself in each product.
// CHECK-LABEL: func.func @layer
// CHECK: %[[X:.*]] = kernel.rowwise(%{{.*}}, %arg0) : {{.*}} -> tensor<8x256xf32>
// CHECK-NEXT: ^bb0
// CHECK-NEXT: lm.add
// CHECK: %[[S:.*]] = kernel.rowwise(%[[X]]) : (tensor<8x256xf32>) -> tensor<8x2xf32>
// CHECK-NEXT: ^bb0(%[[A:.*]]: tensor<8x256xf32>):
// CHECK-NEXT: %[[B:.*]] = lm.reshape %[[A]] : tensor<8x256xf32> -> tensor<8x2x128xf32>
// CHECK-NEXT: %[[C:.*]] = lm.row_dot %[[B]], %[[B]] : tensor<8x2x128xf32> -> tensor<8x2xf32>
// CHECK: %[[R:.*]] = kernel.rowwise(%[[S]]) : (tensor<8x2xf32>) -> tensor<8xf32>
// CHECK: lm.constant dense<1.0{{.*}}> : tensor<8x2xf32>
// CHECK: lm.row_dot
// CHECK: lm.constant dense<3.906250e-03>
// CHECK: lm.scale
// CHECK: lm.add
// CHECK: lm.unary sqrt
// CHECK: lm.unary reciprocal
// CHECK: %[[G:.*]] = kernel.rowwise(%[[X]], %[[R]]) : {{.*}} -> tensor<8x256xf32>
// CHECK: lm.row_scale
// CHECK: kernel.rowwise(%[[G]], %arg4)
// CHECK: lm.gate
// CHECK: %[[P:.*]] = kernel.gemm a(%[[X]]) b(%arg2)
// CHECK: kernel.rowwise(%[[P]], %[[R]])
// CHECK: lm.row_scale
// CHECK: %[[DY:.*]] = kernel.rowwise(%{{.*}}, %[[R]]) : {{.*}} -> tensor<8x64xf32>
// CHECK: lm.row_scale
// CHECK: kernel.gemm a(%[[DY]]) b(%[[X]]) result() {transpose_a}
// CHECK: %[[DX:.*]] = kernel.gemm a(%[[DY]]) b(%arg2)
// CHECK: %[[DN:.*]] = kernel.rowwise(%[[DX]], %[[R]])
// CHECK: lm.unary reciprocal
// CHECK: lm.row_scale
// CHECK: kernel.rowwise(%[[X]], %[[DN]])
// CHECK: lm.rms_norm_backward
func.func @layer(%x: tensor<8x256xf32>, %w0: tensor<256x256xf32>, %w: tensor<64x256xf32>, %dy: tensor<8x64xf32>, %v: tensor<6x12xf32>)
    -> (tensor<8x64xf32>, tensor<64x256xf32>, tensor<8x256xf32>, tensor<8x6xf32>) {
  %0 = lm.matmul %x, %w0 : tensor<8x256xf32>, tensor<256x256xf32> -> tensor<8x256xf32>
  %1 = lm.add %0, %x : tensor<8x256xf32>
  %2 = lm.rms_norm %1 {eps = 1.0e-6 : f64} : tensor<8x256xf32>
  %3 = lm.gate %2, %v : tensor<8x256xf32>, tensor<6x12xf32> -> tensor<8x6xf32>
  %4 = lm.matmul %2, %w {transpose_b} : tensor<8x256xf32>, tensor<64x256xf32> -> tensor<8x64xf32>
  %5 = lm.unary relu_squared %4 : tensor<8x64xf32>
  %6 = lm.unary_backward relu_squared %4, %dy : tensor<8x64xf32>
  %7 = lm.matmul %6, %2 {transpose_a} : tensor<8x64xf32>, tensor<8x256xf32> -> tensor<64x256xf32>
  %8 = lm.matmul %6, %w : tensor<8x64xf32>, tensor<64x256xf32> -> tensor<8x256xf32>
  %9 = lm.rms_norm_backward %1, %8 {eps = 1.0e-6 : f64} : tensor<8x256xf32>
  return %5, %7, %9, %3 : tensor<8x64xf32>, tensor<64x256xf32>, tensor<8x256xf32>, tensor<8x6xf32>
}

// Left as they are: a norm of an input (its launch stores it for nothing more), one that somebody else reads, one that is multiplied with
// something that others read, one before the loss, one of 96 columns.
// CHECK-LABEL: func.func @kept
// CHECK-COUNT-5: lm.rms_norm
// CHECK-NOT: lm.row_scale
func.func @kept(%x: tensor<8x256xf32>, %w: tensor<256x256xf32>, %n: tensor<256x96xf32>, %t: tensor<8xi32>)
    -> (tensor<8x256xf32>, tensor<8x256xf32>, tensor<256x256xf32>, tensor<8x256xf32>, tensor<8xf32>, tensor<8x256xf32>) {
  %0 = lm.rms_norm %x {eps = 1.0e-6 : f64} : tensor<8x256xf32>
  %1 = lm.matmul %0, %w : tensor<8x256xf32>, tensor<256x256xf32> -> tensor<8x256xf32>
  %2 = lm.rms_norm %1 {eps = 1.0e-6 : f64} : tensor<8x256xf32>
  %3 = lm.matmul %2, %w : tensor<8x256xf32>, tensor<256x256xf32> -> tensor<8x256xf32>
  %4 = lm.rms_norm %3 {eps = 1.0e-6 : f64} : tensor<8x256xf32>
  %5 = lm.matmul %4, %w : tensor<8x256xf32>, tensor<256x256xf32> -> tensor<8x256xf32>
  %6 = lm.matmul %5, %4 {transpose_a} : tensor<8x256xf32>, tensor<8x256xf32> -> tensor<256x256xf32>
  %7 = lm.rms_norm %5 {eps = 1.0e-6 : f64} : tensor<8x256xf32>
  %8 = lm.matmul %7, %w : tensor<8x256xf32>, tensor<256x256xf32> -> tensor<8x256xf32>
  %loss, %lse = lm.cross_entropy %8, %t : tensor<8x256xf32>, tensor<8xi32> -> tensor<8xf32>, tensor<8xf32>
  %9 = lm.matmul %x, %n : tensor<8x256xf32>, tensor<256x96xf32> -> tensor<8x96xf32>
  %10 = lm.rms_norm %9 {eps = 1.0e-6 : f64} : tensor<8x96xf32>
  %11 = lm.matmul %10, %n {transpose_b} : tensor<8x96xf32>, tensor<256x96xf32> -> tensor<8x256xf32>
  return %2, %5, %6, %11, %loss, %3 : tensor<8x256xf32>, tensor<8x256xf32>, tensor<256x256xf32>, tensor<8x256xf32>, tensor<8xf32>, tensor<8x256xf32>
}
