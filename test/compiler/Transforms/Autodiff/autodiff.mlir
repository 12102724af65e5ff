// RUN: smelt-opt %s --smelt-autodiff --mlir-print-debuginfo --mlir-print-local-scope | FileCheck %s

lm.parameter @w : tensor<8x4xf32> normal 1.0
lm.parameter @a : tensor<f32> constant 1.0
lm.parameter @unused : tensor<4xf32> constant 0.0

// Two uses of %y and of %a add up; relu² takes its own result; every gradient op keeps its forward op's location.
// CHECK-LABEL: func.func @train(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: tensor<4x4xf32>
func.func @train(%x: tensor<4x4xf32>) -> (tensor<f32>, tensor<f32>) attributes {smelt.role = "train"} {
  %w = lm.read @w : tensor<8x4xf32> loc("read w"("a.json":1:1))
  %a = lm.read @a : tensor<f32> loc("read a"("a.json":2:1))
  // CHECK-DAG: %[[A:.*]] = lm.read @a
  // CHECK: %[[Y:.*]] = lm.matmul
  %y = lm.matmul %x, %w {transpose_b} : tensor<4x4xf32>, tensor<8x4xf32> -> tensor<4x8xf32> loc("forward[0].linear"("a.json":3:1))
  %z = lm.mix %y, %y by %a, %a : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<f32>, tensor<f32>) -> tensor<4x8xf32> loc("forward[1].mix"("a.json":4:1))
  // CHECK: %[[U:.*]] = lm.unary relu_squared
  %u = lm.unary relu_squared %z : tensor<4x8xf32> loc("forward[2].relu_squared"("a.json":5:1))
  // CHECK: %[[S:.*]] = lm.sum
  %s = lm.sum %u : tensor<4x8xf32> -> tensor<f32> loc("objective"("a.json":6:1))
  // CHECK: %[[ONE:.*]] = lm.constant dense<1.000000e+00> : tensor<f32> loc(fused<"gradient">["objective"("a.json":6:1)])
  // CHECK: %[[DU:.*]] = lm.broadcast %[[ONE]]
  // CHECK: %[[DZ:.*]] = lm.unary_backward relu_squared %[[U]], %[[DU]] {from_output} : tensor<4x8xf32> loc(fused<"gradient">["forward[2].relu_squared"("a.json":5:1)])
  // CHECK: %[[DY0:.*]] = lm.scale %[[DZ]], %[[A]]
  // CHECK: %[[DA0:.*]] = lm.dot %[[Y]], %[[DZ]]
  // CHECK: %[[DY1:.*]] = lm.scale %[[DZ]], %[[A]]
  // CHECK: %[[DA1:.*]] = lm.dot %[[Y]], %[[DZ]]
  // CHECK: %[[DY:.*]] = lm.add %[[DY0]], %[[DY1]]
  // CHECK: %[[DA:.*]] = lm.add %[[DA0]], %[[DA1]]
  // CHECK: train.gradient @a, %[[DA]] : tensor<f32> loc(fused<"gradient">["forward[1].mix"("a.json":4:1)])
  // CHECK: %[[DW:.*]] = lm.matmul %[[DY]], %[[X]] {transpose_a}
  // CHECK: train.gradient @w, %[[DW]] : tensor<8x4xf32> loc(fused<"gradient">["forward[0].linear"("a.json":3:1)])
  // CHECK-NOT: train.gradient @unused
  // CHECK: return %[[S]], %[[S]]
  return %s, %s : tensor<f32>, tensor<f32>
}

// Other programs keep to their forward code.
// CHECK-LABEL: func.func @evaluate(
// CHECK-NOT: train.gradient
func.func @evaluate(%x: tensor<4x4xf32>) -> tensor<f32> attributes {smelt.role = "evaluate"} {
  %s = lm.sum %x : tensor<4x4xf32> -> tensor<f32>
  return %s : tensor<f32>
}

// Nothing is built for a token, a target, a setting or a constant; a mean loss's divisor is a constant of the gradient.
lm.parameter @table : tensor<16x4xf32> normal 1.0
// CHECK-LABEL: func.func @tokens(
// CHECK-SAME:    %[[TOKENS:[a-z0-9]+]]: tensor<4xi32>
func.func @tokens(%tokens: tensor<4xi32>, %targets: tensor<4xi32>) -> tensor<f32> attributes {smelt.role = "train"} {
  %table = lm.read @table : tensor<16x4xf32>
  %x = lm.embedding %table, %tokens : tensor<16x4xf32>, tensor<4xi32> -> tensor<4x4xf32>
  %s = lm.setting @s : tensor<f32>
  %y = lm.scale %x, %s : tensor<4x4xf32>, tensor<f32>
  // CHECK: %[[LOSS:.*]], %[[LSE:.*]] = lm.cross_entropy %[[Y:.*]], %[[TARGETS:.*]] :
  %loss, %lse = lm.cross_entropy %y, %targets : tensor<4x4xf32>, tensor<4xi32> -> tensor<4xf32>, tensor<4xf32>
  %sum = lm.sum %loss : tensor<4xf32> -> tensor<f32>
  %count = lm.count_targets %targets : tensor<4xi32> -> tensor<f32>
  // CHECK: %[[INVERSE:.*]] = lm.unary reciprocal
  %inverse = lm.unary reciprocal %count : tensor<f32>
  %mean = lm.scale %sum, %inverse : tensor<f32>, tensor<f32>
  // CHECK: %[[ONE2:.*]] = lm.constant
  // CHECK-NEXT: %[[DSUM:.*]] = lm.scale %[[ONE2]], %[[INVERSE]]
  // CHECK-NEXT: %[[DLOSS:.*]] = lm.broadcast %[[DSUM]]
  // CHECK-NEXT: %[[DY:.*]] = lm.cross_entropy_backward %[[Y]], %[[TARGETS]], %[[LSE]], %[[DLOSS]]
  // CHECK-NEXT: %[[DX:.*]] = lm.scale %[[DY]]
  // CHECK-NEXT: %[[DTABLE:.*]] = lm.embedding_backward %[[TOKENS]], %[[DX]]
  // CHECK-NEXT: train.gradient @table, %[[DTABLE]]
  // CHECK-NEXT: return
  return %mean : tensor<f32>
}
