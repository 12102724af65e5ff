// RUN: smelt-opt --smelt-form-kernels --smelt-outline-kernels %s | FileCheck %s

lm.parameter @layers.0.up : tensor<8x8xf32> normal 1.0
lm.parameter @layers.1.up : tensor<8x8xf32> normal 1.0
// RUN: smelt-opt --smelt-form-kernels --smelt-outline-kernels -mlir-print-debuginfo %s | FileCheck %s --check-prefix=LOC

// Two launches of one kernel: equal types and regions, other steps and labels.
// CHECK-LABEL: func.func @step
// CHECK: call @kernel_0(%arg0, %{{.*}}) {smelt.bytes = 512 : i64, smelt.flops = 512 : i64, smelt.label = "gemm layers.0.up", smelt.steps = ["layers[0].mlp"]}
// CHECK: call @kernel_0(%{{.*}}, %{{.*}}) {smelt.bytes = 512 : i64, smelt.flops = 512 : i64, smelt.label = "gemm layers.1.up", smelt.steps = ["layers[1].mlp"]}
// CHECK: call @kernel_1
// CHECK-SAME: smelt.label = "rowwise: rms_norm"
// CHECK: func.func private @kernel_0(%arg0: tensor<4x8xf32>, %arg1: tensor<8x8xf32>) -> tensor<4x8xf32> {
// CHECK-NEXT: kernel.gemm
// CHECK: func.func private @kernel_1
// CHECK-NOT: func.func private
// LOC-DAG: loc("layers[1].mlp"(#
func.func @step(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %w0 = lm.read @layers.0.up : tensor<8x8xf32>
  %a = lm.matmul %x, %w0 {transpose_b} : tensor<4x8xf32>, tensor<8x8xf32> -> tensor<4x8xf32> loc("layers[0].mlp"("a.json":3:4))
  %w1 = lm.read @layers.1.up : tensor<8x8xf32>
  %b = lm.matmul %a, %w1 {transpose_b} : tensor<4x8xf32>, tensor<8x8xf32> -> tensor<4x8xf32> loc("layers[1].mlp"("a.json":7:4))
  %c = lm.rms_norm %b {eps = 1.0e-6} : tensor<4x8xf32>
  return %c : tensor<4x8xf32>
}
