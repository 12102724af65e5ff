// RUN: smelt-opt %s --canonicalize --split-input-file | FileCheck %s

// λ·x + λ₀·x is (λ + λ₀)·x: the record did this by hand for its layer 0.
// CHECK-LABEL: func.func @same_value_twice(
// CHECK-SAME:    %[[X:.*]]: tensor<3x4xf32>, %[[A:.*]]: tensor<f32>, %[[B:.*]]: tensor<f32>
func.func @same_value_twice(%x: tensor<3x4xf32>, %a: tensor<f32>, %b: tensor<f32>) -> tensor<3x4xf32> {
  // CHECK: %[[SUM:.*]] = lm.add %[[A]], %[[B]] : tensor<f32>
  // CHECK: %[[Y:.*]] = lm.scale %[[X]], %[[SUM]]
  // CHECK: return %[[Y]]
  %y = lm.mix %x, %x by %a, %b : (tensor<3x4xf32>, tensor<3x4xf32>, tensor<f32>, tensor<f32>) -> tensor<3x4xf32>
  return %y : tensor<3x4xf32>
}

// CHECK-LABEL: func.func @same_value_among_others(
// CHECK-SAME:    %[[X:.*]]: tensor<3x4xf32>, %[[Y:.*]]: tensor<3x4xf32>, %[[A:.*]]: tensor<f32>, %[[B:.*]]: tensor<f32>
func.func @same_value_among_others(%x: tensor<3x4xf32>, %y: tensor<3x4xf32>, %a: tensor<f32>, %b: tensor<f32>) -> tensor<3x4xf32> {
  // CHECK: %[[SUM:.*]] = lm.add %[[A]], %[[A]]
  // CHECK: lm.mix %[[X]], %[[Y]] by %[[SUM]], %[[B]]
  %z = lm.mix %x, %y, %x by %a, %b, %a : (tensor<3x4xf32>, tensor<3x4xf32>, tensor<3x4xf32>, tensor<f32>, tensor<f32>, tensor<f32>) -> tensor<3x4xf32>
  return %z : tensor<3x4xf32>
}

// Two values that differ stay two terms.
// CHECK-LABEL: func.func @different_values(
func.func @different_values(%x: tensor<3x4xf32>, %y: tensor<3x4xf32>, %a: tensor<f32>) -> tensor<3x4xf32> {
  // CHECK-NOT: lm.add
  // CHECK: lm.mix
  %z = lm.mix %x, %y by %a, %a : (tensor<3x4xf32>, tensor<3x4xf32>, tensor<f32>, tensor<f32>) -> tensor<3x4xf32>
  return %z : tensor<3x4xf32>
}

// Coefficients of two types do not add.
// CHECK-LABEL: func.func @coefficients_of_two_types(
func.func @coefficients_of_two_types(%x: tensor<3x4xbf16>, %a: tensor<f32>, %b: tensor<bf16>) -> tensor<3x4xbf16> {
  // CHECK: lm.mix %[[X:.*]], %[[X]] by
  %z = lm.mix %x, %x by %a, %b : (tensor<3x4xbf16>, tensor<3x4xbf16>, tensor<f32>, tensor<bf16>) -> tensor<3x4xbf16>
  return %z : tensor<3x4xbf16>
}

// CHECK-LABEL: func.func @constant_coefficients(
// CHECK-SAME:    %[[X:.*]]: tensor<3x4xf32>, %[[Y:.*]]: tensor<3x4xf32>
func.func @constant_coefficients(%x: tensor<3x4xf32>, %y: tensor<3x4xf32>) -> (tensor<3x4xf32>, tensor<3x4xf32>, tensor<3x4xf32>) {
  %zero = lm.constant dense<0.0> : tensor<f32>
  %one = lm.constant dense<1.0> : tensor<f32>
  // CHECK-DAG: %[[ZERO:.*]] = lm.constant dense<0.000000e+00> : tensor<3x4xf32>
  // CHECK-DAG: %[[SUM:.*]] = lm.add %[[X]], %[[Y]]
  // CHECK: return %[[SUM]], %[[Y]], %[[ZERO]]
  %a = lm.mix %x, %y by %one, %one : (tensor<3x4xf32>, tensor<3x4xf32>, tensor<f32>, tensor<f32>) -> tensor<3x4xf32>
  %b = lm.mix %x, %y by %zero, %one : (tensor<3x4xf32>, tensor<3x4xf32>, tensor<f32>, tensor<f32>) -> tensor<3x4xf32>
  %c = lm.mix %x, %y by %zero, %zero : (tensor<3x4xf32>, tensor<3x4xf32>, tensor<f32>, tensor<f32>) -> tensor<3x4xf32>
  return %a, %b, %c : tensor<3x4xf32>, tensor<3x4xf32>, tensor<3x4xf32>
}

// CHECK-LABEL: func.func @neutral_elements(
// CHECK-SAME:    %[[X:.*]]: tensor<3x4xf32>, %[[S:.*]]: tensor<f32>
func.func @neutral_elements(%x: tensor<3x4xf32>, %s: tensor<f32>) -> (tensor<3x4xf32>, tensor<3x4xf32>, tensor<3x4xf32>, tensor<f32>) {
  %zeros = lm.constant dense<0.0> : tensor<3x4xf32>
  %ones = lm.constant dense<1.0> : tensor<3x4xf32>
  %one = lm.constant dense<1.0> : tensor<f32>
  // CHECK-NEXT: return %[[X]], %[[X]], %[[X]], %[[S]]
  %a = lm.add %zeros, %x : tensor<3x4xf32>
  %b = lm.multiply %x, %ones : tensor<3x4xf32>
  %c = lm.scale %x, %one : tensor<3x4xf32>, tensor<f32>
  %d = lm.scale %one, %s : tensor<f32>, tensor<f32>
  return %a, %b, %c, %d : tensor<3x4xf32>, tensor<3x4xf32>, tensor<3x4xf32>, tensor<f32>
}

// CHECK-LABEL: func.func @unary(
// CHECK-SAME:    %[[X:.*]]: tensor<3xf32>
func.func @unary(%x: tensor<3xf32>) -> (tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) {
  // CHECK: %[[N:.*]] = lm.unary negate %[[X]]
  // CHECK-NEXT: return %[[X]], %[[X]], %[[N]]
  %a = lm.unary identity %x : tensor<3xf32>
  %b = lm.unary negate %x : tensor<3xf32>
  %c = lm.unary negate %b : tensor<3xf32>
  return %a, %c, %b : tensor<3xf32>, tensor<3xf32>, tensor<3xf32>
}

// A cast through a narrower type rounds; it must stay.
// CHECK-LABEL: func.func @casts(
// CHECK-SAME:    %[[X:.*]]: tensor<3xbf16>, %[[Y:.*]]: tensor<3xf32>
func.func @casts(%x: tensor<3xbf16>, %y: tensor<3xf32>) -> (tensor<3xbf16>, tensor<3xf32>, tensor<3xf32>) {
  // CHECK: %[[NARROW:.*]] = lm.cast %[[Y]] : tensor<3xf32> -> tensor<3xbf16>
  // CHECK: %[[BACK:.*]] = lm.cast %[[NARROW]] : tensor<3xbf16> -> tensor<3xf32>
  // CHECK: return %[[X]], %[[BACK]], %[[Y]]
  %wide = lm.cast %x : tensor<3xbf16> -> tensor<3xf32>
  %a = lm.cast %wide : tensor<3xf32> -> tensor<3xbf16>
  %narrow = lm.cast %y : tensor<3xf32> -> tensor<3xbf16>
  %b = lm.cast %narrow : tensor<3xbf16> -> tensor<3xf32>
  %c = lm.cast %y : tensor<3xf32> -> tensor<3xf32>
  return %a, %b, %c : tensor<3xbf16>, tensor<3xf32>, tensor<3xf32>
}

// CHECK-LABEL: func.func @reshapes(
// CHECK-SAME:    %[[X:.*]]: tensor<3x8xf32>
func.func @reshapes(%x: tensor<3x8xf32>) -> (tensor<3x8xf32>, tensor<3x4x2xf32>) {
  // CHECK: %[[Y:.*]] = lm.reshape %[[X]] : tensor<3x8xf32> -> tensor<3x4x2xf32>
  // CHECK-NEXT: return %[[X]], %[[Y]]
  %a = lm.reshape %x : tensor<3x8xf32> -> tensor<3x2x4xf32>
  %b = lm.reshape %a : tensor<3x2x4xf32> -> tensor<3x8xf32>
  %c = lm.reshape %a : tensor<3x2x4xf32> -> tensor<3x4x2xf32>
  return %b, %c : tensor<3x8xf32>, tensor<3x4x2xf32>
}

// CHECK-LABEL: func.func @broadcast_constant(
func.func @broadcast_constant() -> tensor<3x4xf32> {
  // CHECK-NEXT: %[[ONES:.*]] = lm.constant dense<1.000000e+00> : tensor<3x4xf32>
  // CHECK-NEXT: return %[[ONES]]
  %one = lm.constant dense<1.0> : tensor<f32>
  %a = lm.broadcast %one : tensor<f32> -> tensor<3x4xf32>
  return %a : tensor<3x4xf32>
}

// CHECK-LABEL: func.func @split_and_concat(
// CHECK-SAME:    %[[X:.*]]: tensor<3x8xf32>, %[[Y:.*]]: tensor<3x4xf32>
func.func @split_and_concat(%x: tensor<3x8xf32>, %y: tensor<3x4xf32>) -> (tensor<3x8xf32>, tensor<3x8xf32>, tensor<3x4xf32>, tensor<3x4xf32>) {
  // CHECK-NEXT: return %[[X]], %[[X]], %[[Y]], %[[Y]]
  %parts:2 = lm.split %x : (tensor<3x8xf32>) -> (tensor<3x3xf32>, tensor<3x5xf32>)
  %whole = lm.concat %parts#0, %parts#1 : (tensor<3x3xf32>, tensor<3x5xf32>) -> tensor<3x8xf32>
  %joined = lm.concat %x, %y : (tensor<3x8xf32>, tensor<3x4xf32>) -> tensor<3x12xf32>
  %back:2 = lm.split %joined : (tensor<3x12xf32>) -> (tensor<3x8xf32>, tensor<3x4xf32>)
  %one = lm.concat %y : (tensor<3x4xf32>) -> tensor<3x4xf32>
  return %whole, %back#0, %back#1, %one : tensor<3x8xf32>, tensor<3x8xf32>, tensor<3x4xf32>, tensor<3x4xf32>
}

// CHECK-LABEL: func.func @split_elsewhere(
func.func @split_elsewhere(%x: tensor<3x8xf32>, %y: tensor<3x4xf32>) -> (tensor<3x4xf32>, tensor<3x8xf32>) {
  // CHECK: lm.concat
  // CHECK: lm.split
  %joined = lm.concat %x, %y : (tensor<3x8xf32>, tensor<3x4xf32>) -> tensor<3x12xf32>
  %back:2 = lm.split %joined : (tensor<3x12xf32>) -> (tensor<3x4xf32>, tensor<3x8xf32>)
  return %back#0, %back#1 : tensor<3x4xf32>, tensor<3x8xf32>
}
