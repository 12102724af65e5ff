// RUN: smelt-opt %s --smelt-plan-cpu-workspace=cpu=sapphirerapids | FileCheck %s --check-prefix=PLAN
// RUN: smelt-opt %s --smelt-plan-cpu-workspace=cpu=sapphirerapids --smelt-kernel-to-cpu=cpu=sapphirerapids | FileCheck %s

// A kernel that wants no workspace gets no attribute; one that is still called stays beside its native function.
// PLAN-LABEL: func.func private @kernel_0
// PLAN-NOT: kernel.workspace
// CHECK-LABEL: func.func private @kernel_0
// CHECK-LABEL: func.func @caller
// CHECK-NOT: func.func private @kernel_
// CHECK: func.func @smelt_kernel_0(
func.func private @kernel_0(%f: tensor<4xf32>) -> tensor<64x8xf32> {
  %t = kernel.rope_table %f : tensor<4xf32> -> tensor<64x8xf32>
  return %t : tensor<64x8xf32>
}
func.func @caller(%f: tensor<4xf32>) -> tensor<64x8xf32> {
  %t = call @kernel_0(%f) : (tensor<4xf32>) -> tensor<64x8xf32>
  return %t : tensor<64x8xf32>
}

// The panels of B (2 x 40 x 32 floats) and nothing else: A is read in place, C is built in the output.
// PLAN-LABEL: func.func private @kernel_1
// PLAN-SAME: kernel.workspace = 10240 : i64
// CHECK-LABEL: func.func @smelt_kernel_1(%{{.*}}: !llvm.ptr)
// CHECK-NOT: kernel.
// CHECK: omp.parallel num_threads(
// CHECK: omp.wsloop
// CHECK: omp.wsloop
// CHECK: vector.fma {{.*}} : vector<16xf32>
// CHECK: return
func.func private @kernel_1(%a: tensor<24x40xf32>, %b: tensor<40x48xf32>) -> tensor<24x48xf32> {
  %c = kernel.gemm a(%a) b(%b) result() : (tensor<24x40xf32>, tensor<40x48xf32>) -> tensor<24x48xf32>
    a { ^bb0(%0: tensor<24x40xf32>): kernel.yield %0 : tensor<24x40xf32> }
    b { ^bb0(%0: tensor<40x48xf32>): kernel.yield %0 : tensor<40x48xf32> }
    result { ^bb0(%0: tensor<24x48xf32>): kernel.yield %0 : tensor<24x48xf32> }
  return %c : tensor<24x48xf32>
}

// An element-wise result does not pass through memory: the tile's sums are its operands, and there is still no scratch.
// PLAN-LABEL: func.func private @kernel_2
// PLAN-SAME: kernel.workspace = 10240 : i64
// CHECK-LABEL: func.func @smelt_kernel_2(
// CHECK: %[[SUM:.*]]:16 = scf.for {{.*}} iter_args
// CHECK: arith.cmpf {{.*}}%[[SUM]]#0
func.func private @kernel_2(%a: tensor<24x40xf32>, %b: tensor<40x48xf32>) -> tensor<24x48xf32> {
  %c = kernel.gemm a(%a) b(%b) result() : (tensor<24x40xf32>, tensor<40x48xf32>) -> tensor<24x48xf32>
    a { ^bb0(%0: tensor<24x40xf32>): kernel.yield %0 : tensor<24x40xf32> }
    b { ^bb0(%0: tensor<40x48xf32>): kernel.yield %0 : tensor<40x48xf32> }
    result { ^bb0(%0: tensor<24x48xf32>): %1 = lm.unary relu %0 : tensor<24x48xf32> kernel.yield %1 : tensor<24x48xf32> }
  return %c : tensor<24x48xf32>
}
