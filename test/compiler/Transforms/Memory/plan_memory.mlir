// RUN: smelt-opt %s --smelt-plan-memory | FileCheck %s

// A chain of three needs room for two; what setup makes and what holds over steps is kept apart.
// CHECK: exec.arena 1280
exec.buffer parameter @w : tensor<32xf32> at 0 bytes 128 init "constant" 0.0
exec.buffer workspace @w.rows1 : tensor<16xf32> at 64 bytes 64 in @w
exec.buffer workspace @table : tensor<16xf32> at 0 bytes 64
exec.buffer workspace @a : tensor<16xf32> at 0 bytes 64
exec.buffer workspace @b : tensor<20xf32> at 0 bytes 80
exec.buffer workspace @c : tensor<16xf32> at 0 bytes 64
exec.buffer workspace @other : tensor<48xf32> at 0 bytes 192
exec.buffer workspace @unused : tensor<16xf32> at 0 bytes 64
// CHECK-DAG: exec.buffer parameter @w : tensor<32xf32> at 0 bytes 128
// CHECK-DAG: exec.buffer workspace @w.rows1 : tensor<16xf32> at 64 bytes 64 in @w
// CHECK-DAG: exec.buffer workspace @table : tensor<16xf32> at 256 bytes 64
// CHECK-DAG: exec.buffer workspace @unused : tensor<16xf32> at 512 bytes 64
// CHECK-DAG: exec.buffer workspace @other : tensor<48xf32> at 768 bytes 192
// CHECK-DAG: exec.buffer workspace @b : tensor<20xf32> at 768 bytes 80
// CHECK-DAG: exec.buffer workspace @a : tensor<16xf32> at 1024 bytes 64
// CHECK-DAG: exec.buffer workspace @c : tensor<16xf32> at 1024 bytes 64

func.func private @k1(%x: tensor<16xf32>) -> tensor<20xf32>
func.func private @k2(%x: tensor<20xf32>) -> tensor<16xf32>
func.func private @k3(%x: tensor<16xf32>) -> tensor<16xf32>
func.func private @k4(%x: tensor<16xf32>) -> tensor<48xf32>
exec.program @setup "setup" tokens 0 inputs {} outputs {} {
  exec.launch @k3 reads [@w.rows1] writes [@table] {label = "", flops = 0 : i64, bytes = 0 : i64}
}
exec.program @first "update" tokens 0 inputs {} outputs {} {
  exec.launch @k3 reads [@table] writes [@a] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @k1 reads [@a] writes [@b] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @k2 reads [@b] writes [@c] {label = "", flops = 0 : i64, bytes = 0 : i64}
}
exec.program @second "update" tokens 0 inputs {} outputs {} {
  exec.launch @k4 reads [@w.rows1] writes [@other] {label = "", flops = 0 : i64, bytes = 0 : i64}
}
