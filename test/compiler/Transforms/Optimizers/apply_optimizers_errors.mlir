// RUN: smelt-opt %s --smelt-apply-optimizers --split-input-file --verify-diagnostics

lm.parameter @a : tensor<4xf32> constant 0.0
// expected-error@+1 {{follows @lr, which is no train.schedule}}
train.optimizer adamw @o [@a] lr 0.5 @lr {lr_scales = #lm.numbers<1.0>, weight_decay_scales = #lm.numbers<1.0>, splits = array<i64: 1>, config = {}}

// -----

train.schedule @lr : tensor<f32> = [0.0, 9.0, 1.0, 0.0]
// expected-error@+1 {{updates @a, which is no lm.parameter}}
train.optimizer adamw @o [@a] lr 0.5 @lr {lr_scales = #lm.numbers<1.0>, weight_decay_scales = #lm.numbers<1.0>, splits = array<i64: 1>, config = {}}

// -----

lm.parameter @a : tensor<4xf32> constant 0.0
train.schedule @lr : tensor<f32> = [0.0, 9.0, 1.0, 0.0]
// expected-note@+1 {{the other optimiser}}
train.optimizer adamw @o [@a] lr 0.5 @lr {lr_scales = #lm.numbers<1.0>, weight_decay_scales = #lm.numbers<1.0>, splits = array<i64: 1>, config = {}}
// expected-error@+1 {{updates @a, which another optimiser updates too}}
train.optimizer adamw @p [@a] lr 0.5 @lr {lr_scales = #lm.numbers<1.0>, weight_decay_scales = #lm.numbers<1.0>, splits = array<i64: 1>, config = {}}

// -----

lm.parameter @a : tensor<4xf32> constant 0.0
train.schedule @lr : tensor<f32> = [0.0, 9.0, 1.0, 0.0]
// expected-error@+1 {{orthogonalises matrices, but @a is 'tensor<4xf32>'}}
train.optimizer muon @o [@a] lr 0.5 @lr {lr_scales = #lm.numbers<1.0>, weight_decay_scales = #lm.numbers<1.0>, splits = array<i64: 1>,
  config = {coefficients = #lm.numbers<3.0, -4.0, 2.0>, momentum_schedule = @lr}}

// -----

lm.parameter @a : tensor<4x8xf32> constant 0.0
train.schedule @lr : tensor<f32> = [0.0, 9.0, 1.0, 0.0]
// expected-error@+1 {{cannot cut the 4 rows of @a into 3 equal blocks}}
train.optimizer muon @o [@a] lr 0.5 @lr {lr_scales = #lm.numbers<1.0>, weight_decay_scales = #lm.numbers<1.0>, splits = array<i64: 3>,
  config = {coefficients = #lm.numbers<3.0, -4.0, 2.0>, momentum_schedule = @lr}}

// -----

lm.parameter @a : tensor<4x8xf32> constant 0.0
train.schedule @lr : tensor<f32> = [0.0, 9.0, 1.0, 0.0]
// expected-error@+1 {{has no momentum_schedule that names a train.schedule}}
train.optimizer muon @o [@a] lr 0.5 @lr {lr_scales = #lm.numbers<1.0>, weight_decay_scales = #lm.numbers<1.0>, splits = array<i64: 1>,
  config = {coefficients = #lm.numbers<3.0, -4.0, 2.0>}}

// -----

lm.parameter @a : tensor<4x8xf32> constant 0.0
train.schedule @lr : tensor<f32> = [0.0, 9.0, 1.0, 0.0]
// expected-error@+1 {{needs one variance axis per parameter}}
train.optimizer normuon @o [@a] lr 0.5 @lr {lr_scales = #lm.numbers<1.0>, weight_decay_scales = #lm.numbers<1.0>, splits = array<i64: 1>,
  config = {coefficients = #lm.numbers<3.0, -4.0, 2.0>, momentum_schedule = @lr, variance_axes = array<i64: 1, 1>}}

// -----

lm.parameter @a : tensor<4x8xbf16> constant 0.0
train.schedule @lr : tensor<f32> = [0.0, 9.0, 1.0, 0.0]
// expected-error@+1 {{keeps masters of matrices in the parameter or as bf16_plus_16, not "f32"}}
train.optimizer muon @o [@a] lr 0.5 @lr {lr_scales = #lm.numbers<1.0>, weight_decay_scales = #lm.numbers<1.0>, splits = array<i64: 1>,
  config = {coefficients = #lm.numbers<3.0, -4.0, 2.0>, momentum_schedule = @lr, master = "f32"}}
