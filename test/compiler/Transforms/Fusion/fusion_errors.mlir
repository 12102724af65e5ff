// RUN: not smelt-opt --smelt-fuse-kernels %s 2>&1 | FileCheck %s

// A region that is not made of row ops is refused before any fusion looks at it.
// CHECK: error: 'lm.matmul' op is not a row op: it cannot stand in a kernel's region
func.func @matmul_in_region(%x: tensor<8x8xf32>) -> tensor<8x8xf32> {
  %y = kernel.rowwise(%x) : (tensor<8x8xf32>) -> tensor<8x8xf32> {
  ^bb0(%0: tensor<8x8xf32>):
    %1 = lm.matmul %0, %0 : tensor<8x8xf32>, tensor<8x8xf32> -> tensor<8x8xf32>
    kernel.yield %1 : tensor<8x8xf32>
  }
  return %y : tensor<8x8xf32>
}
