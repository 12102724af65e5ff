// RUN: smelt-opt --smelt-form-kernels --smelt-fuse-rowwise-into-gemm-result --split-input-file %s | FileCheck %s
// RUN: smelt-opt --smelt-form-kernels --smelt-fuse-rowwise-into-gemm-result --smelt-outline-kernels="remarks=true" --split-input-file --verify-diagnostics %s -o /dev/null

// Another row of the product: another tile computes it.
// CHECK-LABEL: func.func @neighbour_row
// CHECK: kernel.gemm
// CHECK: kernel.rowwise
// CHECK-SAME: needs row
func.func @neighbour_row(%x: tensor<8x4xf32>, %w: tensor<6x4xf32>) -> tensor<8x6xf32> {
  %p = lm.matmul %x, %w {transpose_b} : tensor<8x4xf32>, tensor<6x4xf32> -> tensor<8x6xf32>
  // expected-remark @below {{missed fusion into the result of a GEMM: it needs row t−1 of the product, which another tile computes}}
  %y = lm.token_shift replace cross %p {features = array<i64>, heads = array<i64>} : (tensor<8x6xf32>) -> tensor<8x6xf32>
  return %y : tensor<8x6xf32>
}

// -----

// A product that is read as a table.
// CHECK-LABEL: func.func @table
// CHECK: kernel.rowwise
func.func @table(%x: tensor<8x4xf32>, %w: tensor<6x4xf32>, %tokens: tensor<8xi32>) -> tensor<8x6xf32> {
  %p = lm.matmul %x, %w {transpose_b} : tensor<8x4xf32>, tensor<6x4xf32> -> tensor<8x6xf32>
  // expected-remark @below {{missed fusion into the result of a GEMM: it reads any row of the result, as a table}}
  %y = lm.embedding %p, %tokens : tensor<8x6xf32>, tensor<8xi32> -> tensor<8x6xf32>
  return %y : tensor<8x6xf32>
}

// -----

// The sum is complete only after the last row, so what scales rows by it is another kernel.
// CHECK-LABEL: func.func @sum_first
// CHECK: kernel.gemm
// CHECK: lm.sum
// CHECK: kernel.rowwise
// CHECK: lm.scale
func.func @sum_first(%x: tensor<8x4xf32>, %w: tensor<6x4xf32>) -> tensor<8x6xf32> {
  %p = lm.matmul %x, %w {transpose_b} : tensor<8x4xf32>, tensor<6x4xf32> -> tensor<8x6xf32>
  %s = lm.sum %p : tensor<8x6xf32> -> tensor<f32>
  // expected-remark @below {{missed fusion into the result of a GEMM: it needs a sum over all rows that the same kernel adds up}}
  %y = lm.scale %p, %s : tensor<8x6xf32>, tensor<f32>
  return %y : tensor<8x6xf32>
}

// -----

// A third kernel between the two: the GEMM would wait for itself.
// CHECK-LABEL: func.func @between
// CHECK: kernel.gemm
// CHECK: kernel.gemm
// CHECK: lm.add
func.func @between(%x: tensor<8x4xf32>, %w: tensor<6x4xf32>, %v: tensor<6x6xf32>) -> (tensor<8x6xf32>, tensor<8x6xf32>) {
  %p = lm.matmul %x, %w {transpose_b} : tensor<8x4xf32>, tensor<6x4xf32> -> tensor<8x6xf32>
  %q = lm.matmul %p, %v {transpose_b} : tensor<8x6xf32>, tensor<6x6xf32> -> tensor<8x6xf32>
  %y = lm.add %p, %q : tensor<8x6xf32>
  return %p, %y : tensor<8x6xf32>, tensor<8x6xf32>
}

// -----

// Other rows: the product is read as weights.
// CHECK-LABEL: func.func @other_rows
// CHECK: kernel.gemm
// CHECK: kernel.rowwise
func.func @other_rows(%x: tensor<8x4xf32>, %w: tensor<6x4xf32>, %g: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %p = lm.matmul %x, %w {transpose_b} : tensor<8x4xf32>, tensor<6x4xf32> -> tensor<8x6xf32>
  // expected-remark @below {{missed fusion into the result of a GEMM}}
  %y = lm.gate %g, %p : tensor<4x8xf32>, tensor<8x6xf32> -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// -----

// Blocks of rows belong to one group of the products: sums over other groups are another kernel.
// CHECK-LABEL: func.func @other_groups
// CHECK: kernel.gemm
// CHECK: kernel.rowwise
// CHECK: lm.group_sum
func.func @other_groups(%x: tensor<8x4xf32>, %w: tensor<12x4xf32>) -> tensor<4xf32> {
  %p = lm.matmul %x, %w {groups = 2 : i64, transpose_b} : tensor<8x4xf32>, tensor<12x4xf32> -> tensor<8x6xf32>
  %r = lm.row_dot %p, %p : tensor<8x6xf32> -> tensor<8xf32>
  // expected-remark @below {{missed fusion into the result of a GEMM: it adds up other groups of rows}}
  %s = lm.group_sum %r : tensor<8xf32> -> tensor<4xf32>
  return %s : tensor<4xf32>
}

// -----

// A sum over a group is complete only after the group's last row.
// CHECK-LABEL: func.func @group_sum_first
// CHECK: kernel.gemm
// CHECK: lm.group_sum
// CHECK: kernel.rowwise
// CHECK: lm.expand_groups
func.func @group_sum_first(%x: tensor<8x4xf32>, %w: tensor<12x4xf32>) -> tensor<8x6xf32> {
  %p = lm.matmul %x, %w {groups = 2 : i64, transpose_b} : tensor<8x4xf32>, tensor<12x4xf32> -> tensor<8x6xf32>
  %r = lm.row_dot %p, %p : tensor<8x6xf32> -> tensor<8xf32>
  %s = lm.group_sum %r : tensor<8xf32> -> tensor<2xf32>
  // expected-remark @below {{missed fusion into the result of a GEMM: it needs a sum over all rows that the same kernel adds up}}
  %e = lm.expand_groups %s : tensor<2xf32> -> tensor<8xf32>
  // expected-remark @below {{missed fusion into the result of a GEMM: another kernel stands between the two}}
  %y = lm.row_scale %p, %e : tensor<8x6xf32>, tensor<8xf32>
  return %y : tensor<8x6xf32>
}
