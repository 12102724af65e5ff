// Row kernels as GPU functions: how a row is shared, where reductions are, sums over all rows.
// REQUIRES: gpu-codegen
// RUN: smelt-opt %s --smelt-plan-gpu-workspace --smelt-kernel-to-gpu | FileCheck %s

// A row of 128 features is one round of a warp: four features a lane in one load.
// CHECK-LABEL: llvm.func @smelt_norm(
// CHECK-SAME: %[[X:.*]]: !llvm.ptr<1>, %[[Y:.*]]: !llvm.ptr<1>)
// CHECK-SAME: nvvm.kernel
// CHECK-NOT: arith.extsi
// CHECK: llvm.load {{.*}} {alignment = 16 : i64} : !llvm.ptr<1> -> vector<4xf32>
// CHECK-NOT: llvm.load
// CHECK-COUNT-5: nvvm.shfl.sync bfly
// CHECK-NOT: llvm.load
// CHECK: llvm.store {{.*}} {alignment = 16 : i64} : vector<4xf32>, !llvm.ptr<1>
func.func private @norm(%x: tensor<8x128xf32>) -> tensor<8x128xf32> {
  %0 = kernel.rowwise(%x) : (tensor<8x128xf32>) -> tensor<8x128xf32> {
    ^bb0(%a: tensor<8x128xf32>):
    %1 = lm.rms_norm %a {eps = 1.0e-6 : f64} : tensor<8x128xf32>
    kernel.yield %1 : tensor<8x128xf32>
  }
  return %0 : tensor<8x128xf32>
}

// Element numbers take 64 bits only where a tensor has more than 2³¹ of them.
// CHECK-LABEL: llvm.func @smelt_many(
// CHECK: %[[ROW:.*]] = arith.extsi {{.*}} : i32 to i64
// CHECK: arith.muli %[[ROW]], {{.*}} : i64
func.func private @many(%x: tensor<3000000x768xf32>) -> tensor<3000000x768xf32> {
  %0 = kernel.rowwise(%x) : (tensor<3000000x768xf32>) -> tensor<3000000x768xf32> {
    ^bb0(%a: tensor<3000000x768xf32>):
    %1 = lm.rms_norm %a {eps = 1.0e-6 : f64} : tensor<3000000x768xf32>
    kernel.yield %1 : tensor<3000000x768xf32>
  }
  return %0 : tensor<3000000x768xf32>
}

// bf16 is read as halves of words and rounded once, at the store.
// CHECK-LABEL: llvm.func @smelt_half(
// CHECK: llvm.load {{.*}} {alignment = 8 : i64} : !llvm.ptr<1> -> vector<2xi32>
// CHECK: arith.truncf {{.*}} : f32 to bf16
// CHECK: llvm.store {{.*}} {alignment = 8 : i64} : vector<4xbf16>, !llvm.ptr<1>
func.func private @half(%x: tensor<8x128xbf16>) -> tensor<8x128xbf16> {
  %0 = kernel.rowwise(%x) : (tensor<8x128xbf16>) -> tensor<8x128xbf16> {
    ^bb0(%a: tensor<8x128xbf16>):
    %1 = lm.cast %a : tensor<8x128xbf16> -> tensor<8x128xf32>
    %2 = lm.add %1, %1 : tensor<8x128xf32>
    %3 = lm.cast %2 : tensor<8x128xf32> -> tensor<8x128xbf16>
    kernel.yield %3 : tensor<8x128xbf16>
  }
  return %0 : tensor<8x128xbf16>
}

// A key offset is another row's address and a choice: no arithmetic on numbers.
// CHECK-LABEL: llvm.func @smelt_shift(
// CHECK-NOT: arith.addf
// CHECK-NOT: arith.mulf
// CHECK: llvm.return
func.func private @shift(%x: tensor<8x2x64xf32>) -> tensor<8x2x64xf32> {
  %0 = kernel.rowwise(%x) : (tensor<8x2x64xf32>) -> tensor<8x2x64xf32> {
    ^bb0(%a: tensor<8x2x64xf32>):
    %1 = lm.token_shift replace cross %a {features = array<i64: 16, 32, 48, 64>, heads = array<i64>} : (tensor<8x2x64xf32>) -> tensor<8x2x64xf32>
    kernel.yield %1 : tensor<8x2x64xf32>
  }
  return %0 : tensor<8x2x64xf32>
}

// A sum over all rows takes a second launch, in order: no atomics.
// CHECK-LABEL: llvm.func @smelt_sum(
// CHECK: nvvm.barrier0
// CHECK-NOT: atomic
// CHECK: llvm.return
// CHECK-LABEL: llvm.func @smelt_sum_1(
// CHECK-NOT: atomic
// CHECK: llvm.return
func.func private @sum(%x: tensor<8x128xf32>, %y: tensor<8x128xf32>) -> (tensor<8x128xf32>, tensor<f32>) {
  %0:2 = kernel.rowwise(%x, %y) : (tensor<8x128xf32>, tensor<8x128xf32>) -> (tensor<8x128xf32>, tensor<f32>) {
    ^bb0(%a: tensor<8x128xf32>, %b: tensor<8x128xf32>):
    %1 = lm.rms_norm %a {eps = 1.0e-6 : f64} : tensor<8x128xf32>
    %2 = lm.dot %1, %b : tensor<8x128xf32> -> tensor<f32>
    kernel.yield %1, %2 : tensor<8x128xf32>, tensor<f32>
  }
  return %0#0, %0#1 : tensor<8x128xf32>, tensor<f32>
}
