// RUN: smelt-opt %s --split-input-file --verify-diagnostics

// expected-error@+1 {{needs segments of four numbers each: first step, last step, value, slope}}
train.schedule @lr : tensor<f32> = [0.0, 9.0, 0.0]

// -----

// expected-error@+1 {{segment 1 covers steps 1.100000e+01 to 2.000000e+01, but step 1.000000e+01 must come next}}
train.schedule @lr : tensor<f32> = [0.0, 9.0, 0.0, 0.1, 11.0, 20.0, 1.0, 0.0]

// -----

// expected-error@+1 {{needs segments of 4 numbers each: first step, last step, 2 values}}
train.schedule @frequencies : tensor<2xf32> = [0.0, 4.0, 1.0, 0.5, 5.0, 9.0, 0.75]

// -----

// expected-error@+1 {{segment 1 covers steps 6.000000e+00 to 9.000000e+00, but step 5.000000e+00 must come next}}
train.schedule @frequencies : tensor<2xf32> = [0.0, 4.0, 1.0, 0.5, 6.0, 9.0, 0.75, 0.25]

// -----

// expected-error@+1 {{schedules a number or a vector, not 'tensor<2x2xf32>'}}
train.schedule @table : tensor<2x2xf32> = [0.0, 4.0, 1.0, 0.5, 0.0, 0.0]

// -----

// expected-error@+1 {{has both pieces and a power}}
train.schedule @c : tensor<f32> = [0.0, 4.0, 1.0, 0.5] one_minus_power 0.95 every 2 offset 1

// -----

// expected-error@+1 {{needs a float of rank 0 for a power, not 'tensor<2xf32>'}}
train.schedule @c : tensor<2xf32> one_minus_power 0.95 every 2 offset 1

// -----

// expected-error@+1 {{takes powers of 1.000000e+00, which is not in [0, 1)}}
train.schedule @c : tensor<f32> one_minus_power 1.0 every 2 offset 1

// -----

// expected-error@+1 {{happens every 2 steps at offset 2; the offset must be 0 to the period less 1}}
train.schedule @c : tensor<f32> one_minus_power 0.95 every 2 offset 2

// -----

// expected-error@+1 {{is computed by the setup program, so it cannot begin as a copy}}
train.state @m : tensor<4xf32> {copy_of = @w, derived}

// -----

// expected-error@+1 {{happens every 2 steps at offset 3; the offset must be 0 to the period less 1}}
train.optimizer adam @group [@w] lr 0.01 @lr {lr_scales = #lm.numbers<1.0>, weight_decay_scales = #lm.numbers<0.5>, splits = array<i64: 1>, config = {every = 2 : i64, offset = 3 : i64}}

// -----

// expected-error@+1 {{of kind snoo has no config 'beta1'}}
train.optimizer snoo @group [@w] lr 0.01 @lr {lr_scales = #lm.numbers<1.0>, weight_decay_scales = #lm.numbers<0.5>, splits = array<i64: 1>, config = {beta1 = 0.5 : f64}}

// -----

// expected-error@+1 {{needs a number from 0 to 1 as beta2, not 1.000000e+00 : f64}}
train.optimizer adam @group [@w] lr 0.01 @lr {lr_scales = #lm.numbers<1.0>, weight_decay_scales = #lm.numbers<0.5>, splits = array<i64: 1>, config = {beta2 = 1.0 : f64}}

// -----

// expected-error@+1 {{needs a number that is not negative as eps, not "small"}}
train.optimizer adamw @group [@w] lr 0.01 @lr {lr_scales = #lm.numbers<1.0>, weight_decay_scales = #lm.numbers<0.5>, splits = array<i64: 1>, config = {eps = "small"}}

// -----

// expected-error@+1 {{keeps its state in "f32" or "bf16", not "f8"}}
train.optimizer adamw @group [@w] lr 0.01 @lr {lr_scales = #lm.numbers<1.0>, weight_decay_scales = #lm.numbers<0.5>, splits = array<i64: 1>, config = {state = "f8"}}

// -----

// expected-error@+1 {{needs one lr scale, weight decay scale and split per parameter}}
train.optimizer adamw @group [@w] lr 0.01 @lr {lr_scales = #lm.numbers<>, weight_decay_scales = #lm.numbers<0.5>, splits = array<i64: 1>, config = {}}

// -----

// expected-error@+1 {{lists a parameter that is not a symbol}}
train.optimizer adamw @group ["w"] lr 0.01 @lr {lr_scales = #lm.numbers<1.0>, weight_decay_scales = #lm.numbers<0.5>, splits = array<i64: 1>, config = {}}

// -----

func.func @f(%p: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{needs one lr scale and one weight decay per parameter}}
  %0:3 = train.adamw (%p) gradients (%p) moments (%p : %p) lr (%s) corrections (%s, %s)
    {lr_scales = #lm.numbers<>, weight_decays = #lm.numbers<0.0>, beta1 = 0.9 : f64, beta2 = 0.95 : f64, eps = 1.0e-8 : f64}
    : (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<f32>, tensor<f32>, tensor<f32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>)
  return
}

// -----

func.func @f(%p: tensor<4xf32>, %m: tensor<5xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{updates parameter 0, 'tensor<4xf32>', with a tensor of another shape, 'tensor<5xf32>'}}
  %0:3 = train.adam (%p) gradients (%p) moments (%m : %p) lr (%s) corrections (%s, %s)
    {lr_scales = #lm.numbers<1.0>, weight_decays = #lm.numbers<0.0>, beta1 = 0.9 : f64, beta2 = 0.95 : f64, eps = 1.0e-8 : f64}
    : (tensor<4xf32>, tensor<4xf32>, tensor<5xf32>, tensor<4xf32>, tensor<f32>, tensor<f32>, tensor<f32>) -> (tensor<4xf32>, tensor<5xf32>, tensor<4xf32>)
  return
}

// -----

func.func @f(%p: tensor<4xf32>, %m: tensor<4xbf16>, %s: tensor<f32>) {
  // expected-error@+1 {{makes 'tensor<4xf32>' of parameter 0's 'tensor<4xbf16>'}}
  %0:3 = train.adam (%p) gradients (%p) moments (%m : %m) lr (%s) corrections (%s, %s)
    {lr_scales = #lm.numbers<1.0>, weight_decays = #lm.numbers<0.0>, beta1 = 0.9 : f64, beta2 = 0.95 : f64, eps = 1.0e-8 : f64}
    : (tensor<4xf32>, tensor<4xf32>, tensor<4xbf16>, tensor<4xbf16>, tensor<f32>, tensor<f32>, tensor<f32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xbf16>)
  return
}

// -----

func.func @f(%p: tensor<4xf32>) {
  // expected-error@+1 {{needs one rate per parameter}}
  %0:3 = train.snoo (%p) outer (%p) momenta (%p) {lrs = #lm.numbers<0.68, 1.0>, momentum = 0.37 : f64, nesterov = true}
    : (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>)
  return
}

// -----

func.func @f(%p: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{orthogonalises matrices, not 'tensor<4xf32>'}}
  %0:2 = train.muon %p gradient %p momentum %p lr %s mu %s {lr_scales = #lm.numbers<1.0>, weight_decays = #lm.numbers<0.0>, nesterov = true, norm_scale = 1.0 : f64, norm_eps = 1.0e-7 : f64, coefficients = #lm.numbers<3.0, -4.0, 2.0>} : (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<f32>, tensor<f32>) -> (tensor<4xf32>, tensor<4xf32>)
  return
}

// -----

func.func @f(%p: tensor<4x4xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{needs three coefficients per iteration}}
  %0:2 = train.muon %p gradient %p momentum %p lr %s mu %s {lr_scales = #lm.numbers<1.0>, weight_decays = #lm.numbers<0.0>, nesterov = true, norm_scale = 1.0 : f64, norm_eps = 1.0e-7 : f64, coefficients = #lm.numbers<3.0>} : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>, tensor<f32>, tensor<f32>) -> (tensor<4x4xf32>, tensor<4x4xf32>)
  return
}

// -----

func.func @f(%p: tensor<4x8xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{cannot cut the rows of 'tensor<4x8xf32>' into 3 matrices}}
  %0:2 = train.muon %p gradient %p momentum %p lr %s mu %s {lr_scales = #lm.numbers<1.0>, weight_decays = #lm.numbers<0.0>, nesterov = true, norm_scale = 1.0 : f64, norm_eps = 1.0e-7 : f64, coefficients = #lm.numbers<3.0, -4.0, 2.0>, groups = 3 : i64} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>, tensor<f32>, tensor<f32>) -> (tensor<4x8xf32>, tensor<4x8xf32>)
  return
}

// -----

func.func @f(%p: tensor<4x8xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{needs one lr scale and one weight decay per matrix}}
  %0:2 = train.muon %p gradient %p momentum %p lr %s mu %s {lr_scales = #lm.numbers<1.0>, weight_decays = #lm.numbers<0.0>, nesterov = true, norm_scale = 1.0 : f64, norm_eps = 1.0e-7 : f64, coefficients = #lm.numbers<3.0, -4.0, 2.0>, groups = 2 : i64} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>, tensor<f32>, tensor<f32>) -> (tensor<4x8xf32>, tensor<4x8xf32>)
  return
}

// -----

func.func @f(%p: tensor<4x8xf32>, %s: tensor<f32>, %b: tensor<4x8xbf16>) {
  // expected-error@+1 {{gives a smoothed update exactly if it takes one}}
  %0:2 = train.muon %p gradient %p momentum %p smoothed %b lr %s mu %s {lr_scales = #lm.numbers<1.0>, weight_decays = #lm.numbers<0.0>, nesterov = true, norm_scale = 1.0 : f64, norm_eps = 1.0e-7 : f64, coefficients = #lm.numbers<3.0, -4.0, 2.0>} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xbf16>, tensor<f32>, tensor<f32>) -> (tensor<4x8xf32>, tensor<4x8xf32>)
  return
}

// -----

func.func @f(%p: tensor<4x8xf32>, %s: tensor<f32>, %b: tensor<8xbf16>) {
  // expected-error@+1 {{needs a smoothed update of the parameter's shape, not 'tensor<8xbf16>'}}
  %0:3 = train.muon %p gradient %p momentum %p smoothed %b lr %s mu %s {lr_scales = #lm.numbers<1.0>, weight_decays = #lm.numbers<0.0>, nesterov = true, norm_scale = 1.0 : f64, norm_eps = 1.0e-7 : f64, coefficients = #lm.numbers<3.0, -4.0, 2.0>} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>, tensor<8xbf16>, tensor<f32>, tensor<f32>) -> (tensor<4x8xf32>, tensor<4x8xf32>, tensor<8xbf16>)
  return
}

// -----

func.func @f(%p: tensor<4x8xf32>, %s: tensor<f32>, %v: tensor<4xf32>) {
  // expected-error@+1 {{averages over axis 0 or 1, not 2}}
  %0:3 = train.normuon %p gradient %p momentum %p second %v lr %s mu %s {peak = 0.1 : f64, lr_scales = #lm.numbers<1.0>, weight_decays = #lm.numbers<1.0>, nesterov = true, beta2 = 0.95 : f64, cautious = true, norm_scale = 1.02 : f64, norm_eps = 1.0e-6 : f64, coefficients = #lm.numbers<3.0, -4.0, 2.0>, variance_axis = 2 : i64} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>, tensor<4xf32>, tensor<f32>, tensor<f32>) -> (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4xf32>)
  return
}

// -----

func.func @f(%p: tensor<4x8xf32>, %s: tensor<f32>, %v: tensor<4xf32>) {
  // expected-error@+1 {{needs second moments 'tensor<1x8xf32>', not 'tensor<4xf32>'}}
  %0:3 = train.normuon %p gradient %p momentum %p second %v lr %s mu %s {peak = 0.1 : f64, lr_scales = #lm.numbers<1.0>, weight_decays = #lm.numbers<1.0>, nesterov = true, beta2 = 0.95 : f64, cautious = true, norm_scale = 1.02 : f64, norm_eps = 1.0e-6 : f64, coefficients = #lm.numbers<3.0, -4.0, 2.0>, variance_axis = 0 : i64} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>, tensor<4xf32>, tensor<f32>, tensor<f32>) -> (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4xf32>)
  return
}

// -----

lm.parameter @a : tensor<4x8xf32> constant 0.0
lm.parameter @b : tensor<4x6xf32> constant 0.0 // expected-note {{declared here}}
// expected-error@+1 {{of 'tensor<8x8xf32>' holds @b, which is 'tensor<4x6xf32>'}}
train.bank @bank [@a, @b] : tensor<8x8xf32>

// -----

lm.parameter @a : tensor<4x8xf32> constant 0.0
// expected-error@+1 {{has 8 rows, but its members have 4}}
train.bank @bank [@a] : tensor<8x8xf32>

// -----

// expected-error@+1 {{holds @a, which is no parameter or state}}
train.bank @bank [@a] : tensor<8x8xf32>

// -----

// expected-error@+1 {{needs a tensor type with rows, not 'tensor<f32>'}}
train.bank @bank [] : tensor<f32>

// -----

func.func @nothing() {
  // expected-error@+1 {{has no gradients}}
  train.all_reduce []
  return
}

// -----

func.func @unknown() {
  // expected-error@+1 {{sums the gradient of @w, which is no parameter or bank of parameters}}
  train.all_reduce [@w]
  return
}

// -----

lm.parameter @w : tensor<4xf32> constant 0.0
func.func @twice() {
  // expected-error@+1 {{sums the gradient of @w twice}}
  train.all_reduce [@w, @w]
  return
}

// -----

lm.parameter @w : tensor<4xf32> constant 0.0
lm.parameter @v : tensor<4xbf16> constant 0.0
func.func @types() {
  // expected-error@+1 {{has gradients of 'f32' and 'bf16' in one bucket}}
  train.all_reduce [@w, @v]
  return
}

// -----

lm.parameter @w : tensor<4xf32> constant 0.0
func.func @one() {
  // expected-error@+1 {{makes no sense for 1 rank}}
  train.reduce_scatter [@w] ranks 1
  return
}

// -----

lm.parameter @w : tensor<4xf32> constant 0.0
func.func @none() {
  // expected-error@+1 {{makes no sense for 0 ranks}}
  train.all_gather [@w] ranks 0
  return
}

// -----

func.func @unknown() {
  // expected-error@+1 {{gathers @w, which is no parameter or bank of parameters}}
  train.all_gather [@w] ranks 2
  return
}

// -----

lm.parameter @w : tensor<4xf32> constant 0.0
func.func @twice() {
  // expected-error@+1 {{sums the gradient of @w twice}}
  train.reduce_scatter [@w, @w] ranks 2
  return
}

// -----

lm.parameter @w : tensor<4xf32> constant 0.0
lm.parameter @v : tensor<4xbf16> constant 0.0
func.func @types() {
  // expected-error@+1 {{has parameters of 'f32' and 'bf16' in one bucket}}
  train.all_gather [@w, @v] ranks 2
  return
}

// -----

func.func @parts() {
  // expected-error@+1 {{cannot take equal parts 'tensor<2xf32>' of 'tensor<3xf32>'}}
  %0 = train.rank_constant dense<[1.0, 0.5, 2.0]> : tensor<3xf32> : tensor<2xf32>
  return
}

// -----

// expected-error@+1 {{needs one number of rows per tensor that it is a part of}}
train.state @m : tensor<4x8xf32> {part_names = ["m.w", "m.v"], part_rows = array<i64: 4>}

// -----

// expected-error@+1 {{has part_names exactly if it has part_rows}}
train.state @m : tensor<4x8xf32> {part_names = ["m.w"]}

// -----

// expected-error@+1 {{is a part of a tensor with 0 rows}}
train.state @m : tensor<4x8xf32> {part_names = ["m.w"], part_rows = array<i64: 0>}

// -----

// expected-error@+1 {{cannot be a part of other tensors}}
train.state @m : tensor<f32> {part_names = ["m.w"], part_rows = array<i64: 1>}

// -----

lm.parameter @a : tensor<4x8xf32> constant 0.0
// expected-error@+1 {{has 8 rows, but its members have 4}}
train.bank @bank [@a] : tensor<8x8xf32> {padding = 2 : i64}

// -----

lm.parameter @w : tensor<4x8xf32> constant 0.0
// MLIR's own list would be rounded in a dump.
// expected-error@+1 {{attribute 'lr_scales' failed to satisfy constraint: list of numbers #lm.numbers<…>}}
train.optimizer adamw @group [@w] lr 0.01 @lr {lr_scales = array<f64: 1.0>, weight_decay_scales = #lm.numbers<0.5>, splits = array<i64: 1>, config = {}}
