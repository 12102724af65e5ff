// Each rank updates a part: rows of an embedding (Adam), whole matrices of banks (Muon, NorMuon); small tensors are updated by all.
// RUN: smelt-opt %s --smelt-apply-optimizers --smelt-distribute="ranks=2 shard-bytes=2048" | FileCheck %s --check-prefixes=CHECK,R2 -DN=2 -DE=50 -DG=32
// RUN: smelt-opt %s --smelt-apply-optimizers --smelt-distribute="ranks=3 shard-bytes=2048" | FileCheck %s --check-prefixes=CHECK -DN=3 -DE=34 -DG=16
// RUN: smelt-opt %s --smelt-apply-optimizers --smelt-distribute="ranks=4 shard-bytes=2048" | FileCheck %s --check-prefixes=CHECK,R4 -DN=4 -DE=25 -DG=16
// RUN: smelt-opt %s --smelt-apply-optimizers --smelt-distribute="ranks=8 shard-bytes=2048" | FileCheck %s --check-prefixes=CHECK,R8 -DN=8 -DE=13 -DG=16
// RUN: smelt-opt %s --smelt-apply-optimizers --smelt-distribute="ranks=16 shard-bytes=2048" | FileCheck %s --check-prefixes=CHECK,R16 -DN=16 -DE=7 -DG=16
// RUN: smelt-opt %s --smelt-apply-optimizers --smelt-distribute="ranks=1 shard-bytes=2048" | FileCheck %s --check-prefix=ONE
// RUN: smelt-opt %s --smelt-apply-optimizers --smelt-distribute="ranks=4 shard=false" | FileCheck %s --check-prefix=OFF
// RUN: smelt-opt %s --smelt-apply-optimizers --smelt-distribute="ranks=4 shard-bytes=2048 bucket-bytes=1024" | FileCheck %s --check-prefix=BUCKETS

// ONE-NOT: ranks
// ONE-NOT: part_names
// ONE-NOT: padding
// OFF-NOT: ranks 4
// OFF-NOT: part_names
// OFF: train.all_reduce [@embed, @bias, @narrow, @bank.0, @gate]
// OFF-NEXT: train.all_reduce [@stack]
// OFF-NOT: all_gather

// 256 bytes a row: 100 rows are any number of equal parts, the last of them shorter.
lm.parameter @embed : tensor<100x64xf32> constant 0.0
lm.parameter @bias : tensor<64xf32> constant 0.0
// 48 bytes a row: a part has a multiple of 16 rows.
lm.parameter @narrow : tensor<90x12xf32> constant 0.0
train.schedule @lr : tensor<f32> = [0.0, 9.0, 1.0, 0.0]
train.optimizer adam @scalars [@embed, @bias, @narrow] lr 0.5 @lr {lr_scales = #lm.numbers<1.0, 2.0, 1.0>, weight_decay_scales = #lm.numbers<1.0, 0.0, 1.0>,
  splits = array<i64: 1, 1, 1>, config = {beta1 = 0.8 : f64, beta2 = 0.99 : f64, eps = 1.0e-8 : f64, state = "bf16"}}

// Three matrices of two parameters; the second parameter is two of them.
lm.parameter @u : tensor<16x16xf32> constant 0.0
lm.parameter @v : tensor<32x16xf32> constant 0.0
// A bank of its own: one matrix.
lm.parameter @gate : tensor<32x8xf32> constant 0.0
train.schedule @momentum : tensor<f32> = [0.0, 9.0, 0.9, 0.0]
train.optimizer normuon @matrices [@u, @v, @gate] lr 0.25 @lr {lr_scales = #lm.numbers<2.0, 1.0, 1.0>, weight_decay_scales = #lm.numbers<1.0, 0.5, 1.0>,
  splits = array<i64: 1, 2, 1>, config = {coefficients = #lm.numbers<3.0, -4.0, 2.0>, momentum_schedule = @momentum, weight_decay = 1.5 : f64, variance_axes = array<i64: 1, 1, 0>}}
// One bf16 parameter of six matrices is no bank; its master's other bits and its momentum are parts too.
lm.parameter @stack : tensor<48x16xbf16> constant 0.0
train.optimizer muon @masters [@stack] lr 0.25 @lr {lr_scales = #lm.numbers<1.0>, weight_decay_scales = #lm.numbers<1.0>, splits = array<i64: 6>,
  config = {coefficients = #lm.numbers<3.0, -4.0, 2.0>, momentum_schedule = @momentum, update_smoothing = 0.2 : f64, master = "bf16_plus_16"}}

func.func @"train.T8"(%e: tensor<100x64xf32>, %b: tensor<64xf32>, %n: tensor<90x12xf32>, %u: tensor<16x16xf32>, %v: tensor<32x16xf32>, %g: tensor<32x8xf32>, %s: tensor<48x16xbf16>) attributes {smelt.role = "train"} {
  train.gradient @embed, %e : tensor<100x64xf32>
  train.gradient @bias, %b : tensor<64xf32>
  train.gradient @narrow, %n : tensor<90x12xf32>
  train.gradient @u, %u : tensor<16x16xf32>
  train.gradient @v, %v : tensor<32x16xf32>
  train.gradient @gate, %g : tensor<32x8xf32>
  train.gradient @stack, %s : tensor<48x16xbf16>
  return
}

// State of a part, and what it is a part of; a bank's states are one.
// CHECK-DAG: train.state @adam.m.embed : tensor<[[E]]x64xbf16> {part_names = ["adam.m.embed"], part_rows = array<i64: 100>}
// CHECK-DAG: train.state @adam.v.embed : tensor<[[E]]x64xbf16> {part_names = ["adam.v.embed"], part_rows = array<i64: 100>}
// CHECK-DAG: train.state @adam.m.bias : tensor<64xbf16>{{$}}
// CHECK-DAG: train.state @normuon.m.bank.0 : tensor<[[G]]x16xf32> {part_names = ["normuon.m.u", "normuon.m.v"], part_rows = array<i64: 16, 32>}
// CHECK-DAG: train.state @normuon.v.bank.0 : tensor<[[G]]xf32> {part_names = ["normuon.v.u", "normuon.v.v"], part_rows = array<i64: 16, 32>}
// CHECK-DAG: train.state @normuon.m.gate : tensor<32x8xf32> {part_names = ["normuon.m.gate"], part_rows = array<i64: 32>}
// CHECK-DAG: train.state @normuon.v.gate : tensor<1x8xf32> {part_names = ["normuon.v.gate"], part_rows = array<i64: 1>}
// CHECK-DAG: train.state @muon.s.stack
// CHECK-DAG: train.state @master.low.stack
// R2-DAG: train.bank @bank.0 [@u, @v] : tensor<64x16xf32> {padding = 16 : i64}
// R4-DAG: train.bank @bank.0 [@u, @v] : tensor<64x16xf32> {padding = 16 : i64}
// R16-DAG: train.bank @bank.0 [@u, @v] : tensor<256x16xf32> {padding = 208 : i64}
// R8-DAG: train.bank @bank.0 [@u, @v] : tensor<128x16xf32> {padding = 80 : i64}
// R2-DAG: train.state @muon.m.stack : tensor<24x16xf32> {part_names = ["muon.m.stack"], part_rows = array<i64: 48>}
// R4-DAG: train.state @muon.m.stack : tensor<16x16xf32> {part_names = ["muon.m.stack"], part_rows = array<i64: 48>}

// CHECK-NOT: train.bank @normuon
// CHECK-LABEL: func.func @update() attributes {smelt.role = "update"}
// R2-NEXT: train.all_reduce [@bias]
// R2-NEXT: train.reduce_scatter [@embed, @narrow, @bank.0, @gate] ranks 2
// R2-NEXT: train.reduce_scatter [@stack] ranks 2
// R16-NEXT: train.all_reduce [@bias, @narrow]
// R16-NEXT: train.reduce_scatter [@embed, @bank.0, @gate] ranks 16
// CHECK: lm.read @embed {ranks = [[N]] : i64} : tensor<[[E]]x64xf32>
// CHECK-NEXT: train.read_gradient @embed {ranks = [[N]] : i64} : tensor<[[E]]x64xf32>
// CHECK-NEXT: lm.read @adam.m.embed : tensor<[[E]]x64xbf16>
// CHECK: lm.read @bias : tensor<64xf32>
// CHECK: train.read_gradient @bias : tensor<64xf32>
// R2: lm.read @narrow {ranks = 2 : i64} : tensor<48x12xf32>
// R4: lm.read @narrow {ranks = 4 : i64} : tensor<32x12xf32>
// R16: lm.read @narrow : tensor<90x12xf32>
// CHECK: train.adam
// CHECK: train.write @embed, %{{.*}} {ranks = [[N]] : i64} : tensor<[[E]]x64xf32>
// CHECK: train.write @adam.m.embed, %{{.*}} : tensor<[[E]]x64xbf16>
// CHECK: train.write @bias, %{{.*}} : tensor<64xf32>
// CHECK: train.read_gradient @bank.0 {ranks = [[N]] : i64} : tensor<[[G]]x16xf32>
// CHECK: train.normuon
// R2-SAME: groups = 2 : i64
// R2-SAME: lr_scales = #lm.numbers<2.0, 1.0, 1.0, 1.0>
// CHECK-SAME: ranks = [[N]] : i64
// R2-SAME: weight_decays = #lm.numbers<1.5, 0.75, 0.75, 0.75>
// CHECK: train.write @bank.0, %{{.*}} {ranks = [[N]] : i64} : tensor<[[G]]x16xf32>
// CHECK: train.write @normuon.v.bank.0, %{{.*}} : tensor<[[G]]xf32>
// CHECK: train.read_gradient @gate {ranks = [[N]] : i64} : tensor<32x8xf32>
// CHECK: train.read_gradient @stack {ranks = [[N]] : i64}
// CHECK: lm.join_master
// CHECK: train.write @stack, %{{.*}} {ranks = [[N]] : i64}
// CHECK: train.write @master.low.stack, %{{.*}} : tensor<
// R2: train.all_gather [@embed, @narrow, @bank.0, @gate] ranks 2
// R2-NEXT: train.all_gather [@stack] ranks 2
// R16: train.all_gather [@embed, @bank.0, @gate] ranks 16
// CHECK: return

// BUCKETS-LABEL: func.func @update
// BUCKETS-NEXT: train.all_reduce [@bias]
// BUCKETS-NEXT: train.reduce_scatter [@embed] ranks 4
// BUCKETS-NEXT: train.reduce_scatter [@narrow] ranks 4
// BUCKETS-NEXT: train.reduce_scatter [@bank.0] ranks 4
// BUCKETS-NEXT: train.reduce_scatter [@gate] ranks 4
// BUCKETS-NEXT: train.reduce_scatter [@stack] ranks 4
// BUCKETS: train.all_gather [@embed] ranks 4
// BUCKETS-NEXT: train.all_gather [@narrow] ranks 4
