// REQUIRES: tool-gpu_kernels
// RUN: gpu_kernels %s %t | FileCheck %s --check-prefix=RESOURCES --allow-empty
// RUN: FileCheck %s < %t/kernels.ptx
// RUN: FileCheck %s --check-prefix=JSON < %t/kernels.json

// RESOURCES-NOT: {{[1-9][0-9]*}} spilled
// RESOURCES-NOT: serialized

// An f8 head with its gradient: W is quantised once, logits are stored as f16 by TMA while Σ exp is taken from the f32 accumulators; the
// gradient is made from the stored logits. Nothing of size T × V is f32.
// JSON-LABEL: "a_train"
// JSON: "role": "narrow operand"
// JSON: "role": "head"
// JSON: "role": "head loss"
// JSON: "role": "head gradient"
// JSON: "role": "head sum"
// CHECK-LABEL: .entry smelt_a_train_1(
// CHECK-DAG: wgmma.mma_async.sync.aligned.m64n128k32.f32.e4m3.e4m3
// CHECK-DAG: cvt.rn.f16x2.f32
// CHECK-DAG: stmatrix
// CHECK-DAG: cp.async.bulk.tensor.2d.global.shared::cta
// CHECK-LABEL: .entry smelt_a_train_3(
// CHECK: cvt.rn.satfinite.e5m2x2.f32
func.func private @a_train(%x: tensor<200x128xf8E4M3FN>, %w: tensor<264x128xbf16>, %t: tensor<200xi32>) -> (tensor<f32>, tensor<200x264xf8E5M2>) {
  %0:2 = kernel.gemm a(%x) b(%w) result(%t) {transpose_b} : (tensor<200x128xf8E4M3FN>, tensor<264x128xbf16>, tensor<200xi32>) -> (tensor<f32>, tensor<200x264xf8E5M2>)
    a { ^bb0(%a: tensor<200x128xf8E4M3FN>): kernel.yield %a : tensor<200x128xf8E4M3FN> }
    b { ^bb0(%b: tensor<264x128xbf16>):
      %1 = lm.cast %b : tensor<264x128xbf16> -> tensor<264x128xf32>
      %2 = lm.quantize %1 {scale = 0.5 : f64} : tensor<264x128xf32> -> tensor<264x128xf8E4M3FN>
      kernel.yield %2 : tensor<264x128xf8E4M3FN> }
    result { ^bb0(%c: tensor<200x264xf32>, %y: tensor<200xi32>):
      %1 = lm.softcap sigmoid %c {amplitude = 30.0 : f64, temperature = 7.5 : f64} : tensor<200x264xf32>
      %loss, %lse = lm.cross_entropy %1, %y : tensor<200x264xf32>, tensor<200xi32> -> tensor<200xf32>, tensor<200xf32>
      %2 = lm.sum %loss : tensor<200xf32> -> tensor<f32>
      %3 = lm.constant dense<1.0> : tensor<200xf32>
      %4 = lm.cross_entropy_backward %1, %y, %lse, %3 : tensor<200x264xf32>, tensor<200xi32>, tensor<200xf32>
      %5 = lm.softcap_backward sigmoid %c, %4 {amplitude = 30.0 : f64, temperature = 7.5 : f64} : tensor<200x264xf32>
      %6 = lm.quantize %5 {scale = 0.01 : f64} : tensor<200x264xf32> -> tensor<200x264xf8E5M2>
      kernel.yield %2, %6 : tensor<f32>, tensor<200x264xf8E5M2> }
  return %0#0, %0#1 : tensor<f32>, tensor<200x264xf8E5M2>
}

// For the loss alone no logits are stored. Without a softcap each tile has its rows' maxima.
// JSON-LABEL: "b_evaluate"
// JSON: "role": "head"
// JSON: "role": "head loss"
// JSON: "role": "head sum"
// JSON-NOT: gradient
// CHECK-LABEL: .entry smelt_b_evaluate(
// CHECK-NOT: stmatrix
// CHECK-NOT: .global.shared::cta
// CHECK: max.f32
// CHECK: .entry
func.func private @b_evaluate(%x: tensor<130x64xbf16>, %w: tensor<100x64xbf16>, %t: tensor<130xi32>) -> tensor<f32> {
  %0 = kernel.gemm a(%x) b(%w) result(%t) {transpose_b} : (tensor<130x64xbf16>, tensor<100x64xbf16>, tensor<130xi32>) -> tensor<f32>
    a { ^bb0(%a: tensor<130x64xbf16>): kernel.yield %a : tensor<130x64xbf16> }
    b { ^bb0(%b: tensor<100x64xbf16>): kernel.yield %b : tensor<100x64xbf16> }
    result { ^bb0(%c: tensor<130x100xf32>, %y: tensor<130xi32>):
      %loss, %lse = lm.cross_entropy %c, %y : tensor<130x100xf32>, tensor<130xi32> -> tensor<130xf32>, tensor<130xf32>
      %2 = lm.sum %loss : tensor<130xf32> -> tensor<f32>
      %3 = lm.count_targets %y : tensor<130xi32> -> tensor<f32>
      %4 = lm.unary reciprocal %3 : tensor<f32>
      %5 = lm.scale %2, %4 : tensor<f32>, tensor<f32>
      kernel.yield %5 : tensor<f32> }
  return %0 : tensor<f32>
}

// Logits of 12800 x 50304 would take 1.29 GB: two chunks of rows, one after the other, by the same functions. What lies row by row begins
// further on for the second; the logits (and sums of exp) lie in the same bytes.
// JSON-LABEL: "c_chunks"
// JSON: "role": "head",
// JSON: "symbol": "smelt_c_chunks",
// JSON: "role": "head loss",
// JSON: "role": "head gradient",
// JSON: "role": "head",
// JSON: "symbol": "smelt_c_chunks",
// JSON: "role": "head loss",
// JSON: "role": "head gradient",
// JSON: "role": "head sum",
// JSON: "workspace": {{6[4-9][0-9]+}}
func.func private @c_chunks(%x: tensor<12800x64xbf16>, %w: tensor<50304x64xbf16>, %t: tensor<12800xi32>) -> (tensor<f32>, tensor<12800x50304xbf16>) {
  %0:2 = kernel.gemm a(%x) b(%w) result(%t) {transpose_b} : (tensor<12800x64xbf16>, tensor<50304x64xbf16>, tensor<12800xi32>) -> (tensor<f32>, tensor<12800x50304xbf16>)
    a { ^bb0(%a: tensor<12800x64xbf16>): kernel.yield %a : tensor<12800x64xbf16> }
    b { ^bb0(%b: tensor<50304x64xbf16>): kernel.yield %b : tensor<50304x64xbf16> }
    result { ^bb0(%c: tensor<12800x50304xf32>, %y: tensor<12800xi32>):
      %loss, %lse = lm.cross_entropy %c, %y : tensor<12800x50304xf32>, tensor<12800xi32> -> tensor<12800xf32>, tensor<12800xf32>
      %2 = lm.sum %loss : tensor<12800xf32> -> tensor<f32>
      %3 = lm.constant dense<1.0> : tensor<12800xf32>
      %4 = lm.cross_entropy_backward %c, %y, %lse, %3 : tensor<12800x50304xf32>, tensor<12800xi32>, tensor<12800xf32>
      %5 = lm.cast %4 : tensor<12800x50304xf32> -> tensor<12800x50304xbf16>
      kernel.yield %2, %5 : tensor<f32>, tensor<12800x50304xbf16> }
  return %0#0, %0#1 : tensor<f32>, tensor<12800x50304xbf16>
}
