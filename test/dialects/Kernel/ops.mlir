// RUN: smelt-opt %s | smelt-opt | FileCheck %s
// RUN: smelt-opt %s --mlir-print-op-generic | smelt-opt | FileCheck %s

// CHECK-LABEL: func.func @gemm
func.func @gemm(%x: tensor<8x4xf32>, %w: tensor<6x4xf32>, %r: tensor<8x6xf32>) -> tensor<8x6xf32> {
  // CHECK: kernel.gemm a(%{{.*}}) b(%{{.*}}) result(%{{.*}}) {transpose_b} : (tensor<8x4xf32>, tensor<6x4xf32>, tensor<8x6xf32>) -> tensor<8x6xf32> a {
  // CHECK: lm.rms_norm
  // CHECK: b {
  // CHECK: result {
  // CHECK-NEXT: ^bb0(%[[C:.*]]: tensor<8x6xf32>, %[[R:.*]]: tensor<8x6xf32>):
  // CHECK-NEXT: lm.add %[[C]], %[[R]]
  %0 = kernel.gemm a(%x) b(%w) result(%r) {transpose_b} : (tensor<8x4xf32>, tensor<6x4xf32>, tensor<8x6xf32>) -> tensor<8x6xf32>
    a { ^bb0(%a: tensor<8x4xf32>): %1 = lm.rms_norm %a {eps = 1.0e-6 : f64} : tensor<8x4xf32>  kernel.yield %1 : tensor<8x4xf32> }
    b { ^bb0(%a: tensor<6x4xf32>): kernel.yield %a : tensor<6x4xf32> }
    result { ^bb0(%c: tensor<8x6xf32>, %a: tensor<8x6xf32>): %1 = lm.add %c, %a : tensor<8x6xf32>  kernel.yield %1 : tensor<8x6xf32> }
  return %0 : tensor<8x6xf32>
}

// CHECK-LABEL: func.func @attention
func.func @attention(%q: tensor<8x2x4xf32>, %first: tensor<8xi32>, %scale: tensor<f32>) {
  // CHECK: kernel.attention q(%{{.*}}) k(%{{.*}}) v(%{{.*}}) result() first(%{{.*}}) scale(%{{.*}})
  %o, %lse = kernel.attention q(%q) k(%q) v(%q) result() first(%first) scale(%scale)
    : (tensor<8x2x4xf32>, tensor<8x2x4xf32>, tensor<8x2x4xf32>, tensor<8xi32>, tensor<f32>) -> (tensor<8x2x4xf32>, tensor<8x2xf32>)
    q { ^bb0(%a: tensor<8x2x4xf32>): kernel.yield %a : tensor<8x2x4xf32> }
    k { ^bb0(%a: tensor<8x2x4xf32>): kernel.yield %a : tensor<8x2x4xf32> }
    v { ^bb0(%a: tensor<8x2x4xf32>): kernel.yield %a : tensor<8x2x4xf32> }
    result { ^bb0(%a: tensor<8x2x4xf32>): kernel.yield %a : tensor<8x2x4xf32> }
  // CHECK: kernel.attention_backward q(%{{.*}}) k(%{{.*}}) v(%{{.*}}) first(%{{.*}}) scale(%{{.*}}) out(%{{.*}}, %{{.*}}, %{{.*}})
  %dq, %dk, %dv = kernel.attention_backward q(%q) k(%q) v(%q) first(%first) scale(%scale) out(%o, %lse, %o)
    : (tensor<8x2x4xf32>, tensor<8x2x4xf32>, tensor<8x2x4xf32>, tensor<8xi32>, tensor<f32>, tensor<8x2x4xf32>, tensor<8x2xf32>, tensor<8x2x4xf32>) -> (tensor<8x2x4xf32>, tensor<8x2x4xf32>, tensor<8x2x4xf32>)
    q { ^bb0(%a: tensor<8x2x4xf32>): kernel.yield %a : tensor<8x2x4xf32> }
    k { ^bb0(%a: tensor<8x2x4xf32>): kernel.yield %a : tensor<8x2x4xf32> }
    v { ^bb0(%a: tensor<8x2x4xf32>): kernel.yield %a : tensor<8x2x4xf32> }
  return
}

// CHECK-LABEL: func.func @others
func.func @others(%tokens: tensor<8xi32>, %dy: tensor<8x4xf32>, %f: tensor<2xf32>, %p: tensor<16xf32>, %s: tensor<f32>) {
  // CHECK: kernel.rowwise(%{{.*}}) : (tensor<8x4xf32>) -> (tensor<8x4xf32>, tensor<f32>)
  %0:2 = kernel.rowwise(%dy) : (tensor<8x4xf32>) -> (tensor<8x4xf32>, tensor<f32>) {
    ^bb0(%a: tensor<8x4xf32>):
    %1 = lm.sum %a : tensor<8x4xf32> -> tensor<f32>
    kernel.yield %a, %1 : tensor<8x4xf32>, tensor<f32>
  }
  // CHECK: kernel.embedding_backward tokens(%{{.*}}) dy(%{{.*}}) result() : (tensor<8xi32>, tensor<8x4xf32>) -> tensor<16x4xf32> dy {
  %1 = kernel.embedding_backward tokens(%tokens) dy(%dy) result() : (tensor<8xi32>, tensor<8x4xf32>) -> tensor<16x4xf32>
    dy { ^bb0(%a: tensor<8x4xf32>): kernel.yield %a : tensor<8x4xf32> }
    result { ^bb0(%a: tensor<16x4xf32>): kernel.yield %a : tensor<16x4xf32> }
  // CHECK: kernel.rope_table %{{.*}} : tensor<2xf32> -> tensor<8x4xf32>
  %2 = kernel.rope_table %f : tensor<2xf32> -> tensor<8x4xf32>
  // CHECK: kernel.foreach "decay" lanes 2(%{{.*}}, %{{.*}}) uniforms(%{{.*}}) constants [#lm.numbers<0.5, 2.0>] : (tensor<16xf32>, tensor<16xf32>, tensor<f32>) -> (tensor<16xf32>, tensor<16xf32>) {
  // CHECK: ^bb0(%{{.*}}: tensor<1x8xf32>, %{{.*}}: tensor<f32>, %{{.*}}: tensor<f32>):
  %3:2 = kernel.foreach "decay" lanes 2 (%p, %p) uniforms (%s) constants [#lm.numbers<0.5, 2.0>] : (tensor<16xf32>, tensor<16xf32>, tensor<f32>) -> (tensor<16xf32>, tensor<16xf32>) {
    ^bb0(%a: tensor<1x8xf32>, %c: tensor<f32>, %u: tensor<f32>):
    %4 = lm.mix %a by %c : (tensor<1x8xf32>, tensor<f32>) -> tensor<1x8xf32>
    %5 = lm.scale %4, %u : tensor<1x8xf32>, tensor<f32>
    kernel.yield %5 : tensor<1x8xf32>
  }
  return
}
