// RUN: smelt-opt %s --smelt-hoist-setup | FileCheck %s

lm.parameter @p : tensor<f32> constant 0.0
lm.parameter @q : tensor<f32> constant 0.0
train.schedule @steady : tensor<f32> = [0.0, 9.0, 1.0, 0.0, 10.0, 19.0, 2.0, 0.0]
train.schedule @sloped : tensor<f32> = [0.0, 9.0, 1.0, 0.1]
train.schedule @frequencies : tensor<2xf32> = [0.0, 9.0, 1.0, 0.5, 10.0, 19.0, 0.75, 0.25]
train.schedule @correction : tensor<f32> one_minus_power 0.95 every 2 offset 1

func.func private @table(%f: tensor<2xf32>) -> tensor<8x4xf32> {
  %0 = kernel.rope_table %f : tensor<2xf32> -> tensor<8x4xf32>
  return %0 : tensor<8x4xf32>
}
func.func private @double(%x: tensor<f32>) -> tensor<f32> {
  %0 = kernel.rowwise(%x) : (tensor<f32>) -> tensor<f32> { ^bb0(%a: tensor<f32>): %1 = lm.add %a, %a : tensor<f32>  kernel.yield %1 : tensor<f32> }
  return %0 : tensor<f32>
}
func.func private @add(%x: tensor<8x4xf32>) -> tensor<8x4xf32> {
  %0 = kernel.rowwise(%x) : (tensor<8x4xf32>) -> tensor<8x4xf32> { ^bb0(%a: tensor<8x4xf32>): %1 = lm.add %a, %a : tensor<8x4xf32>  kernel.yield %1 : tensor<8x4xf32> }
  return %0 : tensor<8x4xf32>
}

// The table is made once for both programs; a steady setting may be hoisted; a chain of calls leaves one result.
// CHECK-LABEL: func.func @train.T8
// CHECK-NOT: call @table
// CHECK: lm.read @setup.0 : tensor<f32>
// CHECK: %[[T:.*]] = lm.read @setup.1 : tensor<8x4xf32>
// CHECK: call @double(%{{.*}})
// CHECK: return %{{.*}}, %[[T]]
func.func @"train.T8"() -> (tensor<f32>, tensor<8x4xf32>) attributes {smelt.role = "train"} {
  %f = lm.constant dense<[1.0, 0.5]> : tensor<2xf32>
  %steady = lm.setting @steady : tensor<f32>
  %a = call @double(%steady) : (tensor<f32>) -> tensor<f32>
  %t = call @table(%f) : (tensor<2xf32>) -> tensor<8x4xf32>
  %u = call @add(%t) : (tensor<8x4xf32>) -> tensor<8x4xf32>
  %p = lm.read @p : tensor<f32>
  %b = call @double(%p) : (tensor<f32>) -> tensor<f32>
  train.write @q, %a : tensor<f32>
  return %b, %u : tensor<f32>, tensor<8x4xf32>
}

// Settings that change every step stay: their schedule has a slope, or the runtime counts.
// CHECK-LABEL: func.func @evaluate.T8
// CHECK: %[[T:.*]] = lm.read @setup.1
// CHECK: %[[S:.*]] = lm.setting @sloped
// CHECK: call @double(%[[S]])
// CHECK: %[[N:.*]] = lm.setting @step
// CHECK: call @double(%[[N]])
func.func @"evaluate.T8"() -> (tensor<f32>, tensor<f32>, tensor<8x4xf32>) attributes {smelt.role = "evaluate"} {
  %f = lm.constant dense<[1.0, 0.5]> : tensor<2xf32>
  %t = call @table(%f) : (tensor<2xf32>) -> tensor<8x4xf32>
  %u = call @add(%t) : (tensor<8x4xf32>) -> tensor<8x4xf32>
  %s = lm.setting @sloped : tensor<f32>
  %a = call @double(%s) : (tensor<f32>) -> tensor<f32>
  %n = lm.setting @step : tensor<f32>
  %b = call @double(%n) : (tensor<f32>) -> tensor<f32>
  return %a, %b, %u : tensor<f32>, tensor<f32>, tensor<8x4xf32>
}

// A vector of constant pieces is steady (frequencies that change between stages), a power is not.
// CHECK-LABEL: func.func @generate.T8
// CHECK-NOT: call @table
// CHECK: lm.read @setup.2 : tensor<8x4xf32>
// CHECK: lm.setting @correction
func.func @"generate.T8"() -> (tensor<8x4xf32>, tensor<f32>) attributes {smelt.role = "generate"} {
  %f = lm.setting @frequencies : tensor<2xf32>
  %t = call @table(%f) : (tensor<2xf32>) -> tensor<8x4xf32>
  %c = lm.setting @correction : tensor<f32>
  %b = call @double(%c) : (tensor<f32>) -> tensor<f32>
  return %t, %b : tensor<8x4xf32>, tensor<f32>
}

// CHECK: train.state @setup.0 : tensor<f32> {derived}
// CHECK: train.state @setup.1 : tensor<8x4xf32> {derived}
// CHECK-LABEL: func.func @setup() attributes {smelt.role = "setup"}
// CHECK: call @double
// CHECK: train.write @setup.0
// CHECK: call @table
// CHECK: %[[U:.*]] = call @add
// CHECK: train.write @setup.1, %[[U]]
// CHECK: %[[F:.*]] = lm.setting @frequencies
// CHECK: %[[V:.*]] = call @table(%[[F]])
// CHECK: train.write @setup.2, %[[V]]
// CHECK-NOT: call
