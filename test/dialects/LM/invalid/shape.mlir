// RUN: smelt-opt %s --split-input-file -verify-diagnostics
// Shape: one function per rule of a verifier.

// -----

func.func @reshape_rows(%x: tensor<4x6xf32>) {
  // expected-error @below {{must keep the first axis, but makes 'tensor<8x3xf32>' from 'tensor<4x6xf32>'}}
  %0 = lm.reshape %x : tensor<4x6xf32> -> tensor<8x3xf32>
  return
}

// -----

func.func @reshape_elements(%x: tensor<4x6xf32>) {
  // expected-error @below {{makes 16 elements from 24}}
  %0 = lm.reshape %x : tensor<4x6xf32> -> tensor<4x2x2xf32>
  return
}

// -----

func.func @reshape_type(%x: tensor<4x6xf32>) {
  // expected-error @below {{turns 'f32' into 'bf16'}}
  %0 = lm.reshape %x : tensor<4x6xf32> -> tensor<4x2x3xbf16>
  return
}

// -----

func.func @split_width(%x: tensor<4x6xf32>) {
  // expected-error @below {{has parts of 5 features in all, but 'tensor<4x6xf32>' has 6}}
  %0:2 = lm.split %x : (tensor<4x6xf32>) -> (tensor<4x3xf32>, tensor<4x2xf32>)
  return
}

// -----

func.func @split_rows(%x: tensor<4x6xf32>) {
  // expected-error @below {{part 1 is 'tensor<5x3xf32>', which is no piece of the last axis of 'tensor<4x6xf32>'}}
  %0:2 = lm.split %x : (tensor<4x6xf32>) -> (tensor<4x3xf32>, tensor<5x3xf32>)
  return
}

// -----

func.func @concat_type(%x: tensor<4x3xf32>, %y: tensor<4x3xbf16>) {
  // expected-error @below {{part 1 is 'tensor<4x3xbf16>', which is no piece of the last axis of 'tensor<4x6xf32>'}}
  %0 = lm.concat %x, %y : (tensor<4x3xf32>, tensor<4x3xbf16>) -> tensor<4x6xf32>
  return
}

// -----

func.func @concat_nothing() {
  // expected-error @below {{needs a part}}
  %0 = "lm.concat"() : () -> tensor<4x6xf32>
  return
}

// -----

func.func @concat_scalars(%x: tensor<f32>) {
  // expected-error @below {{needs tensors with a last axis}}
  %0 = lm.concat %x : (tensor<f32>) -> tensor<f32>
  return
}
