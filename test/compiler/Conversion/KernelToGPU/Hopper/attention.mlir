// REQUIRES: tool-gpu_kernels
// REQUIRES: gpu-codegen
// RUN: gpu_kernels %s %t | FileCheck %s --check-prefix=RESOURCES --allow-empty
// RUN: FileCheck %s < %t/kernels.ptx
// RUN: FileCheck %s --check-prefix=ITEMS < %t/kernels.ptx
// RUN: FileCheck %s --check-prefix=JSON < %t/kernels.json

// Where ptxas is there: nothing is spilled, and no warp-group product is made serial.
// RESOURCES-NOT: {{[1-9][0-9]*}} spilled
// RESOURCES-NOT: serialized

// A tile's number is read by the lane that gives its stage back, one a warp: the stage has 8 arrivals, and the other lanes
// branch past the load to the shuffle.
// ITEMS-LABEL: .entry smelt_plain(
// ITEMS: mov.b32 [[WARPS:%r[0-9]+]], 8;
// ITEMS-NEXT: mbarrier.init.shared.b64 {{.*}}, [[WARPS]];
// ITEMS: setmaxnreg.inc
// ITEMS: ld.shared.b32 [[NUMBER:%r[0-9]+]], [
// ITEMS-NEXT: $L{{.*}}:
// ITEMS-NEXT: shfl.sync.idx.b32 {{%r[0-9]+}}, [[NUMBER]], 0, 31, -1;

// S = Q·Kᵀ of 64 queries and 64 keys from shared memory, O += P·V with P in registers.
// CHECK-LABEL: .entry smelt_plain(
// CHECK: wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16
// CHECK: ex2.approx.ftz.f32
// CHECK: wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {{.*}}, {{{.*}}}, %rd{{[0-9]+}}, 1, 1, 1, 1;
func.func private @plain(%q: tensor<256x2x64xbf16>, %first: tensor<256xi32>, %s: tensor<f32>) -> (tensor<256x2x64xbf16>, tensor<256x2xf32>) {
  %0:2 = kernel.attention q(%q) k(%q) v(%q) result() first(%first) scale(%s)
      : (tensor<256x2x64xbf16>, tensor<256x2x64xbf16>, tensor<256x2x64xbf16>, tensor<256xi32>, tensor<f32>) -> (tensor<256x2x64xbf16>, tensor<256x2xf32>)
    q { ^bb0(%a: tensor<256x2x64xbf16>): kernel.yield %a : tensor<256x2x64xbf16> }
    k { ^bb0(%a: tensor<256x2x64xbf16>): kernel.yield %a : tensor<256x2x64xbf16> }
    v { ^bb0(%a: tensor<256x2x64xbf16>): kernel.yield %a : tensor<256x2x64xbf16> }
    result { ^bb0(%a: tensor<256x2x64xbf16>): kernel.yield %a : tensor<256x2x64xbf16> }
  return %0#0, %0#1 : tensor<256x2x64xbf16>, tensor<256x2xf32>
}

// A key offset adds no launch and no buffer: keys come in boxes of 32 features, row 0's own ones in boxes of one row.
// JSON: "gated":
// JSON: "role": "attention"
// JSON: "threads": 384
// JSON: "plain":
// JSON: "role": "attention"
// JSON-NOT: "role"
// JSON: "shifted":
// JSON: 32,
// JSON-NEXT: 1,
// JSON-NEXT: 64
// JSON: 32,
// JSON-NEXT: 1,
// JSON-NEXT: 1
// JSON: "role": "attention"
// JSON-NOT: "role"
func.func private @shifted(%q: tensor<256x2x128xbf16>, %first: tensor<256xi32>, %s: tensor<f32>) -> (tensor<256x2x128xbf16>, tensor<256x2xf32>) {
  %0:2 = kernel.attention q(%q) k(%q) v(%q) result() first(%first) scale(%s)
      : (tensor<256x2x128xbf16>, tensor<256x2x128xbf16>, tensor<256x2x128xbf16>, tensor<256xi32>, tensor<f32>) -> (tensor<256x2x128xbf16>, tensor<256x2xf32>)
    q { ^bb0(%a: tensor<256x2x128xbf16>): kernel.yield %a : tensor<256x2x128xbf16> }
    k { ^bb0(%a: tensor<256x2x128xbf16>):
      %1 = lm.token_shift replace cross %a {features = array<i64: 32, 64, 96, 128>, heads = array<i64>} : (tensor<256x2x128xbf16>) -> tensor<256x2x128xbf16>
      kernel.yield %1 : tensor<256x2x128xbf16> }
    v { ^bb0(%a: tensor<256x2x128xbf16>): kernel.yield %a : tensor<256x2x128xbf16> }
    result { ^bb0(%a: tensor<256x2x128xbf16>): kernel.yield %a : tensor<256x2x128xbf16> }
  return %0#0, %0#1 : tensor<256x2x128xbf16>, tensor<256x2xf32>
}

// A factor per head in the result region is multiplied where the rows are divided by their sums.
func.func private @gated(%q: tensor<200x2x64xbf16>, %first: tensor<200xi32>, %s: tensor<f32>, %g: tensor<200x2xf32>) -> (tensor<200x128xbf16>, tensor<200x2xf32>) {
  %0:2 = kernel.attention q(%q) k(%q) v(%q) result(%g) first(%first) scale(%s)
      : (tensor<200x2x64xbf16>, tensor<200x2x64xbf16>, tensor<200x2x64xbf16>, tensor<200x2xf32>, tensor<200xi32>, tensor<f32>) -> (tensor<200x128xbf16>, tensor<200x2xf32>)
    q { ^bb0(%a: tensor<200x2x64xbf16>): kernel.yield %a : tensor<200x2x64xbf16> }
    k { ^bb0(%a: tensor<200x2x64xbf16>):
      %1 = lm.token_shift replace cross %a {features = array<i64: 32, 64>, heads = array<i64>} : (tensor<200x2x64xbf16>) -> tensor<200x2x64xbf16>
      kernel.yield %1 : tensor<200x2x64xbf16> }
    v { ^bb0(%a: tensor<200x2x64xbf16>): kernel.yield %a : tensor<200x2x64xbf16> }
    result { ^bb0(%a: tensor<200x2x64xbf16>, %b: tensor<200x2xf32>):
      %0 = lm.cast %a : tensor<200x2x64xbf16> -> tensor<200x2x64xf32>
      %1 = lm.row_scale %0, %b : tensor<200x2x64xf32>, tensor<200x2xf32>
      %2 = lm.cast %1 : tensor<200x2x64xf32> -> tensor<200x2x64xbf16>
      %3 = lm.reshape %2 : tensor<200x2x64xbf16> -> tensor<200x128xbf16>
      kernel.yield %3 : tensor<200x128xbf16> }
  return %0#0, %0#1 : tensor<200x128xbf16>, tensor<200x2xf32>
}
