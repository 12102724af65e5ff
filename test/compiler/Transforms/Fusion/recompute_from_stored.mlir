// RUN: smelt-opt --smelt-recompute-from-stored %s | FileCheck %s

// The reader takes the product for a dot and a scaled part of it: the part is not stored.
// CHECK-LABEL: func.func @part
// CHECK: %[[P:.*]] = kernel.gemm {{.*}} -> tensor<8x6xf32>
// CHECK: kernel.rowwise(%[[P]], %arg2)
// CHECK: lm.scale
// CHECK: lm.split
// CHECK: lm.dot
func.func @part(%x: tensor<8x4xf32>, %w: tensor<6x4xf32>, %s: tensor<f32>) -> (tensor<8x3xf32>, tensor<f32>) {
  %p, %q = kernel.gemm a(%x) b(%w) result(%s) {transpose_b} : (tensor<8x4xf32>, tensor<6x4xf32>, tensor<f32>) -> (tensor<8x6xf32>, tensor<8x3xf32>)
    a { ^bb0(%a: tensor<8x4xf32>): kernel.yield %a : tensor<8x4xf32> }
    b { ^bb0(%a: tensor<6x4xf32>): kernel.yield %a : tensor<6x4xf32> }
    result { ^bb0(%c: tensor<8x6xf32>, %t: tensor<f32>):
      %1 = lm.scale %c, %t : tensor<8x6xf32>, tensor<f32>
      %2:2 = lm.split %1 : (tensor<8x6xf32>) -> (tensor<8x3xf32>, tensor<8x3xf32>)
      kernel.yield %c, %2#1 : tensor<8x6xf32>, tensor<8x3xf32> }
  %r, %d = kernel.rowwise(%p, %q) : (tensor<8x6xf32>, tensor<8x3xf32>) -> (tensor<8x3xf32>, tensor<f32>) {
    ^bb0(%a: tensor<8x6xf32>, %b: tensor<8x3xf32>):
    %1 = lm.rms_norm %b {eps = 1.0e-6} : tensor<8x3xf32>
    %2 = lm.dot %a, %a : tensor<8x6xf32> -> tensor<f32>
    kernel.yield %1, %2 : tensor<8x3xf32>, tensor<f32>
  }
  return %r, %d : tensor<8x3xf32>, tensor<f32>
}

// A reader that wants the part alone would have to read the whole product.
// CHECK-LABEL: func.func @alone
// CHECK: kernel.gemm {{.*}} -> (tensor<8x6xf32>, tensor<8x3xf32>)
func.func @alone(%x: tensor<8x4xf32>, %w: tensor<6x4xf32>) -> (tensor<8x6xf32>, tensor<8x3xf32>) {
  %p, %q = kernel.gemm a(%x) b(%w) result() {transpose_b} : (tensor<8x4xf32>, tensor<6x4xf32>) -> (tensor<8x6xf32>, tensor<8x3xf32>)
    a { ^bb0(%a: tensor<8x4xf32>): kernel.yield %a : tensor<8x4xf32> }
    b { ^bb0(%a: tensor<6x4xf32>): kernel.yield %a : tensor<6x4xf32> }
    result { ^bb0(%c: tensor<8x6xf32>):
      %2:2 = lm.split %c : (tensor<8x6xf32>) -> (tensor<8x3xf32>, tensor<8x3xf32>)
      kernel.yield %c, %2#1 : tensor<8x6xf32>, tensor<8x3xf32> }
  %r = kernel.rowwise(%q) : (tensor<8x3xf32>) -> tensor<8x3xf32> {
    ^bb0(%b: tensor<8x3xf32>):
    %1 = lm.rms_norm %b {eps = 1.0e-6} : tensor<8x3xf32>
    kernel.yield %1 : tensor<8x3xf32>
  }
  return %p, %r : tensor<8x6xf32>, tensor<8x3xf32>
}
