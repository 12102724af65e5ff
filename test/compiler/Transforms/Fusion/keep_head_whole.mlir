// RUN: smelt-opt --smelt-to-kernel=gpu=sm_90a %s | FileCheck %s

// The Hopper generators take the whole head: product, softcap, cross-entropy and its gradient are one kernel, and no logits are stored
// between kernels. The products that follow read the gradient as it is stored.
// CHECK-LABEL: func.func @head
// CHECK: call {{.*}}"gemm: {{.*}}softcap, cross_entropy, sum, cross_entropy_backward, softcap_backward, cast"
// CHECK-NOT: softcap
// CHECK: call {{.*}}"gemm
// CHECK-NOT: softcap
// CHECK: call {{.*}}"gemm
// CHECK-NOT: call
// CHECK: return
func.func @head(%x: tensor<256x128xbf16>, %w: tensor<512x128xbf16>, %t: tensor<256xi32>) -> (tensor<f32>, tensor<256x128xf32>, tensor<512x128xf32>) {
  %xf = lm.cast %x : tensor<256x128xbf16> -> tensor<256x128xf32>
  %wf = lm.cast %w : tensor<512x128xbf16> -> tensor<512x128xf32>
  %z = lm.matmul %xf, %wf {transpose_b} : tensor<256x128xf32>, tensor<512x128xf32> -> tensor<256x512xf32>
  %l = lm.softcap sigmoid %z {amplitude = 30.0 : f64, temperature = 7.5 : f64} : tensor<256x512xf32>
  %loss, %lse = lm.cross_entropy %l, %t : tensor<256x512xf32>, tensor<256xi32> -> tensor<256xf32>, tensor<256xf32>
  %sum = lm.sum %loss : tensor<256xf32> -> tensor<f32>
  %one = lm.constant dense<1.0> : tensor<256xf32>
  %d = lm.cross_entropy_backward %l, %t, %lse, %one : tensor<256x512xf32>, tensor<256xi32>, tensor<256xf32>
  %dz = lm.softcap_backward sigmoid %z, %d {amplitude = 30.0 : f64, temperature = 7.5 : f64} : tensor<256x512xf32>
  %dx = lm.matmul %dz, %wf : tensor<256x512xf32>, tensor<512x128xf32> -> tensor<256x128xf32>
  %dw = lm.matmul %dz, %xf {transpose_a} : tensor<256x512xf32>, tensor<256x128xf32> -> tensor<512x128xf32>
  return %sum, %dx, %dw : tensor<f32>, tensor<256x128xf32>, tensor<512x128xf32>
}
