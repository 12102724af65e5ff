// RUN: smelt-opt --smelt-form-kernels --smelt-fuse-token-shift-into-attention --split-input-file %s | FileCheck %s
// RUN: smelt-opt --smelt-form-kernels --smelt-fuse-token-shift-into-attention --smelt-outline-kernels="remarks=true" --split-input-file --verify-diagnostics %s -o /dev/null

// Extra use: somebody else wants the shifted keys in memory.
// CHECK-LABEL: func.func @extra_use
// CHECK: %[[S:.*]] = kernel.rowwise(%arg1)
// CHECK-SAME: smelt.refused = ["into attention: the shifted tensor is also read by func.return, so it is stored"]
// CHECK: kernel.attention q(%arg0) k(%[[S]])
func.func @extra_use(%q: tensor<8x2x4xf32>, %k: tensor<8x2x4xf32>, %first: tensor<8xi32>, %scale: tensor<f32>) -> (tensor<8x2x4xf32>, tensor<8x2x4xf32>) {
  // expected-remark @below {{missed fusion into attention: the shifted tensor is also read by func.return, so it is stored}}
  %s = lm.token_shift replace cross %k {features = array<i64: 1, 2>, heads = array<i64>} : (tensor<8x2x4xf32>) -> tensor<8x2x4xf32>
  %o, %lse = lm.attention %q, %s, %q first %first scale %scale : tensor<8x2x4xf32>, tensor<8xi32>, tensor<f32> -> tensor<8x2x4xf32>, tensor<8x2xf32>
  return %o, %s : tensor<8x2x4xf32>, tensor<8x2x4xf32>
}

// -----

// Not a shift: a norm of keys would be computed for every query block.
// CHECK-LABEL: func.func @norm
// CHECK: %[[N:.*]] = kernel.rowwise(%arg1)
// CHECK: kernel.attention q(%arg0) k(%[[N]])
func.func @norm(%q: tensor<8x2x4xf32>, %k: tensor<8x2x4xf32>, %first: tensor<8xi32>, %scale: tensor<f32>) -> tensor<8x2x4xf32> {
  %s = lm.rms_norm %k {eps = 1.0e-6} : tensor<8x2x4xf32>
  %o, %lse = lm.attention %q, %s, %q first %first scale %scale : tensor<8x2x4xf32>, tensor<8xi32>, tensor<f32> -> tensor<8x2x4xf32>, tensor<8x2xf32>
  return %o : tensor<8x2x4xf32>
}
