// RUN: smelt-opt %s --split-input-file -verify-diagnostics
// Contractions, embedding, attention: one function per rule of a verifier.

// -----

func.func @matmul_rank(%a: tensor<4xf32>, %b: tensor<4x4xf32>) {
  // expected-error @below {{multiplies matrices, not 'tensor<4xf32>' and 'tensor<4x4xf32>'}}
  %0 = lm.matmul %a, %b : tensor<4xf32>, tensor<4x4xf32> -> tensor<4x4xf32>
  return
}

// -----

func.func @matmul_inner(%a: tensor<3x4xf32>, %b: tensor<5x4xf32>) {
  // expected-error @below {{has inner sizes 4 and 5}}
  %0 = lm.matmul %a, %b : tensor<3x4xf32>, tensor<5x4xf32> -> tensor<3x4xf32>
  return
}

// -----

func.func @matmul_inner_transposed(%a: tensor<3x4xf32>, %b: tensor<4x5xf32>) {
  // expected-error @below {{has inner sizes 4 and 5}}
  %0 = lm.matmul %a, %b {transpose_b} : tensor<3x4xf32>, tensor<4x5xf32> -> tensor<3x4xf32>
  return
}

// -----

func.func @matmul_result(%a: tensor<4x3xf32>, %b: tensor<4x5xf32>) {
  // expected-error @below {{result must have shape [3, 5], but is 'tensor<4x5xf32>'}}
  %0 = lm.matmul %a, %b {transpose_a} : tensor<4x3xf32>, tensor<4x5xf32> -> tensor<4x5xf32>
  return
}

// -----

func.func @embedding_rank(%table: tensor<8xf32>, %tokens: tensor<3xi32>) {
  // expected-error @below {{needs a table of rank 2, not 'tensor<8xf32>'}}
  %0 = lm.embedding %table, %tokens : tensor<8xf32>, tensor<3xi32> -> tensor<3x4xf32>
  return
}

// -----

func.func @embedding_type(%table: tensor<8x4xf32>, %tokens: tensor<3xi32>) {
  // expected-error @below {{mixes 'f32' and 'bf16'}}
  %0 = lm.embedding %table, %tokens : tensor<8x4xf32>, tensor<3xi32> -> tensor<3x4xbf16>
  return
}

// -----

func.func @embedding_result(%table: tensor<8x4xf32>, %tokens: tensor<3xi32>) {
  // expected-error @below {{result must have shape [3, 4], but is 'tensor<3x5xf32>'}}
  %0 = lm.embedding %table, %tokens : tensor<8x4xf32>, tensor<3xi32> -> tensor<3x5xf32>
  return
}

// -----

func.func @embedding_backward_dy(%tokens: tensor<3xi32>, %dy: tensor<4x4xf32>) {
  // expected-error @below {{dy must have shape [3, 4], but is 'tensor<4x4xf32>'}}
  %0 = lm.embedding_backward %tokens, %dy : tensor<3xi32>, tensor<4x4xf32> -> tensor<8x4xf32>
  return
}

// -----

func.func @attention_range_blocks(%documents: tensor<8xi32>, %window: tensor<i32>) {
  // expected-error @below {{needs blocks of at least one token, not 0}}
  %0 = lm.attention_range %documents, %window {blocks = 0 : i64} : tensor<8xi32>, tensor<i32> -> tensor<8xi32>
  return
}

// -----

func.func @attention_range_result(%documents: tensor<8xi32>, %window: tensor<i32>) {
  // expected-error @below {{result must have shape [8], but is 'tensor<9xi32>'}}
  %0 = lm.attention_range %documents, %window : tensor<8xi32>, tensor<i32> -> tensor<9xi32>
  return
}

// -----

func.func @attention_rank(%q: tensor<8x4xf32>, %first: tensor<8xi32>, %scale: tensor<f32>) {
  // expected-error @below {{needs heads of rank 3 [T, H, d], not 'tensor<8x4xf32>'}}
  %0, %1 = lm.attention %q, %q, %q first %first scale %scale : tensor<8x4xf32>, tensor<8xi32>, tensor<f32> -> tensor<8x4xf32>, tensor<8x1xf32>
  return
}

// -----

func.func @attention_first(%q: tensor<8x2x4xf32>, %first: tensor<7xi32>, %scale: tensor<f32>) {
  // expected-error @below {{first must have shape [8], but is 'tensor<7xi32>'}}
  %0, %1 = lm.attention %q, %q, %q first %first scale %scale : tensor<8x2x4xf32>, tensor<7xi32>, tensor<f32> -> tensor<8x2x4xf32>, tensor<8x2xf32>
  return
}

// -----

func.func @attention_lse(%q: tensor<8x2x4xf32>, %first: tensor<8xi32>, %scale: tensor<f32>) {
  // expected-error @below {{lse must have shape [8, 2], but is 'tensor<8xf32>'}}
  %0, %1 = lm.attention %q, %q, %q first %first scale %scale : tensor<8x2x4xf32>, tensor<8xi32>, tensor<f32> -> tensor<8x2x4xf32>, tensor<8xf32>
  return
}

// -----

func.func @attention_result(%q: tensor<8x2x4xf32>, %first: tensor<8xi32>, %scale: tensor<f32>) {
  // expected-error @below {{result must have shape [8, 2, 4], but is 'tensor<8x8xf32>'}}
  %0, %1 = lm.attention %q, %q, %q first %first scale %scale : tensor<8x2x4xf32>, tensor<8xi32>, tensor<f32> -> tensor<8x8xf32>, tensor<8x2xf32>
  return
}

// -----

func.func @attention_backward_lse(%q: tensor<8x2x4xf32>, %first: tensor<8xi32>, %scale: tensor<f32>, %lse: tensor<2x8xf32>) {
  // expected-error @below {{lse must have shape [8, 2], but is 'tensor<2x8xf32>'}}
  %0, %1, %2 = lm.attention_backward %q, %q, %q first %first scale %scale out %q, %lse, %q : tensor<8x2x4xf32>, tensor<8xi32>, tensor<f32>, tensor<2x8xf32>
  return
}
