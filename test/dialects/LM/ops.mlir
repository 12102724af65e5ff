// RUN: smelt-opt %s | smelt-opt | FileCheck %s
// RUN: smelt-opt %s --mlir-print-op-generic | smelt-opt | FileCheck %s
// Every op of lm survives a trip through both of its text forms.

// CHECK: lm.parameter @constant : tensor<f32> constant 1.000000e+00
lm.parameter @constant : tensor<f32> constant 1.0
// CHECK: lm.parameter @layers.0.uniform : tensor<6x4xf32> uniform 5.000000e-01
lm.parameter @"layers.0.uniform" : tensor<6x4xf32> uniform 0.5
// CHECK: lm.parameter @normal : tensor<6x4xbf16> normal 2.000000e-02
lm.parameter @normal : tensor<6x4xbf16> normal 0.02

// CHECK-LABEL: func.func @leaves
func.func @leaves() {
  // CHECK: lm.read @layers.0.uniform : tensor<6x4xf32>
  %0 = lm.read @"layers.0.uniform" : tensor<6x4xf32>
  // CHECK: lm.read @layers.0.uniform {first_row = 2 : i64} : tensor<3x4xf32>
  %1 = lm.read @"layers.0.uniform" {first_row = 2 : i64} : tensor<3x4xf32>
  // CHECK: lm.setting @window : tensor<i32>
  %2 = lm.setting @window : tensor<i32>
  // CHECK: lm.constant dense<5.000000e-01> : tensor<2x2xf32>
  %3 = lm.constant dense<0.5> : tensor<2x2xf32>
  // CHECK: lm.constant dense<[1, 2]> : tensor<2xi32>
  %4 = lm.constant dense<[1, 2]> : tensor<2xi32>
  return
}

// CHECK-LABEL: func.func @parts
func.func @parts() {
  // CHECK: lm.read @layers.0.uniform {ranks = 4 : i64} : tensor<2x4xf32>
  %1 = lm.read @"layers.0.uniform" {ranks = 4 : i64} : tensor<2x4xf32>
  return
}

// CHECK-LABEL: func.func @contractions
func.func @contractions(%a: tensor<3x4xf32>, %w: tensor<5x4xf32>, %table: tensor<7x4xf32>, %tokens: tensor<3xi32>) {
  // CHECK: lm.matmul %{{.*}}, %{{.*}} {transpose_b} : tensor<3x4xf32>, tensor<5x4xf32> -> tensor<3x5xf32>
  %0 = lm.matmul %a, %w {transpose_b} : tensor<3x4xf32>, tensor<5x4xf32> -> tensor<3x5xf32>
  // CHECK: lm.matmul %{{.*}}, %{{.*}} {transpose_a} : tensor<3x5xf32>, tensor<3x4xf32> -> tensor<5x4xf32>
  %1 = lm.matmul %0, %a {transpose_a} : tensor<3x5xf32>, tensor<3x4xf32> -> tensor<5x4xf32>
  // CHECK: lm.embedding %{{.*}}, %{{.*}} : tensor<7x4xf32>, tensor<3xi32> -> tensor<3x4xf32>
  %2 = lm.embedding %table, %tokens : tensor<7x4xf32>, tensor<3xi32> -> tensor<3x4xf32>
  // CHECK: lm.embedding_backward %{{.*}}, %{{.*}} : tensor<3xi32>, tensor<3x4xf32> -> tensor<7x4xf32>
  %3 = lm.embedding_backward %tokens, %a : tensor<3xi32>, tensor<3x4xf32> -> tensor<7x4xf32>
  return
}

// CHECK-LABEL: func.func @attention
func.func @attention(%q: tensor<8x2x4xf32>, %documents: tensor<8xi32>, %window: tensor<i32>, %scale: tensor<f32>) {
  // CHECK: lm.attention_range %{{.*}}, %{{.*}} : tensor<8xi32>, tensor<i32> -> tensor<8xi32>
  %0 = lm.attention_range %documents, %window : tensor<8xi32>, tensor<i32> -> tensor<8xi32>
  // CHECK: lm.attention_range %{{.*}}, %{{.*}} {blocks = 4 : i64} : tensor<8xi32>, tensor<i32> -> tensor<8xi32>
  %1 = lm.attention_range %documents, %window {blocks = 4 : i64} : tensor<8xi32>, tensor<i32> -> tensor<8xi32>
  // CHECK: lm.attention %{{.*}}, %{{.*}}, %{{.*}} first %{{.*}} scale %{{.*}} : tensor<8x2x4xf32>, tensor<8xi32>, tensor<f32> -> tensor<8x2x4xf32>, tensor<8x2xf32>
  %2, %3 = lm.attention %q, %q, %q first %0 scale %scale : tensor<8x2x4xf32>, tensor<8xi32>, tensor<f32> -> tensor<8x2x4xf32>, tensor<8x2xf32>
  // CHECK: lm.attention_backward %{{.*}}, %{{.*}}, %{{.*}} first %{{.*}} scale %{{.*}} out %{{.*}}, %{{.*}}, %{{.*}} : tensor<8x2x4xf32>, tensor<8xi32>, tensor<f32>, tensor<8x2xf32>
  %4, %5, %6 = lm.attention_backward %q, %q, %q first %0 scale %scale out %2, %3, %q : tensor<8x2x4xf32>, tensor<8xi32>, tensor<f32>, tensor<8x2xf32>
  return
}

// CHECK-LABEL: func.func @elementwise
func.func @elementwise(%x: tensor<3x4xf32>, %heads: tensor<3x2x4xf32>, %g: tensor<3xf32>, %gh: tensor<3x2xf32>, %s: tensor<f32>) {
  // CHECK: lm.add %{{.*}}, %{{.*}} : tensor<3x4xf32>
  %0 = lm.add %x, %x : tensor<3x4xf32>
  // CHECK: lm.multiply %{{.*}}, %{{.*}} : tensor<3x4xf32>
  %1 = lm.multiply %x, %x : tensor<3x4xf32>
  // CHECK: lm.mix %{{.*}}, %{{.*}} by %{{.*}}, %{{.*}} : (tensor<3x4xf32>, tensor<3x4xf32>, tensor<f32>, tensor<f32>) -> tensor<3x4xf32>
  %2 = lm.mix %x, %0 by %s, %s : (tensor<3x4xf32>, tensor<3x4xf32>, tensor<f32>, tensor<f32>) -> tensor<3x4xf32>
  // CHECK: lm.scale %{{.*}}, %{{.*}} : tensor<3x4xf32>, tensor<f32>
  %3 = lm.scale %x, %s : tensor<3x4xf32>, tensor<f32>
  // CHECK: lm.row_scale %{{.*}}, %{{.*}} : tensor<3x4xf32>, tensor<3xf32>
  %4 = lm.row_scale %x, %g : tensor<3x4xf32>, tensor<3xf32>
  // CHECK: lm.row_scale %{{.*}}, %{{.*}} : tensor<3x2x4xf32>, tensor<3x2xf32>
  %5 = lm.row_scale %heads, %gh : tensor<3x2x4xf32>, tensor<3x2xf32>
  // CHECK: lm.row_dot %{{.*}}, %{{.*}} : tensor<3x4xf32> -> tensor<3x1xf32>
  %6 = lm.row_dot %x, %x : tensor<3x4xf32> -> tensor<3x1xf32>
  // CHECK: lm.unary silu %{{.*}} : tensor<3x4xf32>
  %7 = lm.unary silu %x : tensor<3x4xf32>
  // CHECK: lm.unary_backward silu %{{.*}}, %{{.*}} : tensor<3x4xf32>
  %8 = lm.unary_backward silu %x, %x : tensor<3x4xf32>
  // CHECK: lm.unary_backward relu_squared %{{.*}}, %{{.*}} {from_output} : tensor<3x4xf32>
  %9 = lm.unary_backward relu_squared %x, %x {from_output} : tensor<3x4xf32>
  // CHECK: lm.cast %{{.*}} : tensor<3x4xf32> -> tensor<3x4xbf16>
  %10 = lm.cast %x : tensor<3x4xf32> -> tensor<3x4xbf16>
  // CHECK: lm.broadcast %{{.*}} : tensor<f32> -> tensor<3x4xf32>
  %11 = lm.broadcast %s : tensor<f32> -> tensor<3x4xf32>
  // CHECK: lm.broadcast %{{.*}} : tensor<3x2xf32> -> tensor<3x2x4xf32>
  %12 = lm.broadcast %gh : tensor<3x2xf32> -> tensor<3x2x4xf32>
  return
}

// CHECK-LABEL: func.func @shape
func.func @shape(%x: tensor<3x8xf32>) {
  // CHECK: lm.reshape %{{.*}} : tensor<3x8xf32> -> tensor<3x2x4xf32>
  %0 = lm.reshape %x : tensor<3x8xf32> -> tensor<3x2x4xf32>
  // CHECK: %[[PARTS:.*]]:2 = lm.split %{{.*}} : (tensor<3x8xf32>) -> (tensor<3x3xf32>, tensor<3x5xf32>)
  %1:2 = lm.split %x : (tensor<3x8xf32>) -> (tensor<3x3xf32>, tensor<3x5xf32>)
  // CHECK: lm.concat %[[PARTS]]#1, %[[PARTS]]#0 : (tensor<3x5xf32>, tensor<3x3xf32>) -> tensor<3x8xf32>
  %2 = lm.concat %1#1, %1#0 : (tensor<3x5xf32>, tensor<3x3xf32>) -> tensor<3x8xf32>
  return
}

// CHECK-LABEL: func.func @rows
func.func @rows(%x: tensor<3x8xf32>, %k: tensor<3x2x4xf32>, %f: tensor<2xf32>, %w: tensor<2x6xf32>, %s: tensor<f32>, %documents: tensor<3xi32>) {
  // CHECK: lm.rms_norm %{{.*}} {eps = 2.500000e-01 : f64} : tensor<3x8xf32>
  %0 = lm.rms_norm %x {eps = 0.25} : tensor<3x8xf32>
  // CHECK: lm.rms_norm_backward %{{.*}}, %{{.*}} {eps = 2.500000e-01 : f64} : tensor<3x8xf32>
  %1 = lm.rms_norm_backward %x, %x {eps = 0.25} : tensor<3x8xf32>
  // CHECK: %[[TABLE:.*]] = lm.rope_table %{{.*}} : tensor<2xf32> -> tensor<3x4xf32>
  %table = lm.rope_table %f : tensor<2xf32> -> tensor<3x4xf32>
  // CHECK: lm.rope %{{.*}}, %[[TABLE]] {inverse} : tensor<3x2x4xf32>, tensor<3x4xf32>
  %2 = lm.rope %k, %table {inverse} : tensor<3x2x4xf32>, tensor<3x4xf32>
  // CHECK: lm.rope %{{.*}}, %[[TABLE]] document_start %{{.*}} : tensor<3x2x4xf32>, tensor<3x4xf32>, tensor<3xi32>
  %3 = lm.rope %k, %table document_start %documents : tensor<3x2x4xf32>, tensor<3x4xf32>, tensor<3xi32>
  // CHECK: %[[GATE:.*]] = lm.gate %{{.*}}, %{{.*}} : tensor<3x8xf32>, tensor<2x6xf32> -> tensor<3x2xf32>
  %gate = lm.gate %x, %w : tensor<3x8xf32>, tensor<2x6xf32> -> tensor<3x2xf32>
  // CHECK: lm.gate_backward %{{.*}}, %{{.*}}, %[[GATE]], %[[GATE]] : tensor<3x8xf32>, tensor<2x6xf32>, tensor<3x2xf32>
  %4, %5 = lm.gate_backward %x, %w, %gate, %gate : tensor<3x8xf32>, tensor<2x6xf32>, tensor<3x2xf32>
  // CHECK: lm.token_shift replace cross %{{.*}} {features = array<i64: 1, 2, 3, 4>, heads = array<i64: 1>} : (tensor<3x2x4xf32>) -> tensor<3x2x4xf32>
  %6 = lm.token_shift replace cross %k {features = array<i64: 1, 2, 3, 4>, heads = array<i64: 1>} : (tensor<3x2x4xf32>) -> tensor<3x2x4xf32>
  // CHECK: lm.token_shift add mask %{{.*}} scale %{{.*}} gate %[[GATE]] document_start %{{.*}} {distance = 2 : i64, features = array<i64>, heads = array<i64>} : (tensor<3x2x4xf32>, tensor<f32>, tensor<3x2xf32>, tensor<3xi32>) -> tensor<3x2x4xf32>
  %7 = lm.token_shift add mask %k scale %s gate %gate document_start %documents {features = array<i64>, heads = array<i64>, distance = 2 : i64} : (tensor<3x2x4xf32>, tensor<f32>, tensor<3x2xf32>, tensor<3xi32>) -> tensor<3x2x4xf32>
  // CHECK: lm.token_shift_adjoint add mask %{{.*}} scale %{{.*}} document_start %{{.*}} {features = array<i64: 0, 2>, heads = array<i64>} : (tensor<3x2x4xf32>, tensor<f32>, tensor<3xi32>) -> tensor<3x2x4xf32>
  %8 = lm.token_shift_adjoint add mask %k scale %s document_start %documents {features = array<i64: 0, 2>, heads = array<i64>} : (tensor<3x2x4xf32>, tensor<f32>, tensor<3xi32>) -> tensor<3x2x4xf32>
  // CHECK: lm.token_shift_dot replace cross %{{.*}}, %{{.*}} {features = array<i64>, heads = array<i64>} : (tensor<3x2x4xf32>, tensor<3x2x4xf32>) -> tensor<3x2xf32>
  %9 = lm.token_shift_dot replace cross %k, %k {features = array<i64>, heads = array<i64>} : (tensor<3x2x4xf32>, tensor<3x2x4xf32>) -> tensor<3x2xf32>
  return
}

// CHECK-LABEL: func.func @loss
func.func @loss(%z: tensor<3x8xf32>, %targets: tensor<3xi32>) {
  // CHECK: lm.softcap rsqrt %{{.*}} {amplitude = 1.500000e+01 : f64, temperature = 1.000000e+00 : f64} : tensor<3x8xf32>
  %0 = lm.softcap rsqrt %z {amplitude = 15.0, temperature = 1.0} : tensor<3x8xf32>
  // CHECK: lm.softcap_backward sigmoid %{{.*}}, %{{.*}} {amplitude = 3.000000e+01 : f64, temperature = 7.500000e+00 : f64} : tensor<3x8xf32>
  %1 = lm.softcap_backward sigmoid %z, %z {amplitude = 30.0, temperature = 7.5} : tensor<3x8xf32>
  // CHECK: lm.cross_entropy %{{.*}}, %{{.*}} : tensor<3x8xf32>, tensor<3xi32> -> tensor<3xf32>, tensor<3xf32>
  %2, %3 = lm.cross_entropy %z, %targets : tensor<3x8xf32>, tensor<3xi32> -> tensor<3xf32>, tensor<3xf32>
  // CHECK: lm.cross_entropy_backward %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : tensor<3x8xf32>, tensor<3xi32>, tensor<3xf32>
  %4 = lm.cross_entropy_backward %z, %targets, %3, %2 : tensor<3x8xf32>, tensor<3xi32>, tensor<3xf32>
  // CHECK: lm.sum %{{.*}} : tensor<3xf32> -> tensor<f32>
  %5 = lm.sum %2 : tensor<3xf32> -> tensor<f32>
  // CHECK: lm.dot %{{.*}}, %{{.*}} : tensor<3x8xf32> -> tensor<f32>
  %6 = lm.dot %z, %z : tensor<3x8xf32> -> tensor<f32>
  // CHECK: lm.count_targets %{{.*}} : tensor<3xi32> -> tensor<f32>
  %7 = lm.count_targets %targets : tensor<3xi32> -> tensor<f32>
  return
}

// CHECK-LABEL: func.func @number_formats
func.func @number_formats(%x: tensor<3x4xf32>, %w: tensor<5x4xf32>, %high: tensor<3x4xbf16>, %low: tensor<3x4xi16>) {
  // CHECK: lm.quantize %{{.*}} {scale = 5.000000e-01 : f64} : tensor<3x4xf32> -> tensor<3x4xf8E4M3FN>
  %q = lm.quantize %x {scale = 0.5 : f64} : tensor<3x4xf32> -> tensor<3x4xf8E4M3FN>
  // CHECK: lm.quantize %{{.*}} : tensor<3x4xf32> -> tensor<3x4xf8E5M2>
  %g = lm.quantize %x {scale = 0.5 : f64} : tensor<3x4xf32> -> tensor<3x4xf8E5M2>
  // CHECK: lm.matmul %{{.*}}, %{{.*}} {transpose_a} : tensor<3x4xf8E5M2>, tensor<3x4xf8E4M3FN> -> tensor<4x4xf32>
  %p = lm.matmul %g, %q {transpose_a} : tensor<3x4xf8E5M2>, tensor<3x4xf8E4M3FN> -> tensor<4x4xf32>
  // CHECK: lm.quantized_matmul %{{.*}}, %{{.*}} {gradient_scale = 2.500000e-01 : f64, w_scale = 0.001953125 : f64, x_scale = 6.250000e-02 : f64} : tensor<3x4xf32>, tensor<5x4xf32> -> tensor<3x5xf32>
  %z = lm.quantized_matmul %x, %w {x_scale = 0.0625 : f64, w_scale = 0.001953125 : f64, gradient_scale = 0.25 : f64} : tensor<3x4xf32>, tensor<5x4xf32> -> tensor<3x5xf32>
  // CHECK: lm.join_master %{{.*}}, %{{.*}} : tensor<3x4xbf16>, tensor<3x4xi16> -> tensor<3x4xf32>
  %m = lm.join_master %high, %low : tensor<3x4xbf16>, tensor<3x4xi16> -> tensor<3x4xf32>
  // CHECK: lm.split_master %{{.*}} : tensor<3x4xf32> -> tensor<3x4xbf16>, tensor<3x4xi16>
  %h, %l = lm.split_master %m : tensor<3x4xf32> -> tensor<3x4xbf16>, tensor<3x4xi16>
  return
}

// CHECK-LABEL: func.func @groups
func.func @groups(%r: tensor<6xf32>, %x: tensor<3x4xf32>, %a: tensor<6x4xf32>, %b: tensor<10x4xf32>) {
  // CHECK: lm.group_sum %{{.*}} : tensor<6xf32> -> tensor<3xf32>
  %8 = lm.group_sum %r : tensor<6xf32> -> tensor<3xf32>
  // CHECK: lm.expand_groups %{{.*}} : tensor<3xf32> -> tensor<6xf32>
  %9 = lm.expand_groups %8 : tensor<3xf32> -> tensor<6xf32>
  // CHECK: lm.at_least %{{.*}} {bound = 1.000000e-10 : f64} : tensor<3x4xf32>
  %10 = lm.at_least %x {bound = 1.0e-10 : f64} : tensor<3x4xf32>
  // CHECK: lm.matmul %{{.*}}, %{{.*}} {groups = 2 : i64, transpose_b} : tensor<6x4xf32>, tensor<10x4xf32> -> tensor<6x5xf32>
  %11 = lm.matmul %a, %b {groups = 2 : i64, transpose_b} : tensor<6x4xf32>, tensor<10x4xf32> -> tensor<6x5xf32>
  // CHECK: lm.matmul %{{.*}}, %{{.*}} {groups = 2 : i64, transpose_a} : tensor<6x4xf32>, tensor<6x5xf32> -> tensor<8x5xf32>
  %12 = lm.matmul %a, %11 {groups = 2 : i64, transpose_a} : tensor<6x4xf32>, tensor<6x5xf32> -> tensor<8x5xf32>
  // CHECK: lm.unary step %{{.*}} : tensor<3x4xf32>
  %13 = lm.unary step %x : tensor<3x4xf32>
  return
}
