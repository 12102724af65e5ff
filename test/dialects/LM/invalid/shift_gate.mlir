// RUN: smelt-opt %s --split-input-file -verify-diagnostics
// Token shift, gate: one function per rule of a verifier.

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
