// A buffer that fills a bucket is gathered by itself, also where small ones are finished before it: it does not wait for them nor they for it.
// The small ones share a message. Updates come in the order that leaves a small gather for the end.
// RUN: smelt-opt %s --smelt-plan-memory --smelt-place-collectives="ranks=2 gpu=sm_90a bucket-bytes=262144" | FileCheck %s

exec.buffer parameter @first : tensor<128xf32> at 0 bytes 512 init "constant" 0.0
exec.buffer parameter @large : tensor<1048576xf32> at 0 bytes 4194304 init "constant" 0.0
exec.buffer parameter @second : tensor<128xf32> at 0 bytes 512 init "constant" 0.0
exec.buffer parameter @larger : tensor<2097152xf32> at 0 bytes 8388608 init "constant" 0.0
exec.buffer gradient @gradient.first : tensor<128xf32> at 0 bytes 512
exec.buffer gradient @gradient.large : tensor<1048576xf32> at 0 bytes 4194304
exec.buffer gradient @gradient.second : tensor<128xf32> at 0 bytes 512
exec.buffer gradient @gradient.larger : tensor<2097152xf32> at 0 bytes 8388608
exec.buffer input @tokens : tensor<8xi32> at 0 bytes 32
exec.buffer output @loss : tensor<f32> at 0 bytes 4
func.func private @small(%x: tensor<128xf32>) -> tensor<128xf32>
func.func private @f_large(%x: tensor<1048576xf32>) -> tensor<1048576xf32>
func.func private @f_larger(%x: tensor<2097152xf32>) -> tensor<2097152xf32>

exec.program @train.T8 "train" tokens 8 inputs {tokens = @tokens} outputs {objective = @loss} {
  exec.launch @small reads [@first] writes [@gradient.first] {label = "backward first", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @f_larger reads [@larger] writes [@gradient.larger] {label = "backward larger", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @f_large reads [@large] writes [@gradient.large] {label = "backward large", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @small reads [@second] writes [@gradient.second] {label = "backward second", flops = 550000000000 : i64, bytes = 0 : i64}
}
exec.program @update "update" tokens 0 inputs {} outputs {} {
  exec.reduce_scatter [@gradient.first, @gradient.large, @gradient.second, @gradient.larger] ranks 2
  exec.launch @small reads [@gradient.first] writes [@first] {label = "update first", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @f_large reads [@gradient.large] writes [@large] {label = "update large", flops = 0 : i64, bytes = 340000000 : i64}
  exec.launch @small reads [@gradient.second] writes [@second] {label = "update second", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @f_larger reads [@gradient.larger] writes [@larger] {label = "update larger", flops = 0 : i64, bytes = 340000000 : i64}
  exec.all_gather [@first, @large, @second, @larger] ranks 2
}

// Sums keep the buckets that fill up in the order of the backward pass.
// CHECK-LABEL: exec.program @update "update"
// CHECK-NEXT: exec.reduce_scatter [@gradient.first, @gradient.larger]
// CHECK-NEXT: exec.reduce_scatter [@gradient.large]
// CHECK-NEXT: exec.reduce_scatter [@gradient.second]
// CHECK: exec.all_gather [@large]
// CHECK-NEXT: exec.all_gather [@first, @second]
// CHECK-NEXT: exec.all_gather [@larger]

// CHECK-LABEL: exec.program @train.T8.last
// CHECK-SAME: exec.predicted_exposed_us = 29
// CHECK: label = "update first"
// CHECK-NEXT: label = "update larger"
// CHECK-NEXT: exec.all_gather [@larger]
// CHECK-NEXT: label = "update second"
// CHECK-NEXT: exec.all_gather [@first, @second]
// CHECK-NEXT: label = "update large"
// CHECK-NEXT: exec.all_gather [@large]
