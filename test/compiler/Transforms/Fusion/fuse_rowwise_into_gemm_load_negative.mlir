// RUN: smelt-opt --smelt-form-kernels --smelt-fuse-rowwise-into-gemm-load --split-input-file %s | FileCheck %s
// RUN: smelt-opt --smelt-form-kernels --smelt-fuse-rowwise-into-gemm-load --smelt-outline-kernels="remarks=true" --split-input-file --verify-diagnostics %s -o /dev/null

// Extra use: the result is stored for the caller, so loads read that.
// CHECK-LABEL: func.func @extra_use
// CHECK: %[[N:.*]] = kernel.rowwise(%arg0)
// CHECK: kernel.gemm a(%[[N]])
func.func @extra_use(%x: tensor<64x32xf32>, %w: tensor<48x32xf32>) -> (tensor<64x48xf32>, tensor<64x32xf32>) {
  // expected-remark @below {{missed fusion into the loads of its users: its value is stored for func.return}}
  %n = lm.rms_norm %x {eps = 1.0e-6} : tensor<64x32xf32>
  %y = lm.matmul %n, %w {transpose_b} : tensor<64x32xf32>, tensor<48x32xf32> -> tensor<64x48xf32>
  return %y, %n : tensor<64x48xf32>, tensor<64x32xf32>
}

// -----

// A sum of four tensors for two readers: four reads instead of one, twice.
// CHECK-LABEL: func.func @more_traffic
// CHECK: kernel.rowwise
// CHECK: kernel.gemm
func.func @more_traffic(%a: tensor<64x32xf32>, %b: tensor<64x32xf32>, %c: tensor<64x32xf32>, %d: tensor<64x32xf32>, %e: tensor<64x32xf32>,
                        %s: tensor<f32>, %w: tensor<48x32xf32>, %dy: tensor<64x48xf32>, %v: tensor<48x32xf32>)
    -> (tensor<64x48xf32>, tensor<48x32xf32>, tensor<64x48xf32>) {
  // expected-remark @below {{missed fusion into the loads of its users: computing it in each of its users would cost more than storing it}}
  %n = lm.mix %a, %b, %c, %d, %e by %s, %s, %s, %s, %s : (tensor<64x32xf32>, tensor<64x32xf32>, tensor<64x32xf32>, tensor<64x32xf32>, tensor<64x32xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>) -> tensor<64x32xf32>
  %y = lm.matmul %n, %w {transpose_b} : tensor<64x32xf32>, tensor<48x32xf32> -> tensor<64x48xf32>
  %z = lm.matmul %n, %v {transpose_b} : tensor<64x32xf32>, tensor<48x32xf32> -> tensor<64x48xf32>
  %dw = lm.matmul %dy, %n {transpose_a} : tensor<64x48xf32>, tensor<64x32xf32> -> tensor<48x32xf32>
  return %y, %dw, %z : tensor<64x48xf32>, tensor<48x32xf32>, tensor<64x48xf32>
}
