// RUN: smelt-opt --smelt-form-kernels --smelt-fuse-token-shift-into-attention --split-input-file %s | FileCheck %s

// A key offset becomes part of the key load of both attention kernels; its own kernel is gone.
// CHECK-LABEL: func.func @keys

// CHECK-NOT: kernel.rowwise
// CHECK: kernel.attention q(%arg0) k(%arg1) v(%arg2)
// CHECK: k {
// CHECK-NEXT: ^bb0(%[[ROW:.*]]: tensor<8x2x4xf32>):
// CHECK-NEXT: %[[SHIFTED:.*]] = lm.token_shift replace cross %[[ROW]]
// CHECK-NEXT: kernel.yield %[[SHIFTED]]
// CHECK: kernel.attention_backward q(%arg0) k(%arg1) v(%arg2)
// CHECK: k {
// CHECK: lm.token_shift replace cross
func.func @keys(%q: tensor<8x2x4xf32>, %k: tensor<8x2x4xf32>, %v: tensor<8x2x4xf32>, %first: tensor<8xi32>, %scale: tensor<f32>,
                %do: tensor<8x2x4xf32>) -> (tensor<8x2x4xf32>, tensor<8x2x4xf32>) {
  %s = lm.token_shift replace cross %k {features = array<i64: 1, 2>, heads = array<i64>} : (tensor<8x2x4xf32>) -> tensor<8x2x4xf32>
  %o, %lse = lm.attention %q, %s, %v first %first scale %scale : tensor<8x2x4xf32>, tensor<8xi32>, tensor<f32> -> tensor<8x2x4xf32>, tensor<8x2xf32>
  %dq, %dk, %dv = lm.attention_backward %q, %s, %v first %first scale %scale out %o, %lse, %do : tensor<8x2x4xf32>, tensor<8xi32>, tensor<f32>, tensor<8x2xf32>
  return %o, %dk : tensor<8x2x4xf32>, tensor<8x2x4xf32>
}

// -----

// A shift within documents keeps reading where documents start.
// CHECK-LABEL: func.func @within_documents
// CHECK: kernel.attention q(%arg0) k(%arg1, %arg3) v(%arg2)
// CHECK: lm.token_shift add mask %{{.*}} document_start %{{.*}}
func.func @within_documents(%q: tensor<8x2x4xf32>, %k: tensor<8x2x4xf32>, %v: tensor<8x2x4xf32>, %document_start: tensor<8xi32>, %scale: tensor<f32>) -> tensor<8x2x4xf32> {
  %s = lm.token_shift add mask %k document_start %document_start {features = array<i64>, heads = array<i64>} : (tensor<8x2x4xf32>, tensor<8xi32>) -> tensor<8x2x4xf32>
  %o, %lse = lm.attention %q, %s, %v first %document_start scale %scale : tensor<8x2x4xf32>, tensor<8xi32>, tensor<f32> -> tensor<8x2x4xf32>, tensor<8x2xf32>
  return %o : tensor<8x2x4xf32>
}
