// RUN: smelt-opt --smelt-form-kernels --smelt-fuse-rowwise-into-gemm-load --split-input-file %s | FileCheck %s

// A norm in front of two GEMMs (a layer and its weight's gradient) is computed in both loads and never stored.
// CHECK-LABEL: func.func @norm
// CHECK-NOT: kernel.rowwise
// CHECK: kernel.gemm a(%arg0) b(%arg1)
// CHECK: a {
// CHECK: lm.rms_norm
// CHECK: b {
// CHECK: kernel.gemm a(%arg2) b(%arg0)
// CHECK: b {
// CHECK: lm.rms_norm
func.func @norm(%x: tensor<64x32xf32>, %w: tensor<48x32xf32>, %dy: tensor<64x48xf32>) -> (tensor<64x48xf32>, tensor<48x32xf32>) {
  %n = lm.rms_norm %x {eps = 1.0e-6} : tensor<64x32xf32>
  %y = lm.matmul %n, %w {transpose_b} : tensor<64x32xf32>, tensor<48x32xf32> -> tensor<64x48xf32>
  %dw = lm.matmul %dy, %n {transpose_a} : tensor<64x48xf32>, tensor<64x32xf32> -> tensor<48x32xf32>
  return %y, %dw : tensor<64x48xf32>, tensor<48x32xf32>
}

// -----

// Neighbour rows of memory: a shift before the MLP.
// CHECK-LABEL: func.func @shift
// CHECK-NOT: kernel.rowwise
// CHECK: kernel.gemm a(%arg0) b(%arg1)
// CHECK: a {
// CHECK: lm.token_shift
func.func @shift(%x: tensor<64x32xf32>, %w: tensor<48x32xf32>) -> tensor<64x48xf32> {
  %n = lm.token_shift replace cross %x {features = array<i64: 0, 8>, heads = array<i64>} : (tensor<64x32xf32>) -> tensor<64x32xf32>
  %y = lm.matmul %n, %w {transpose_b} : tensor<64x32xf32>, tensor<48x32xf32> -> tensor<64x48xf32>
  return %y : tensor<64x48xf32>
}
