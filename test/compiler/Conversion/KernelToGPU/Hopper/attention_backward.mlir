// REQUIRES: tool-gpu_kernels
// REQUIRES: gpu-codegen
// RUN: gpu_kernels %s %t | FileCheck %s --check-prefix=RESOURCES --allow-empty
// RUN: FileCheck %s < %t/kernels.ptx
// RUN: FileCheck %s --check-prefix=ITEMS < %t/kernels.ptx
// RUN: FileCheck %s --check-prefix=JSON < %t/kernels.json

// Where ptxas is there: no warp-group product is made serial, and nothing is spilled but, of the keys kernel, some 14 words that a tile needs
// before and after its blocks (README.md says why).
// RESOURCES-NOT: smelt_shifted{{(_1)?}}: {{.*}} {{[1-9][0-9]*}} spilled
// RESOURCES-NOT: {{([7-9][0-9]|[0-9][0-9][0-9]+)}} bytes of stack
// RESOURCES-NOT: serialized

// Prepare, dQ by tiles of queries, dK and dV by tiles of keys.
// JSON: "role": "attention backward: prepare"
// JSON: "role": "attention backward: queries"
// JSON: "role": "attention backward: keys"
// JSON-NOT: "role"

// A tile's number is read by the lane that gives its stage back, as in attention.mlir.
// ITEMS-LABEL: .entry smelt_shifted_1(
// ITEMS: setmaxnreg.inc
// ITEMS: ld.shared.b32 [[NUMBER:%r[0-9]+]], [
// ITEMS-NEXT: $L{{.*}}:
// ITEMS-NEXT: shfl.sync.idx.b32 {{%r[0-9]+}}, [[NUMBER]], 0, 31, -1;
// ITEMS-LABEL: .entry smelt_shifted_2(
// ITEMS: setmaxnreg.inc
// ITEMS: ld.shared.b32 [[NUMBER:%r[0-9]+]], [
// ITEMS-NEXT: $L{{.*}}:
// ITEMS-NEXT: shfl.sync.idx.b32 {{%r[0-9]+}}, [[NUMBER]], 0, 31, -1;

// A key offset: keys lie in panels of 32 features, and dQ += dS·K is one product over all of them; row 0's own features come by a copy of one
// row, so that the thread that loads needs no registers for them.
// CHECK-LABEL: .entry smelt_shifted_1(
// CHECK-NOT: m64n32k16
// CHECK-NOT: ld.global{{.*}}v4
// CHECK: wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {{.*}}, {{{.*}}}, %rd{{[0-9]+}}, 1, 1, 1, 1;
// CHECK-NOT: m64n32k16
// CHECK-LABEL: .entry smelt_shifted_2(
func.func private @shifted(%q: tensor<1024x2x128xbf16>, %first: tensor<1024xi32>, %s: tensor<f32>, %lse: tensor<1024x2xf32>)
    -> (tensor<1024x2x128xbf16>, tensor<1024x2x128xbf16>, tensor<1024x2x128xbf16>) {
  %0:3 = kernel.attention_backward q(%q) k(%q) v(%q) first(%first) scale(%s) out(%q, %lse, %q)
      : (tensor<1024x2x128xbf16>, tensor<1024x2x128xbf16>, tensor<1024x2x128xbf16>, tensor<1024xi32>, tensor<f32>, tensor<1024x2x128xbf16>, tensor<1024x2xf32>, tensor<1024x2x128xbf16>)
      -> (tensor<1024x2x128xbf16>, tensor<1024x2x128xbf16>, tensor<1024x2x128xbf16>)
    q { ^bb0(%a: tensor<1024x2x128xbf16>): kernel.yield %a : tensor<1024x2x128xbf16> }
    k { ^bb0(%a: tensor<1024x2x128xbf16>):
      %1 = lm.token_shift replace cross %a {features = array<i64: 32, 64, 96, 128>, heads = array<i64>} : (tensor<1024x2x128xbf16>) -> tensor<1024x2x128xbf16>
      kernel.yield %1 : tensor<1024x2x128xbf16> }
    v { ^bb0(%a: tensor<1024x2x128xbf16>): kernel.yield %a : tensor<1024x2x128xbf16> }
  return %0#0, %0#1, %0#2 : tensor<1024x2x128xbf16>, tensor<1024x2x128xbf16>, tensor<1024x2x128xbf16>
}
