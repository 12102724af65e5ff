// The gradients that an update reads are summed first, in buckets of one type; one rank changes nothing.
// RUN: smelt-opt %s --smelt-distribute="ranks=2" | FileCheck %s --check-prefixes=CHECK,TWO
// RUN: smelt-opt %s --smelt-distribute="ranks=3" | FileCheck %s --check-prefixes=CHECK,THREE
// RUN: smelt-opt %s --smelt-distribute="ranks=4" | FileCheck %s --check-prefix=CHECK
// RUN: smelt-opt %s --smelt-distribute="ranks=8" | FileCheck %s --check-prefix=CHECK
// RUN: smelt-opt %s --smelt-distribute="ranks=16" | FileCheck %s --check-prefixes=CHECK,SIXTEEN
// RUN: smelt-opt %s --smelt-distribute="ranks=1" | FileCheck %s --check-prefix=ONE
// RUN: smelt-opt %s --smelt-distribute | FileCheck %s --check-prefix=ONE
// RUN: smelt-opt %s --smelt-distribute="ranks=2 bucket-bytes=64" | FileCheck %s --check-prefix=SMALL
// RUN: not smelt-opt %s --smelt-distribute="ranks=5" 2>&1 | FileCheck %s --check-prefix=FIVE
// RUN: not smelt-opt %s --smelt-distribute="ranks=0" 2>&1 | FileCheck %s --check-prefix=NONE

// ONE-NOT: all_reduce
// ONE-NOT: ranks
// TWO: job_ranks = 2 : i64
// THREE: job_ranks = 3 : i64
// SIXTEEN: job_ranks = 16 : i64
// FIVE: distribute.mlir:[[#@LINE+2]]:1: error: the 48 micro-batches of a step do not divide among 5 ranks (from step 0 on); training.micro_batch sets their size
// NONE: cannot be run by 0 ranks
train.run {training = {steps = 10 : i64, stages = [{first = 0 : i64, last = 4 : i64, micro_batches = 48 : i64}, {first = 5 : i64, last = 9 : i64, micro_batches = 96 : i64}]}}

lm.parameter @w : tensor<4x8xf32> constant 0.0
lm.parameter @b : tensor<8xf32> constant 0.0
lm.parameter @e : tensor<16xbf16> constant 0.0
lm.parameter @x : tensor<2x8xf32> constant 0.0
lm.parameter @y : tensor<2x8xf32> constant 0.0
train.bank @bank [@x, @y] : tensor<4x8xf32>

// CHECK-LABEL: func.func @train
// CHECK-NOT: all_reduce
func.func @train(%g: tensor<4x8xf32>) attributes {smelt.role = "train"} {
  train.gradient @w, %g : tensor<4x8xf32>
  %0 = train.read_gradient @w : tensor<4x8xf32>
  return
}
// CHECK-LABEL: func.func @update()
// CHECK-NEXT: train.all_reduce [@w, @b, @bank]
// CHECK-NEXT: train.all_reduce [@e]
// CHECK-NOT: all_reduce
// SMALL-LABEL: func.func @update()
// SMALL-NEXT: train.all_reduce [@w]
// SMALL-NEXT: train.all_reduce [@b, @bank]
// SMALL-NEXT: train.all_reduce [@e]
func.func @update() attributes {smelt.role = "update"} {
  %0 = train.read_gradient @w : tensor<2x8xf32>
  %1 = train.read_gradient @w {first_row = 2 : i64} : tensor<2x8xf32>
  %2 = train.read_gradient @b : tensor<8xf32>
  %3 = train.read_gradient @e : tensor<16xbf16>
  %4 = train.read_gradient @bank : tensor<4x8xf32>
  return
}
// An update without gradients of its own sums none.
// CHECK-LABEL: func.func @outer
// CHECK-NOT: all_reduce
func.func @outer() attributes {smelt.role = "update"} {
  return
}
