// RUN: smelt-opt --smelt-form-kernels --smelt-fuse-rowwise-into-embedding-backward --split-input-file %s | FileCheck %s

// The smear's adjoint is computed on the rows that are added to the table, and the accumulation on the finished table.
// CHECK-LABEL: func.func @smear
// CHECK-NOT: kernel.rowwise
// CHECK: kernel.embedding_backward tokens(%arg0) dy(%arg1) result(%arg2)
// CHECK: dy {
// CHECK: lm.token_shift_adjoint
// CHECK: result {
// CHECK: lm.add
// CHECK-NOT: kernel.rowwise
func.func @smear(%tokens: tensor<16xi32>, %dy: tensor<16x8xf32>, %old: tensor<20x8xf32>) -> tensor<20x8xf32> {
  %d = lm.token_shift_adjoint add cross %dy {features = array<i64>, heads = array<i64>} : (tensor<16x8xf32>) -> tensor<16x8xf32>
  %g = lm.embedding_backward %tokens, %d : tensor<16xi32>, tensor<16x8xf32> -> tensor<20x8xf32>
  %sum = lm.add %old, %g : tensor<20x8xf32>
  return %sum : tensor<20x8xf32>
}

// -----

// Extra use: the rows are stored anyway.
// CHECK-LABEL: func.func @extra_use
// CHECK: kernel.rowwise
// CHECK-SAME: its value is stored for func.return
// CHECK: kernel.embedding_backward
func.func @extra_use(%tokens: tensor<16xi32>, %dy: tensor<16x8xf32>) -> (tensor<20x8xf32>, tensor<16x8xf32>) {
  %d = lm.token_shift_adjoint add cross %dy {features = array<i64>, heads = array<i64>} : (tensor<16x8xf32>) -> tensor<16x8xf32>
  %g = lm.embedding_backward %tokens, %d : tensor<16xi32>, tensor<16x8xf32> -> tensor<20x8xf32>
  return %g, %d : tensor<20x8xf32>, tensor<16x8xf32>
}
