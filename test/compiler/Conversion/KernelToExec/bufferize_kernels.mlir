// RUN: smelt-opt %s --smelt-bufferize-kernels --split-input-file | FileCheck %s

// An element-wise update is made in place; the gradient is read from its buffer; launches keep label, steps, counts and workspace.
// CHECK: exec.buffer parameter @w : tensor<4x16xf32> at 0 bytes 256 init "normal" 5.000000e-01
// CHECK: exec.buffer gradient @gradient.w : tensor<4x16xf32> at 0 bytes 256
// CHECK: exec.buffer setting @setting.lr : tensor<f32> at 0 bytes 4
// CHECK: exec.buffer workspace @update.scratch.0 : tensor<25xf32> at 0 bytes 100
// CHECK: exec.program @update "update" tokens 0 inputs {} outputs {} {
// CHECK-NEXT: exec.launch @kernel_0 reads [@w, @gradient.w, @setting.lr] writes [@w] workspace @update.scratch.0 {bytes = 7 : i64, flops = 5 : i64, label = "the update", smelt.steps = ["a.b"]}
// CHECK-NEXT: {{^  }$}}
// CHECK-NOT: lm.parameter
// CHECK-NOT: func.func @update
lm.parameter @w : tensor<4x16xf32> normal 0.5
func.func private @kernel_0(%p: tensor<4x16xf32>, %g: tensor<4x16xf32>, %lr: tensor<f32>) -> tensor<4x16xf32> attributes {kernel.workspace = 100 : i64} {
  %0 = kernel.rowwise(%p, %g, %lr) : (tensor<4x16xf32>, tensor<4x16xf32>, tensor<f32>) -> tensor<4x16xf32> {
    ^bb0(%a: tensor<4x16xf32>, %b: tensor<4x16xf32>, %c: tensor<f32>):
    %1 = lm.scale %b, %c : tensor<4x16xf32>, tensor<f32>
    %2 = lm.add %a, %1 : tensor<4x16xf32>
    kernel.yield %2 : tensor<4x16xf32>
  }
  return %0 : tensor<4x16xf32>
}
func.func @update() attributes {smelt.role = "update"} {
  %p = lm.read @w : tensor<4x16xf32>
  %g = train.read_gradient @w : tensor<4x16xf32>
  %lr = lm.setting @lr : tensor<f32>
  %q = call @kernel_0(%p, %g, %lr) {smelt.label = "the update", smelt.flops = 5 : i64, smelt.bytes = 7 : i64, smelt.steps = ["a.b"]} : (tensor<4x16xf32>, tensor<4x16xf32>, tensor<f32>) -> tensor<4x16xf32>
  train.write @w, %q : tensor<4x16xf32>
  return
}

// -----

// A norm reads the whole row: the new value goes elsewhere and is copied at the end.
// CHECK: exec.buffer workspace @update.0 : tensor<4x16xf32>
// CHECK: exec.program @update
// CHECK-NEXT: exec.launch @kernel_0 reads [@w] writes [@update.0]
// CHECK-NEXT: exec.launch @copy_4_16_f32 reads [@update.0] writes [@w] {bytes = 512 : i64, flops = 0 : i64, label = "copy to w"}
// CHECK: func.func private @copy_4_16_f32
// CHECK: kernel.rowwise
lm.parameter @w : tensor<4x16xf32> constant 0.0
func.func private @kernel_0(%p: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %0 = kernel.rowwise(%p) : (tensor<4x16xf32>) -> tensor<4x16xf32> {
    ^bb0(%a: tensor<4x16xf32>):
    %1 = lm.rms_norm %a {eps = 1.0e-6 : f64} : tensor<4x16xf32>
    kernel.yield %1 : tensor<4x16xf32>
  }
  return %0 : tensor<4x16xf32>
}
func.func @update() attributes {smelt.role = "update"} {
  %p = lm.read @w : tensor<4x16xf32>
  %q = call @kernel_0(%p) : (tensor<4x16xf32>) -> tensor<4x16xf32>
  train.write @w, %q : tensor<4x16xf32>
  return
}

// -----

// A later launch wants the old value: not in place either.
// CHECK: exec.program @update
// CHECK-NEXT: exec.launch @double reads [@w] writes [@update.0]
// CHECK-NEXT: exec.launch @double reads [@w] writes [@s]
// CHECK-NEXT: exec.launch @copy_16_f32 reads [@update.0] writes [@w]
lm.parameter @w : tensor<16xf32> constant 0.0
train.state @s : tensor<16xf32>
func.func private @double(%p: tensor<16xf32>) -> tensor<16xf32> {
  %0 = kernel.rowwise(%p) : (tensor<16xf32>) -> tensor<16xf32> { ^bb0(%a: tensor<16xf32>): %1 = lm.add %a, %a : tensor<16xf32>  kernel.yield %1 : tensor<16xf32> }
  return %0 : tensor<16xf32>
}
func.func @update() attributes {smelt.role = "update"} {
  %p = lm.read @w : tensor<16xf32>
  %q = call @double(%p) : (tensor<16xf32>) -> tensor<16xf32>
  %r = call @double(%p) : (tensor<16xf32>) -> tensor<16xf32>
  train.write @w, %q : tensor<16xf32>
  train.write @s, %r : tensor<16xf32>
  return
}

// -----

// Blocks of rows are ranges of the parameter's buffer; one block's update does not disturb the other.
// CHECK: exec.buffer parameter @w : tensor<4x16xf32> at 0 bytes 256
// CHECK: exec.buffer workspace @w.rows0 : tensor<2x16xf32> at 0 bytes 128 in @w
// CHECK: exec.buffer workspace @w.rows2 : tensor<2x16xf32> at 128 bytes 128 in @w
// CHECK: exec.program @update
// CHECK-NEXT: exec.launch @double reads [@w.rows0] writes [@w.rows0]
// CHECK-NEXT: exec.launch @double reads [@w.rows2] writes [@w.rows2]
// CHECK-NEXT: {{^  }$}}
lm.parameter @w : tensor<4x16xf32> constant 0.0
func.func private @double(%p: tensor<2x16xf32>) -> tensor<2x16xf32> {
  %0 = kernel.rowwise(%p) : (tensor<2x16xf32>) -> tensor<2x16xf32> { ^bb0(%a: tensor<2x16xf32>): %1 = lm.add %a, %a : tensor<2x16xf32>  kernel.yield %1 : tensor<2x16xf32> }
  return %0 : tensor<2x16xf32>
}
func.func @update() attributes {smelt.role = "update"} {
  %p = lm.read @w : tensor<2x16xf32>
  %q = lm.read @w {first_row = 2 : i64} : tensor<2x16xf32>
  %p1 = call @double(%p) : (tensor<2x16xf32>) -> tensor<2x16xf32>
  %q1 = call @double(%q) : (tensor<2x16xf32>) -> tensor<2x16xf32>
  train.write @w, %p1 : tensor<2x16xf32>
  train.write @w, %q1 {first_row = 2 : i64} : tensor<2x16xf32>
  return
}

// -----

// Inputs and outputs have their own buffers and the runtime's names; a reshape is no launch; one value wanted twice is copied once.
// CHECK: exec.program @train.T4 "train" tokens 4 inputs {document_start = @train.T4.document_start, targets = @train.T4.targets, tokens = @train.T4.tokens} outputs {loss_sum = @train.T4.loss_sum, objective = @train.T4.objective} {
// CHECK-NEXT: exec.launch @gather reads [@w, @train.T4.tokens] writes [@train.T4.0]
// CHECK-NEXT: exec.launch @sum reads [@train.T4.0] writes [@train.T4.objective]
// CHECK-NEXT: exec.launch @copy_f32 reads [@train.T4.objective] writes [@train.T4.loss_sum]
// CHECK-NEXT: {{^  }$}}
lm.parameter @w : tensor<8x4xf32> constant 0.0
func.func private @gather(%w: tensor<8x4xf32>, %t: tensor<4xi32>) -> tensor<4x4xf32> {
  %0 = kernel.rowwise(%w, %t) : (tensor<8x4xf32>, tensor<4xi32>) -> tensor<4x4xf32> {
    ^bb0(%a: tensor<8x4xf32>, %b: tensor<4xi32>):
    %1 = lm.embedding %a, %b : tensor<8x4xf32>, tensor<4xi32> -> tensor<4x4xf32>
    kernel.yield %1 : tensor<4x4xf32>
  }
  return %0 : tensor<4x4xf32>
}
func.func private @reshape(%x: tensor<4x4xf32>) -> tensor<4x2x2xf32> {
  %0 = kernel.rowwise(%x) : (tensor<4x4xf32>) -> tensor<4x2x2xf32> { ^bb0(%a: tensor<4x4xf32>): %1 = lm.reshape %a : tensor<4x4xf32> -> tensor<4x2x2xf32>  kernel.yield %1 : tensor<4x2x2xf32> }
  return %0 : tensor<4x2x2xf32>
}
func.func private @sum(%x: tensor<4x2x2xf32>) -> tensor<f32> {
  %0 = kernel.rowwise(%x) : (tensor<4x2x2xf32>) -> tensor<f32> { ^bb0(%a: tensor<4x2x2xf32>): %1 = lm.sum %a : tensor<4x2x2xf32> -> tensor<f32>  kernel.yield %1 : tensor<f32> }
  return %0 : tensor<f32>
}
func.func @"train.T4"(%tokens: tensor<4xi32>, %targets: tensor<4xi32>, %start: tensor<4xi32>) -> (tensor<f32>, tensor<f32>) attributes {smelt.role = "train", smelt.tokens = 4 : i64} {
  %w = lm.read @w : tensor<8x4xf32>
  %x = call @gather(%w, %tokens) : (tensor<8x4xf32>, tensor<4xi32>) -> tensor<4x4xf32>
  %y = call @reshape(%x) : (tensor<4x4xf32>) -> tensor<4x2x2xf32>
  %s = call @sum(%y) : (tensor<4x2x2xf32>) -> tensor<f32>
  return %s, %s : tensor<f32>, tensor<f32>
}

// -----

// The GEMM adds to the gradient that its result region reads; AdamW replaces what it reads.
// CHECK: exec.program @train.T4
// CHECK-NEXT: exec.launch @gemm reads [@constant.0, @gradient.w] writes [@gradient.w]
// CHECK: exec.program @update
// CHECK-NEXT: exec.launch @momentum reads [@w, @gradient.w, @m.w, @setting.lr] writes [@w, @m.w]
// CHECK-NEXT: {{^  }$}}
lm.parameter @w : tensor<16x16xf32> constant 0.0
train.state @m.w : tensor<16x16xf32>
func.func private @gemm(%x: tensor<16x16xf32>, %old: tensor<16x16xf32>) -> tensor<16x16xf32> {
  %0 = kernel.gemm a(%x) b(%x) result(%old) : (tensor<16x16xf32>, tensor<16x16xf32>, tensor<16x16xf32>) -> tensor<16x16xf32>
    a { ^bb0(%a: tensor<16x16xf32>): kernel.yield %a : tensor<16x16xf32> }
    b { ^bb0(%a: tensor<16x16xf32>): kernel.yield %a : tensor<16x16xf32> }
    result { ^bb0(%c: tensor<16x16xf32>, %a: tensor<16x16xf32>): %1 = lm.add %c, %a : tensor<16x16xf32>  kernel.yield %1 : tensor<16x16xf32> }
  return %0 : tensor<16x16xf32>
}
func.func private @momentum(%p: tensor<16x16xf32>, %g: tensor<16x16xf32>, %m: tensor<16x16xf32>, %lr: tensor<f32>) -> (tensor<16x16xf32>, tensor<16x16xf32>) {
  %0:2 = kernel.foreach "momentum" lanes 1 (%p, %g, %m) uniforms (%lr) constants [] : (tensor<16x16xf32>, tensor<16x16xf32>, tensor<16x16xf32>, tensor<f32>) -> (tensor<16x16xf32>, tensor<16x16xf32>) {
    ^bb0(%a: tensor<1x8xf32>, %b: tensor<1x8xf32>, %c: tensor<1x8xf32>, %r: tensor<f32>):
    %n = lm.add %b, %c : tensor<1x8xf32>
    %q = lm.mix %a, %n by %r, %r : (tensor<1x8xf32>, tensor<1x8xf32>, tensor<f32>, tensor<f32>) -> tensor<1x8xf32>
    kernel.yield %q, %n : tensor<1x8xf32>, tensor<1x8xf32>
  }
  return %0#0, %0#1 : tensor<16x16xf32>, tensor<16x16xf32>
}
func.func @"train.T4"() attributes {smelt.role = "train", smelt.tokens = 4 : i64} {
  %x = lm.constant dense<1.0> : tensor<16x16xf32>
  %old = train.read_gradient @w : tensor<16x16xf32>
  %g = call @gemm(%x, %old) : (tensor<16x16xf32>, tensor<16x16xf32>) -> tensor<16x16xf32>
  train.gradient @w, %g {total} : tensor<16x16xf32>
  return
}
func.func @update() attributes {smelt.role = "update"} {
  %p = lm.read @w : tensor<16x16xf32>
  %g = train.read_gradient @w : tensor<16x16xf32>
  %m = lm.read @m.w : tensor<16x16xf32>
  %lr = lm.setting @lr : tensor<f32>
  %0:2 = call @momentum(%p, %g, %m, %lr) : (tensor<16x16xf32>, tensor<16x16xf32>, tensor<16x16xf32>, tensor<f32>) -> (tensor<16x16xf32>, tensor<16x16xf32>)
  train.write @w, %0#0 : tensor<16x16xf32>
  train.write @m.w, %0#1 : tensor<16x16xf32>
  return
}

// -----

// Momentum: the old one is read for itself, for the direction beside it and for the sum of squares: still in place.
// CHECK: exec.program @update
// CHECK-NEXT: exec.launch @momentum reads [@s] writes [@s, @update.0, @update.1]
// CHECK-NEXT: {{^  }$}}
train.state @s : tensor<16x16xf32>
func.func private @momentum(%m: tensor<16x16xf32>) -> (tensor<16x16xf32>, tensor<16x16xf32>, tensor<f32>) {
  %0:3 = kernel.rowwise(%m) : (tensor<16x16xf32>) -> (tensor<16x16xf32>, tensor<16x16xf32>, tensor<f32>) {
    ^bb0(%a: tensor<16x16xf32>):
    %1 = lm.add %a, %a : tensor<16x16xf32>
    %2 = lm.add %a, %1 : tensor<16x16xf32>
    %3 = lm.dot %2, %2 : tensor<16x16xf32> -> tensor<f32>
    kernel.yield %1, %2, %3 : tensor<16x16xf32>, tensor<16x16xf32>, tensor<f32>
  }
  return %0#0, %0#1, %0#2 : tensor<16x16xf32>, tensor<16x16xf32>, tensor<f32>
}
func.func @update() attributes {smelt.role = "update"} {
  %m = lm.read @s : tensor<16x16xf32>
  %0:3 = call @momentum(%m) : (tensor<16x16xf32>) -> (tensor<16x16xf32>, tensor<16x16xf32>, tensor<f32>)
  train.write @s, %0#0 : tensor<16x16xf32>
  return
}

// -----

// A second result that needs the whole row of the old value: not in place.
// CHECK: exec.program @update
// CHECK-NEXT: exec.launch @two reads [@s] writes [@update.0, @update.1]
// CHECK-NEXT: exec.launch @copy_16_16_f32 reads [@update.0] writes [@s]
train.state @s : tensor<16x16xf32>
func.func private @two(%m: tensor<16x16xf32>) -> (tensor<16x16xf32>, tensor<16x16xf32>) {
  %0:2 = kernel.rowwise(%m) : (tensor<16x16xf32>) -> (tensor<16x16xf32>, tensor<16x16xf32>) {
    ^bb0(%a: tensor<16x16xf32>):
    %1 = lm.add %a, %a : tensor<16x16xf32>
    %2 = lm.rms_norm %a {eps = 1.0e-6 : f64} : tensor<16x16xf32>
    kernel.yield %1, %2 : tensor<16x16xf32>, tensor<16x16xf32>
  }
  return %0#0, %0#1 : tensor<16x16xf32>, tensor<16x16xf32>
}
func.func @update() attributes {smelt.role = "update"} {
  %m = lm.read @s : tensor<16x16xf32>
  %0:2 = call @two(%m) : (tensor<16x16xf32>) -> (tensor<16x16xf32>, tensor<16x16xf32>)
  train.write @s, %0#0 : tensor<16x16xf32>
  return
}

// -----

// A bank is a buffer; its members, their states and their gradients are ranges of buffers, named and with initial values as always. A range of a
// member is a range of the bank's buffer.
// CHECK-DAG: exec.buffer workspace @bank : tensor<6x16xf32> at 0 bytes 384
// CHECK-DAG: exec.buffer workspace @bank.m : tensor<6x16xf32> at 0 bytes 384
// CHECK-DAG: exec.buffer parameter @a : tensor<4x16xf32> at 0 bytes 256 in @bank init "normal" 5.000000e-01
// CHECK-DAG: exec.buffer parameter @b : tensor<2x16xf32> at 256 bytes 128 in @bank init "constant" 0.000000e+00
// CHECK-DAG: exec.buffer state @m.b : tensor<2x16xf32> at 256 bytes 128 in @bank.m
// CHECK-DAG: exec.buffer workspace @gradient.bank : tensor<6x16xf32> at 0 bytes 384
// CHECK-DAG: exec.buffer gradient @gradient.b : tensor<2x16xf32> at 256 bytes 128 in @gradient.bank
// CHECK-DAG: exec.buffer workspace @b.rows1 : tensor<1x16xf32> at 320 bytes 64 in @bank
// CHECK: exec.program @part
// CHECK-NEXT: exec.launch @kernel_1 reads [@b.rows1] writes [@part.0]
// CHECK: exec.program @update
// CHECK-NEXT: exec.launch @kernel_0 reads [@bank, @gradient.bank] writes [@bank]
// CHECK-NOT: train.bank
lm.parameter @a : tensor<4x16xf32> normal 0.5
lm.parameter @b : tensor<2x16xf32> constant 0.0
train.state @m.a : tensor<4x16xf32>
train.state @m.b : tensor<2x16xf32>
train.bank @bank [@a, @b] : tensor<6x16xf32>
train.bank @bank.m [@m.a, @m.b] : tensor<6x16xf32>
func.func private @kernel_0(%p: tensor<6x16xf32>, %g: tensor<6x16xf32>) -> tensor<6x16xf32> {
  %0 = kernel.rowwise(%p, %g) : (tensor<6x16xf32>, tensor<6x16xf32>) -> tensor<6x16xf32> {
    ^bb0(%a: tensor<6x16xf32>, %b: tensor<6x16xf32>):
    %1 = lm.add %a, %b : tensor<6x16xf32>
    kernel.yield %1 : tensor<6x16xf32>
  }
  return %0 : tensor<6x16xf32>
}
func.func private @kernel_1(%p: tensor<1x16xf32>) -> tensor<1x16xf32> {
  %0 = kernel.rowwise(%p) : (tensor<1x16xf32>) -> tensor<1x16xf32> {
    ^bb0(%a: tensor<1x16xf32>):
    %1 = lm.add %a, %a : tensor<1x16xf32>
    kernel.yield %1 : tensor<1x16xf32>
  }
  return %0 : tensor<1x16xf32>
}
func.func @part() attributes {smelt.role = "update"} {
  %p = lm.read @b {first_row = 1 : i64} : tensor<1x16xf32>
  %q = call @kernel_1(%p) : (tensor<1x16xf32>) -> tensor<1x16xf32>
  return
}
func.func @update() attributes {smelt.role = "update"} {
  %p = lm.read @bank : tensor<6x16xf32>
  %g = train.read_gradient @bank : tensor<6x16xf32>
  %q = call @kernel_0(%p, %g) : (tensor<6x16xf32>, tensor<6x16xf32>) -> tensor<6x16xf32>
  train.write @bank, %q : tensor<6x16xf32>
  return
}

// -----

// A lane's results may take the places of its own inputs, not of another lane's: the lanes run at the same time.
// CHECK: exec.program @update
// CHECK-NEXT: exec.launch @swap reads [@u, @v] writes [@update.0, @update.1]
// CHECK-NEXT: exec.launch @{{.*}} reads [@update.0] writes [@v]
// CHECK-NEXT: exec.launch @{{.*}} reads [@update.1] writes [@u]
train.state @u : tensor<16xf32>
train.state @v : tensor<16xf32>
func.func private @swap(%a: tensor<16xf32>, %b: tensor<16xf32>) -> (tensor<16xf32>, tensor<16xf32>) {
  %0:2 = kernel.foreach "double" lanes 2 (%a, %b) uniforms () constants [] : (tensor<16xf32>, tensor<16xf32>) -> (tensor<16xf32>, tensor<16xf32>) {
    ^bb0(%x: tensor<1x8xf32>):
    %n = lm.add %x, %x : tensor<1x8xf32>
    kernel.yield %n : tensor<1x8xf32>
  }
  return %0#0, %0#1 : tensor<16xf32>, tensor<16xf32>
}
func.func @update() attributes {smelt.role = "update", smelt.every = 2 : i64, smelt.offset = 1 : i64} {
  %u = lm.read @u : tensor<16xf32>
  %v = lm.read @v : tensor<16xf32>
  %0:2 = call @swap(%u, %v) : (tensor<16xf32>, tensor<16xf32>) -> (tensor<16xf32>, tensor<16xf32>)
  train.write @v, %0#0 : tensor<16xf32>
  train.write @u, %0#1 : tensor<16xf32>
  return
}

// -----

// The period goes into the program, what a state begins as into its buffer.
// CHECK: exec.buffer state @outer.w : tensor<4xf32> at 0 bytes 16 {copy_of = @w}
// CHECK: exec.program @outer.every28 "update" tokens 0 inputs {} outputs {} attributes {every = 28 : i64}
lm.parameter @w : tensor<4xf32> constant 1.0
train.state @outer.w : tensor<4xf32> {copy_of = @w}
func.func @outer.every28() attributes {smelt.role = "update", smelt.every = 28 : i64, smelt.offset = 0 : i64} {
  %o = lm.read @outer.w : tensor<4xf32>
  train.write @w, %o : tensor<4xf32>
  return
}
