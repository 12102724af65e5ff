// Gradients are summed as soon as the backward pass has finished them, on a lane of their own; who needs them waits.
// RUN: smelt-opt %s --smelt-plan-memory --smelt-place-collectives="ranks=2 bucket-bytes=64" | FileCheck %s
// RUN: smelt-opt %s --smelt-plan-memory --smelt-place-collectives="ranks=4 bucket-bytes=64" | FileCheck %s
// On a GPU the communicator is told how many blocks a collective takes.
// RUN: smelt-opt %s --smelt-plan-memory --smelt-place-collectives="gpu=sm_90a" | FileCheck %s --check-prefix=GPU
// GPU: module attributes {exec.collective_blocks = 24 : i64}
// One bucket: it begins when its last gradient is there.
// RUN: smelt-opt %s --smelt-plan-memory --smelt-place-collectives | FileCheck %s --check-prefix=ONE

exec.buffer parameter @u : tensor<4096xf32> at 0 bytes 16384 init "constant" 0.0
exec.buffer parameter @v : tensor<16xf32> at 0 bytes 64 init "constant" 0.0
exec.buffer parameter @w : tensor<16xf32> at 0 bytes 64 init "constant" 0.0
exec.buffer gradient @gradient.u : tensor<4096xf32> at 0 bytes 16384
exec.buffer gradient @gradient.v : tensor<16xf32> at 0 bytes 64
exec.buffer gradient @gradient.w : tensor<16xf32> at 0 bytes 64
exec.buffer workspace @a : tensor<4096xf32> at 0 bytes 16384
exec.buffer workspace @b : tensor<4096xf32> at 0 bytes 16384
exec.buffer workspace @c : tensor<16xf32> at 0 bytes 64
exec.buffer input @tokens : tensor<8xi32> at 0 bytes 32
exec.buffer output @loss : tensor<f32> at 0 bytes 4

func.func private @small(%x: tensor<16xf32>) -> tensor<16xf32>
func.func private @large(%x: tensor<4096xf32>) -> tensor<4096xf32>
func.func private @turn(%x: tensor<4096xf32>) -> tensor<16xf32>

// The program itself stays as it is.
// CHECK-LABEL: exec.program @train.T8 "train"
// CHECK-NOT: all_reduce
// CHECK-NOT: exec.wait
exec.program @train.T8 "train" tokens 8 inputs {tokens = @tokens} outputs {objective = @loss} {
  exec.launch @large reads [@u] writes [@a] {label = "forward", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @turn reads [@a] writes [@gradient.w] {label = "backward w", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @turn reads [@a] writes [@gradient.v] {label = "backward v", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @large reads [@a] writes [@gradient.u] {label = "backward u", flops = 90000000 : i64, bytes = 0 : i64}
}
// The first gradients come first, whatever the update's order.
// CHECK-LABEL: exec.program @update "update"
// CHECK-NEXT: exec.all_reduce [@gradient.w]
// CHECK-NEXT: exec.all_reduce [@gradient.v]
// CHECK-NEXT: exec.launch
// CHECK-SAME: label = "update v"
// ONE-LABEL: exec.program @update "update"
// ONE-NEXT: exec.all_reduce [@gradient.w, @gradient.v]
// ONE-NEXT: exec.launch
exec.program @update "update" tokens 0 inputs {} outputs {} {
  exec.all_reduce [@gradient.v, @gradient.w]
  exec.launch @small reads [@gradient.v] writes [@v] {label = "update v", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @small reads [@gradient.w] writes [@w] {label = "update w", flops = 0 : i64, bytes = 0 : i64}
}
exec.program @update.every2 "update" tokens 0 inputs {} outputs {} attributes {every = 2 : i64, offset = 1 : i64} {
  exec.all_reduce [@gradient.u]
  exec.launch @large reads [@gradient.u] writes [@b] {label = "direction u", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @large reads [@b] writes [@u] {label = "update u", flops = 0 : i64, bytes = 0 : i64}
}
// An update that says nothing to others and needs what the others made runs with them, behind them.
exec.program @outer "update" tokens 0 inputs {} outputs {} attributes {every = 4 : i64, offset = 3 : i64} {
  exec.launch @small reads [@w] writes [@c] {label = "outer", flops = 0 : i64, bytes = 0 : i64}
}
exec.program @evaluate.T8 "evaluate" tokens 8 inputs {tokens = @tokens} outputs {objective = @loss} {
}

// Even steps. The sums of w and v run beside the backward pass of u. Update w need not wait for v.
// CHECK-LABEL: exec.program @train.T8.last "train" tokens 8 inputs {tokens = @tokens} outputs {objective = @loss}
// CHECK-SAME: exec.last_of = @train.T8
// CHECK-SAME: exec.updates = ["update"], exec.updates_from = 4 : i64
// CHECK-NEXT: label = "forward"
// CHECK-NEXT: label = "backward w"
// CHECK-NEXT: exec.all_reduce [@gradient.w] {exec.lane = "communication"}
// CHECK-NEXT: label = "backward v"
// CHECK-NEXT: exec.all_reduce [@gradient.v] {exec.lane = "communication"}
// CHECK-NEXT: label = "backward u"
// CHECK-NEXT: exec.wait = array<i64: 1>{{.*}} label = "update v"
// CHECK-NEXT: label = "update w"
// CHECK-NOT: exec.wait
// ONE-LABEL: exec.program @train.T8.last
// ONE: label = "backward v"
// ONE-NEXT: exec.all_reduce [@gradient.w, @gradient.v] {exec.lane = "communication"}
// ONE-NEXT: label = "backward u"
// ONE-NEXT: exec.wait = array<i64: 0>{{.*}} label = "update v"
// ONE-NEXT: label = "update w"
// ONE-NOT: exec.wait
// ONE-LABEL: exec.program @train.T8.last.every2

// Odd steps: while u's sum is under way, v and w are updated.
// CHECK-LABEL: exec.program @train.T8.last.every2 "train"
// CHECK-SAME: exec.updates = ["update", "update.every2"]
// CHECK: label = "backward u"
// CHECK-NEXT: exec.all_reduce [@gradient.u] {exec.lane = "communication"}
// CHECK-NEXT: exec.wait = array<i64: 1>{{.*}} label = "update v"
// CHECK-NEXT: label = "update w"
// CHECK-NEXT: exec.wait = array<i64: 2>{{.*}} label = "direction u"
// CHECK-NEXT: label = "update u"
// CHECK-NOT: exec.launch

// Every fourth.
// CHECK-LABEL: exec.program @train.T8.last.every2.outer
