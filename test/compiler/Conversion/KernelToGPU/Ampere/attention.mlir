// REQUIRES: tool-gpu_kernels
// REQUIRES: gpu-codegen
// RUN: gpu_kernels %s %t sm_80 | FileCheck %s --check-prefix=RESOURCES --allow-empty
// RUN: FileCheck %s < %t/kernels.ptx
// RUN: FileCheck %s --check-prefix=JSON < %t/kernels.json

// RESOURCES-NOT: {{[1-9][0-9]*}} spilled

// Forward: one launch; K by plain ldmatrix, V transposed. A key offset changes the rows that are copied and nothing else.
// CHECK-LABEL: .entry smelt_forward(
// CHECK: cp.async.cg.shared.global
// CHECK: ldmatrix.sync.aligned.m8n8.x4.shared.b16
// CHECK: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// CHECK: ex2.approx.ftz.f32
// CHECK: ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16
// CHECK: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// CHECK: lg2.approx.ftz.f32
// JSON-LABEL: "backward":
// JSON: "role": "attention backward: prepare"
// JSON: "role": "attention backward: queries"
// JSON: "role": "attention backward: keys"
// JSON-NOT: "role"
// JSON: "forward":
// JSON: "role": "attention"
// JSON: "threads": 128
// JSON-NOT: "role"
func.func private @forward(%q: tensor<200x2x128xbf16>, %first: tensor<200xi32>, %s: tensor<f32>, %g: tensor<200x2xf32>) -> (tensor<200x256xbf16>, tensor<200x2xf32>) {
  %0:2 = kernel.attention q(%q) k(%q) v(%q) result(%g) first(%first) scale(%s)
      : (tensor<200x2x128xbf16>, tensor<200x2x128xbf16>, tensor<200x2x128xbf16>, tensor<200x2xf32>, tensor<200xi32>, tensor<f32>) -> (tensor<200x256xbf16>, tensor<200x2xf32>)
    q { ^bb0(%a: tensor<200x2x128xbf16>): kernel.yield %a : tensor<200x2x128xbf16> }
    k { ^bb0(%a: tensor<200x2x128xbf16>):
      %1 = lm.token_shift replace cross %a {features = array<i64: 32, 64, 96, 128>, heads = array<i64>} : (tensor<200x2x128xbf16>) -> tensor<200x2x128xbf16>
      kernel.yield %1 : tensor<200x2x128xbf16> }
    v { ^bb0(%a: tensor<200x2x128xbf16>): kernel.yield %a : tensor<200x2x128xbf16> }
    result { ^bb0(%a: tensor<200x2x128xbf16>, %b: tensor<200x2xf32>):
      %0 = lm.cast %a : tensor<200x2x128xbf16> -> tensor<200x2x128xf32>
      %1 = lm.row_scale %0, %b : tensor<200x2x128xf32>, tensor<200x2xf32>
      %2 = lm.cast %1 : tensor<200x2x128xf32> -> tensor<200x2x128xbf16>
      %3 = lm.reshape %2 : tensor<200x2x128xbf16> -> tensor<200x256xbf16>
      kernel.yield %3 : tensor<200x256xbf16> }
  return %0#0, %0#1 : tensor<200x256xbf16>, tensor<200x2xf32>
}

// Backward: sums stay in registers, no atomics.
// CHECK-LABEL: .entry smelt_backward_1(
// CHECK: mma.sync.aligned.m16n8k16
// CHECK-NOT: {{[[:space:]](atom|red)\.}}
// CHECK-LABEL: .entry smelt_backward_2(
// CHECK: mma.sync.aligned.m16n8k16
// CHECK-NOT: {{[[:space:]](atom|red)\.}}
func.func private @backward(%q: tensor<200x2x64xbf16>, %first: tensor<200xi32>, %s: tensor<f32>, %o: tensor<200x2x64xbf16>, %lse: tensor<200x2xf32>, %do: tensor<200x2x64xbf16>)
    -> (tensor<200x2x64xbf16>, tensor<200x2x64xbf16>, tensor<200x2x64xbf16>) {
  %0:3 = kernel.attention_backward q(%q) k(%q) v(%q) first(%first) scale(%s) out(%o, %lse, %do)
      : (tensor<200x2x64xbf16>, tensor<200x2x64xbf16>, tensor<200x2x64xbf16>, tensor<200xi32>, tensor<f32>, tensor<200x2x64xbf16>, tensor<200x2xf32>, tensor<200x2x64xbf16>)
      -> (tensor<200x2x64xbf16>, tensor<200x2x64xbf16>, tensor<200x2x64xbf16>)
    q { ^bb0(%a: tensor<200x2x64xbf16>): kernel.yield %a : tensor<200x2x64xbf16> }
    k { ^bb0(%a: tensor<200x2x64xbf16>): kernel.yield %a : tensor<200x2x64xbf16> }
    v { ^bb0(%a: tensor<200x2x64xbf16>): kernel.yield %a : tensor<200x2x64xbf16> }
  return %0#0, %0#1, %0#2 : tensor<200x2x64xbf16>, tensor<200x2x64xbf16>, tensor<200x2x64xbf16>
}
