// REQUIRES: tool-gpu_kernels
// REQUIRES: gpu-codegen
// RUN: gpu_kernels %s %t | FileCheck %s --check-prefix=RESOURCES --allow-empty
// RUN: FileCheck %s < %t/kernels.ptx
// RUN: FileCheck %s --check-prefix=JSON < %t/kernels.json

// RESOURCES-NOT: {{[1-9][0-9]*}} spilled
// RESOURCES-NOT: serialized

// A weight's gradient (a long k, in parts that are added by a second launch) beside that of the input: one launch with the
// blocks of both. Each takes its tiles as it would alone; only the second has a counter, of its own.
// JSON: "role": "gemm + gemm"
// JSON: "role": "gemm sum of splits"
// JSON-NOT: "role"
// CHECK: .global .align 4 .u32 smelt_both_2_counter
// CHECK-NOT: _counter
// CHECK-LABEL: .entry smelt_both(
// CHECK: %ctaid.x
// CHECK: wgmma.mma_async
// CHECK-LABEL: .entry smelt_both_1(
// CHECK-NOT: wgmma
// CHECK-NOT: .entry
func.func private @both(%dy: tensor<8192x256xbf16>, %x: tensor<8192x128xbf16>, %w: tensor<256x128xbf16>) -> (tensor<256x128xf32>, tensor<8192x128xbf16>) {
  %0 = kernel.gemm a(%dy) b(%x) result() {transpose_a} : (tensor<8192x256xbf16>, tensor<8192x128xbf16>) -> tensor<256x128xf32>
    a { ^bb0(%a: tensor<8192x256xbf16>): kernel.yield %a : tensor<8192x256xbf16> }
    b { ^bb0(%a: tensor<8192x128xbf16>): kernel.yield %a : tensor<8192x128xbf16> }
    result { ^bb0(%c: tensor<256x128xf32>): kernel.yield %c : tensor<256x128xf32> }
  %1 = kernel.gemm a(%dy) b(%w) result() : (tensor<8192x256xbf16>, tensor<256x128xbf16>) -> tensor<8192x128xbf16>
    a { ^bb0(%a: tensor<8192x256xbf16>): kernel.yield %a : tensor<8192x256xbf16> }
    b { ^bb0(%a: tensor<256x128xbf16>): kernel.yield %a : tensor<256x128xbf16> }
    result { ^bb0(%c: tensor<8192x128xf32>):
      %2 = lm.cast %c : tensor<8192x128xf32> -> tensor<8192x128xbf16>
      kernel.yield %2 : tensor<8192x128xbf16> }
  return %0, %1 : tensor<256x128xf32>, tensor<8192x128xbf16>
}
