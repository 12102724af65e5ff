// RUN: smelt-opt %s --split-input-file -verify-diagnostics
// Loss: one function per rule of a verifier.

// -----

func.func @softcap_amplitude(%z: tensor<8x4xf32>) {
  // expected-error @below {{needs a positive, finite amplitude}}
  %0 = lm.softcap tanh %z {amplitude = 0.0, temperature = 1.0} : tensor<8x4xf32>
  return
}

// -----

func.func @softcap_temperature(%z: tensor<8x4xf32>) {
  // expected-error @below {{needs a positive, finite temperature}}
  %0 = lm.softcap_backward tanh %z, %z {amplitude = 1.0, temperature = -1.0} : tensor<8x4xf32>
  return
}

// -----

func.func @loss_rank(%z: tensor<8xf32>, %targets: tensor<8xi32>) {
  // expected-error @below {{needs logits [T, V], not 'tensor<8xf32>'}}
  %0, %1 = lm.cross_entropy %z, %targets : tensor<8xf32>, tensor<8xi32> -> tensor<8xf32>, tensor<8xf32>
  return
}

// -----

func.func @loss_targets(%z: tensor<8x4xf32>, %targets: tensor<7xi32>) {
  // expected-error @below {{targets must have shape [8], but is 'tensor<7xi32>'}}
  %0, %1 = lm.cross_entropy %z, %targets : tensor<8x4xf32>, tensor<7xi32> -> tensor<8xf32>, tensor<8xf32>
  return
}

// -----

func.func @loss_result(%z: tensor<8x4xf32>, %targets: tensor<8xi32>) {
  // expected-error @below {{loss must have shape [8], but is 'tensor<4xf32>'}}
  %0, %1 = lm.cross_entropy %z, %targets : tensor<8x4xf32>, tensor<8xi32> -> tensor<4xf32>, tensor<8xf32>
  return
}

// -----

func.func @loss_lse(%z: tensor<8x4xf32>, %targets: tensor<8xi32>) {
  // expected-error @below {{lse must have shape [8], but is 'tensor<4xf32>'}}
  %0, %1 = lm.cross_entropy %z, %targets : tensor<8x4xf32>, tensor<8xi32> -> tensor<8xf32>, tensor<4xf32>
  return
}

// -----

func.func @loss_backward_targets(%z: tensor<8x4xf32>, %targets: tensor<7xi32>, %lse: tensor<8xf32>) {
  // expected-error @below {{targets must have shape [8], but is 'tensor<7xi32>'}}
  %0 = lm.cross_entropy_backward %z, %targets, %lse, %lse : tensor<8x4xf32>, tensor<7xi32>, tensor<8xf32>
  return
}

// -----

func.func @matmul_one_f8(%a: tensor<8x4xf8E4M3FN>, %b: tensor<4x8xf32>) {
  // expected-error @below {{multiplies f8 with another type: 'tensor<8x4xf8E4M3FN>' and 'tensor<4x8xf32>'}}
  %0 = lm.matmul %a, %b : tensor<8x4xf8E4M3FN>, tensor<4x8xf32> -> tensor<8x8xf32>
  return
}

// -----

func.func @matmul_f8_result(%a: tensor<8x4xf8E4M3FN>, %b: tensor<4x8xf8E4M3FN>) {
  // expected-error @below {{of f8 operands gives f32, not 'tensor<8x8xbf16>'}}
  %0 = lm.matmul %a, %b : tensor<8x4xf8E4M3FN>, tensor<4x8xf8E4M3FN> -> tensor<8x8xbf16>
  return
}

// -----

func.func @quantize_scale(%x: tensor<8x4xf32>) {
  // expected-error @below {{needs a positive, finite scale}}
  %0 = lm.quantize %x {scale = 0.0 : f64} : tensor<8x4xf32> -> tensor<8x4xf8E4M3FN>
  return
}

// -----

func.func @quantize_shape(%x: tensor<8x4xf32>) {
  // expected-error @below {{all of {x, result} have same shape}}
  %0 = lm.quantize %x {scale = 1.0 : f64} : tensor<8x4xf32> -> tensor<8x5xf8E4M3FN>
  return
}

// -----

func.func @quantize_to_bf16(%x: tensor<8x4xf32>) {
  // expected-error @below {{result #0 must be statically shaped tensor of f8E4M3FN type or f8E5M2 type values}}
  %0 = lm.quantize %x {scale = 1.0 : f64} : tensor<8x4xf32> -> tensor<8x4xbf16>
  return
}

// -----

func.func @quantized_rank(%x: tensor<8x2x4xf32>, %w: tensor<6x4xf32>) {
  // expected-error @below {{multiplies matrices, not 'tensor<8x2x4xf32>' and 'tensor<6x4xf32>'}}
  %0 = lm.quantized_matmul %x, %w {x_scale = 1.0 : f64, w_scale = 1.0 : f64, gradient_scale = 1.0 : f64} : tensor<8x2x4xf32>, tensor<6x4xf32> -> tensor<8x6xf32>
  return
}

// -----

func.func @quantized_inner(%x: tensor<8x4xf32>, %w: tensor<6x5xf32>) {
  // expected-error @below {{has inner sizes 4 and 5}}
  %0 = lm.quantized_matmul %x, %w {x_scale = 1.0 : f64, w_scale = 1.0 : f64, gradient_scale = 1.0 : f64} : tensor<8x4xf32>, tensor<6x5xf32> -> tensor<8x6xf32>
  return
}

// -----

func.func @quantized_result(%x: tensor<8x4xf32>, %w: tensor<6x4xf32>) {
  // expected-error @below {{result must have shape [8, 6], but is 'tensor<6x8xf32>'}}
  %0 = lm.quantized_matmul %x, %w {x_scale = 1.0 : f64, w_scale = 1.0 : f64, gradient_scale = 1.0 : f64} : tensor<8x4xf32>, tensor<6x4xf32> -> tensor<6x8xf32>
  return
}

// -----

func.func @quantized_scale(%x: tensor<8x4xf32>, %w: tensor<6x4xf32>) {
  // expected-error @below {{needs a positive, finite gradient_scale}}
  %0 = lm.quantized_matmul %x, %w {x_scale = 1.0 : f64, w_scale = 1.0 : f64, gradient_scale = -1.0 : f64} : tensor<8x4xf32>, tensor<6x4xf32> -> tensor<8x6xf32>
  return
}

// -----

func.func @join_shapes(%high: tensor<8x4xbf16>, %low: tensor<8x5xi16>) {
  // expected-error @below {{all of {high, low, result} have same shape}}
  %0 = lm.join_master %high, %low : tensor<8x4xbf16>, tensor<8x5xi16> -> tensor<8x4xf32>
  return
}

// -----

func.func @split_of_bf16(%x: tensor<8x4xbf16>) {
  // expected-error @below {{operand #0 must be statically shaped tensor of 32-bit float values}}
  %0, %1 = lm.split_master %x : tensor<8x4xbf16> -> tensor<8x4xbf16>, tensor<8x4xi16>
  return
}

// -----

func.func @matmul_groups_of_a(%a: tensor<6x4xf32>, %b: tensor<8x4xf32>) {
  // expected-error @below {{cannot cut 'tensor<6x4xf32>' and 'tensor<8x4xf32>' into 4 groups}}
  %0 = lm.matmul %a, %b {groups = 4 : i64, transpose_b} : tensor<6x4xf32>, tensor<8x4xf32> -> tensor<6x2xf32>
  return
}

// -----

func.func @matmul_no_groups(%a: tensor<6x4xf32>, %b: tensor<8x4xf32>) {
  // expected-error @below {{into 0 groups}}
  %0 = lm.matmul %a, %b {groups = 0 : i64, transpose_b} : tensor<6x4xf32>, tensor<8x4xf32> -> tensor<6x2xf32>
  return
}

// -----

func.func @matmul_groups_inner(%a: tensor<6x4xf32>, %b: tensor<6x5xf32>) {
  // expected-error @below {{has inner sizes 4 and 3}}
  %0 = lm.matmul %a, %b {groups = 2 : i64} : tensor<6x4xf32>, tensor<6x5xf32> -> tensor<6x5xf32>
  return
}

// -----

func.func @matmul_groups_result(%a: tensor<6x4xf32>, %b: tensor<8x5xf32>) {
  // expected-error @below {{result must have shape [6, 5], but is 'tensor<3x5xf32>'}}
  %0 = lm.matmul %a, %b {groups = 2 : i64} : tensor<6x4xf32>, tensor<8x5xf32> -> tensor<3x5xf32>
  return
}

// -----

func.func @group_sum_rank(%x: tensor<6x2xf32>) {
  // expected-error @below {{works on one number per row, not on 'tensor<6x2xf32>' and 'tensor<3xf32>'}}
  %0 = lm.group_sum %x : tensor<6x2xf32> -> tensor<3xf32>
  return
}

// -----

func.func @group_sum_ragged(%x: tensor<7xf32>) {
  // expected-error @below {{cannot cut 7 rows into 3 groups}}
  %0 = lm.group_sum %x : tensor<7xf32> -> tensor<3xf32>
  return
}

// -----

func.func @expand_groups_type(%x: tensor<3xf32>) {
  // expected-error @below {{mixes 'bf16' and 'f32'}}
  %0 = lm.expand_groups %x : tensor<3xf32> -> tensor<6xbf16>
  return
}
