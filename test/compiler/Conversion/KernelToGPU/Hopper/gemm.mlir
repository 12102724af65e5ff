// REQUIRES: tool-gpu_kernels
// REQUIRES: gpu-codegen
// RUN: gpu_kernels %s %t | FileCheck %s --check-prefix=RESOURCES --allow-empty
// RUN: FileCheck %s < %t/kernels.ptx
// RUN: FileCheck %s --check-prefix=JSON < %t/kernels.json
// RUN: FileCheck %s --check-prefix=QUEUE < %t/kernels.ptx

// Where ptxas is there: nothing is spilled, and no warp-group product is made serial.
// RESOURCES-NOT: {{[1-9][0-9]*}} spilled
// RESOURCES-NOT: serialized

// An up projection with relu²: operands by TMA, products by wgmma, the result staged and stored by TMA.
// Tiles come from a counter, whatever the grid: no stride is a constant.
// CHECK: smelt_up_counter
// CHECK-LABEL: .entry smelt_up(
// CHECK-DAG: mov.u32 {{.*}}, %nctaid.x;
// CHECK-DAG: atom{{.*}}add.{{[su]}}32
// CHECK-DAG: setmaxnreg.dec.sync.aligned.u32 40
// CHECK-DAG: cp.async.bulk.tensor.2d.shared::cluster.global
// CHECK-DAG: setmaxnreg.inc.sync.aligned.u32 232
// CHECK-DAG: wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16
// CHECK-DAG: stmatrix
// CHECK-DAG: cp.async.bulk.tensor.2d.global.shared::cta
// Every thread that has read a tile's number says so before anything else: one lane's arrival would not order the others' reads before the
// producer's next store.
// QUEUE-LABEL: .entry smelt_up(
// QUEUE: mov.b32 [[GROUP:%r[0-9]+]], 128;
// QUEUE-NEXT: mbarrier.init.shared.b64 {{.*}}, [[GROUP]];
// QUEUE: ld.shared.b32 [[NUMBER:%r[0-9]+]], [
// QUEUE-NEXT: shfl.sync.idx.b32 {{%r[0-9]+}}, [[NUMBER]], 0, 31, -1;
// QUEUE-NEXT: mbarrier.arrive.shared.b64
func.func private @up(%a: tensor<300x64xbf16>, %b: tensor<256x64xbf16>) -> tensor<300x256xbf16> {
  %0 = kernel.gemm a(%a) b(%b) result() {transpose_b} : (tensor<300x64xbf16>, tensor<256x64xbf16>) -> tensor<300x256xbf16>
    a { ^bb0(%x: tensor<300x64xbf16>): kernel.yield %x : tensor<300x64xbf16> }
    b { ^bb0(%x: tensor<256x64xbf16>): kernel.yield %x : tensor<256x64xbf16> }
    result { ^bb0(%c: tensor<300x256xf32>):
      %1 = lm.unary relu_squared %c : tensor<300x256xf32>
      %2 = lm.cast %1 : tensor<300x256xf32> -> tensor<300x256xbf16>
      kernel.yield %2 : tensor<300x256xbf16> }
  return %0 : tensor<300x256xbf16>
}

// Its backward reads h tile by tile: through shared memory, never by loads in the consumers.
// CHECK-LABEL: .entry smelt_dz(
// CHECK: ldmatrix
// CHECK-NOT: ld.global
// CHECK: sqrt.approx.ftz.f32
// CHECK: .entry
func.func private @dz(%a: tensor<256x64xbf16>, %b: tensor<64x128xbf16>, %h: tensor<256x128xbf16>) -> tensor<256x128xbf16> {
  %0 = kernel.gemm a(%a) b(%b) result(%h) : (tensor<256x64xbf16>, tensor<64x128xbf16>, tensor<256x128xbf16>) -> tensor<256x128xbf16>
    a { ^bb0(%x: tensor<256x64xbf16>): kernel.yield %x : tensor<256x64xbf16> }
    b { ^bb0(%x: tensor<64x128xbf16>): kernel.yield %x : tensor<64x128xbf16> }
    result { ^bb0(%c: tensor<256x128xf32>, %y: tensor<256x128xbf16>):
      %1 = lm.cast %y : tensor<256x128xbf16> -> tensor<256x128xf32>
      %2 = lm.unary_backward relu_squared %1, %c {from_output} : tensor<256x128xf32>
      %3 = lm.cast %2 : tensor<256x128xf32> -> tensor<256x128xbf16>
      kernel.yield %3 : tensor<256x128xbf16> }
  return %0 : tensor<256x128xbf16>
}

// A weight gradient is small and its k long: blocks of 128 x 256 of both groups together; the sums of parts of k go to the workspace as they lie in
// registers, a second launch adds them, a tile's parts in the order of a table.
// CHECK: wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16
// CHECK: st.global.v4
// CHECK-LABEL: .entry smelt_dw_1(
// CHECK: smelt_dw_1_table0
// CHECK: ld.global{{.*}}v4
// JSON: "dw":
// JSON: "persistent": false
// JSON: "role": "gemm"
// JSON: "role": "gemm sum of splits"
// JSON: "workspace": {{[1-9]}}
// JSON: "up":
// JSON: "persistent": true
func.func private @dw(%a: tensor<8192x128xbf16>, %b: tensor<8192x128xbf16>) -> tensor<128x128xf32> {
  %0 = kernel.gemm a(%a) b(%b) result() {transpose_a} : (tensor<8192x128xbf16>, tensor<8192x128xbf16>) -> tensor<128x128xf32>
    a { ^bb0(%x: tensor<8192x128xbf16>): kernel.yield %x : tensor<8192x128xbf16> }
    b { ^bb0(%x: tensor<8192x128xbf16>): kernel.yield %x : tensor<8192x128xbf16> }
    result { ^bb0(%c: tensor<128x128xf32>): kernel.yield %c : tensor<128x128xf32> }
  return %0 : tensor<128x128xf32>
}
