// RUN: smelt-opt %s --smelt-bufferize-kernels --split-input-file --verify-diagnostics

lm.parameter @w : tensor<16xf32> constant 0.0
func.func @update() attributes {smelt.role = "update"} {
  %c = lm.constant dense<1.0> : tensor<16xf32>
  // expected-note@+1 {{written here}}
  train.write @w, %c : tensor<16xf32>
  // expected-error@+1 {{reads @w after it was written}}
  %p = lm.read @w : tensor<16xf32>
  return
}

// -----

lm.parameter @w : tensor<16xf32> constant 0.0
func.func @update() attributes {smelt.role = "update"} {
  %c = lm.constant dense<1.0> : tensor<16xf32>
  // expected-note@+1 {{first written here}}
  train.write @w, %c : tensor<16xf32>
  // expected-error@+1 {{writes @w a second time}}
  train.write @w, %c : tensor<16xf32>
  return
}

// -----

lm.parameter @a : tensor<16xf32> constant 0.0
lm.parameter @b : tensor<16xf32> constant 0.0
func.func @update() attributes {smelt.role = "update"} {
  %a = lm.read @a : tensor<16xf32>
  %b = lm.read @b : tensor<16xf32>
  // expected-error@+1 {{wants the old contents of @b, which this program replaces}}
  train.write @a, %b : tensor<16xf32>
  train.write @b, %a : tensor<16xf32>
  return
}

// -----

func.func @"train.T4"() attributes {smelt.role = "train"} {
  // expected-error@+1 {{cannot be part of a program of launches}}
  %0 = arith.constant 1 : i32
  return
}

// -----

// A bank and one of its members are the same bytes.
lm.parameter @a : tensor<1x16xf32> constant 0.0
lm.parameter @b : tensor<1x16xf32> constant 0.0
train.bank @bank [@a, @b] : tensor<2x16xf32>
func.func @update() attributes {smelt.role = "update"} {
  %c = lm.constant dense<1.0> : tensor<2x16xf32>
  // expected-note@+1 {{written here}}
  train.write @bank, %c : tensor<2x16xf32>
  // expected-error@+1 {{reads @b after it was written}}
  %p = lm.read @b : tensor<1x16xf32>
  return
}

// -----

lm.parameter @a : tensor<1x16xf32> constant 0.0
train.bank @bank [@a] : tensor<1x16xf32>
// expected-error@+1 {{holds @a, which another bank holds too}}
train.bank @other [@a] : tensor<1x16xf32>
