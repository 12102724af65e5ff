// RUN: split-file %s %t
// RUN: not smelt-opt %t/f64.mlir --smelt-plan-cpu-workspace --smelt-kernel-to-cpu 2>&1 | FileCheck %s --check-prefix=F64
// RUN: not smelt-opt %t/workspace.mlir --smelt-kernel-to-cpu=cpu=haswell 2>&1 | FileCheck %s --check-prefix=WORKSPACE
// RUN: not smelt-opt %t/workspace.mlir --smelt-plan-cpu-workspace=cpu=z80 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: not smelt-opt %t/results.mlir --smelt-kernel-to-cpu 2>&1 | FileCheck %s --check-prefix=RESULTS

//--- f64.mlir
// F64: f64.mlir:3:8: error: 'kernel.gemm' op cannot be generated for the CPU: region 'a': kernel.yield: the CPU has no code for an element type
func.func private @kernel_0(%a: tensor<8x8xf64>, %b: tensor<8x8xf64>) -> tensor<8x8xf64> {
  %c = kernel.gemm a(%a) b(%b) result() : (tensor<8x8xf64>, tensor<8x8xf64>) -> tensor<8x8xf64>
    a { ^bb0(%0: tensor<8x8xf64>): kernel.yield %0 : tensor<8x8xf64> }
    b { ^bb0(%0: tensor<8x8xf64>): kernel.yield %0 : tensor<8x8xf64> }
    result { ^bb0(%0: tensor<8x8xf64>): kernel.yield %0 : tensor<8x8xf64> }
  return %c : tensor<8x8xf64>
}

//--- workspace.mlir
// WORKSPACE: error: kernel.workspace is 64 but the kernel wants 256 bytes: run smelt-plan-cpu-workspace for the same CPU
// UNKNOWN: error: unknown x86-64 CPU 'z80'
func.func private @kernel_0(%a: tensor<8x8xf32>, %b: tensor<8x8xf32>) -> tensor<8x8xf32> attributes {kernel.workspace = 64 : i64} {
  %c = kernel.gemm a(%a) b(%b) result() : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
    a { ^bb0(%0: tensor<8x8xf32>): kernel.yield %0 : tensor<8x8xf32> }
    b { ^bb0(%0: tensor<8x8xf32>): kernel.yield %0 : tensor<8x8xf32> }
    result { ^bb0(%0: tensor<8x8xf32>): kernel.yield %0 : tensor<8x8xf32> }
  return %c : tensor<8x8xf32>
}

//--- results.mlir
// RESULTS: results.mlir:2:1: error: outlined kernel returns a value twice
func.func private @kernel_0(%f: tensor<4xf32>) -> (tensor<64x8xf32>, tensor<64x8xf32>) {
  %t = kernel.rope_table %f : tensor<4xf32> -> tensor<64x8xf32>
  return %t, %t : tensor<64x8xf32>, tensor<64x8xf32>
}
