// RUN: smelt-opt %s --split-input-file -verify-diagnostics
// Parameters and constants: one function per rule of a verifier.

// expected-error @below {{needs a float tensor type of static shape, not 'tensor<?xf32>'}}
lm.parameter @p : tensor<?xf32> constant 0.0

// -----

// expected-error @below {{needs a float tensor type of static shape, not 'tensor<4xi32>'}}
lm.parameter @p : tensor<4xi32> constant 0.0

// -----

// expected-error @below {{has an initial value that is not finite}}
lm.parameter @p : tensor<4xf32> constant 0x7FF0000000000000

// -----

// expected-error @below {{has a negative bound}}
lm.parameter @p : tensor<4xf32> uniform -1.0

// -----

// expected-error @below {{has a negative standard deviation}}
lm.parameter @p : tensor<4xf32> normal -1.0

// -----

func.func @undeclared() {
  // expected-error @below {{reads @p, which is not declared}}
  %0 = lm.read @p : tensor<4xf32>
  return
}

// -----

// expected-note @below {{declared here}}
func.func private @p()
func.func @no_tensor() {
  // expected-error @below {{reads @p, which is not a tensor}}
  %0 = lm.read @p : tensor<4xf32>
  return
}

// -----

// expected-note @below {{declared here}}
lm.parameter @p : tensor<4x3xf32> constant 0.0
func.func @other_shape() {
  // expected-error @below {{reads 'tensor<4x2xf32>' from row 0 of @p, which is 'tensor<4x3xf32>'}}
  %0 = lm.read @p : tensor<4x2xf32>
  return
}

// -----

// expected-note @below {{declared here}}
lm.parameter @p : tensor<4x3xf32> constant 0.0
func.func @too_many_rows() {
  // expected-error @below {{reads 'tensor<2x3xf32>' from row 3 of @p, which is 'tensor<4x3xf32>'}}
  %0 = lm.read @p {first_row = 3 : i64} : tensor<2x3xf32>
  return
}

// -----

// expected-note @below {{declared here}}
lm.parameter @p : tensor<f32> constant 0.0
func.func @row_of_a_scalar() {
  // expected-error @below {{reads 'tensor<f32>' from row 1 of @p}}
  %0 = lm.read @p {first_row = 1 : i64} : tensor<f32>
  return
}

// -----

func.func @sparse_constant() {
  // expected-error @below {{needs dense elements}}
  %0 = lm.constant sparse<[[0]], [1.0]> : tensor<4xf32>
  return
}

// -----

// expected-note @below {{declared here}}
lm.parameter @p : tensor<4x3xf32> constant 0.0
func.func @part() {
  // expected-error @below {{reads a part of 'tensor<1x3xf32>' of @p for each of 3 ranks; it is 'tensor<4x3xf32>'}}
  %0 = lm.read @p {ranks = 3 : i64} : tensor<1x3xf32>
  return
}

// -----

// expected-note @below {{declared here}}
lm.parameter @p : tensor<4x3xf32> constant 0.0
func.func @part() {
  // expected-error @below {{reads a part of 'tensor<2x3xf32>' of @p for each of 2 ranks; it is 'tensor<4x3xf32>'}}
  %0 = lm.read @p {first_row = 2 : i64, ranks = 2 : i64} : tensor<2x3xf32>
  return
}
