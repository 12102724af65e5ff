// RUN: smelt-opt %s --smelt-apply-optimizers --canonicalize --cse --smelt-to-kernel --smelt-to-exec | FileCheck %s

// Five rounds of three products, momentum before them and the update behind them: 17 launches however many matrices there are. Parameters and
// states are updated in place: no copies.
// CHECK: exec.program @update
// CHECK-NEXT: exec.launch {{.*}}label = "rowwise normuon.m.bank.0: 3 mix, row_dot, group_sum"
// CHECK-COUNT-15: label = "gemm
// CHECK-NEXT: exec.launch {{.*}} writes [@bank.0] {{.*}}label = "rowwise bank.0
// CHECK-NOT: exec.launch
lm.parameter @a : tensor<32x16xf32> constant 0.0
lm.parameter @b : tensor<96x16xf32> constant 0.0
lm.parameter @c : tensor<32x16xf32> constant 0.0
train.schedule @lr : tensor<f32> = [0.0, 9.0, 1.0, 0.0]
train.schedule @momentum : tensor<f32> = [0.0, 9.0, 0.9, 0.1]
train.optimizer normuon @o [@a, @b, @c] lr 0.25 @lr {lr_scales = #lm.numbers<2.0, 1.0, 1.0>, weight_decay_scales = #lm.numbers<1.0, 0.5, 1.0>, splits = array<i64: 1, 3, 1>,
  config = {coefficients = #lm.numbers<3.0, -4.0, 2.0, 3.0, -4.0, 2.0, 3.0, -4.0, 2.0, 3.0, -4.0, 2.0, 3.0, -4.0, 2.0>, momentum_schedule = @momentum, cautious = true, weight_decay = 1.5 : f64, beta2 = 0.9 : f64}}
func.func @train(%x: tensor<32x16xf32>, %y: tensor<96x16xf32>) attributes {smelt.role = "train"} {
  train.gradient @a, %x : tensor<32x16xf32>
  train.gradient @b, %y : tensor<96x16xf32>
  train.gradient @c, %x : tensor<32x16xf32>
  return
}
