// RUN: smelt-opt --smelt-form-kernels --smelt-fuse-rowwise-into-rowwise --split-input-file %s | FileCheck %s

// The sum over all rows comes first: two kernels.
// CHECK-LABEL: func.func @sum_first
// CHECK: kernel.rowwise
// CHECK: lm.sum
// CHECK: kernel.rowwise
// CHECK-SAME: it needs a sum over all rows that the same kernel adds up
func.func @sum_first(%x: tensor<16x8xf32>) -> tensor<16x8xf32> {
  %s = lm.sum %x : tensor<16x8xf32> -> tensor<f32>
  %n = lm.scale %x, %s : tensor<16x8xf32>, tensor<f32>
  return %n : tensor<16x8xf32>
}

// -----

// Scalar mathematics on a sum may follow in the same kernel.
// CHECK-LABEL: func.func @scalars_after
// CHECK: kernel.rowwise
// CHECK: lm.sum
// CHECK: lm.unary sqrt
// CHECK-NOT: kernel.rowwise
func.func @scalars_after(%x: tensor<16x8xf32>) -> tensor<f32> {
  %s = lm.sum %x : tensor<16x8xf32> -> tensor<f32>
  %n = lm.unary sqrt %s : tensor<f32>
  return %n : tensor<f32>
}

// -----

// Different numbers of rows.
// CHECK-LABEL: func.func @other_rows
// CHECK-COUNT-2: kernel.rowwise
func.func @other_rows(%x: tensor<16x8xf32>, %y: tensor<4x8xf32>) -> (tensor<16x8xf32>, tensor<4x8xf32>) {
  %a = lm.unary tanh %x : tensor<16x8xf32>
  %b = lm.unary tanh %y : tensor<4x8xf32>
  return %a, %b : tensor<16x8xf32>, tensor<4x8xf32>
}
