// RUN: not smelt-opt %s --pass-pipeline="builtin.module(func.func(smelt-choose-storage{activations=f8}))" 2>&1 | FileCheck %s
// CHECK: choose_storage_errors.mlir:3:1: error: activations are stored in f32 or bf16, not f8
func.func @f() {
  return
}
