// RUN: smelt-opt %s --split-input-file -verify-diagnostics
// One function per rule of a verifier.

//===- Parameters and constants ---------------------------------------------===//

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

//===- Contractions, embedding, attention -------------------------------------===//

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

//===- Element-wise -----------------------------------------------------------===//

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

//===- Shape ------------------------------------------------------------------===//

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

//===- Norm, rotary embedding -------------------------------------------------===//

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

//===- Token shift, gate ------------------------------------------------------===//

// -----

func.func @shift_rank(%x: tensor<8xf32>) {
  // expected-error @below {{needs [T, D] or [T, H, d], not 'tensor<8xf32>'}}
  %0 = lm.token_shift add cross %x {features = array<i64>, heads = array<i64>} : (tensor<8xf32>) -> tensor<8xf32>
  return
}

// -----

func.func @shift_result(%x: tensor<8x4xf32>) {
  // expected-error @below {{makes 'tensor<8x5xf32>' from 'tensor<8x4xf32>'}}
  %0 = lm.token_shift add cross %x {features = array<i64>, heads = array<i64>} : (tensor<8x4xf32>) -> tensor<8x5xf32>
  return
}

// -----

func.func @shift_distance(%x: tensor<8x4xf32>) {
  // expected-error @below {{needs a distance of at least 1, not 0}}
  %0 = lm.token_shift add cross %x {features = array<i64>, heads = array<i64>, distance = 0 : i64} : (tensor<8x4xf32>) -> tensor<8x4xf32>
  return
}

// -----

func.func @shift_odd_bounds(%x: tensor<8x4xf32>) {
  // expected-error @below {{has 3 feature bounds; they come in pairs [begin, end)}}
  %0 = lm.token_shift add cross %x {features = array<i64: 0, 1, 2>, heads = array<i64>} : (tensor<8x4xf32>) -> tensor<8x4xf32>
  return
}

// -----

func.func @shift_out_of_bounds(%x: tensor<8x4xf32>) {
  // expected-error @below {{has features [2, 5), which is no range of the 4 features}}
  %0 = lm.token_shift add cross %x {features = array<i64: 2, 5>, heads = array<i64>} : (tensor<8x4xf32>) -> tensor<8x4xf32>
  return
}

// -----

func.func @shift_empty_range(%x: tensor<8x4xf32>) {
  // expected-error @below {{has features [2, 2), which is no range of the 4 features}}
  %0 = lm.token_shift add cross %x {features = array<i64: 2, 2>, heads = array<i64>} : (tensor<8x4xf32>) -> tensor<8x4xf32>
  return
}

// -----

func.func @shift_overlap(%x: tensor<8x4xf32>) {
  // expected-error @below {{has features [1, 3) after a range that ends at 2; ranges must be sorted and disjoint}}
  %0 = lm.token_shift add cross %x {features = array<i64: 0, 2, 1, 3>, heads = array<i64>} : (tensor<8x4xf32>) -> tensor<8x4xf32>
  return
}

// -----

func.func @shift_no_heads(%x: tensor<8x4xf32>) {
  // expected-error @below {{lists heads, but 'tensor<8x4xf32>' has none}}
  %0 = lm.token_shift add cross %x {features = array<i64>, heads = array<i64: 0>} : (tensor<8x4xf32>) -> tensor<8x4xf32>
  return
}

// -----

func.func @shift_head_range(%x: tensor<8x2x4xf32>) {
  // expected-error @below {{lists head 2 of 2}}
  %0 = lm.token_shift add cross %x {features = array<i64>, heads = array<i64: 2>} : (tensor<8x2x4xf32>) -> tensor<8x2x4xf32>
  return
}

// -----

func.func @shift_head_twice(%x: tensor<8x2x4xf32>) {
  // expected-error @below {{lists head 1 after head 1; heads must ascend}}
  %0 = lm.token_shift add cross %x {features = array<i64>, heads = array<i64: 1, 1>} : (tensor<8x2x4xf32>) -> tensor<8x2x4xf32>
  return
}

// -----

func.func @shift_mask(%x: tensor<8x4xf32>) {
  // expected-error @below {{masks documents, so it needs document_start}}
  %0 = lm.token_shift add mask %x {features = array<i64>, heads = array<i64>} : (tensor<8x4xf32>) -> tensor<8x4xf32>
  return
}

// -----

func.func @shift_documents(%x: tensor<8x4xf32>, %documents: tensor<7xi32>) {
  // expected-error @below {{document_start must have shape [8], but is 'tensor<7xi32>'}}
  %0 = lm.token_shift add mask %x document_start %documents {features = array<i64>, heads = array<i64>} : (tensor<8x4xf32>, tensor<7xi32>) -> tensor<8x4xf32>
  return
}

// -----

func.func @shift_gate(%x: tensor<8x4xf32>, %gate: tensor<8x2xf32>) {
  // expected-error @below {{gate must be [8], [8, 1] for 'tensor<8x4xf32>', but is 'tensor<8x2xf32>'}}
  %0 = lm.token_shift add cross %x gate %gate {features = array<i64>, heads = array<i64>} : (tensor<8x4xf32>, tensor<8x2xf32>) -> tensor<8x4xf32>
  return
}

// -----

func.func @adjoint_result(%x: tensor<8x4xf32>) {
  // expected-error @below {{makes 'tensor<8x5xf32>' from 'tensor<8x4xf32>'}}
  %0 = lm.token_shift_adjoint add cross %x {features = array<i64>, heads = array<i64>} : (tensor<8x4xf32>) -> tensor<8x5xf32>
  return
}

// -----

func.func @dot_operands(%x: tensor<8x4xf32>, %dy: tensor<8x5xf32>) {
  // expected-error @below {{multiplies 'tensor<8x4xf32>' and 'tensor<8x5xf32>'}}
  %0 = lm.token_shift_dot add cross %x, %dy {features = array<i64>, heads = array<i64>} : (tensor<8x4xf32>, tensor<8x5xf32>) -> tensor<8xf32>
  return
}

// -----

func.func @dot_result(%x: tensor<8x2x4xf32>) {
  // expected-error @below {{result must be [8], [8, 1] or [8, 2] for 'tensor<8x2x4xf32>', but is 'tensor<8x4xf32>'}}
  %0 = lm.token_shift_dot add cross %x, %x {features = array<i64>, heads = array<i64>} : (tensor<8x2x4xf32>, tensor<8x2x4xf32>) -> tensor<8x4xf32>
  return
}

// -----

func.func @gate_rank(%x: tensor<8x2x4xf32>, %w: tensor<1x4xf32>) {
  // expected-error @below {{needs x [T, D] and w [G, n], not 'tensor<8x2x4xf32>' and 'tensor<1x4xf32>'}}
  %0 = lm.gate %x, %w : tensor<8x2x4xf32>, tensor<1x4xf32> -> tensor<8x1xf32>
  return
}

// -----

func.func @gate_features(%x: tensor<8x4xf32>, %w: tensor<1x5xf32>) {
  // expected-error @below {{reads the first 5 features of 'tensor<8x4xf32>'}}
  %0 = lm.gate %x, %w : tensor<8x4xf32>, tensor<1x5xf32> -> tensor<8x1xf32>
  return
}

// -----

func.func @gate_result(%x: tensor<8x4xf32>, %w: tensor<2x4xf32>) {
  // expected-error @below {{gate must have shape [8, 2], but is 'tensor<8x1xf32>'}}
  %0 = lm.gate %x, %w : tensor<8x4xf32>, tensor<2x4xf32> -> tensor<8x1xf32>
  return
}

// -----

func.func @gate_backward_gate(%x: tensor<8x4xf32>, %w: tensor<2x4xf32>, %g: tensor<8x1xf32>) {
  // expected-error @below {{gate must have shape [8, 2], but is 'tensor<8x1xf32>'}}
  %0, %1 = lm.gate_backward %x, %w, %g, %g : tensor<8x4xf32>, tensor<2x4xf32>, tensor<8x1xf32>
  return
}

//===- Loss -------------------------------------------------------------------===//

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
