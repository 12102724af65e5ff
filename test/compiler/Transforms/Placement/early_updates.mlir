// On a GPU an update whose sums have long ended comes between the last launches of the micro-batch, so that its weights are gathered beside them;
// on a CPU, where a non-finite loss must stop before the first update, it does not.
// RUN: smelt-opt %s --smelt-plan-memory --smelt-place-collectives="ranks=2 gpu=sm_90a bucket-bytes=64" | FileCheck %s
// RUN: smelt-opt %s --smelt-plan-memory --smelt-place-collectives="ranks=8 gpu=sm_90a bucket-bytes=64" | FileCheck %s
// RUN: smelt-opt %s --smelt-plan-memory --smelt-place-collectives="ranks=2 bucket-bytes=64" | FileCheck %s --check-prefix=CPU

exec.buffer parameter @v : tensor<16384xf32> at 0 bytes 65536 init "constant" 0.0
exec.buffer parameter @w : tensor<16384xf32> at 0 bytes 65536 init "constant" 0.0
exec.buffer gradient @gradient.v : tensor<16384xf32> at 0 bytes 65536
exec.buffer gradient @gradient.w : tensor<16384xf32> at 0 bytes 65536
exec.buffer workspace @large : tensor<65536xf32> at 0 bytes 262144
exec.buffer workspace @a : tensor<16384xf32> at 0 bytes 65536
exec.buffer workspace @b : tensor<16384xf32> at 0 bytes 65536
exec.buffer workspace @direction.v : tensor<16384xf32> at 0 bytes 65536
exec.buffer workspace @direction.w : tensor<16384xf32> at 0 bytes 65536
exec.buffer input @tokens : tensor<8xi32> at 0 bytes 32
exec.buffer output @loss : tensor<f32> at 0 bytes 4
func.func private @spread(%x: tensor<16384xf32>) -> tensor<65536xf32>
func.func private @shrink(%x: tensor<65536xf32>) -> tensor<16384xf32>
func.func private @k(%x: tensor<16384xf32>) -> tensor<16384xf32>

exec.program @train.T8 "train" tokens 8 inputs {tokens = @tokens} outputs {objective = @loss} {
  exec.launch @spread reads [@v] writes [@large] {label = "embed", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @shrink reads [@large] writes [@a] {label = "forward", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @k reads [@a] writes [@gradient.v] {label = "backward v", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @k reads [@a] writes [@b] {label = "backward", flops = 2200000000000 : i64, bytes = 0 : i64}
  exec.launch @k reads [@b] writes [@gradient.w] {label = "backward w", flops = 2200000000000 : i64, bytes = 0 : i64}
}
exec.program @update "update" tokens 0 inputs {} outputs {} {
  exec.reduce_scatter [@gradient.v, @gradient.w] ranks 2
  exec.launch @k reads [@gradient.w] writes [@direction.w] {label = "direction w", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @k reads [@direction.w] writes [@w] {label = "update w", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @k reads [@gradient.v] writes [@direction.v] {label = "direction v", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @k reads [@direction.v] writes [@v] {label = "update v", flops = 0 : i64, bytes = 0 : i64}
  exec.all_gather [@v, @w] ranks 2
}

// Five launches are the micro-batch's, two of the update come before the last of them. What lives between the update's launches has bytes of its own.
// CHECK-LABEL: exec.program @train.T8.last
// CHECK-SAME: exec.updates_from = 7
// CHECK-NEXT: label = "embed"
// CHECK-NEXT: label = "forward"
// CHECK-NEXT: label = "backward v"
// CHECK-NEXT: exec.reduce_scatter [@gradient.v]
// CHECK-NEXT: label = "backward"
// CHECK-NEXT: exec.wait = array<i64: 0>{{.*}} label = "direction v"
// CHECK-NEXT: label = "update v"
// CHECK-NEXT: exec.all_gather [@v]
// CHECK-NEXT: label = "backward w"
// CHECK-NEXT: exec.reduce_scatter [@gradient.w]
// CHECK-NEXT: exec.wait = array<i64: 2>{{.*}} label = "direction w"
// CHECK-NEXT: label = "update w"
// CHECK-NEXT: exec.all_gather [@w]

// CPU-LABEL: exec.program @train.T8.last
// CPU-SAME: exec.updates_from = 5
// CPU: label = "backward w"
// CPU: label = "direction v"
