// Numbers per row and head in a result region: factors that it multiplies by, and sums over a head's columns that it stores.
// REQUIRES: gpu-codegen
// RUN: gpu_kernels %s %t | FileCheck %s --check-prefix=RESOURCES --allow-empty
// RUN: FileCheck %s < %t/kernels.ptx
// RUN: %python %S/../Inputs/check_head_sums.py %t | FileCheck %s --check-prefix=NUMBERS
// RUN: gpu_kernels %s %t.80 sm_80 > %t.80.log
// RUN: %python %S/../Inputs/check_head_sums.py %t.80 | FileCheck %s --check-prefix=NUMBERS
// RESOURCES-NOT: {{[1-9][0-9]*}} spilled

// The gradient of a gated output: factors come before the group's turn to multiply, the other matrix by TMA, sums by two shuffles each.
// CHECK-LABEL: .entry smelt_gated(
// CHECK: cp.async.bulk.tensor
// CHECK-COUNT-4: ld.global.b32
// CHECK-NOT: ld.global
// CHECK: bar.sync
// CHECK-NOT: ld.global
// CHECK: wgmma.mma_async
// CHECK-NOT: ld.global
// CHECK: ldmatrix
// CHECK-COUNT-4: shfl.sync.bfly
// CHECK-NOT: shfl.sync.bfly
// CHECK-COUNT-2: st.global.b32
// CHECK-NOT: st.global
// CHECK-COUNT-4: shfl.sync.bfly
// CHECK-COUNT-2: st.global.b32
// CHECK-NOT: ld.global
// CHECK: stmatrix
// CHECK: cp.async.bulk.tensor
// CHECK: ret;
func.func private @gated(%a: tensor<49152x768xbf16>, %b: tensor<768x768xbf16>, %s: tensor<f32>, %y: tensor<49152x6x128xbf16>, %g: tensor<49152x6xf32>) -> (tensor<49152x6xf32>, tensor<49152x6x128xbf16>) {
  %0:2 = kernel.gemm a(%a) b(%b) result(%s, %y, %g) : (tensor<49152x768xbf16>, tensor<768x768xbf16>, tensor<f32>, tensor<49152x6x128xbf16>, tensor<49152x6xf32>) -> (tensor<49152x6xf32>, tensor<49152x6x128xbf16>)
    a { ^bb0(%x: tensor<49152x768xbf16>): kernel.yield %x : tensor<49152x768xbf16> }
    b { ^bb0(%x: tensor<768x768xbf16>): kernel.yield %x : tensor<768x768xbf16> }
    result { ^bb0(%c: tensor<49152x768xf32>, %t: tensor<f32>, %u: tensor<49152x6x128xbf16>, %f: tensor<49152x6xf32>):
      %1 = lm.cast %u : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %2 = lm.scale %c, %t : tensor<49152x768xf32>, tensor<f32>
      %3 = lm.reshape %2 : tensor<49152x768xf32> -> tensor<49152x6x128xf32>
      %4 = lm.row_dot %1, %3 : tensor<49152x6x128xf32> -> tensor<49152x6xf32>
      %5 = lm.row_scale %3, %f : tensor<49152x6x128xf32>, tensor<49152x6xf32>
      %6 = lm.cast %5 : tensor<49152x6x128xf32> -> tensor<49152x6x128xbf16>
      kernel.yield %4, %6 : tensor<49152x6xf32>, tensor<49152x6x128xbf16> }
  return %0#0, %0#1 : tensor<49152x6xf32>, tensor<49152x6x128xbf16>
}

// Long k, whose parts a second launch adds and gives to the region: run without a GPU. Three heads of 64: half of the second tile lies beside
// the product. 70 rows.
func.func private @narrow(%a: tensor<70x3072xbf16>, %b: tensor<192x3072xbf16>, %s: tensor<f32>, %y: tensor<70x3x64xbf16>, %g: tensor<70x3xf32>) -> (tensor<70x3xf32>, tensor<70x3x64xbf16>) {
  %0:2 = kernel.gemm a(%a) b(%b) result(%s, %y, %g) {transpose_b} : (tensor<70x3072xbf16>, tensor<192x3072xbf16>, tensor<f32>, tensor<70x3x64xbf16>, tensor<70x3xf32>) -> (tensor<70x3xf32>, tensor<70x3x64xbf16>)
    a { ^bb0(%x: tensor<70x3072xbf16>): kernel.yield %x : tensor<70x3072xbf16> }
    b { ^bb0(%x: tensor<192x3072xbf16>): kernel.yield %x : tensor<192x3072xbf16> }
    result { ^bb0(%c: tensor<70x192xf32>, %t: tensor<f32>, %u: tensor<70x3x64xbf16>, %f: tensor<70x3xf32>):
      %1 = lm.cast %u : tensor<70x3x64xbf16> -> tensor<70x3x64xf32>
      %2 = lm.scale %c, %t : tensor<70x192xf32>, tensor<f32>
      %3 = lm.reshape %2 : tensor<70x192xf32> -> tensor<70x3x64xf32>
      %4 = lm.row_dot %1, %3 : tensor<70x3x64xf32> -> tensor<70x3xf32>
      %5 = lm.row_scale %3, %f : tensor<70x3x64xf32>, tensor<70x3xf32>
      %6 = lm.cast %5 : tensor<70x3x64xf32> -> tensor<70x3x64xbf16>
      kernel.yield %4, %6 : tensor<70x3xf32>, tensor<70x3x64xbf16> }
  return %0#0, %0#1 : tensor<70x3xf32>, tensor<70x3x64xbf16>
}

// Two heads of 128, one row.
func.func private @one(%a: tensor<1x3072xbf16>, %b: tensor<256x3072xbf16>, %s: tensor<f32>, %y: tensor<1x2x128xbf16>, %g: tensor<1x2xf32>) -> (tensor<1x2xf32>, tensor<1x2x128xbf16>) {
  %0:2 = kernel.gemm a(%a) b(%b) result(%s, %y, %g) {transpose_b} : (tensor<1x3072xbf16>, tensor<256x3072xbf16>, tensor<f32>, tensor<1x2x128xbf16>, tensor<1x2xf32>) -> (tensor<1x2xf32>, tensor<1x2x128xbf16>)
    a { ^bb0(%x: tensor<1x3072xbf16>): kernel.yield %x : tensor<1x3072xbf16> }
    b { ^bb0(%x: tensor<256x3072xbf16>): kernel.yield %x : tensor<256x3072xbf16> }
    result { ^bb0(%c: tensor<1x256xf32>, %t: tensor<f32>, %u: tensor<1x2x128xbf16>, %f: tensor<1x2xf32>):
      %1 = lm.cast %u : tensor<1x2x128xbf16> -> tensor<1x2x128xf32>
      %2 = lm.scale %c, %t : tensor<1x256xf32>, tensor<f32>
      %3 = lm.reshape %2 : tensor<1x256xf32> -> tensor<1x2x128xf32>
      %4 = lm.row_dot %1, %3 : tensor<1x2x128xf32> -> tensor<1x2xf32>
      %5 = lm.row_scale %3, %f : tensor<1x2x128xf32>, tensor<1x2xf32>
      %6 = lm.cast %5 : tensor<1x2x128xf32> -> tensor<1x2x128xbf16>
      kernel.yield %4, %6 : tensor<1x2xf32>, tensor<1x2x128xbf16> }
  return %0#0, %0#1 : tensor<1x2xf32>, tensor<1x2x128xbf16>
}

// NUMBERS: narrow: sums right, products right
// NUMBERS: one: sums right, products right
