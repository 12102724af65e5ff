// RUN: smelt-opt %s --pass-pipeline="builtin.module(func.func(smelt-choose-storage{activations=bf16}))" | FileCheck %s --implicit-check-not=bf16

lm.parameter @w : tensor<2x4xf32> normal 1.0

// Gates and sums per row, sums over all rows, what leaves the program: f32.
// CHECK-LABEL: func.func @statistics
func.func @statistics(%x: tensor<8x4xf32>, %dgate: tensor<8x2xf32>) -> tensor<8x4xf32> attributes {smelt.role = "train"} {
  %w = lm.read @w : tensor<2x4xf32>
  %gate, %row = kernel.rowwise(%x, %w) : (tensor<8x4xf32>, tensor<2x4xf32>) -> (tensor<8x2xf32>, tensor<8xf32>) {
    ^bb0(%a: tensor<8x4xf32>, %b: tensor<2x4xf32>):
    %1 = lm.gate %a, %b : tensor<8x4xf32>, tensor<2x4xf32> -> tensor<8x2xf32>
    %2 = lm.row_dot %a, %a : tensor<8x4xf32> -> tensor<8xf32>
    kernel.yield %1, %2 : tensor<8x2xf32>, tensor<8xf32>
  }
  %dx, %dw = kernel.rowwise(%x, %w, %gate, %dgate, %row) : (tensor<8x4xf32>, tensor<2x4xf32>, tensor<8x2xf32>, tensor<8x2xf32>, tensor<8xf32>) -> (tensor<8x4xf32>, tensor<2x4xf32>) {
    ^bb0(%a: tensor<8x4xf32>, %b: tensor<2x4xf32>, %c: tensor<8x2xf32>, %d: tensor<8x2xf32>, %e: tensor<8xf32>):
    %1, %2 = lm.gate_backward %a, %b, %c, %d : tensor<8x4xf32>, tensor<2x4xf32>, tensor<8x2xf32>
    %3 = lm.row_scale %1, %e : tensor<8x4xf32>, tensor<8xf32>
    kernel.yield %3, %2 : tensor<8x4xf32>, tensor<2x4xf32>
  }
  %twice = kernel.rowwise(%dw) : (tensor<2x4xf32>) -> tensor<2x4xf32> {
    ^bb0(%a: tensor<2x4xf32>):
    %1 = lm.add %a, %a : tensor<2x4xf32>
    kernel.yield %1 : tensor<2x4xf32>
  }
  train.gradient @w, %twice : tensor<2x4xf32>
  return %dx : tensor<8x4xf32>
}

// Optimiser arithmetic stays f32 where no product reads it.
// CHECK-LABEL: func.func @update
func.func @update(%m: tensor<2x4xf32>) attributes {smelt.role = "update"} {
  %a = kernel.rowwise(%m) : (tensor<2x4xf32>) -> tensor<2x4xf32> {
    ^bb0(%0: tensor<2x4xf32>):
    %1 = lm.add %0, %0 : tensor<2x4xf32>
    kernel.yield %1 : tensor<2x4xf32>
  }
  %b = kernel.rowwise(%a) : (tensor<2x4xf32>) -> tensor<2x4xf32> {
    ^bb0(%0: tensor<2x4xf32>):
    %1 = lm.rms_norm %0 {eps = 1.0e-6 : f64} : tensor<2x4xf32>
    kernel.yield %1 : tensor<2x4xf32>
  }
  train.write @w, %b : tensor<2x4xf32>
  return
}

// A table that a kernel without regions makes.
// CHECK-LABEL: func.func @table
func.func @table(%f: tensor<2xf32>, %x: tensor<8x2x4xf32>) -> tensor<8x2x4xf32> {
  %t = kernel.rope_table %f : tensor<2xf32> -> tensor<8x4xf32>
  %y = kernel.rowwise(%x, %t) : (tensor<8x2x4xf32>, tensor<8x4xf32>) -> tensor<8x2x4xf32> {
    ^bb0(%a: tensor<8x2x4xf32>, %b: tensor<8x4xf32>):
    %1 = lm.rope %a, %b : tensor<8x2x4xf32>, tensor<8x4xf32>
    kernel.yield %1 : tensor<8x2x4xf32>
  }
  return %y : tensor<8x2x4xf32>
}
