// RUN: smelt-opt --smelt-form-kernels --smelt-sum-attention-gradients %s | FileCheck %s

// The output passes through a gate: the sums come from what is stored of it, and so does the gate's gradient.
// CHECK-LABEL: func.func @gated
// CHECK: %[[O:.*]], %[[LSE:.*]] = kernel.attention
// CHECK: %[[Y:.*]] = kernel.rowwise(%[[O]], %arg5)
// CHECK: lm.row_scale
// CHECK: %[[DO:.*]] = kernel.rowwise(%arg6, %arg5)
// CHECK: lm.row_scale
// CHECK: %[[SUMS:.*]] = kernel.rowwise(%[[Y]], %arg6) : (tensor<8x2x4xf32>, tensor<8x2x4xf32>) -> tensor<8x2xf32>
// CHECK: lm.row_dot
// CHECK: %[[DG:.*]] = kernel.rowwise(%[[SUMS]], %arg5)
// CHECK: lm.at_least {{.*}}bound = 1.0{{0*}}e-30
// CHECK: lm.unary reciprocal
// CHECK: lm.multiply
// CHECK: kernel.attention_backward {{.*}} out(%[[SUMS]], %[[LSE]], %[[DO]])
// CHECK: return %[[Y]], %[[DG]]
func.func @gated(%q: tensor<8x2x4xf32>, %k: tensor<8x2x4xf32>, %v: tensor<8x2x4xf32>, %first: tensor<8xi32>, %scale: tensor<f32>, %g: tensor<8x2xf32>, %dy: tensor<8x2x4xf32>)
    -> (tensor<8x2x4xf32>, tensor<8x2xf32>, tensor<8x2x4xf32>, tensor<8x2x4xf32>, tensor<8x2x4xf32>) {
  %o, %lse = lm.attention %q, %k, %v first %first scale %scale : tensor<8x2x4xf32>, tensor<8xi32>, tensor<f32> -> tensor<8x2x4xf32>, tensor<8x2xf32>
  %y = lm.row_scale %o, %g : tensor<8x2x4xf32>, tensor<8x2xf32>
  %do = lm.row_scale %dy, %g : tensor<8x2x4xf32>, tensor<8x2xf32>
  %dg = lm.row_dot %o, %dy : tensor<8x2x4xf32> -> tensor<8x2xf32>
  %dq, %dk, %dv = lm.attention_backward %q, %k, %v first %first scale %scale out %o, %lse, %do : tensor<8x2x4xf32>, tensor<8xi32>, tensor<f32>, tensor<8x2xf32>
  return %y, %dg, %dq, %dk, %dv : tensor<8x2x4xf32>, tensor<8x2xf32>, tensor<8x2x4xf32>, tensor<8x2x4xf32>, tensor<8x2x4xf32>
}

// No gate: the sums of the output itself.
// CHECK-LABEL: func.func @plain
// CHECK: %[[O:.*]], %[[LSE:.*]] = kernel.attention
// CHECK: %[[SUMS:.*]] = kernel.rowwise(%[[O]], %arg5)
// CHECK: lm.row_dot
// CHECK: kernel.attention_backward {{.*}} out(%[[SUMS]], %[[LSE]], %arg5)
func.func @plain(%q: tensor<8x2x4xf32>, %k: tensor<8x2x4xf32>, %v: tensor<8x2x4xf32>, %first: tensor<8xi32>, %scale: tensor<f32>, %do: tensor<8x2x4xf32>)
    -> (tensor<8x2x4xf32>, tensor<8x2x4xf32>, tensor<8x2x4xf32>, tensor<8x2x4xf32>) {
  %o, %lse = lm.attention %q, %k, %v first %first scale %scale : tensor<8x2x4xf32>, tensor<8xi32>, tensor<f32> -> tensor<8x2x4xf32>, tensor<8x2xf32>
  %dq, %dk, %dv = lm.attention_backward %q, %k, %v first %first scale %scale out %o, %lse, %do : tensor<8x2x4xf32>, tensor<8xi32>, tensor<f32>, tensor<8x2xf32>
  return %o, %dq, %dk, %dv : tensor<8x2x4xf32>, tensor<8x2x4xf32>, tensor<8x2x4xf32>, tensor<8x2x4xf32>
}
