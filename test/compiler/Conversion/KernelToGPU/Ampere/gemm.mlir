// REQUIRES: tool-gpu_kernels
// REQUIRES: gpu-codegen
// RUN: gpu_kernels %s %t sm_80 | FileCheck %s --check-prefix=RESOURCES --allow-empty
// RUN: FileCheck %s < %t/kernels.ptx
// RUN: FileCheck %s --check-prefix=JSON < %t/kernels.json

// Where ptxas is there: nothing is spilled.
// RESOURCES-NOT: {{[1-9][0-9]*}} spilled

// A linear layer with relu²: copies three steps ahead, fragments by ldmatrix, products in bf16 with f32 sums, whole rows stored.
// CHECK-LABEL: .entry smelt_up(
// CHECK: cp.async.cg.shared.global [{{.*}}], [{{.*}}], 16;
// CHECK: cp.async.commit_group
// CHECK: cp.async.wait_group 2;
// CHECK: ldmatrix.sync.aligned.m8n8.x4.shared.b16
// CHECK: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// CHECK: max.NaN.f32
// CHECK: bar.warp.sync
// CHECK: st.global{{.*}}.v4
// JSON-LABEL: "up":
// JSON: "role": "gemm"
// JSON: "shared": 65536
// JSON-NOT: "role"
func.func private @up(%a: tensor<256x64xbf16>, %b: tensor<256x64xbf16>) -> tensor<256x256xbf16> {
  %0 = kernel.gemm a(%a) b(%b) result() {transpose_b} : (tensor<256x64xbf16>, tensor<256x64xbf16>) -> tensor<256x256xbf16>
    a { ^bb0(%x: tensor<256x64xbf16>): kernel.yield %x : tensor<256x64xbf16> }
    b { ^bb0(%x: tensor<256x64xbf16>): kernel.yield %x : tensor<256x64xbf16> }
    result { ^bb0(%c: tensor<256x256xf32>):
      %1 = lm.unary relu_squared %c : tensor<256x256xf32>
      %2 = lm.cast %1 : tensor<256x256xf32> -> tensor<256x256xbf16>
      kernel.yield %2 : tensor<256x256xbf16> }
  return %0 : tensor<256x256xbf16>
}

// A weight's gradient: both operands have rows of k, which ldmatrix transposes; parts of k are added by a second launch. k is ragged: what lies
// beyond it is not read (the copies' fourth operand) and counts as zero.
// CHECK-LABEL: .entry smelt_weight(
// CHECK: cp.async.cg.shared.global [{{.*}}], [{{.*}}], 16, %r{{[0-9]+}};
// CHECK: ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16
// CHECK: mma.sync.aligned.m16n8k16
// CHECK-LABEL: .entry smelt_weight_1(
// CHECK-NOT: mma.sync
// CHECK: add.rn.f32
// JSON-LABEL: "weight":
// JSON: "role": "gemm"
// JSON: "role": "gemm sum of splits"
// JSON: "workspace": {{[1-9]}}
func.func private @weight(%a: tensor<8190x128xbf16>, %b: tensor<8190x128xbf16>) -> tensor<128x128xf32> {
  %0 = kernel.gemm a(%a) b(%b) result() {transpose_a} : (tensor<8190x128xbf16>, tensor<8190x128xbf16>) -> tensor<128x128xf32>
    a { ^bb0(%x: tensor<8190x128xbf16>): kernel.yield %x : tensor<8190x128xbf16> }
    b { ^bb0(%x: tensor<8190x128xbf16>): kernel.yield %x : tensor<8190x128xbf16> }
    result { ^bb0(%c: tensor<128x128xf32>): kernel.yield %c : tensor<128x128xf32> }
  return %0 : tensor<128x128xf32>
}

// f8 operands and rows that do not begin at multiples of 16 bytes are copied first, as bf16.
// JSON-LABEL: "weight_f8":
// JSON: "role": "operand a as bf16"
// JSON: "role": "operand b as bf16"
// JSON: "role": "gemm"
// JSON-NOT: "role"
func.func private @weight_f8(%a: tensor<64x36xbf16>, %b: tensor<32x36xf8E4M3FN>) -> tensor<64x32xf32> {
  %0 = kernel.gemm a(%a) b(%b) result() {transpose_b} : (tensor<64x36xbf16>, tensor<32x36xf8E4M3FN>) -> tensor<64x32xf32>
    a { ^bb0(%x: tensor<64x36xbf16>): kernel.yield %x : tensor<64x36xbf16> }
    b { ^bb0(%x: tensor<32x36xf8E4M3FN>): kernel.yield %x : tensor<32x36xf8E4M3FN> }
    result { ^bb0(%c: tensor<64x32xf32>): kernel.yield %c : tensor<64x32xf32> }
  return %0 : tensor<64x32xf32>
}

// A region that fragments do not evaluate (a norm of whole rows) runs as a launch behind the product.
// JSON-LABEL: "whole_rows":
// JSON: "role": "gemm"
// JSON: "role": "result"
// JSON-NOT: "role"
func.func private @whole_rows(%a: tensor<64x32xbf16>, %b: tensor<32x192xbf16>) -> tensor<64x192xbf16> {
  %0 = kernel.gemm a(%a) b(%b) result() : (tensor<64x32xbf16>, tensor<32x192xbf16>) -> tensor<64x192xbf16>
    a { ^bb0(%x: tensor<64x32xbf16>): kernel.yield %x : tensor<64x32xbf16> }
    b { ^bb0(%x: tensor<32x192xbf16>): kernel.yield %x : tensor<32x192xbf16> }
    result { ^bb0(%c: tensor<64x192xf32>):
      %1 = lm.rms_norm %c {eps = 1.0e-6} : tensor<64x192xf32>
      %2 = lm.cast %1 : tensor<64x192xf32> -> tensor<64x192xbf16>
      kernel.yield %2 : tensor<64x192xbf16> }
  return %0 : tensor<64x192xbf16>
}

// f32 operands stay f32: tensor cores would round them.
// CHECK-LABEL: .entry smelt_exact(
// CHECK-NOT: mma.sync
// CHECK: fma.rn.f32
// CHECK-NOT: mma.sync
func.func private @exact(%a: tensor<64x32xf32>, %b: tensor<32x64xbf16>) -> tensor<64x64xf32> {
  %0 = kernel.gemm a(%a) b(%b) result() : (tensor<64x32xf32>, tensor<32x64xbf16>) -> tensor<64x64xf32>
    a { ^bb0(%x: tensor<64x32xf32>): kernel.yield %x : tensor<64x32xf32> }
    b { ^bb0(%x: tensor<32x64xbf16>):
      %1 = lm.cast %x : tensor<32x64xbf16> -> tensor<32x64xf32>
      kernel.yield %1 : tensor<32x64xf32> }
    result { ^bb0(%c: tensor<64x64xf32>): kernel.yield %c : tensor<64x64xf32> }
  return %0 : tensor<64x64xf32>
}
