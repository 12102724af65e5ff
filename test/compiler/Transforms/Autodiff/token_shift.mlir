// RUN: smelt-opt %s --smelt-autodiff | FileCheck %s

lm.parameter @k : tensor<6x2x4xf32> normal 1.0
lm.parameter @s : tensor<f32> constant 0.0
lm.parameter @g : tensor<6x2xf32> constant 0.0
lm.parameter @x : tensor<6x4xf32> constant 0.0

// A plain shift: only the transposed map, with the forward op's attributes.
// CHECK-LABEL: func.func @plain(
func.func @plain(%w: tensor<6x2x4xf32>) -> tensor<f32> attributes {smelt.role = "train"} {
  %k = lm.read @k : tensor<6x2x4xf32>
  %y = lm.token_shift replace cross %k {features = array<i64: 1, 3>, heads = array<i64: 1>, distance = 2 : i64} : (tensor<6x2x4xf32>) -> tensor<6x2x4xf32>
  %z = lm.multiply %y, %w : tensor<6x2x4xf32>
  // CHECK: lm.broadcast
  // CHECK-NEXT: %[[DY:.*]] = lm.multiply %{{.*}}, %arg0
  // CHECK-NEXT: %[[DK:.*]] = lm.token_shift_adjoint replace cross %[[DY]] {distance = 2 : i64, features = array<i64: 1, 3>, heads = array<i64: 1>} : (tensor<6x2x4xf32>) -> tensor<6x2x4xf32>
  // CHECK-NEXT: train.gradient @k, %[[DK]]
  // CHECK-NOT: lm.token_shift_dot
  // CHECK: return
  %objective = lm.sum %z : tensor<6x2x4xf32> -> tensor<f32>
  return %objective : tensor<f32>
}

// With p = token_shift_dot: dscale = Σ gate·p, dgate = scale·p.
// CHECK-LABEL: func.func @scale_and_gate(
func.func @scale_and_gate(%d: tensor<6xi32>) -> tensor<f32> attributes {smelt.role = "train"} {
  // CHECK: %[[K:.*]] = lm.read @k
  %k = lm.read @k : tensor<6x2x4xf32>
  // CHECK: %[[S:.*]] = lm.read @s
  %s = lm.read @s : tensor<f32>
  // CHECK: %[[G:.*]] = lm.read @g
  %g = lm.read @g : tensor<6x2xf32>
  %y = lm.token_shift add mask %k scale %s gate %g document_start %d {features = array<i64>, heads = array<i64>} : (tensor<6x2x4xf32>, tensor<f32>, tensor<6x2xf32>, tensor<6xi32>) -> tensor<6x2x4xf32>
  // CHECK: %[[DY:.*]] = lm.broadcast
  // CHECK-NEXT: %[[DK:.*]] = lm.token_shift_adjoint add mask %[[DY]] scale %[[S]] gate %[[G]] document_start %arg0
  // CHECK-NEXT: train.gradient @k, %[[DK]]
  // CHECK-NEXT: %[[P:.*]] = lm.token_shift_dot add mask %[[K]], %[[DY]] document_start %arg0 {{.*}} -> tensor<6x2xf32>
  // CHECK-NEXT: %[[DS:.*]] = lm.dot %[[G]], %[[P]]
  // CHECK-NEXT: train.gradient @s, %[[DS]]
  // CHECK-NEXT: %[[DG:.*]] = lm.scale %[[P]], %[[S]]
  // CHECK-NEXT: train.gradient @g, %[[DG]]
  %objective = lm.sum %y : tensor<6x2x4xf32> -> tensor<f32>
  return %objective : tensor<f32>
}

// A scale alone: p is one number per row, and dscale its sum. Nothing is built for a gate that is not learned.
// CHECK-LABEL: func.func @scale_alone(
func.func @scale_alone(%g: tensor<6xf32>) -> (tensor<f32>) attributes {smelt.role = "train"} {
  %x = lm.read @x : tensor<6x4xf32>
  %s = lm.read @s : tensor<f32>
  %y = lm.token_shift add cross %x scale %s {features = array<i64>, heads = array<i64>} : (tensor<6x4xf32>, tensor<f32>) -> tensor<6x4xf32>
  %z = lm.token_shift add cross %y gate %g {features = array<i64>, heads = array<i64>} : (tensor<6x4xf32>, tensor<6xf32>) -> tensor<6x4xf32>
  // CHECK: %[[DZ:.*]] = lm.broadcast
  // CHECK-NEXT: %[[DY:.*]] = lm.token_shift_adjoint add cross %[[DZ]] gate %arg0
  // CHECK-NEXT: %[[DX:.*]] = lm.token_shift_adjoint add cross %[[DY]] scale
  // CHECK-NEXT: train.gradient @x, %[[DX]]
  // CHECK-NEXT: %[[P:.*]] = lm.token_shift_dot add cross %{{.*}}, %[[DY]] {{.*}} -> tensor<6xf32>
  // CHECK-NEXT: %[[DS:.*]] = lm.sum %[[P]] : tensor<6xf32> -> tensor<f32>
  // CHECK-NEXT: train.gradient @s, %[[DS]]
  // CHECK-NEXT: return
  %objective = lm.sum %z : tensor<6x4xf32> -> tensor<f32>
  return %objective : tensor<f32>
}
