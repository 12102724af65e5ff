// RUN: smelt-opt --smelt-form-kernels --smelt-fuse-rowwise-into-rowwise --split-input-file %s | FileCheck %s

// Embedding, smear and norm are one kernel, which gathers two rows of the table for each token.
// CHECK-LABEL: func.func @smear
// CHECK: kernel.rowwise(%arg0, %arg1)
// CHECK: lm.embedding
// CHECK-NEXT: lm.token_shift
// CHECK-NEXT: lm.rms_norm
// CHECK-NEXT: kernel.yield
// CHECK-NOT: kernel.rowwise
func.func @smear(%table: tensor<20x8xf32>, %tokens: tensor<16xi32>) -> tensor<16x8xf32> {
  %e = lm.embedding %table, %tokens : tensor<20x8xf32>, tensor<16xi32> -> tensor<16x8xf32>
  %s = lm.token_shift add cross %e {features = array<i64>, heads = array<i64>} : (tensor<16x8xf32>) -> tensor<16x8xf32>
  %n = lm.rms_norm %s {eps = 1.0e-6} : tensor<16x8xf32>
  return %n : tensor<16x8xf32>
}

// -----

// A value that others read too stays a result.
// CHECK-LABEL: func.func @two_results
// CHECK: %[[R:.*]]:2 = kernel.rowwise(%arg0)
// CHECK-NOT: kernel.rowwise
// CHECK: return %[[R]]#0, %[[R]]#1
func.func @two_results(%x: tensor<16x8xf32>) -> (tensor<16x8xf32>, tensor<16x8xf32>) {
  %s = lm.unary tanh %x : tensor<16x8xf32>
  %n = lm.rms_norm %s {eps = 1.0e-6} : tensor<16x8xf32>
  return %s, %n : tensor<16x8xf32>, tensor<16x8xf32>
}

// -----

// Neighbours that read the same tensor share a launch.
// CHECK-LABEL: func.func @ranges
// CHECK: kernel.rowwise(%arg0, %arg1, %arg2)
// CHECK-COUNT-2: lm.attention_range
// CHECK-NOT: kernel.rowwise
func.func @ranges(%document_start: tensor<16xi32>, %short: tensor<i32>, %long: tensor<i32>) -> (tensor<16xi32>, tensor<16xi32>) {
  %a = lm.attention_range %document_start, %short : tensor<16xi32>, tensor<i32> -> tensor<16xi32>
  %b = lm.attention_range %document_start, %long : tensor<16xi32>, tensor<i32> -> tensor<16xi32>
  return %a, %b : tensor<16xi32>, tensor<16xi32>
}
