// REQUIRES: gpu-codegen
// RUN: not smelt-opt %s --smelt-plan-gpu-workspace=chip=sm_70 2>&1 | FileCheck %s --check-prefix=CHIP
// RUN: not smelt-opt %s --smelt-plan-gpu-workspace 2>&1 | FileCheck %s

// CHIP: error: no GPU target is called 'sm_70'; there are sm_80, sm_90 and sm_90a
// CHECK: errors.mlir:[[#@LINE+2]]:{{.*}} error: 'kernel.rowwise' op cannot be generated for GPUs: lm.unary: its element type is none of f32, bf16, f16, f8E4M3FN, f8E5M2, i16 and i32
func.func private @double(%x: tensor<8xf64>) -> tensor<8xf64> {
  %0 = kernel.rowwise(%x) : (tensor<8xf64>) -> tensor<8xf64> {
    ^bb0(%a: tensor<8xf64>):
    %1 = lm.unary exp %a : tensor<8xf64>
    kernel.yield %1 : tensor<8xf64>
  }
  return %0 : tensor<8xf64>
}
