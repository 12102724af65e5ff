// RUN: smelt-opt --smelt-form-kernels --smelt-fuse-rowwise-into-attention-result --split-input-file %s | FileCheck %s

// A gate on the output, whose factor is a tensor of its own: the ungated output is not stored.
// CHECK-LABEL: func.func @gate
// CHECK: %[[O:.*]], %{{.*}} = kernel.attention q(%arg0) k(%arg0) v(%arg0) result(%arg3)
// CHECK: result {
// CHECK: lm.row_scale
// CHECK-NOT: kernel.rowwise
// CHECK: return %[[O]]
func.func @gate(%q: tensor<8x2x4xf32>, %first: tensor<8xi32>, %scale: tensor<f32>, %gate: tensor<8x2xf32>) -> tensor<8x2x4xf32> {
  %o, %lse = lm.attention %q, %q, %q first %first scale %scale : tensor<8x2x4xf32>, tensor<8xi32>, tensor<f32> -> tensor<8x2x4xf32>, tensor<8x2xf32>
  %y = lm.row_scale %o, %gate : tensor<8x2x4xf32>, tensor<8x2xf32>
  return %y : tensor<8x2x4xf32>
}

// -----

// A norm across heads needs all of them at once.
// CHECK-LABEL: func.func @norm
// CHECK: kernel.attention
// CHECK: kernel.rowwise
// CHECK-SAME: attention works head by head
func.func @norm(%q: tensor<8x2x4xf32>, %first: tensor<8xi32>, %scale: tensor<f32>) -> tensor<8x2x4xf32> {
  %o, %lse = lm.attention %q, %q, %q first %first scale %scale : tensor<8x2x4xf32>, tensor<8xi32>, tensor<f32> -> tensor<8x2x4xf32>, tensor<8x2xf32>
  %y = lm.rms_norm %o {eps = 1.0e-6} : tensor<8x2x4xf32>
  return %y : tensor<8x2x4xf32>
}
