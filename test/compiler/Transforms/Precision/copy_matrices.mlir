// RUN: smelt-opt %s --pass-pipeline="builtin.module(func.func(smelt-form-kernels,smelt-copy-matrices))" | FileCheck %s

// A matrix that the spec casts to bf16 and back, read twice, and one that it uses in f32: one launch rounds both; products widen the copies.
// A matrix that is bf16 already, and activations, stay as they are.
// CHECK-LABEL: func.func @main
// CHECK: %[[W:[0-9]+]] = lm.read @w
// CHECK: %[[U:[0-9]+]] = lm.read @u
// CHECK: %[[C:[0-9]+]]:2 = kernel.foreach "bf16 copies of matrices" lanes 2(%[[W]], %[[U]])
// CHECK: lm.cast {{.*}} tensor<1x1024xf32> -> tensor<1x1024xbf16>
// CHECK: %[[Y:.*]] = kernel.gemm a(%arg0) b(%[[C]]#0)
// CHECK: lm.cast %{{.*}} : tensor<64x32xbf16> -> tensor<64x32xf32>
// CHECK: kernel.gemm a(%[[Y]]) b(%[[C]]#0)
// CHECK: kernel.gemm a({{.*}}) b(%[[C]]#1)
// CHECK: kernel.rowwise
// CHECK: kernel.gemm
lm.parameter @w : tensor<64x32xf32> normal 1.0
lm.parameter @u : tensor<64x32xf32> normal 1.0
lm.parameter @v : tensor<64x32xbf16> normal 1.0
func.func @main(%x: tensor<16x32xf32>) -> tensor<16x64xf32> {
  %w = lm.read @w : tensor<64x32xf32>
  %n = lm.cast %w : tensor<64x32xf32> -> tensor<64x32xbf16>
  %f = lm.cast %n : tensor<64x32xbf16> -> tensor<64x32xf32>
  %1 = lm.matmul %x, %f {transpose_b} : tensor<16x32xf32>, tensor<64x32xf32> -> tensor<16x64xf32>
  %2 = lm.matmul %1, %f : tensor<16x64xf32>, tensor<64x32xf32> -> tensor<16x32xf32>
  %u = lm.read @u : tensor<64x32xf32>
  %3 = lm.matmul %2, %u {transpose_b} : tensor<16x32xf32>, tensor<64x32xf32> -> tensor<16x64xf32>
  %v = lm.read @v : tensor<64x32xbf16>
  %g = lm.cast %v : tensor<64x32xbf16> -> tensor<64x32xf32>
  %4 = lm.matmul %3, %g : tensor<16x64xf32>, tensor<64x32xf32> -> tensor<16x32xf32>
  %5 = lm.matmul %4, %g {transpose_b} : tensor<16x32xf32>, tensor<64x32xf32> -> tensor<16x64xf32>
  return %5 : tensor<16x64xf32>
}
