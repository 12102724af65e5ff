// RUN: smelt-opt --smelt-form-kernels --smelt-fuse-rowwise-into-gemm-result --split-input-file %s | FileCheck %s

// relu² is computed on the product's tiles; the product itself is never stored.
// CHECK-LABEL: func.func @relu
// CHECK: %[[Y:.*]] = kernel.gemm a(%arg0) b(%arg1) result() {transpose_b} : (tensor<8x4xf32>, tensor<6x4xf32>) -> tensor<8x6xf32>
// CHECK: result {
// CHECK-NEXT: ^bb0(%[[C:.*]]: tensor<8x6xf32>):
// CHECK-NEXT: %[[R:.*]] = lm.unary relu_squared %[[C]]
// CHECK-NEXT: kernel.yield %[[R]]
// CHECK: return %[[Y]]
func.func @relu(%x: tensor<8x4xf32>, %w: tensor<6x4xf32>) -> tensor<8x6xf32> {
  %p = lm.matmul %x, %w {transpose_b} : tensor<8x4xf32>, tensor<6x4xf32> -> tensor<8x6xf32>
  %y = lm.unary relu_squared %p : tensor<8x6xf32>
  return %y : tensor<8x6xf32>
}

// -----

// Several readers: each adds a result. A dot with the product is summed up there too.
// CHECK-LABEL: func.func @several
// CHECK: %[[Y:.*]]:3 = kernel.gemm a(%arg0) b(%arg1) result(%arg2, %arg3) {transpose_b}
// CHECK-SAME: -> (tensor<8x6xf32>, tensor<8x6xf32>, tensor<f32>)
// CHECK: ^bb0(%[[C:.*]]: tensor<8x6xf32>, %[[Z:.*]]: tensor<8x6xf32>, %[[S:.*]]: tensor<f32>):
// CHECK-DAG: lm.mix %[[C]], %[[Z]]
// CHECK-DAG: lm.dot %[[C]], %[[Z]]
// CHECK-NOT: kernel.rowwise
// CHECK: return %[[Y]]#0, %[[Y]]#1, %[[Y]]#2
func.func @several(%x: tensor<8x4xf32>, %w: tensor<6x4xf32>, %z: tensor<8x6xf32>, %s: tensor<f32>) -> (tensor<8x6xf32>, tensor<8x6xf32>, tensor<f32>) {
  %p = lm.matmul %x, %w {transpose_b} : tensor<8x4xf32>, tensor<6x4xf32> -> tensor<8x6xf32>
  %y = lm.mix %p, %z by %s, %s : (tensor<8x6xf32>, tensor<8x6xf32>, tensor<f32>, tensor<f32>) -> tensor<8x6xf32>
  %d = lm.dot %p, %z : tensor<8x6xf32> -> tensor<f32>
  return %p, %y, %d : tensor<8x6xf32>, tensor<8x6xf32>, tensor<f32>
}

// -----

// What only the result region reads is computed there: here the rows of a table.
// CHECK-LABEL: func.func @feeds
// CHECK-NOT: kernel.rowwise
// CHECK: kernel.gemm a(%arg0) b(%arg1) result(%arg2, %arg3)
// CHECK: lm.embedding
// CHECK: lm.add
func.func @feeds(%x: tensor<8x4xf32>, %w: tensor<6x4xf32>, %table: tensor<20x6xf32>, %tokens: tensor<8xi32>) -> tensor<8x6xf32> {
  %e = lm.embedding %table, %tokens : tensor<20x6xf32>, tensor<8xi32> -> tensor<8x6xf32>
  %p = lm.matmul %x, %w {transpose_b} : tensor<8x4xf32>, tensor<6x4xf32> -> tensor<8x6xf32>
  %y = lm.add %p, %e : tensor<8x6xf32>
  return %y : tensor<8x6xf32>
}

// -----

// Loss and gradient of the logits without the logits: they are never stored.
// CHECK-LABEL: func.func @loss
// CHECK: kernel.gemm a(%arg0) b(%arg1) result(%arg2, %arg3) {transpose_b}
// CHECK-SAME: -> (tensor<f32>, tensor<8x6xf32>)
// CHECK: lm.cross_entropy
// CHECK: lm.sum
// CHECK: lm.cross_entropy_backward
func.func @loss(%x: tensor<8x4xf32>, %w: tensor<6x4xf32>, %targets: tensor<8xi32>, %dloss: tensor<8xf32>) -> (tensor<f32>, tensor<8x6xf32>) {
  %z = lm.matmul %x, %w {transpose_b} : tensor<8x4xf32>, tensor<6x4xf32> -> tensor<8x6xf32>
  %loss, %lse = lm.cross_entropy %z, %targets : tensor<8x6xf32>, tensor<8xi32> -> tensor<8xf32>, tensor<8xf32>
  %sum = lm.sum %loss : tensor<8xf32> -> tensor<f32>
  %dz = lm.cross_entropy_backward %z, %targets, %lse, %dloss : tensor<8x6xf32>, tensor<8xi32>, tensor<8xf32>
  return %sum, %dz : tensor<f32>, tensor<8x6xf32>
}

// -----

// Sums over the products' own groups end the kernel; one factor per group is read per row.
// CHECK-LABEL: func.func @groups
// CHECK: kernel.gemm
// CHECK: lm.expand_groups
// CHECK: lm.group_sum
// CHECK-NOT: kernel.rowwise
// CHECK: return
func.func @groups(%x: tensor<8x4xf32>, %w: tensor<12x4xf32>, %f: tensor<2xf32>) -> (tensor<8x6xf32>, tensor<2xf32>) {
  %p = lm.matmul %x, %w {groups = 2 : i64, transpose_b} : tensor<8x4xf32>, tensor<12x4xf32> -> tensor<8x6xf32>
  %e = lm.expand_groups %f : tensor<2xf32> -> tensor<8xf32>
  %y = lm.row_scale %p, %e : tensor<8x6xf32>, tensor<8xf32>
  %r = lm.row_dot %y, %y : tensor<8x6xf32> -> tensor<8xf32>
  %s = lm.group_sum %r : tensor<8xf32> -> tensor<2xf32>
  return %y, %s : tensor<8x6xf32>, tensor<2xf32>
}
