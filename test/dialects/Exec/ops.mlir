// RUN: smelt-opt %s | smelt-opt | FileCheck %s
// RUN: smelt-opt %s --mlir-print-op-generic | smelt-opt | FileCheck %s

// CHECK: exec.arena 1024
exec.arena 1024
// CHECK: exec.buffer parameter @w : tensor<4x16xf32> at 0 bytes 256 init "uniform" 5.000000e-01
exec.buffer parameter @w : tensor<4x16xf32> at 0 bytes 256 init "uniform" 0.5
// CHECK: exec.buffer workspace @w.rows1 : tensor<1x16xf32> at 64 bytes 64 in @w
exec.buffer workspace @w.rows1 : tensor<1x16xf32> at 64 bytes 64 in @w
// CHECK: exec.buffer state @outer.w : tensor<4x16xf32> at 512 bytes 256 {copy_of = @w}
exec.buffer state @outer.w : tensor<4x16xf32> at 512 bytes 256 {copy_of = @w}
// CHECK: exec.buffer constant @c : tensor<2xf32> at 256 bytes 64 value dense<[1.000000e+00, 2.000000e+00]>
exec.buffer constant @c : tensor<2xf32> at 256 bytes 64 value dense<[1.0, 2.0]> : tensor<2xf32>
// CHECK: exec.buffer input @tokens : tensor<8xi32> at 320 bytes 32
exec.buffer input @tokens : tensor<8xi32> at 320 bytes 32
exec.buffer output @loss : tensor<f32> at 384 bytes 4
exec.buffer workspace @scratch : tensor<8xf32> at 448 bytes 32
func.func private @k(tensor<4x16xf32>, tensor<8xi32>) -> tensor<f32>
// CHECK: exec.program @train.T8 "train" tokens 8 inputs {tokens = @tokens} outputs {objective = @loss} {
// CHECK-NEXT: exec.launch @k reads [@w, @tokens] writes [@loss] workspace @scratch {bytes = 2 : i64, flops = 1 : i64, label = "a", smelt.steps = ["forward[0]"]}
exec.program @train.T8 "train" tokens 8 inputs {tokens = @tokens} outputs {objective = @loss} {
  exec.launch @k reads [@w, @tokens] writes [@loss] workspace @scratch {label = "a", flops = 1 : i64, bytes = 2 : i64, smelt.steps = ["forward[0]"]}
}
// CHECK: exec.program @update.every2 "update" tokens 0 inputs {} outputs {} attributes {every = 2 : i64, offset = 1 : i64} {
exec.buffer gradient @g : tensor<8xf32> at 512 bytes 32
exec.buffer gradient @h : tensor<4xf32> at 576 bytes 16
exec.program @update.every2 "update" tokens 0 inputs {} outputs {} attributes {every = 2 : i64, offset = 1 : i64} {
  // CHECK-NEXT: exec.all_reduce [@g, @h]
  exec.all_reduce [@g, @h]
}
// CHECK: exec.buffer workspace @w.part : tensor<2x16xf32> at 0 bytes 128 in @w {rank_stride = 128 : i64}
exec.buffer workspace @w.part : tensor<2x16xf32> at 0 bytes 128 in @w {rank_stride = 128 : i64}
// CHECK: exec.buffer gradient @g4 : tensor<80xf32> at 1024 bytes 1024
exec.buffer gradient @g4 : tensor<80xf32> at 1024 bytes 1024
// CHECK: exec.buffer state @m : tensor<64xf32> at 2048 bytes 256 {part_names = ["m.a", "m.b"], part_rows = array<i64: 40, 40>}
exec.buffer state @m : tensor<64xf32> at 2048 bytes 256 {part_names = ["m.a", "m.b"], part_rows = array<i64: 40, 40>}
// CHECK: exec.program @update
exec.program @update "update" tokens 0 inputs {} outputs {} {
  // CHECK-NEXT: exec.reduce_scatter [@g4] ranks 4
  exec.reduce_scatter [@g4] ranks 4
  // CHECK-NEXT: exec.all_gather [@g4] ranks 4
  exec.all_gather [@g4] ranks 4
}
