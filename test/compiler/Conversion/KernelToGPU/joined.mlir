// Several kernels in one function are one launch, where their blocks have one size.
// REQUIRES: gpu-codegen
// RUN: smelt-opt %s --smelt-plan-gpu-workspace | FileCheck %s --check-prefix=PLAN
// RUN: smelt-opt %s --smelt-plan-gpu-workspace --smelt-kernel-to-gpu | FileCheck %s

// Two blocks of norms, then four of others: these count from their own first block on.
// PLAN-LABEL: func.func private @two(
// PLAN-SAME: kernel.launches = array<i64: 128, 6, 0, 0, 32>
// CHECK-LABEL: llvm.func @smelt_two(
// CHECK-SAME: %[[X:[^:]*]]: !llvm.ptr<1>, %[[NX:[^:]*]]: !llvm.ptr<1>, %[[Y:[^:]*]]: !llvm.ptr<1>, %[[NY:[^:]*]]: !llvm.ptr<1>)
// CHECK-SAME: nvvm.kernel
// CHECK: %[[BLOCK:.*]] = nvvm.read.ptx.sreg.ctaid.x
// CHECK: %[[BLOCKS:.*]] = arith.constant 2 : i32
// CHECK: %[[FIRST:.*]] = arith.cmpi ult, %[[BLOCK]], %[[BLOCKS]] : i32
// CHECK: scf.if %[[FIRST]] {
// CHECK-NOT: ctaid
// CHECK: arith.muli %[[BLOCK]],
// CHECK: llvm.getelementptr %[[X]][
// CHECK-NOT: ctaid
// CHECK: llvm.getelementptr %[[NX]][
// CHECK: } else {
// CHECK-NOT: ctaid
// CHECK: %[[TWO:.*]] = arith.constant 2 : i32
// CHECK: %[[MINE:.*]] = arith.subi %[[BLOCK]], %[[TWO]] : i32
// CHECK: arith.muli %[[MINE]],
// CHECK: llvm.getelementptr %[[Y]][
// CHECK: llvm.getelementptr %[[NY]][
// CHECK: llvm.return
// CHECK-NOT: llvm.func
func.func private @two(%x: tensor<8x128xf32>, %y: tensor<16x128xf32>) -> (tensor<8x128xf32>, tensor<16x128xf32>) {
  %0 = kernel.rowwise(%x) : (tensor<8x128xf32>) -> tensor<8x128xf32> {
    ^bb0(%a: tensor<8x128xf32>):
    %1 = lm.rms_norm %a {eps = 1.0e-6 : f64} : tensor<8x128xf32>
    kernel.yield %1 : tensor<8x128xf32>
  }
  %2 = kernel.rowwise(%y) : (tensor<16x128xf32>) -> tensor<16x128xf32> {
    ^bb0(%a: tensor<16x128xf32>):
    %1 = lm.rms_norm %a {eps = 1.0e-6 : f64} : tensor<16x128xf32>
    kernel.yield %1 : tensor<16x128xf32>
  }
  return %0, %2 : tensor<8x128xf32>, tensor<16x128xf32>
}

// A launch that finds no partner stands alone: element-wise work has blocks of 256 threads.
// CHECK-LABEL: llvm.func @smelt_other_size(
// CHECK-SAME: nvvm.reqntid = array<i32: 128>
// CHECK-LABEL: llvm.func @smelt_other_size_1(
// CHECK-SAME: nvvm.reqntid = array<i32: 256>
func.func private @other_size(%x: tensor<8x128xf32>, %y: tensor<16x128xf32>) -> (tensor<8x128xf32>, tensor<16x128xf32>) {
  %0 = kernel.rowwise(%x) : (tensor<8x128xf32>) -> tensor<8x128xf32> {
    ^bb0(%a: tensor<8x128xf32>):
    %1 = lm.rms_norm %a {eps = 1.0e-6 : f64} : tensor<8x128xf32>
    kernel.yield %1 : tensor<8x128xf32>
  }
  %2 = kernel.rowwise(%y) : (tensor<16x128xf32>) -> tensor<16x128xf32> {
    ^bb0(%a: tensor<16x128xf32>):
    %1 = lm.add %a, %a : tensor<16x128xf32>
    kernel.yield %1 : tensor<16x128xf32>
  }
  return %0, %2 : tensor<8x128xf32>, tensor<16x128xf32>
}

// Sums over all rows: both kernels' second launches join too, and each has its part of the workspace.
// PLAN-LABEL: func.func private @sums(
// PLAN-SAME: kernel.workspace = 512
// CHECK-LABEL: llvm.func @smelt_sums(
// CHECK: scf.if
// CHECK-LABEL: llvm.func @smelt_sums_1(
// CHECK: scf.if
// CHECK-NOT: llvm.func
func.func private @sums(%x: tensor<8x128xf32>, %y: tensor<16x128xf32>) -> (tensor<f32>, tensor<f32>) {
  %0 = kernel.rowwise(%x) : (tensor<8x128xf32>) -> tensor<f32> {
    ^bb0(%a: tensor<8x128xf32>):
    %1 = lm.rms_norm %a {eps = 1.0e-6 : f64} : tensor<8x128xf32>
    %2 = lm.sum %1 : tensor<8x128xf32> -> tensor<f32>
    kernel.yield %2 : tensor<f32>
  }
  %2 = kernel.rowwise(%y) : (tensor<16x128xf32>) -> tensor<f32> {
    ^bb0(%a: tensor<16x128xf32>):
    %1 = lm.rms_norm %a {eps = 1.0e-6 : f64} : tensor<16x128xf32>
    %2 = lm.sum %1 : tensor<16x128xf32> -> tensor<f32>
    kernel.yield %2 : tensor<f32>
  }
  return %0, %2 : tensor<f32>, tensor<f32>
}
