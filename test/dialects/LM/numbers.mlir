// A list of numbers comes back from its text with every bit, and has no digits more than that takes.
// RUN: smelt-opt %s -o %t.once
// RUN: FileCheck %s < %t.once
// RUN: smelt-opt %t.once | diff %t.once -

// CHECK: decimal = #lm.numbers<1.0, 0.1, 0.30000000000000004, 0.3333333333333333, 3.141592653589793, -2.5e-10, 1.0e+22, 123456.789>
// CHECK-SAME: empty = #lm.numbers<>
// CHECK-SAME: extreme = #lm.numbers<5.0e-324, 2.225073858507201e-308, 1.7976931348623157e+308, 9007199254740992.0>
// CHECK-SAME: strange = #lm.numbers<0x7FF0000000000000, 0xFFF0000000000000, 0x7FF8000000000001>
// CHECK-SAME: zero = [#lm.numbers<0.0>, #lm.numbers<-0.0>]
train.run {
  decimal = #lm.numbers<1.0, 0.1, 0.30000000000000004, 0.333333333333333333, 3.14159265358979323846, -2.5e-10, 1.0e22, 123456.789>,
  extreme = #lm.numbers<4.9e-324, 2.2250738585072011e-308, 1.7976931348623157e308, 9007199254740993.0>,
  strange = #lm.numbers<0x7FF0000000000000, 0xFFF0000000000000, 0x7FF8000000000001>,
  zero = [#lm.numbers<0.0>, #lm.numbers<-0.0>],
  empty = #lm.numbers<>}
// CHECK: train.schedule @lr : tensor<f32> = [0.0, 9.0, 0.30000000000000004, -0.1]
train.schedule @lr : tensor<f32> = [0.0, 9.0, 0.30000000000000004, -0.1]
