// RUN: smelt-opt %s --split-input-file -verify-diagnostics
// Norm, rotary embedding: one function per rule of a verifier.

// -----

func.func @norm_eps(%x: tensor<4x6xf32>) {
  // expected-error @below {{needs a finite eps of at least 0}}
  %0 = lm.rms_norm %x {eps = -1.0} : tensor<4x6xf32>
  return
}

// -----

func.func @norm_rank(%x: tensor<f32>) {
  // expected-error @below {{needs a last axis to normalise}}
  %0 = lm.rms_norm_backward %x, %x {eps = 0.0} : tensor<f32>
  return
}

// -----

func.func @table_width(%f: tensor<2xf32>) {
  // expected-error @below {{table must be [T, 4], but is 'tensor<8x2xf32>'}}
  %0 = lm.rope_table %f : tensor<2xf32> -> tensor<8x2xf32>
  return
}

// -----

func.func @frequencies_rank(%f: tensor<2x2xf32>) {
  // expected-error @below {{needs frequencies of rank 1, not 'tensor<2x2xf32>'}}
  %0 = lm.rope_table %f : tensor<2x2xf32> -> tensor<8x4xf32>
  return
}

// -----

func.func @rope_rank(%x: tensor<8x4xf32>, %table: tensor<8x4xf32>) {
  // expected-error @below {{needs heads of rank 3 [T, H, d], not 'tensor<8x4xf32>'}}
  %0 = lm.rope %x, %table : tensor<8x4xf32>, tensor<8x4xf32>
  return
}

// -----

func.func @rope_odd(%x: tensor<8x2x5xf32>, %table: tensor<8x5xf32>) {
  // expected-error @below {{rotates pairs, but heads have 5 features}}
  %0 = lm.rope %x, %table : tensor<8x2x5xf32>, tensor<8x5xf32>
  return
}

// -----

func.func @rope_table_rows(%x: tensor<8x2x4xf32>, %table: tensor<7x4xf32>) {
  // expected-error @below {{needs a table [8 or more, 4], not 'tensor<7x4xf32>'}}
  %0 = lm.rope %x, %table : tensor<8x2x4xf32>, tensor<7x4xf32>
  return
}

// -----

func.func @rope_documents(%x: tensor<8x2x4xf32>, %table: tensor<8x4xf32>, %documents: tensor<7xi32>) {
  // expected-error @below {{document_start must have shape [8], but is 'tensor<7xi32>'}}
  %0 = lm.rope %x, %table document_start %documents : tensor<8x2x4xf32>, tensor<8x4xf32>, tensor<7xi32>
  return
}
