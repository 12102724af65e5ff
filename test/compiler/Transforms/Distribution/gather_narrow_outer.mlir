// An outer step on all rows of a parameter becomes one on the rank's part of its master, and its outer copy begins as that.
// RUN: smelt-opt %s --smelt-apply-optimizers --smelt-distribute="ranks=4 shard-bytes=2048" | FileCheck %s
// RUN: smelt-opt %s --smelt-apply-optimizers --smelt-distribute="ranks=4 shard-bytes=2048 narrow=false" | FileCheck %s --check-prefix=WIDE
// RUN: smelt-opt %s --smelt-apply-optimizers --smelt-distribute="ranks=1" | FileCheck %s --check-prefix=WIDE

// WIDE-NOT: @master.

lm.parameter @head : tensor<64x128xf32> uniform 0.5
// Read in f32: its outer step stays one on all of it.
lm.parameter @wide : tensor<64x128xf32> constant 0.0
train.schedule @lr : tensor<f32> = [0.0, 9.0, 1.0, 0.0]
train.optimizer adam @inner [@head, @wide] lr 0.5 @lr {lr_scales = #lm.numbers<1.0, 1.0>, weight_decay_scales = #lm.numbers<1.0, 1.0>,
  splits = array<i64: 1, 1>, config = {beta1 = 0.8 : f64, beta2 = 0.99 : f64, eps = 1.0e-8 : f64}}
train.optimizer snoo @outer [@head, @wide] lr 0.5 @lr {lr_scales = #lm.numbers<1.0, 1.0>, weight_decay_scales = #lm.numbers<0.0, 0.0>,
  splits = array<i64: 1, 1>, config = {every = 4 : i64, momentum = 0.37 : f64, nesterov = true}}

func.func @"train.T8"() -> tensor<64x128xf32> attributes {smelt.role = "train"} {
  %h = lm.read @head : tensor<64x128xf32>
  %h16 = lm.cast %h : tensor<64x128xf32> -> tensor<64x128xbf16>
  %h32 = lm.cast %h16 : tensor<64x128xbf16> -> tensor<64x128xf32>
  %w = lm.read @wide : tensor<64x128xf32>
  train.gradient @head, %h32 : tensor<64x128xf32>
  train.gradient @wide, %w : tensor<64x128xf32>
  return %w : tensor<64x128xf32>
}

// CHECK-DAG: lm.parameter @head : tensor<64x128xbf16> uniform 5.000000e-01 {smelt.master = f32}
// CHECK-DAG: train.state @master.head : tensor<16x128xf32> {part_names = ["head"], part_rows = array<i64: 64>}
// CHECK-DAG: lm.parameter @wide : tensor<64x128xf32> constant 0.000000e+00{{$}}
// CHECK: train.state @snoo.outer.head : tensor<16x128xf32> {copy_of = @master.head, part_names = ["snoo.outer.head"], part_rows = array<i64: 64>}
// CHECK: train.state @snoo.m.head : tensor<16x128xf32> {part_names = ["snoo.m.head"], part_rows = array<i64: 64>}
// CHECK: train.state @snoo.outer.wide : tensor<64x128xf32> {copy_of = @wide}
// CHECK-LABEL: func.func @outer.every4()
// CHECK-DAG: %[[P:.*]] = lm.read @master.head : tensor<16x128xf32>
// CHECK-DAG: %[[O:.*]] = lm.read @snoo.outer.head : tensor<16x128xf32>
// CHECK-DAG: %[[M:.*]] = lm.read @snoo.m.head : tensor<16x128xf32>
// CHECK-DAG: %[[W:.*]] = lm.read @wide : tensor<64x128xf32>
// CHECK: train.snoo(%[[P]], %[[W]]) outer(%[[O]], %{{.*}}) momenta(%[[M]], %{{.*}})
// CHECK: train.write @master.head, %[[NEW:.*]] : tensor<16x128xf32>
// CHECK-NEXT: %[[ROUNDED:.*]] = lm.cast %[[NEW]] : tensor<16x128xf32> -> tensor<16x128xbf16>
// CHECK-NEXT: train.write @head, %[[ROUNDED]] {ranks = 4 : i64} : tensor<16x128xbf16>
// CHECK: train.write @wide, %{{.*}} : tensor<64x128xf32>
// CHECK: train.all_gather [@head] ranks 4
