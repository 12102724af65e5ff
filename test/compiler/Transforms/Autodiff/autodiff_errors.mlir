// RUN: smelt-opt %s --smelt-autodiff --split-input-file -verify-diagnostics

lm.parameter @w : tensor<4x4xf32> normal 1.0
func.func @no_gradient_op(%x: tensor<4x4xf32>) -> tensor<f32> attributes {smelt.role = "train"} {
  %w = lm.read @w : tensor<4x4xf32>
  // expected-error @below {{has no gradient, but a parameter reaches the objective through it}}
  %s = lm.dot %w, %x : tensor<4x4xf32> -> tensor<f32>
  return %s : tensor<f32>
}

// -----

lm.parameter @w : tensor<4x4xf32> normal 1.0
func.func @lse(%targets: tensor<4xi32>) -> tensor<f32> attributes {smelt.role = "train"} {
  %w = lm.read @w : tensor<4x4xf32>
  // expected-error @below {{has no gradient for its lse result}}
  %loss, %lse = lm.cross_entropy %w, %targets : tensor<4x4xf32>, tensor<4xi32> -> tensor<4xf32>, tensor<4xf32>
  %s = lm.sum %lse : tensor<4xf32> -> tensor<f32>
  return %s : tensor<f32>
}

// -----

lm.parameter @table : tensor<4x4xf32> normal 1.0
func.func @rope_table(%x: tensor<4x1x4xf32>) -> tensor<f32> attributes {smelt.role = "train"} {
  %table = lm.read @table : tensor<4x4xf32>
  // expected-error @below {{has no gradient for its table}}
  %y = lm.rope %x, %table : tensor<4x1x4xf32>, tensor<4x4xf32>
  %s = lm.sum %y : tensor<4x1x4xf32> -> tensor<f32>
  return %s : tensor<f32>
}

// -----

// expected-error @below {{a training program must return its objective}}
func.func @no_objective() attributes {smelt.role = "train"} {
  return
}

// -----

func.func @not_a_scalar(%x: tensor<4xf32>) -> tensor<4xf32> attributes {smelt.role = "train"} {
  // expected-error @below {{only a computed value of rank 0 can be differentiated}}
  %y = lm.add %x, %x : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

lm.parameter @w : tensor<8x4xf32> normal 1.0
func.func @some_rows() -> tensor<f32> attributes {smelt.role = "train"} {
  // expected-error @below {{a training program must read the whole parameter, 'tensor<8x4xf32>'}}
  %w = lm.read @w {first_row = 4 : i64} : tensor<4x4xf32>
  %s = lm.sum %w : tensor<4x4xf32> -> tensor<f32>
  return %s : tensor<f32>
}
