// RUN: smelt-opt %s --pass-pipeline="builtin.module(func.func(smelt-choose-storage{activations=bf16}))" | FileCheck %s
// A kernel that only widened what it read is gone: its reader reads the bf16 numbers themselves.
// CHECK-LABEL: func.func @widened
// CHECK-NOT: kernel.rowwise
// CHECK: kernel.gemm a(%arg0) b(%arg1)
func.func @widened(%w: tensor<8x4xbf16>, %x: tensor<6x4xf32>) -> tensor<8x6xf32> {
  %0 = kernel.rowwise(%w) : (tensor<8x4xbf16>) -> tensor<8x4xf32> {
    ^bb0(%a: tensor<8x4xbf16>):
    %1 = lm.cast %a : tensor<8x4xbf16> -> tensor<8x4xf32>
    kernel.yield %1 : tensor<8x4xf32>
  }
  %2 = kernel.gemm a(%0) b(%x) result() {transpose_b} : (tensor<8x4xf32>, tensor<6x4xf32>) -> tensor<8x6xf32>
    a { ^bb0(%a: tensor<8x4xf32>): kernel.yield %a : tensor<8x4xf32> }
    b { ^bb0(%a: tensor<6x4xf32>): kernel.yield %a : tensor<6x4xf32> }
    result { ^bb0(%a: tensor<8x6xf32>): kernel.yield %a : tensor<8x6xf32> }
  return %2 : tensor<8x6xf32>
}
