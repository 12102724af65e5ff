// REQUIRES: tool-gpu_kernels
// REQUIRES: gpu-codegen
// RUN: gpu_kernels %s %t | FileCheck %s --check-prefix=RESOURCES --allow-empty
// RUN: FileCheck %s < %t/kernels.ptx
// RUN: FileCheck %s --check-prefix=JSON < %t/kernels.json

// What a result region reads comes by TMA while the tile is multiplied, never by loads in the consumers.
// RESOURCES-NOT: {{[1-9][0-9]*}} spilled

// Two outputs, one of them the sum with a matrix: the matrix lies where the sum will, the product follows when that was stored.
// CHECK-LABEL: .entry smelt_residual(
// CHECK-NOT: ld.global
// CHECK: ldmatrix
// CHECK-NOT: ld.global
// CHECK: cp.async.bulk.wait_group.read
// CHECK-NOT: ld.global
func.func private @residual(%a: tensor<49152x768xbf16>, %b: tensor<768x768xbf16>, %x: tensor<49152x768xbf16>) -> (tensor<49152x768xbf16>, tensor<49152x768xbf16>) {
  %0:2 = kernel.gemm a(%a) b(%b) result(%x) {transpose_b} : (tensor<49152x768xbf16>, tensor<768x768xbf16>, tensor<49152x768xbf16>) -> (tensor<49152x768xbf16>, tensor<49152x768xbf16>)
    a { ^bb0(%y: tensor<49152x768xbf16>): kernel.yield %y : tensor<49152x768xbf16> }
    b { ^bb0(%y: tensor<768x768xbf16>): kernel.yield %y : tensor<768x768xbf16> }
    result { ^bb0(%c: tensor<49152x768xf32>, %y: tensor<49152x768xbf16>):
      %1 = lm.cast %y : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %2 = lm.add %1, %c : tensor<49152x768xf32>
      %3 = lm.cast %c : tensor<49152x768xf32> -> tensor<49152x768xbf16>
      %4 = lm.cast %2 : tensor<49152x768xf32> -> tensor<49152x768xbf16>
      kernel.yield %3, %4 : tensor<49152x768xbf16>, tensor<49152x768xbf16> }
  return %0#0, %0#1 : tensor<49152x768xbf16>, tensor<49152x768xbf16>
}

// A RoPE table in bf16 has a box of 64 rows and 64 columns (cosines, sines) beside the outputs; the product is stored before its rotation.
// CHECK-LABEL: .entry smelt_rotated(
// CHECK-NOT: ld.global
// CHECK: ldmatrix
// CHECK-NOT: ld.global
// JSON-LABEL: "rotated":
// JSON: "sizes": [
// JSON: 128,
// JSON-NEXT: 49152
func.func private @rotated(%a: tensor<49152x64xbf16>, %b: tensor<256x64xbf16>, %t: tensor<49152x128xbf16>) -> (tensor<49152x256xbf16>, tensor<49152x2x128xbf16>) {
  %0:2 = kernel.gemm a(%a) b(%b) result(%t) {transpose_b} : (tensor<49152x64xbf16>, tensor<256x64xbf16>, tensor<49152x128xbf16>) -> (tensor<49152x256xbf16>, tensor<49152x2x128xbf16>)
    a { ^bb0(%x: tensor<49152x64xbf16>): kernel.yield %x : tensor<49152x64xbf16> }
    b { ^bb0(%x: tensor<256x64xbf16>): kernel.yield %x : tensor<256x64xbf16> }
    result { ^bb0(%c: tensor<49152x256xf32>, %y: tensor<49152x128xbf16>):
      %1 = lm.cast %y : tensor<49152x128xbf16> -> tensor<49152x128xf32>
      %2 = lm.reshape %c : tensor<49152x256xf32> -> tensor<49152x2x128xf32>
      %3 = lm.rms_norm %2 {eps = 1.0e-06 : f64} : tensor<49152x2x128xf32>
      %4 = lm.rope %3, %1 : tensor<49152x2x128xf32>, tensor<49152x128xf32>
      %5 = lm.cast %4 : tensor<49152x2x128xf32> -> tensor<49152x2x128xbf16>
      %6 = lm.cast %c : tensor<49152x256xf32> -> tensor<49152x256xbf16>
      kernel.yield %6, %5 : tensor<49152x256xbf16>, tensor<49152x2x128xbf16> }
  return %0#0, %0#1 : tensor<49152x256xbf16>, tensor<49152x2x128xbf16>
}

// The last kernel's text ends here.
// CHECK-LABEL: .entry smelt_tail(
func.func private @tail(%a: tensor<128x64xbf16>, %b: tensor<128x64xbf16>) -> tensor<128x128xbf16> {
  %0 = kernel.gemm a(%a) b(%b) result() {transpose_b} : (tensor<128x64xbf16>, tensor<128x64xbf16>) -> tensor<128x128xbf16>
    a { ^bb0(%x: tensor<128x64xbf16>): kernel.yield %x : tensor<128x64xbf16> }
    b { ^bb0(%x: tensor<128x64xbf16>): kernel.yield %x : tensor<128x64xbf16> }
    result { ^bb0(%c: tensor<128x128xf32>):
      %1 = lm.cast %c : tensor<128x128xf32> -> tensor<128x128xbf16>
      kernel.yield %1 : tensor<128x128xbf16> }
  return %0 : tensor<128x128xbf16>
}
