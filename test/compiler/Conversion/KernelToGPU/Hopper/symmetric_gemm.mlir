// REQUIRES: tool-gpu_kernels
// REQUIRES: gpu-codegen
// RUN: gpu_kernels %s %t | FileCheck %s --check-prefix=RESOURCES --allow-empty
// RUN: FileCheck %s < %t/kernels.ptx
// RUN: FileCheck %s --check-prefix=JSON < %t/kernels.json

// RESOURCES-NOT: {{[1-9][0-9]*}} spilled

// Two Gram matrices of 2 × 2 tiles: three tiles each; the one above the diagonal is stored a second time, as its transpose.
// CHECK-LABEL: .entry smelt_gram(
// CHECK: stmatrix.sync.aligned.m8n8.x4.shared.b16
// CHECK: stmatrix.sync.aligned.m8n8.x4.trans.shared.b16
// JSON: "gram"
// JSON: "grid": [
// JSON-NEXT: 6,
func.func private @gram(%a: tensor<512x64xbf16>, %b: tensor<512x64xbf16>) -> tensor<512x256xbf16> {
  %0 = kernel.gemm a(%a) b(%b) result() {groups = 2 : i64, kernel.symmetric, transpose_b} : (tensor<512x64xbf16>, tensor<512x64xbf16>) -> tensor<512x256xbf16>
    a { ^bb0(%x: tensor<512x64xbf16>): kernel.yield %x : tensor<512x64xbf16> }
    b { ^bb0(%x: tensor<512x64xbf16>): kernel.yield %x : tensor<512x64xbf16> }
    result { ^bb0(%c: tensor<512x256xf32>):
      %1 = lm.cast %c : tensor<512x256xf32> -> tensor<512x256xbf16>
      kernel.yield %1 : tensor<512x256xbf16> }
  return %0 : tensor<512x256xbf16>
}

// What is stored in f32 is computed whole.
// CHECK-LABEL: .entry smelt_wide(
// CHECK-NOT: stmatrix
// JSON: "wide"
// JSON: "grid": [
// JSON-NEXT: 8,
func.func private @wide(%a: tensor<512x64xbf16>, %b: tensor<512x64xbf16>) -> tensor<512x256xf32> {
  %0 = kernel.gemm a(%a) b(%b) result() {groups = 2 : i64, kernel.symmetric, transpose_b} : (tensor<512x64xbf16>, tensor<512x64xbf16>) -> tensor<512x256xf32>
    a { ^bb0(%x: tensor<512x64xbf16>): kernel.yield %x : tensor<512x64xbf16> }
    b { ^bb0(%x: tensor<512x64xbf16>): kernel.yield %x : tensor<512x64xbf16> }
    result { ^bb0(%c: tensor<512x256xf32>): kernel.yield %c : tensor<512x256xf32> }
  return %0 : tensor<512x256xf32>
}
