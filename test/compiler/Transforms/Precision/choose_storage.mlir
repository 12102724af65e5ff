// RUN: smelt-opt %s --pass-pipeline="builtin.module(func.func(smelt-choose-storage{activations=bf16}))" | FileCheck %s
// RUN: smelt-opt %s --pass-pipeline="builtin.module(func.func(smelt-choose-storage))" | FileCheck %s --check-prefix=F32

// F32-NOT: bf16

// Rounded at the end of the producer, widened at the start of the consumer.
// CHECK-LABEL: func.func @chain
// CHECK: %[[Y:.*]] = kernel.rowwise(%arg0) : (tensor<8x4xf32>) -> tensor<8x4xbf16>
// CHECK: %[[N:.*]] = lm.rms_norm %{{.*}} : tensor<8x4xf32>
// CHECK: %[[R:.*]] = lm.cast %[[N]] : tensor<8x4xf32> -> tensor<8x4xbf16>
// CHECK: kernel.yield %[[R]] : tensor<8x4xbf16>
// CHECK: kernel.gemm a(%[[Y]]) b(%arg1) result() {transpose_b} : (tensor<8x4xbf16>, tensor<6x4xf32>) -> tensor<8x6xf32>
// CHECK-NEXT: ^bb0(%[[A:.*]]: tensor<8x4xbf16>):
// CHECK-NEXT: %[[W:.*]] = lm.cast %[[A]] : tensor<8x4xbf16> -> tensor<8x4xf32>
// CHECK-NEXT: kernel.yield %[[W]] : tensor<8x4xf32>
func.func @chain(%x: tensor<8x4xf32>, %w: tensor<6x4xf32>) -> tensor<8x6xf32> {
  %y = kernel.rowwise(%x) : (tensor<8x4xf32>) -> tensor<8x4xf32> {
    ^bb0(%a: tensor<8x4xf32>):
    %1 = lm.rms_norm %a {eps = 1.0e-6 : f64} : tensor<8x4xf32>
    kernel.yield %1 : tensor<8x4xf32>
  }
  %z = kernel.gemm a(%y) b(%w) result() {transpose_b} : (tensor<8x4xf32>, tensor<6x4xf32>) -> tensor<8x6xf32>
    a { ^bb0(%a: tensor<8x4xf32>): kernel.yield %a : tensor<8x4xf32> }
    b { ^bb0(%a: tensor<6x4xf32>): kernel.yield %a : tensor<6x4xf32> }
    result { ^bb0(%c: tensor<8x6xf32>): kernel.yield %c : tensor<8x6xf32> }
  return %z : tensor<8x6xf32>
}

// A reshape between narrow values stays one, and no number is rounded twice.
// CHECK-LABEL: func.func @reshapes
// CHECK: kernel.rowwise(%{{.*}}) : (tensor<8x8xbf16>) -> tensor<8x2x4xbf16>
// CHECK-NEXT: ^bb0(%[[A:.*]]: tensor<8x8xbf16>):
// CHECK-NEXT: %[[H:.*]] = lm.reshape %[[A]] : tensor<8x8xbf16> -> tensor<8x2x4xbf16>
// CHECK-NEXT: kernel.yield %[[H]] : tensor<8x2x4xbf16>
func.func @reshapes(%x: tensor<8x8xf32>) -> tensor<8x2x4xf32> {
  %y = kernel.rowwise(%x) : (tensor<8x8xf32>) -> tensor<8x8xf32> {
    ^bb0(%a: tensor<8x8xf32>):
    %1 = lm.unary relu_squared %a : tensor<8x8xf32>
    kernel.yield %1 : tensor<8x8xf32>
  }
  %h = kernel.rowwise(%y) : (tensor<8x8xf32>) -> tensor<8x2x4xf32> {
    ^bb0(%a: tensor<8x8xf32>):
    %1 = lm.reshape %a : tensor<8x8xf32> -> tensor<8x2x4xf32>
    kernel.yield %1 : tensor<8x2x4xf32>
  }
  %z = kernel.rowwise(%h) : (tensor<8x2x4xf32>) -> tensor<8x2x4xf32> {
    ^bb0(%a: tensor<8x2x4xf32>):
    %1 = lm.unary relu_squared %a : tensor<8x2x4xf32>
    kernel.yield %1 : tensor<8x2x4xf32>
  }
  return %z : tensor<8x2x4xf32>
}

// The backward kernel of attention has no result region: types alone say how it stores.
// CHECK-LABEL: func.func @attention
// CHECK: %[[O:.*]], %[[LSE:.*]] = kernel.attention {{.*}} -> (tensor<8x2x4xbf16>, tensor<8x2xf32>)
// CHECK: kernel.attention_backward {{.*}} out(%[[O]], %[[LSE]], %[[O]]) : {{.*}} -> (tensor<8x2x4xbf16>, tensor<8x2x4xbf16>, tensor<8x2x4xf32>)
func.func @attention(%q: tensor<8x2x4xf32>, %first: tensor<8xi32>, %s: tensor<f32>) -> (tensor<8x2x4xf32>, tensor<8x2x4xf32>) {
  %o, %lse = kernel.attention q(%q) k(%q) v(%q) result() first(%first) scale(%s)
    : (tensor<8x2x4xf32>, tensor<8x2x4xf32>, tensor<8x2x4xf32>, tensor<8xi32>, tensor<f32>) -> (tensor<8x2x4xf32>, tensor<8x2xf32>)
    q { ^bb0(%a: tensor<8x2x4xf32>): kernel.yield %a : tensor<8x2x4xf32> }
    k { ^bb0(%a: tensor<8x2x4xf32>): kernel.yield %a : tensor<8x2x4xf32> }
    v { ^bb0(%a: tensor<8x2x4xf32>): kernel.yield %a : tensor<8x2x4xf32> }
    result { ^bb0(%a: tensor<8x2x4xf32>): kernel.yield %a : tensor<8x2x4xf32> }
  %dq, %dk, %dv = kernel.attention_backward q(%q) k(%q) v(%q) first(%first) scale(%s) out(%o, %lse, %o)
    : (tensor<8x2x4xf32>, tensor<8x2x4xf32>, tensor<8x2x4xf32>, tensor<8xi32>, tensor<f32>, tensor<8x2x4xf32>, tensor<8x2xf32>, tensor<8x2x4xf32>) -> (tensor<8x2x4xf32>, tensor<8x2x4xf32>, tensor<8x2x4xf32>)
    q { ^bb0(%a: tensor<8x2x4xf32>): kernel.yield %a : tensor<8x2x4xf32> }
    k { ^bb0(%a: tensor<8x2x4xf32>): kernel.yield %a : tensor<8x2x4xf32> }
    v { ^bb0(%a: tensor<8x2x4xf32>): kernel.yield %a : tensor<8x2x4xf32> }
  %r = kernel.rowwise(%dq, %dk) : (tensor<8x2x4xf32>, tensor<8x2x4xf32>) -> tensor<8x2x4xf32> {
    ^bb0(%a: tensor<8x2x4xf32>, %b: tensor<8x2x4xf32>):
    %1 = lm.add %a, %b : tensor<8x2x4xf32>
    kernel.yield %1 : tensor<8x2x4xf32>
  }
  return %r, %dv : tensor<8x2x4xf32>, tensor<8x2x4xf32>
}
