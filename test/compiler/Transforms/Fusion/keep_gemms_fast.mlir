// RUN: smelt-opt --smelt-to-kernel=gpu=sm_90a --split-input-file %s | FileCheck %s
// RUN: smelt-opt --smelt-to-kernel=gpu=sm_80 --split-input-file %s | FileCheck %s
// RUN: smelt-opt --smelt-to-kernel="gpu=sm_80 activations=f32" --split-input-file %s | FileCheck %s --check-prefix=F32

// A norm over 768 columns is not in one tile: it is computed once, beside the products, and read by the forward product and the weight's
// gradient. In f32, without tensor cores, operands may be computed while they are loaded.
// CHECK-LABEL: func.func @norm
// CHECK: call {{.*}}"rowwise: rms_norm, cast"
// CHECK: call {{.*}}"gemm: a cast
// CHECK: call {{.*}}"gemm: a cast
// F32-LABEL: func.func @norm
// F32: call {{.*}}"gemm: a rms_norm
// F32: call {{.*}}"gemm: a cast; b rms_norm
func.func @norm(%x: tensor<256x768xf32>, %w: tensor<512x768xbf16>, %dy: tensor<256x512xbf16>) -> (tensor<256x512xf32>, tensor<512x768xf32>) {
  %n = lm.rms_norm %x {eps = 1.0e-6} : tensor<256x768xf32>
  %wf = lm.cast %w : tensor<512x768xbf16> -> tensor<512x768xf32>
  %dyf = lm.cast %dy : tensor<256x512xbf16> -> tensor<256x512xf32>
  %y = lm.matmul %n, %wf {transpose_b} : tensor<256x768xf32>, tensor<512x768xf32> -> tensor<256x512xf32>
  %dw = lm.matmul %dyf, %n {transpose_a} : tensor<256x512xf32>, tensor<256x768xf32> -> tensor<512x768xf32>
  return %y, %dw : tensor<256x512xf32>, tensor<512x768xf32>
}

// -----

// What is point by point, or per head, goes into the result; a sum over all rows does not.
// CHECK-LABEL: func.func @result
// CHECK: call {{.*}}"gemm: {{.*}}rms_norm
// CHECK: call {{.*}}"rowwise: {{.*}}dot
func.func @result(%x: tensor<256x768xbf16>, %w: tensor<512x768xbf16>, %z: tensor<256x4x128xf32>) -> (tensor<256x4x128xf32>, tensor<f32>) {
  %xf = lm.cast %x : tensor<256x768xbf16> -> tensor<256x768xf32>
  %wf = lm.cast %w : tensor<512x768xbf16> -> tensor<512x768xf32>
  %y = lm.matmul %xf, %wf {transpose_b} : tensor<256x768xf32>, tensor<512x768xf32> -> tensor<256x512xf32>
  %h = lm.reshape %y : tensor<256x512xf32> -> tensor<256x4x128xf32>
  %n = lm.rms_norm %h {eps = 1.0e-6} : tensor<256x4x128xf32>
  %d = lm.dot %n, %z : tensor<256x4x128xf32> -> tensor<f32>
  return %n, %d : tensor<256x4x128xf32>, tensor<f32>
}
