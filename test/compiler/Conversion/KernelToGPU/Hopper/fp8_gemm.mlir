// REQUIRES: tool-gpu_kernels
// RUN: gpu_kernels %s %t | FileCheck %s --check-prefix=RESOURCES --allow-empty
// RUN: FileCheck %s < %t/kernels.ptx
// RUN: FileCheck %s --check-prefix=JSON < %t/kernels.json

// RESOURCES-NOT: {{[1-9][0-9]*}} spilled
// RESOURCES-NOT: serialized

// f8 operands are multiplied K-major: g as it lies, w through a transposing launch. Every 256 of k start from zero and are added in f32.
// CHECK-LABEL: .entry smelt_dx(
// CHECK: prmt.b32
// CHECK-LABEL: .entry smelt_dx_1(
// CHECK-DAG: wgmma.mma_async.sync.aligned.m64n128k32.f32.e5m2.e4m3
// CHECK-DAG: wgmma.wait_group.sync.aligned 0
// CHECK-DAG: add{{(.rn)?}}.f32
func.func private @dx(%g: tensor<300x512xf8E5M2>, %w: tensor<512x128xf8E4M3FN>) -> tensor<300x128xbf16> {
  %0 = kernel.gemm a(%g) b(%w) result() : (tensor<300x512xf8E5M2>, tensor<512x128xf8E4M3FN>) -> tensor<300x128xbf16>
    a { ^bb0(%x: tensor<300x512xf8E5M2>): kernel.yield %x : tensor<300x512xf8E5M2> }
    b { ^bb0(%x: tensor<512x128xf8E4M3FN>): kernel.yield %x : tensor<512x128xf8E4M3FN> }
    result { ^bb0(%c: tensor<300x128xf32>):
      %2 = lm.cast %c : tensor<300x128xf32> -> tensor<300x128xbf16>
      kernel.yield %2 : tensor<300x128xbf16> }
  return %0 : tensor<300x128xbf16>
}

// A weight's gradient: rows of g are k. Fragments of gᵀ come through ldmatrix and are sorted byte by byte; only x is transposed before. A
// warp's lanes have read a stage before one of them releases it.
// CHECK-LABEL: .entry smelt_dw_1(
// CHECK-DAG: cp.async.bulk.tensor.5d.shared::cluster.global
// CHECK-DAG: ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16
// CHECK-DAG: prmt.b32
// CHECK-DAG: wgmma.mma_async.sync.aligned.m64n128k32.f32.e5m2.e4m3 {{.*}}}, {%r
// CHECK-DAG: bar.warp.sync
func.func private @dw(%g: tensor<256x512xf8E5M2>, %x: tensor<256x128xf8E4M3FN>) -> tensor<512x128xf32> {
  %0 = kernel.gemm a(%g) b(%x) result() {transpose_a} : (tensor<256x512xf8E5M2>, tensor<256x128xf8E4M3FN>) -> tensor<512x128xf32>
    a { ^bb0(%a: tensor<256x512xf8E5M2>): kernel.yield %a : tensor<256x512xf8E5M2> }
    b { ^bb0(%b: tensor<256x128xf8E4M3FN>): kernel.yield %b : tensor<256x128xf8E4M3FN> }
    result { ^bb0(%c: tensor<512x128xf32>): kernel.yield %c : tensor<512x128xf32> }
  return %0 : tensor<512x128xf32>
}

// JSON: "dw"
// JSON: "role": "transpose operand"
// JSON: "role": "gemm"
// JSON-NOT: "role"
// JSON: "dx"
// JSON: "role": "transpose operand"
// JSON: "role": "gemm"
// JSON: "role": "gemm"
// JSON-NOT: operand
// JSON: "workspace": 0

// Both as they lie: one launch, no workspace.
func.func private @forward(%a: tensor<64x256xf8E4M3FN>, %w: tensor<128x256xf8E4M3FN>) -> tensor<64x128xf32> {
  %0 = kernel.gemm a(%a) b(%w) result() {transpose_b} : (tensor<64x256xf8E4M3FN>, tensor<128x256xf8E4M3FN>) -> tensor<64x128xf32>
    a { ^bb0(%x: tensor<64x256xf8E4M3FN>): kernel.yield %x : tensor<64x256xf8E4M3FN> }
    b { ^bb0(%x: tensor<128x256xf8E4M3FN>): kernel.yield %x : tensor<128x256xf8E4M3FN> }
    result { ^bb0(%c: tensor<64x128xf32>): kernel.yield %c : tensor<64x128xf32> }
  return %0 : tensor<64x128xf32>
}

// A block has 256 rows: with 384 the last one's second half stores nothing (it would lie behind the matrix).
// CHECK-LABEL: .entry smelt_half(
// CHECK: wgmma.wait_group.sync.aligned 0
// CHECK: setp.{{[a-z]+}}.u32 %p{{[0-9]+}}, %r{{[0-9]+}}, {{383|384}};
// CHECK: st.global
func.func private @half(%a: tensor<384x256xf8E4M3FN>, %w: tensor<128x256xf8E4M3FN>) -> tensor<384x128xf32> {
  %0 = kernel.gemm a(%a) b(%w) result() {transpose_b} : (tensor<384x256xf8E4M3FN>, tensor<128x256xf8E4M3FN>) -> tensor<384x128xf32>
    a { ^bb0(%x: tensor<384x256xf8E4M3FN>): kernel.yield %x : tensor<384x256xf8E4M3FN> }
    b { ^bb0(%x: tensor<128x256xf8E4M3FN>): kernel.yield %x : tensor<128x256xf8E4M3FN> }
    result { ^bb0(%c: tensor<384x128xf32>): kernel.yield %c : tensor<384x128xf32> }
  return %0 : tensor<384x128xf32>
}
