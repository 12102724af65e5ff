// RUN: smelt-opt %s --split-input-file --verify-diagnostics

func.func @f(%x: tensor<8x4xf32>) {
  // expected-error@+1 {{region 'body' has 0 arguments but needs 1}}
  %0 = kernel.rowwise(%x) : (tensor<8x4xf32>) -> tensor<f32> { %1 = lm.constant dense<1.0> : tensor<f32>  kernel.yield %1 : tensor<f32> }
  return
}

// -----

func.func @f(%x: tensor<8x4xf32>) {
  // expected-error@+1 {{region 'body' takes 'tensor<8x5xf32>' where its input is 'tensor<8x4xf32>'}}
  %0 = kernel.rowwise(%x) : (tensor<8x4xf32>) -> tensor<8x5xf32> { ^bb0(%a: tensor<8x5xf32>): kernel.yield %a : tensor<8x5xf32> }
  return
}

// -----

func.func @f(%x: tensor<8x8xf32>) {
  %0 = kernel.rowwise(%x) : (tensor<8x8xf32>) -> tensor<8x8xf32> {
    ^bb0(%a: tensor<8x8xf32>):
    // expected-error@+1 {{is not a row op: it cannot stand in a kernel's region}}
    %1 = lm.matmul %a, %a : tensor<8x8xf32>, tensor<8x8xf32> -> tensor<8x8xf32>
    kernel.yield %1 : tensor<8x8xf32>
  }
  return
}

// -----

func.func @f(%x: tensor<8x4xf32>) {
  // expected-error@+1 {{region 'body' must yield the op's result types}}
  %0 = kernel.rowwise(%x) : (tensor<8x4xf32>) -> tensor<8x5xf32> { ^bb0(%a: tensor<8x4xf32>): kernel.yield %a : tensor<8x4xf32> }
  return
}

// -----

func.func @f(%x: tensor<8x4xf32>, %w: tensor<6x5xf32>) {
  // expected-error@+1 {{contracts 4 with 5}}
  %0 = kernel.gemm a(%x) b(%w) result() {transpose_b} : (tensor<8x4xf32>, tensor<6x5xf32>) -> tensor<8x6xf32>
    a { ^bb0(%a: tensor<8x4xf32>): kernel.yield %a : tensor<8x4xf32> }
    b { ^bb0(%a: tensor<6x5xf32>): kernel.yield %a : tensor<6x5xf32> }
    result { ^bb0(%c: tensor<8x6xf32>): kernel.yield %c : tensor<8x6xf32> }
  return
}

// -----

func.func @f(%x: tensor<8x4xf32>, %w: tensor<6x4xf32>) {
  // expected-error@+1 {{region 'result' must take the 8x6 product first}}
  %0 = kernel.gemm a(%x) b(%w) result() {transpose_b} : (tensor<8x4xf32>, tensor<6x4xf32>) -> tensor<8x7xf32>
    a { ^bb0(%a: tensor<8x4xf32>): kernel.yield %a : tensor<8x4xf32> }
    b { ^bb0(%a: tensor<6x4xf32>): kernel.yield %a : tensor<6x4xf32> }
    result { ^bb0(%c: tensor<8x7xf32>): kernel.yield %c : tensor<8x7xf32> }
  return
}

// -----

func.func @f(%q: tensor<8x2x4xf32>, %sums: tensor<8x4xf32>, %lse: tensor<8x2xf32>, %first: tensor<8xi32>, %scale: tensor<f32>) {
  // expected-error@+1 {{needs the output [T, H, d], or Σ out·dout of each head [T, H]}}
  %dq, %dk, %dv = kernel.attention_backward q(%q) k(%q) v(%q) first(%first) scale(%scale) out(%sums, %lse, %q)
    : (tensor<8x2x4xf32>, tensor<8x2x4xf32>, tensor<8x2x4xf32>, tensor<8xi32>, tensor<f32>, tensor<8x4xf32>, tensor<8x2xf32>, tensor<8x2x4xf32>) -> (tensor<8x2x4xf32>, tensor<8x2x4xf32>, tensor<8x2x4xf32>)
    q { ^bb0(%a: tensor<8x2x4xf32>): kernel.yield %a : tensor<8x2x4xf32> }
    k { ^bb0(%a: tensor<8x2x4xf32>): kernel.yield %a : tensor<8x2x4xf32> }
    v { ^bb0(%a: tensor<8x2x4xf32>): kernel.yield %a : tensor<8x2x4xf32> }
  return
}

// -----

func.func @f(%q: tensor<8x2x4xf32>, %k: tensor<8x2x6xf32>, %first: tensor<8xi32>, %scale: tensor<f32>) {
  // expected-error@+1 {{regions 'q', 'k' and 'v' must each yield one tensor [T, H, d] of one type}}
  %o, %lse = kernel.attention q(%q) k(%k) v(%q) result() first(%first) scale(%scale)
    : (tensor<8x2x4xf32>, tensor<8x2x6xf32>, tensor<8x2x4xf32>, tensor<8xi32>, tensor<f32>) -> (tensor<8x2x4xf32>, tensor<8x2xf32>)
    q { ^bb0(%a: tensor<8x2x4xf32>): kernel.yield %a : tensor<8x2x4xf32> }
    k { ^bb0(%a: tensor<8x2x6xf32>): kernel.yield %a : tensor<8x2x6xf32> }
    v { ^bb0(%a: tensor<8x2x4xf32>): kernel.yield %a : tensor<8x2x4xf32> }
    result { ^bb0(%a: tensor<8x2x4xf32>): kernel.yield %a : tensor<8x2x4xf32> }
  return
}

// -----

func.func @f(%f: tensor<2xf32>) {
  // expected-error@+1 {{needs n frequencies and a [T, 2n] table}}
  %0 = kernel.rope_table %f : tensor<2xf32> -> tensor<8x6xf32>
  return
}

// -----

func.func @f(%p: tensor<16xf32>, %g: tensor<8xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{has 2 inputs and 2 outputs in 3 lanes}}
  %3:2 = kernel.foreach "x" lanes 3 (%p, %p) uniforms () constants [] : (tensor<16xf32>, tensor<16xf32>) -> (tensor<16xf32>, tensor<16xf32>) {
    ^bb0(%a: tensor<1x8xf32>):
    kernel.yield %a : tensor<1x8xf32>
  }
  return
}

// -----

func.func @f(%p: tensor<16xf32>, %g: tensor<8xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{needs one number per lane in each row of constants}}
  %3:2 = kernel.foreach "x" lanes 2 (%p, %p) uniforms () constants [#lm.numbers<1.0>] : (tensor<16xf32>, tensor<16xf32>) -> (tensor<16xf32>, tensor<16xf32>) {
    ^bb0(%a: tensor<1x8xf32>):
    kernel.yield %a : tensor<1x8xf32>
  }
  return
}

// -----

func.func @f(%p: tensor<16xf32>, %g: tensor<8xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{region 'body' must take chunks tensor<1xCx…>, not 'tensor<8xf32>'}}
  %3:2 = kernel.foreach "x" lanes 2 (%p, %p) uniforms () constants [] : (tensor<16xf32>, tensor<16xf32>) -> (tensor<16xf32>, tensor<16xf32>) {
    ^bb0(%a: tensor<8xf32>):
    kernel.yield %a : tensor<8xf32>
  }
  return
}

// -----

func.func @f(%p: tensor<16xf32>, %g: tensor<8xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{input 0 of lane 0 is 'tensor<16xf32>', but the region has 'tensor<1x8xbf16>' and the lane 16 elements}}
  %3:2 = kernel.foreach "x" lanes 2 (%p, %p) uniforms () constants [] : (tensor<16xf32>, tensor<16xf32>) -> (tensor<16xf32>, tensor<16xf32>) {
    ^bb0(%a: tensor<1x8xbf16>):
    kernel.yield %a : tensor<1x8xbf16>
  }
  return
}

// -----

func.func @f(%p: tensor<16xf32>, %g: tensor<8xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{input 1 of lane 0 is 'tensor<8xf32>', but the region has 'tensor<1x8xf32>' and the lane 16 elements}}
  %3:2 = kernel.foreach "x" lanes 1 (%p, %g) uniforms () constants [] : (tensor<16xf32>, tensor<8xf32>) -> (tensor<16xf32>, tensor<16xf32>) {
    ^bb0(%a: tensor<1x8xf32>, %b: tensor<1x8xf32>):
    kernel.yield %a, %b : tensor<1x8xf32>, tensor<1x8xf32>
  }
  return
}

// -----

func.func @f(%p: tensor<16xf32>, %g: tensor<8xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{region 'body' must yield a chunk for each of 1 output positions}}
  %3:2 = kernel.foreach "x" lanes 2 (%p, %p) uniforms () constants [] : (tensor<16xf32>, tensor<16xf32>) -> (tensor<16xf32>, tensor<16xf32>) {
    ^bb0(%a: tensor<1x8xf32>):
    kernel.yield %a, %a : tensor<1x8xf32>, tensor<1x8xf32>
  }
  return
}

// -----

func.func @f(%p: tensor<16xf32>, %g: tensor<8xf32>, %s: tensor<f32>) {
  // expected-error@+1 {{region 'body' must take the constants as tensor<f32>}}
  %3:2 = kernel.foreach "x" lanes 2 (%p, %p) uniforms () constants [#lm.numbers<1.0, 2.0>] : (tensor<16xf32>, tensor<16xf32>) -> (tensor<16xf32>, tensor<16xf32>) {
    ^bb0(%a: tensor<1x8xf32>, %c: tensor<bf16>):
    kernel.yield %a : tensor<1x8xf32>
  }
  return
}

// -----

func.func @f(%p: tensor<16xf32>, %g: tensor<8xf32>, %s: tensor<f32>) {

  %3:2 = kernel.foreach "x" lanes 2 (%p, %p) uniforms () constants [] : (tensor<16xf32>, tensor<16xf32>) -> (tensor<16xf32>, tensor<16xf32>) {
    ^bb0(%a: tensor<1x8xf32>):
    // expected-error@+1 {{is not element-wise: it cannot stand in a kernel.foreach}}
    %4 = lm.rms_norm %a {eps = 1.0e-6 : f64} : tensor<1x8xf32>
    kernel.yield %4 : tensor<1x8xf32>
  }
  return
}

// -----

func.func @f(%tokens: tensor<8xi32>, %dy: tensor<8xf32>) {
  // expected-error@+1 {{region 'dy' must yield one matrix}}
  %1 = kernel.embedding_backward tokens(%tokens) dy(%dy) result() : (tensor<8xi32>, tensor<8xf32>) -> tensor<16x4xf32>
    dy { ^bb0(%a: tensor<8xf32>): kernel.yield %a : tensor<8xf32> }
    result { ^bb0(%a: tensor<16x4xf32>): kernel.yield %a : tensor<16x4xf32> }
  return
}
