// RUN: smelt-opt --smelt-mark-symmetric-products %s | FileCheck %s

// A Newton–Schulz iteration on two matrices: X·Xᵀ, then c·S·S + b·S, are symmetric; what is multiplied by X is not.
// CHECK-LABEL: func.func @newton_schulz
// CHECK: kernel.gemm a(%arg0) b(%arg0) result() {groups = 2 : i64, kernel.symmetric, transpose_b}
// CHECK: kernel.gemm a(%0) b(%0) result(%0, %arg1) {groups = 2 : i64, kernel.symmetric}
// CHECK: kernel.gemm a(%1) b(%arg0) result() {groups = 2 : i64}
func.func @newton_schulz(%x: tensor<8x6xf32>, %b: tensor<f32>) -> tensor<8x6xf32> {
  %s = kernel.gemm a(%x) b(%x) result() {transpose_b, groups = 2 : i64} : (tensor<8x6xf32>, tensor<8x6xf32>) -> tensor<8x4xf32>
    a { ^bb0(%a: tensor<8x6xf32>): kernel.yield %a : tensor<8x6xf32> }
    b { ^bb0(%a: tensor<8x6xf32>): kernel.yield %a : tensor<8x6xf32> }
    result { ^bb0(%c: tensor<8x4xf32>): kernel.yield %c : tensor<8x4xf32> }
  %t = kernel.gemm a(%s) b(%s) result(%s, %b) {groups = 2 : i64} : (tensor<8x4xf32>, tensor<8x4xf32>, tensor<8x4xf32>, tensor<f32>) -> tensor<8x4xf32>
    a { ^bb0(%a: tensor<8x4xf32>): kernel.yield %a : tensor<8x4xf32> }
    b { ^bb0(%a: tensor<8x4xf32>): kernel.yield %a : tensor<8x4xf32> }
    result { ^bb0(%c: tensor<8x4xf32>, %i: tensor<8x4xf32>, %k: tensor<f32>):
      %two = lm.constant dense<2.0> : tensor<f32>
      %1 = lm.mix %i, %c by %k, %two : (tensor<8x4xf32>, tensor<8x4xf32>, tensor<f32>, tensor<f32>) -> tensor<8x4xf32>
      kernel.yield %1 : tensor<8x4xf32> }
  %y = kernel.gemm a(%t) b(%x) result() {groups = 2 : i64} : (tensor<8x4xf32>, tensor<8x6xf32>) -> tensor<8x6xf32>
    a { ^bb0(%a: tensor<8x4xf32>): kernel.yield %a : tensor<8x4xf32> }
    b { ^bb0(%a: tensor<8x6xf32>): kernel.yield %a : tensor<8x6xf32> }
    result { ^bb0(%c: tensor<8x6xf32>): kernel.yield %c : tensor<8x6xf32> }
  return %y : tensor<8x6xf32>
}

// Not symmetric: X·X of any X; a product that a matrix of unknown symmetry is added to, or whose rows are scaled; one operand that is rounded.
// CHECK-LABEL: func.func @others
// CHECK-NOT: kernel.symmetric
func.func @others(%x: tensor<4x4xf32>, %r: tensor<4xf32>) -> (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) {
  %0 = kernel.gemm a(%x) b(%x) result() : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
    a { ^bb0(%a: tensor<4x4xf32>): kernel.yield %a : tensor<4x4xf32> }
    b { ^bb0(%a: tensor<4x4xf32>): kernel.yield %a : tensor<4x4xf32> }
    result { ^bb0(%c: tensor<4x4xf32>): kernel.yield %c : tensor<4x4xf32> }
  %1 = kernel.gemm a(%x) b(%x) result(%x) {transpose_a} : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
    a { ^bb0(%a: tensor<4x4xf32>): kernel.yield %a : tensor<4x4xf32> }
    b { ^bb0(%a: tensor<4x4xf32>): kernel.yield %a : tensor<4x4xf32> }
    result { ^bb0(%c: tensor<4x4xf32>, %i: tensor<4x4xf32>): %s = lm.add %c, %i : tensor<4x4xf32> kernel.yield %s : tensor<4x4xf32> }
  %2 = kernel.gemm a(%x) b(%x) result(%r) {transpose_b} : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4xf32>) -> tensor<4x4xf32>
    a { ^bb0(%a: tensor<4x4xf32>): kernel.yield %a : tensor<4x4xf32> }
    b { ^bb0(%a: tensor<4x4xf32>): kernel.yield %a : tensor<4x4xf32> }
    result { ^bb0(%c: tensor<4x4xf32>, %i: tensor<4xf32>): %s = lm.row_scale %c, %i : tensor<4x4xf32>, tensor<4xf32> kernel.yield %s : tensor<4x4xf32> }
  %3 = kernel.gemm a(%x) b(%x) result() {transpose_b} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
    a { ^bb0(%a: tensor<4x4xf32>): %n = lm.cast %a : tensor<4x4xf32> -> tensor<4x4xbf16> %w = lm.cast %n : tensor<4x4xbf16> -> tensor<4x4xf32> kernel.yield %w : tensor<4x4xf32> }
    b { ^bb0(%a: tensor<4x4xf32>): kernel.yield %a : tensor<4x4xf32> }
    result { ^bb0(%c: tensor<4x4xf32>): kernel.yield %c : tensor<4x4xf32> }
  return %0, %1, %2, %3 : tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>
}
