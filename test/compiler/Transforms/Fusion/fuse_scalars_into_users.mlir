// RUN: smelt-opt --smelt-form-kernels --smelt-fuse-scalars-into-users %s | FileCheck %s

// sigmoid(skip)·2 is computed by both kernels that use it.
// CHECK-LABEL: func.func @coefficient
// CHECK: kernel.rowwise(%arg0, %arg1)
// CHECK: lm.unary sigmoid
// CHECK: lm.scale
// CHECK: kernel.rowwise(%arg2, %arg1)
// CHECK: lm.unary sigmoid
// CHECK-NOT: kernel.rowwise
func.func @coefficient(%x: tensor<16x8xf32>, %skip: tensor<f32>, %y: tensor<4x8xf32>) -> (tensor<16x8xf32>, tensor<4x8xf32>) {
  %s = lm.unary sigmoid %skip : tensor<f32>
  %t = lm.add %s, %s : tensor<f32>
  %a = lm.scale %x, %t : tensor<16x8xf32>, tensor<f32>
  %b = lm.scale %y, %t : tensor<4x8xf32>, tensor<f32>
  return %a, %b : tensor<16x8xf32>, tensor<4x8xf32>
}

// Not a region: what a program returns, or attention's scale, stays a kernel.
// CHECK-LABEL: func.func @returned
// CHECK: kernel.rowwise(%arg0)
func.func @returned(%skip: tensor<f32>) -> tensor<f32> {
  %s = lm.unary sigmoid %skip : tensor<f32>
  return %s : tensor<f32>
}
