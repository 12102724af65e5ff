// What all programs read as bf16 is gathered as bf16; each rank keeps the f32 values of its own part, from which checkpoints have the parameter.
// RUN: smelt-opt %s --smelt-apply-optimizers --smelt-distribute="ranks=2 shard-bytes=2048" | FileCheck %s --check-prefixes=CHECK,R2 -DN=2 -DE=52 -DG=32
// RUN: smelt-opt %s --smelt-apply-optimizers --smelt-distribute="ranks=3 shard-bytes=2048" | FileCheck %s --check-prefixes=CHECK -DN=3 -DE=35 -DG=16
// RUN: smelt-opt %s --smelt-apply-optimizers --smelt-distribute="ranks=4 shard-bytes=2048" | FileCheck %s --check-prefixes=CHECK,R4 -DN=4 -DE=26 -DG=16
// RUN: smelt-opt %s --smelt-apply-optimizers --smelt-distribute="ranks=8 shard-bytes=2048" | FileCheck %s --check-prefixes=CHECK -DN=8 -DE=13 -DG=16
// RUN: smelt-opt %s --smelt-apply-optimizers --smelt-distribute="ranks=16 shard-bytes=2048" | FileCheck %s --check-prefixes=CHECK -DN=16 -DE=7 -DG=16
// RUN: smelt-opt %s --smelt-apply-optimizers --smelt-distribute="ranks=1 shard-bytes=2048" | FileCheck %s --check-prefix=NONE
// RUN: smelt-opt %s --smelt-apply-optimizers --smelt-distribute="ranks=4 shard-bytes=2048 narrow=false" | FileCheck %s --check-prefix=NONE
// RUN: smelt-opt %s --smelt-apply-optimizers --smelt-distribute="ranks=4 shard=false" | FileCheck %s --check-prefix=NONE

// NONE-NOT: smelt.master
// NONE-NOT: @master.

// 512 bytes a row: of any number of rows bf16 has a multiple of 256 bytes.
lm.parameter @embed : tensor<104x128xf32> normal 1.0
// 256 bytes a row: where a part has an odd number of rows, which is no multiple of 256 bytes in bf16, f32 stays.
lm.parameter @odd : tensor<57x64xf32> constant 0.0
// Read in f32 by a program.
lm.parameter @wide : tensor<64x128xf32> constant 0.0
// Read in two types.
lm.parameter @both : tensor<64x128xf32> constant 0.0
// A state begins as all of it.
lm.parameter @copied : tensor<64x128xf32> constant 0.0
train.state @outer.copied : tensor<64x128xf32> {copy_of = @copied}
train.schedule @lr : tensor<f32> = [0.0, 9.0, 1.0, 0.0]
train.optimizer adam @scalars [@embed, @odd, @wide, @both, @copied] lr 0.5 @lr {lr_scales = #lm.numbers<1.0, 1.0, 1.0, 1.0, 1.0>,
  weight_decay_scales = #lm.numbers<1.0, 1.0, 1.0, 1.0, 1.0>, splits = array<i64: 1, 1, 1, 1, 1>, config = {beta1 = 0.8 : f64, beta2 = 0.99 : f64, eps = 1.0e-8 : f64}}

lm.parameter @u : tensor<16x16xf32> uniform 0.5
lm.parameter @v : tensor<32x16xf32> constant 0.0
train.schedule @momentum : tensor<f32> = [0.0, 9.0, 0.9, 0.0]
train.optimizer normuon @matrices [@u, @v] lr 0.25 @lr {lr_scales = #lm.numbers<2.0, 1.0>, weight_decay_scales = #lm.numbers<1.0, 0.5>,
  splits = array<i64: 1, 2>, config = {coefficients = #lm.numbers<3.0, -4.0, 2.0>, momentum_schedule = @momentum, weight_decay = 1.5 : f64, variance_axes = array<i64: 1, 1>}}

func.func @"train.T8"() -> (tensor<32x16xf32>, tensor<64x128xf32>) attributes {smelt.role = "train"} {
  %e = lm.read @embed : tensor<104x128xf32>
  %e16 = lm.cast %e : tensor<104x128xf32> -> tensor<104x128xbf16>
  %e32 = lm.cast %e16 : tensor<104x128xbf16> -> tensor<104x128xf32>
  %o = lm.read @odd : tensor<57x64xf32>
  %o16 = lm.cast %o : tensor<57x64xf32> -> tensor<57x64xbf16>
  %o32 = lm.cast %o16 : tensor<57x64xbf16> -> tensor<57x64xf32>
  %w = lm.read @wide : tensor<64x128xf32>
  %w16 = lm.cast %w : tensor<64x128xf32> -> tensor<64x128xbf16>
  %b = lm.read @both : tensor<64x128xf32>
  %b16 = lm.cast %b : tensor<64x128xf32> -> tensor<64x128xbf16>
  %b8 = lm.cast %b : tensor<64x128xf32> -> tensor<64x128xf16>
  %c = lm.read @copied : tensor<64x128xf32>
  %c16 = lm.cast %c : tensor<64x128xf32> -> tensor<64x128xbf16>
  %c32 = lm.cast %c16 : tensor<64x128xbf16> -> tensor<64x128xf32>
  %u = lm.read @u : tensor<16x16xf32>
  %u16 = lm.cast %u : tensor<16x16xf32> -> tensor<16x16xbf16>
  %u32 = lm.cast %u16 : tensor<16x16xbf16> -> tensor<16x16xf32>
  %v = lm.read @v : tensor<32x16xf32>
  %v16 = lm.cast %v : tensor<32x16xf32> -> tensor<32x16xbf16>
  %v32 = lm.cast %v16 : tensor<32x16xbf16> -> tensor<32x16xf32>
  train.gradient @embed, %e32 : tensor<104x128xf32>
  train.gradient @odd, %o32 : tensor<57x64xf32>
  train.gradient @wide, %w : tensor<64x128xf32>
  train.gradient @both, %c32 : tensor<64x128xf32>
  train.gradient @copied, %c32 : tensor<64x128xf32>
  train.gradient @u, %u32 : tensor<16x16xf32>
  train.gradient @v, %v32 : tensor<32x16xf32>
  return %v32, %w : tensor<32x16xf32>, tensor<64x128xf32>
}
// Rows of a parameter.
func.func @"evaluate.T8"() -> tensor<16x16xbf16> attributes {smelt.role = "evaluate"} {
  %v = lm.read @v {first_row = 16 : i64} : tensor<16x16xf32>
  %v16 = lm.cast %v : tensor<16x16xf32> -> tensor<16x16xbf16>
  return %v16 : tensor<16x16xbf16>
}

// CHECK-DAG: lm.parameter @embed : tensor<104x128xbf16> normal 1.000000e+00 {smelt.master = f32}
// CHECK-DAG: train.state @master.embed : tensor<[[E]]x128xf32> {part_names = ["embed"], part_rows = array<i64: 104>}
// R2-DAG: lm.parameter @odd : tensor<57x64xf32> constant 0.000000e+00{{$}}
// R4-DAG: lm.parameter @odd : tensor<57x64xf32> constant 0.000000e+00{{$}}
// CHECK-DAG: lm.parameter @wide : tensor<64x128xf32> constant 0.000000e+00{{$}}
// CHECK-DAG: lm.parameter @both : tensor<64x128xf32> constant 0.000000e+00{{$}}
// CHECK-DAG: lm.parameter @copied : tensor<64x128xf32> constant 0.000000e+00{{$}}
// CHECK-DAG: lm.parameter @u : tensor<16x16xbf16> uniform 5.000000e-01 {smelt.master = f32}
// CHECK-DAG: lm.parameter @v : tensor<32x16xbf16> constant 0.000000e+00 {smelt.master = f32}

// The programs read what is gathered; gradients stay f32.
// CHECK-LABEL: func.func @train.T8()
// CHECK: [[READ:%.*]] = lm.read @embed : tensor<104x128xbf16>
// CHECK-NEXT: lm.cast [[READ]] : tensor<104x128xbf16> -> tensor<104x128xf32>
// CHECK: lm.read @u : tensor<16x16xbf16>
// CHECK-NEXT: lm.cast {{.*}} : tensor<16x16xbf16> -> tensor<16x16xf32>
// CHECK: train.gradient @embed, {{.*}} : tensor<104x128xf32>
// CHECK: train.gradient @u, {{.*}} : tensor<16x16xf32>
// CHECK-LABEL: func.func @evaluate.T8()
// CHECK-NEXT: lm.read @v {first_row = 16 : i64} : tensor<16x16xbf16>
// CHECK-NEXT: return

// CHECK: train.state @master.bank.0 : tensor<[[G]]x16xf32> {part_names = ["u", "v"], part_rows = array<i64: 16, 32>}
// R2-NEXT: train.bank @bank.0 [@u, @v] : tensor<64x16xbf16> {padding = 16 : i64}
// CHECK-LABEL: func.func @update()
// R2-NEXT: train.reduce_scatter [@embed, @odd, @wide, @both, @copied, @bank.0] ranks 2
// CHECK: lm.read @master.embed : tensor<[[E]]x128xf32>
// CHECK-NEXT: train.read_gradient @embed {ranks = [[N]] : i64} : tensor<[[E]]x128xf32>
// CHECK: train.write @master.embed, [[NEW:%.*]] : tensor<[[E]]x128xf32>
// CHECK-NEXT: [[NARROW:%.*]] = lm.cast [[NEW]] : tensor<[[E]]x128xf32> -> tensor<[[E]]x128xbf16>
// CHECK-NEXT: train.write @embed, [[NARROW]] {ranks = [[N]] : i64} : tensor<[[E]]x128xbf16>
// CHECK: train.read_gradient @bank.0 {ranks = [[N]] : i64} : tensor<[[G]]x16xf32>
// CHECK: lm.read @master.bank.0 : tensor<[[G]]x16xf32>
// CHECK: train.write @master.bank.0, [[MATRICES:%.*]] : tensor<[[G]]x16xf32>
// CHECK-NEXT: [[ROUNDED:%.*]] = lm.cast [[MATRICES]] : tensor<[[G]]x16xf32> -> tensor<[[G]]x16xbf16>
// CHECK-NEXT: train.write @bank.0, [[ROUNDED]] {ranks = [[N]] : i64} : tensor<[[G]]x16xbf16>
// Two buckets, by type.
// R4: train.all_gather [@embed, @bank.0] ranks 4
// R4-NEXT: train.all_gather [@odd, @wide, @both, @copied] ranks 4
