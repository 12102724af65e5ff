// REQUIRES: tool-gpu_kernels
// REQUIRES: gpu-codegen
// RUN: gpu_kernels %s %t sm_80 | FileCheck %s --check-prefix=RESOURCES --allow-empty
// RUN: FileCheck %s < %t/kernels.ptx
// RUN: FileCheck %s --check-prefix=JSON < %t/kernels.json

// RESOURCES-NOT: {{[1-9][0-9]*}} spilled

// An f8 head with its gradient: both operands as bf16 first (f8 is exact there), logits stored as f16 by whole rows while Σ exp is taken from
// the f32 accumulators; the gradient is made from the stored logits, in e5m2 without an instruction for it. The launches are Hopper's.
// JSON-LABEL: "a_train"
// JSON: "role": "operand a as bf16"
// JSON: "role": "operand b as bf16"
// JSON: "role": "head"
// JSON: "shared": 65536
// JSON: "role": "head loss"
// JSON: "role": "head gradient"
// JSON: "role": "head sum"
// JSON-NOT: "role"
// CHECK-LABEL: .entry smelt_a_train_2(
// CHECK: cp.async.cg.shared.global
// CHECK: ldmatrix.sync.aligned.m8n8.x4.shared.b16
// CHECK: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// CHECK-DAG: ex2.approx.ftz.f32
// CHECK-DAG: cvt.rn.f16{{(x2)?}}.f32
// CHECK-DAG: st.global{{.*}}.v4
// CHECK-LABEL: .entry smelt_a_train_4(
// CHECK-NOT: e5m2x2
// CHECK: .entry
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

// The loss alone: no logits are stored, bf16 operands are read in place, and an odd number of columns is no hindrance.
// JSON-LABEL: "b_evaluate"
// JSON: "role": "head"
// JSON: "role": "head loss"
// JSON: "role": "head sum"
// JSON-NOT: "role"
// CHECK-LABEL: .entry smelt_b_evaluate(
// CHECK: mma.sync.aligned.m16n8k16
// CHECK: max.f32
// CHECK-NOT: st.global{{.*}}.v4
// CHECK: .entry
func.func private @b_evaluate(%x: tensor<130x64xbf16>, %w: tensor<101x64xbf16>, %t: tensor<130xi32>) -> tensor<f32> {
  %0 = kernel.gemm a(%x) b(%w) result(%t) {transpose_b} : (tensor<130x64xbf16>, tensor<101x64xbf16>, tensor<130xi32>) -> tensor<f32>
    a { ^bb0(%a: tensor<130x64xbf16>): kernel.yield %a : tensor<130x64xbf16> }
    b { ^bb0(%b: tensor<101x64xbf16>): kernel.yield %b : tensor<101x64xbf16> }
    result { ^bb0(%c: tensor<130x101xf32>, %y: tensor<130xi32>):
      %loss, %lse = lm.cross_entropy %c, %y : tensor<130x101xf32>, tensor<130xi32> -> tensor<130xf32>, tensor<130xf32>
      %2 = lm.sum %loss : tensor<130xf32> -> tensor<f32>
      kernel.yield %2 : tensor<f32> }
  return %0 : tensor<f32>
}

// Logits of many tokens come in chunks: the copies once, three launches for each chunk, the sum once.
// JSON-LABEL: "c_chunks"
// JSON: "role": "operand a as bf16"
// JSON: "role": "head"
// JSON: "role": "head loss"
// JSON: "role": "head gradient"
// JSON-NOT: "operand
// JSON: "role": "head"
// JSON: "role": "head loss"
// JSON: "role": "head gradient"
// JSON: "role": "head sum"
// JSON-NOT: "role"
// JSON: "workspace": {{1[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]$}}
func.func private @c_chunks(%x: tensor<24576x64xf8E4M3FN>, %w: tensor<50304x64xbf16>, %t: tensor<24576xi32>) -> (tensor<f32>, tensor<24576x50304xbf16>) {
  %0:2 = kernel.gemm a(%x) b(%w) result(%t) {transpose_b} : (tensor<24576x64xf8E4M3FN>, tensor<50304x64xbf16>, tensor<24576xi32>) -> (tensor<f32>, tensor<24576x50304xbf16>)
    a { ^bb0(%a: tensor<24576x64xf8E4M3FN>): kernel.yield %a : tensor<24576x64xf8E4M3FN> }
    b { ^bb0(%b: tensor<50304x64xbf16>): kernel.yield %b : tensor<50304x64xbf16> }
    result { ^bb0(%c: tensor<24576x50304xf32>, %y: tensor<24576xi32>):
      %loss, %lse = lm.cross_entropy %c, %y : tensor<24576x50304xf32>, tensor<24576xi32> -> tensor<24576xf32>, tensor<24576xf32>
      %2 = lm.sum %loss : tensor<24576xf32> -> tensor<f32>
      %3 = lm.constant dense<1.0> : tensor<24576xf32>
      %4 = lm.cross_entropy_backward %c, %y, %lse, %3 : tensor<24576x50304xf32>, tensor<24576xi32>, tensor<24576xf32>
      %5 = lm.cast %4 : tensor<24576x50304xf32> -> tensor<24576x50304xbf16>
      kernel.yield %2, %5 : tensor<f32>, tensor<24576x50304xbf16> }
  return %0#0, %0#1 : tensor<f32>, tensor<24576x50304xbf16>
}
