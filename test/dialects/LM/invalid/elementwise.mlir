// RUN: smelt-opt %s --split-input-file -verify-diagnostics
// Element-wise: one function per rule of a verifier.

// -----

func.func @mix_nothing() {
  // expected-error @below {{needs a value}}
  %0 = "lm.mix"() {operandSegmentSizes = array<i32: 0, 0>} : () -> tensor<4xf32>
  return
}

// -----

func.func @mix_count(%x: tensor<4xf32>, %a: tensor<f32>) {
  // expected-error @below {{has 2 values and 1 coefficients}}
  %0 = lm.mix %x, %x by %a : (tensor<4xf32>, tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return
}

// -----

func.func @mix_shape(%x: tensor<4xf32>, %y: tensor<5xf32>, %a: tensor<f32>) {
  // expected-error @below {{value 1 is 'tensor<5xf32>', the result is 'tensor<4xf32>'}}
  %0 = lm.mix %x, %y by %a, %a : (tensor<4xf32>, tensor<5xf32>, tensor<f32>, tensor<f32>) -> tensor<4xf32>
  return
}

// -----

func.func @row_scale_factor(%x: tensor<3x4xf32>, %g: tensor<4xf32>) {
  // expected-error @below {{g must be [3], [3, 1] for 'tensor<3x4xf32>', but is 'tensor<4xf32>'}}
  %0 = lm.row_scale %x, %g : tensor<3x4xf32>, tensor<4xf32>
  return
}

// -----

func.func @row_scale_heads(%x: tensor<3x2x4xf32>, %g: tensor<3x4xf32>) {
  // expected-error @below {{g must be [3], [3, 1] or [3, 2] for 'tensor<3x2x4xf32>', but is 'tensor<3x4xf32>'}}
  %0 = lm.row_scale %x, %g : tensor<3x2x4xf32>, tensor<3x4xf32>
  return
}

// -----

func.func @row_scale_rank(%x: tensor<3xf32>, %g: tensor<3xf32>) {
  // expected-error @below {{needs [T, D] or [T, H, d], not 'tensor<3xf32>'}}
  %0 = lm.row_scale %x, %g : tensor<3xf32>, tensor<3xf32>
  return
}

// -----

func.func @row_dot_result(%x: tensor<3x4xf32>) {
  // expected-error @below {{result must be [3], [3, 1] for 'tensor<3x4xf32>', but is 'tensor<f32>'}}
  %0 = lm.row_dot %x, %x : tensor<3x4xf32> -> tensor<f32>
  return
}

// -----

func.func @from_output(%x: tensor<3xf32>) {
  // expected-error @below {{cannot get the derivative of gelu from its output}}
  %0 = lm.unary_backward gelu %x, %x {from_output} : tensor<3xf32>
  return
}

// -----

func.func @cast_shape(%x: tensor<3xf32>) {
  // expected-error @below {{result must have shape [3], but is 'tensor<4xbf16>'}}
  %0 = lm.cast %x : tensor<3xf32> -> tensor<4xbf16>
  return
}

// -----

func.func @broadcast_shape(%x: tensor<3xf32>) {
  // expected-error @below {{but not 'tensor<3xf32>' to 'tensor<4x3xf32>'}}
  %0 = lm.broadcast %x : tensor<3xf32> -> tensor<4x3xf32>
  return
}

// -----

func.func @broadcast_type(%x: tensor<f32>) {
  // expected-error @below {{turns 'f32' into 'bf16'}}
  %0 = lm.broadcast %x : tensor<f32> -> tensor<4xbf16>
  return
}
