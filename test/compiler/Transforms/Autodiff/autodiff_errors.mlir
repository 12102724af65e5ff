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

// -----

lm.parameter @w : tensor<4x4xf32> normal 1.0
func.func @quantize() -> tensor<f32> attributes {smelt.role = "train"} {
  %w = lm.read @w : tensor<4x4xf32>
  // expected-error @below {{rounds to f8 and has no gradient; lm.quantized_matmul has one}}
  %q = lm.quantize %w {scale = 1.0 : f64} : tensor<4x4xf32> -> tensor<4x4xf8E4M3FN>
  %c = lm.cast %q : tensor<4x4xf8E4M3FN> -> tensor<4x4xf32>
  %s = lm.sum %c : tensor<4x4xf32> -> tensor<f32>
  return %s : tensor<f32>
}

// -----

lm.parameter @w : tensor<4x4xf32> normal 1.0
func.func @f8_matmul(%x: tensor<4x4xf8E4M3FN>) -> tensor<f32> attributes {smelt.role = "train"} {
  %w = lm.read @w : tensor<4x4xf32>
  %q = lm.cast %w : tensor<4x4xf32> -> tensor<4x4xf8E4M3FN>
  // expected-error @below {{of f8 operands has no gradient; lm.quantized_matmul has one}}
  %y = lm.matmul %x, %q : tensor<4x4xf8E4M3FN>, tensor<4x4xf8E4M3FN> -> tensor<4x4xf32>
  %s = lm.sum %y : tensor<4x4xf32> -> tensor<f32>
  return %s : tensor<f32>
}

// -----

lm.parameter @w : tensor<4x4xbf16> normal 1.0
func.func @join_master(%low: tensor<4x4xi16>) -> tensor<f32> attributes {smelt.role = "train"} {
  %w = lm.read @w : tensor<4x4xbf16>
  // expected-error @below {{has no gradient, but a parameter reaches the objective through it}}
  %m = lm.join_master %w, %low : tensor<4x4xbf16>, tensor<4x4xi16> -> tensor<4x4xf32>
  %s = lm.sum %m : tensor<4x4xf32> -> tensor<f32>
  return %s : tensor<f32>
}
