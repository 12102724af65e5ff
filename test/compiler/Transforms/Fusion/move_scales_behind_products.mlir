// RUN: smelt-opt --smelt-move-scales-behind-products %s | FileCheck %s

// CHECK-LABEL: func.func @both
// CHECK: %[[P:.*]] = lm.matmul %arg0, %arg1
// CHECK: %[[T:.*]] = lm.scale %[[P]], %arg3
// CHECK: %[[S:.*]] = lm.scale %[[T]], %arg2
// CHECK: return %[[S]]
func.func @both(%x: tensor<8x4xf32>, %w: tensor<4x6xf32>, %s: tensor<f32>, %t: tensor<f32>) -> tensor<8x6xf32> {
  %a = lm.scale %x, %s : tensor<8x4xf32>, tensor<f32>
  %b = lm.scale %w, %t : tensor<4x6xf32>, tensor<f32>
  %y = lm.matmul %a, %b : tensor<8x4xf32>, tensor<4x6xf32> -> tensor<8x6xf32>
  return %y : tensor<8x6xf32>
}

// Others read the scaled operand: it stays for them.
// CHECK-LABEL: func.func @shared
// CHECK: %[[A:.*]] = lm.scale %arg0, %arg2
// CHECK: %[[P:.*]] = lm.matmul %arg0, %arg1
// CHECK: %[[S:.*]] = lm.scale %[[P]], %arg2
// CHECK: return %[[S]], %[[A]]
func.func @shared(%x: tensor<8x4xf32>, %w: tensor<4x6xf32>, %s: tensor<f32>) -> (tensor<8x6xf32>, tensor<8x4xf32>) {
  %a = lm.scale %x, %s : tensor<8x4xf32>, tensor<f32>
  %y = lm.matmul %a, %w : tensor<8x4xf32>, tensor<4x6xf32> -> tensor<8x6xf32>
  return %y, %a : tensor<8x6xf32>, tensor<8x4xf32>
}
