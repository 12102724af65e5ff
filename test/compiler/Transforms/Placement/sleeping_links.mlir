// NVLinks that carry nothing for 50 ms sleep, and awake ones take power from GPUs at their limit: a sum that could begin long before the next one
// waits for it. Not where steps are too short for links to sleep, nor on CPUs.
// RUN: smelt-opt %s --smelt-plan-memory --smelt-place-collectives="ranks=2 gpu=sm_90a bucket-bytes=64" | FileCheck %s --check-prefixes=CHECK,SHORT,LONG
// RUN: smelt-opt %s --smelt-plan-memory --smelt-place-collectives="ranks=2 bucket-bytes=64" | FileCheck %s --check-prefixes=CHECK,SHORT,CPU

exec.buffer parameter @v : tensor<16384xf32> at 0 bytes 65536 init "constant" 0.0
exec.buffer parameter @w : tensor<16384xf32> at 0 bytes 65536 init "constant" 0.0
exec.buffer gradient @gradient.v : tensor<16384xf32> at 0 bytes 65536
exec.buffer gradient @gradient.w : tensor<16384xf32> at 0 bytes 65536
exec.buffer workspace @a : tensor<16384xf32> at 0 bytes 65536
exec.buffer workspace @b : tensor<16384xf32> at 0 bytes 65536
exec.buffer input @tokens : tensor<8xi32> at 0 bytes 32
exec.buffer output @loss : tensor<f32> at 0 bytes 4
func.func private @k(%x: tensor<16384xf32>) -> tensor<16384xf32>

// 20 ms by the model of a GPU.
exec.program @train.T4 "train" tokens 4 inputs {tokens = @tokens} outputs {objective = @loss} {
  exec.launch @k reads [@v] writes [@a] {label = "forward", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @k reads [@a] writes [@gradient.v] {label = "backward v", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @k reads [@a] writes [@b] {label = "backward", flops = 11000000000000 : i64, bytes = 0 : i64}
  exec.launch @k reads [@b] writes [@gradient.w] {label = "backward w", flops = 0 : i64, bytes = 0 : i64}
}
// 80 and 120 ms.
exec.program @train.T8 "train" tokens 8 inputs {tokens = @tokens} outputs {objective = @loss} {
  exec.launch @k reads [@v] writes [@a] {label = "forward", flops = 44000000000000 : i64, bytes = 0 : i64}
  exec.launch @k reads [@a] writes [@gradient.v] {label = "backward v", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @k reads [@a] writes [@b] {label = "backward", flops = 66000000000000 : i64, bytes = 0 : i64}
  exec.launch @k reads [@b] writes [@gradient.w] {label = "backward w", flops = 0 : i64, bytes = 0 : i64}
}
exec.program @update "update" tokens 0 inputs {} outputs {} {
  exec.all_reduce [@gradient.v, @gradient.w]
  exec.launch @k reads [@gradient.w] writes [@w] {label = "update w", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @k reads [@gradient.v] writes [@v] {label = "update v", flops = 0 : i64, bytes = 0 : i64}
}

// CHECK-LABEL: exec.program @train.T4.last
// SHORT: label = "backward v"
// SHORT-NEXT: exec.all_reduce [@gradient.v]
// SHORT: label = "backward"
// SHORT: label = "backward w"
// SHORT-NEXT: exec.all_reduce [@gradient.w]

// CHECK-LABEL: exec.program @train.T8.last
// LONG: label = "backward v"
// LONG-NEXT: label = "backward"
// LONG-NEXT: label = "backward w"
// LONG-NEXT: exec.all_reduce [@gradient.w]
// LONG-NEXT: exec.all_reduce [@gradient.v]
// CPU: label = "backward v"
// CPU-NEXT: exec.all_reduce [@gradient.v]
