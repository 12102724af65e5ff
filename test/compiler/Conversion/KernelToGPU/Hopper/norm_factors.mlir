// A norm as a factor of a product's rows: who makes x stores Σ x² of every 128 (or 64) columns, who multiplies norm(x) adds these up before its
// turn to multiply. What is made of inputs alone (the factors, gates of the first features) the first column of tiles stores.
// REQUIRES: gpu-codegen
// RUN: gpu_kernels %s %t | FileCheck %s --check-prefix=RESOURCES --allow-empty
// RUN: FileCheck %s < %t/kernels.ptx
// RUN: %python %S/../Inputs/check_norm_factors.py %t | FileCheck %s --check-prefix=NUMBERS
// RUN: gpu_kernels %s %t.80 sm_80 > %t.80.log
// RUN: %python %S/../Inputs/check_norm_factors.py %t.80 | FileCheck %s --check-prefix=NUMBERS
// RESOURCES-NOT: {{[1-9][0-9]*}} spilled

// Six sums of each of a thread's four rows; gates where the tile is a first one; nothing from memory after the barrier.
// CHECK-LABEL: .entry smelt_project(
// CHECK-COUNT-12: ld.global.v2.b32
// CHECK-NOT: ld.global.v2.b32
// 6 words of four rows of x and of two gates' weights.
// CHECK-COUNT-36: ld.global.b32
// CHECK-NOT: ld.global
// CHECK-COUNT-12: st.global.b32
// CHECK-NOT: {{ld|st}}.global
// CHECK: bar.sync
// CHECK-NOT: {{ld|st}}.global
// CHECK: wgmma.mma_async
// CHECK-NOT: {{ld|st}}.global
// CHECK: stmatrix
func.func private @project(%a: tensor<49152x768xbf16>, %b: tensor<768x768xbf16>, %s: tensor<49152x6xf32>, %w: tensor<6x12xbf16>) -> (tensor<49152x768xbf16>, tensor<49152xf32>, tensor<49152x6xf32>) {
  %0:3 = kernel.gemm a(%a) b(%b) result(%s, %a, %w) {transpose_b} : (tensor<49152x768xbf16>, tensor<768x768xbf16>, tensor<49152x6xf32>, tensor<49152x768xbf16>, tensor<6x12xbf16>) -> (tensor<49152x768xbf16>, tensor<49152xf32>, tensor<49152x6xf32>)
    a { ^bb0(%x: tensor<49152x768xbf16>): kernel.yield %x : tensor<49152x768xbf16> }
    b { ^bb0(%x: tensor<768x768xbf16>): kernel.yield %x : tensor<768x768xbf16> }
    result { ^bb0(%c: tensor<49152x768xf32>, %u: tensor<49152x6xf32>, %x: tensor<49152x768xbf16>, %v: tensor<6x12xbf16>):
      %1 = lm.constant dense<1.0> : tensor<49152x6xf32>
      %2 = lm.row_dot %u, %1 : tensor<49152x6xf32> -> tensor<49152xf32>
      %3 = lm.unary sqrt %2 : tensor<49152xf32>
      %4 = lm.unary reciprocal %3 : tensor<49152xf32>
      %5 = lm.row_scale %c, %4 : tensor<49152x768xf32>, tensor<49152xf32>
      %6 = lm.cast %5 : tensor<49152x768xf32> -> tensor<49152x768xbf16>
      %7 = lm.cast %x : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %8 = lm.row_scale %7, %4 : tensor<49152x768xf32>, tensor<49152xf32>
      %9 = lm.cast %v : tensor<6x12xbf16> -> tensor<6x12xf32>
      %10 = lm.gate %8, %9 : tensor<49152x768xf32>, tensor<6x12xf32> -> tensor<49152x6xf32>
      kernel.yield %6, %4, %10 : tensor<49152x768xbf16>, tensor<49152xf32>, tensor<49152x6xf32> }
  return %0#0, %0#1, %0#2 : tensor<49152x768xbf16>, tensor<49152xf32>, tensor<49152x6xf32>
}

// Long k, whose parts a second launch adds and gives to the region: run without a GPU. A sum with a matrix of 192 columns, and its squares.
func.func private @make(%a: tensor<9x3072xbf16>, %b: tensor<192x3072xbf16>, %y: tensor<9x192xbf16>) -> (tensor<9x192xbf16>, tensor<9x3xf32>) {
  %0:2 = kernel.gemm a(%a) b(%b) result(%y) {transpose_b} : (tensor<9x3072xbf16>, tensor<192x3072xbf16>, tensor<9x192xbf16>) -> (tensor<9x192xbf16>, tensor<9x3xf32>)
    a { ^bb0(%x: tensor<9x3072xbf16>): kernel.yield %x : tensor<9x3072xbf16> }
    b { ^bb0(%x: tensor<192x3072xbf16>): kernel.yield %x : tensor<192x3072xbf16> }
    result { ^bb0(%c: tensor<9x192xf32>, %u: tensor<9x192xbf16>):
      %1 = lm.cast %u : tensor<9x192xbf16> -> tensor<9x192xf32>
      %2 = lm.add %1, %c : tensor<9x192xf32>
      %3 = lm.cast %2 : tensor<9x192xf32> -> tensor<9x192xbf16>
      %4 = lm.reshape %2 : tensor<9x192xf32> -> tensor<9x3x64xf32>
      %5 = lm.row_dot %4, %4 : tensor<9x3x64xf32> -> tensor<9x3xf32>
      kernel.yield %3, %5 : tensor<9x192xbf16>, tensor<9x3xf32> }
  return %0#0, %0#1 : tensor<9x192xbf16>, tensor<9x3xf32>
}

// Heads behind the factor, five sums a row, nine gates.
func.func private @take(%a: tensor<3x3072xbf16>, %b: tensor<128x3072xbf16>, %s: tensor<3x5xf32>, %w: tensor<9x6xf32>) -> (tensor<3x1x128xbf16>, tensor<3xf32>, tensor<3x9xf32>) {
  %0:3 = kernel.gemm a(%a) b(%b) result(%s, %a, %w) {transpose_b} : (tensor<3x3072xbf16>, tensor<128x3072xbf16>, tensor<3x5xf32>, tensor<3x3072xbf16>, tensor<9x6xf32>) -> (tensor<3x1x128xbf16>, tensor<3xf32>, tensor<3x9xf32>)
    a { ^bb0(%x: tensor<3x3072xbf16>): kernel.yield %x : tensor<3x3072xbf16> }
    b { ^bb0(%x: tensor<128x3072xbf16>): kernel.yield %x : tensor<128x3072xbf16> }
    result { ^bb0(%c: tensor<3x128xf32>, %u: tensor<3x5xf32>, %x: tensor<3x3072xbf16>, %v: tensor<9x6xf32>):
      %1 = lm.constant dense<1.0> : tensor<3x5xf32>
      %2 = lm.row_dot %u, %1 : tensor<3x5xf32> -> tensor<3xf32>
      %3 = lm.unary sqrt %2 : tensor<3xf32>
      %4 = lm.unary reciprocal %3 : tensor<3xf32>
      %5 = lm.row_scale %c, %4 : tensor<3x128xf32>, tensor<3xf32>
      %6 = lm.reshape %5 : tensor<3x128xf32> -> tensor<3x1x128xf32>
      %7 = lm.rms_norm %6 {eps = 1.0 : f64} : tensor<3x1x128xf32>
      %8 = lm.cast %7 : tensor<3x1x128xf32> -> tensor<3x1x128xbf16>
      %9 = lm.cast %x : tensor<3x3072xbf16> -> tensor<3x3072xf32>
      %10 = lm.row_scale %9, %4 : tensor<3x3072xf32>, tensor<3xf32>
      %11 = lm.gate %10, %v : tensor<3x3072xf32>, tensor<9x6xf32> -> tensor<3x9xf32>
      kernel.yield %8, %4, %11 : tensor<3x1x128xbf16>, tensor<3xf32>, tensor<3x9xf32> }
  return %0#0, %0#1, %0#2 : tensor<3x1x128xbf16>, tensor<3xf32>, tensor<3x9xf32>
}

// NUMBERS: make: x right, squares right
// NUMBERS: take: heads right, factors right, gates right
