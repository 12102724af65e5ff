// RUN: smelt-opt %s --split-input-file --smelt-schedule | FileCheck %s
// RUN: smelt-opt %s --split-input-file --smelt-schedule --smelt-plan-memory | FileCheck %s --check-prefix=PLAN

// Two values that wait for their readers together: the readers move up, one buffer's place is enough.
exec.buffer parameter @w : tensor<16xf32> at 0 bytes 64 init "constant" 0.0
exec.buffer gradient @u : tensor<16xf32> at 0 bytes 64
exec.buffer gradient @v : tensor<16xf32> at 0 bytes 64
exec.buffer workspace @a : tensor<256xf32> at 0 bytes 1024
exec.buffer workspace @b : tensor<256xf32> at 0 bytes 1024
func.func private @make(%x: tensor<16xf32>) -> tensor<256xf32>
func.func private @use(%x: tensor<256xf32>) -> tensor<16xf32>
// CHECK-LABEL: exec.program @readers_move_up
// CHECK-NEXT: exec.launch @make reads [@w] writes [@a]
// CHECK-NEXT: exec.launch @use reads [@a] writes [@u]
// CHECK-NEXT: exec.launch @make reads [@w] writes [@b]
// CHECK-NEXT: exec.launch @use reads [@b] writes [@v]
// CHECK-NEXT: {{^  }$}}
// PLAN: exec.arena 1792
exec.program @readers_move_up "train" tokens 0 inputs {} outputs {} {
  exec.launch @make reads [@w] writes [@a] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @make reads [@w] writes [@b] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @use reads [@a] writes [@u] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @use reads [@b] writes [@v] {label = "", flops = 0 : i64, bytes = 0 : i64}
}

// -----

// Both readers add into one gradient: their order is kept, the makers move between them.
exec.buffer parameter @w : tensor<16xf32> at 0 bytes 64 init "constant" 0.0
exec.buffer gradient @g : tensor<16xf32> at 0 bytes 64
exec.buffer workspace @a : tensor<256xf32> at 0 bytes 1024
exec.buffer workspace @b : tensor<256xf32> at 0 bytes 1024
func.func private @make(%x: tensor<16xf32>) -> tensor<256xf32>
func.func private @add(%x: tensor<256xf32>, %g: tensor<16xf32>) -> tensor<16xf32>
// CHECK-LABEL: exec.program @sums_keep_their_order
// CHECK-NEXT: exec.launch @make reads [@w] writes [@b]
// CHECK-NEXT: exec.launch @add reads [@b, @g] writes [@g]
// CHECK-NEXT: exec.launch @make reads [@w] writes [@a]
// CHECK-NEXT: exec.launch @add reads [@a, @g] writes [@g]
// CHECK-NEXT: {{^  }$}}
exec.program @sums_keep_their_order "train" tokens 0 inputs {} outputs {} {
  exec.launch @make reads [@w] writes [@a] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @make reads [@w] writes [@b] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @add reads [@b, @g] writes [@g] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @add reads [@a, @g] writes [@g] {label = "", flops = 0 : i64, bytes = 0 : i64}
}

// -----

// Blocks of rows: the write of the first block may pass the reader of the second.
exec.buffer parameter @w : tensor<32xf32> at 0 bytes 128 init "constant" 0.0
exec.buffer parameter @w.rows0 : tensor<16xf32> at 0 bytes 64 in @w
exec.buffer parameter @w.rows1 : tensor<16xf32> at 64 bytes 64 in @w
exec.buffer gradient @v : tensor<16xf32> at 0 bytes 64
exec.buffer workspace @a : tensor<256xf32> at 0 bytes 1024
exec.buffer workspace @b : tensor<256xf32> at 0 bytes 1024
func.func private @make(%x: tensor<16xf32>) -> tensor<256xf32>
func.func private @make_all(%x: tensor<32xf32>) -> tensor<256xf32>
func.func private @use(%x: tensor<256xf32>) -> tensor<16xf32>
// CHECK-LABEL: exec.program @another_block
// CHECK-NEXT: exec.launch @make reads [@w.rows0] writes [@a]
// CHECK-NEXT: exec.launch @use reads [@a] writes [@w.rows0]
// CHECK-NEXT: exec.launch @make reads [@w.rows1] writes [@b]
// CHECK-NEXT: exec.launch @use reads [@b] writes [@w.rows1]
// CHECK-NEXT: {{^  }$}}
exec.program @another_block "update" tokens 0 inputs {} outputs {} {
  exec.launch @make reads [@w.rows0] writes [@a] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @make reads [@w.rows1] writes [@b] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @use reads [@a] writes [@w.rows0] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @use reads [@b] writes [@w.rows1] {label = "", flops = 0 : i64, bytes = 0 : i64}
}

// -----

// Not the reader of its own rows, which wants their old contents.
exec.buffer parameter @w : tensor<32xf32> at 0 bytes 128 init "constant" 0.0
exec.buffer parameter @w.rows0 : tensor<16xf32> at 0 bytes 64 in @w
exec.buffer parameter @w.rows1 : tensor<16xf32> at 64 bytes 64 in @w
exec.buffer gradient @v : tensor<16xf32> at 0 bytes 64
exec.buffer workspace @a : tensor<256xf32> at 0 bytes 1024
exec.buffer workspace @b : tensor<256xf32> at 0 bytes 1024
func.func private @make(%x: tensor<16xf32>) -> tensor<256xf32>
func.func private @make_all(%x: tensor<32xf32>) -> tensor<256xf32>
func.func private @use(%x: tensor<256xf32>) -> tensor<16xf32>
// CHECK-LABEL: exec.program @the_same_block
// CHECK-NEXT: exec.launch @make reads [@w.rows0] writes [@a]
// CHECK-NEXT: exec.launch @make reads [@w.rows0] writes [@b]
// CHECK-NEXT: exec.launch @use reads [@a] writes [@w.rows0]
// CHECK-NEXT: exec.launch @use reads [@b] writes [@v]
// CHECK-NEXT: {{^  }$}}
exec.program @the_same_block "update" tokens 0 inputs {} outputs {} {
  exec.launch @make reads [@w.rows0] writes [@a] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @make reads [@w.rows0] writes [@b] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @use reads [@a] writes [@w.rows0] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @use reads [@b] writes [@v] {label = "", flops = 0 : i64, bytes = 0 : i64}
}

// -----

// Nor a reader of the whole matrix.
exec.buffer parameter @w : tensor<32xf32> at 0 bytes 128 init "constant" 0.0
exec.buffer parameter @w.rows0 : tensor<16xf32> at 0 bytes 64 in @w
exec.buffer parameter @w.rows1 : tensor<16xf32> at 64 bytes 64 in @w
exec.buffer gradient @v : tensor<16xf32> at 0 bytes 64
exec.buffer workspace @a : tensor<256xf32> at 0 bytes 1024
exec.buffer workspace @b : tensor<256xf32> at 0 bytes 1024
func.func private @make(%x: tensor<16xf32>) -> tensor<256xf32>
func.func private @make_all(%x: tensor<32xf32>) -> tensor<256xf32>
func.func private @use(%x: tensor<256xf32>) -> tensor<16xf32>
// CHECK-LABEL: exec.program @the_whole_matrix
// CHECK-NEXT: exec.launch @make reads [@w.rows0] writes [@a]
// CHECK-NEXT: exec.launch @make_all reads [@w] writes [@b]
// CHECK-NEXT: exec.launch @use reads [@a] writes [@w.rows0]
// CHECK-NEXT: exec.launch @use reads [@b] writes [@v]
// CHECK-NEXT: {{^  }$}}
exec.program @the_whole_matrix "update" tokens 0 inputs {} outputs {} {
  exec.launch @make reads [@w.rows0] writes [@a] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @make_all reads [@w] writes [@b] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @use reads [@a] writes [@w.rows0] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @use reads [@b] writes [@v] {label = "", flops = 0 : i64, bytes = 0 : i64}
}

// -----

// Nor may a reader of the new contents pass the write; what makes @b has nothing to wait for but it.
exec.buffer parameter @w : tensor<32xf32> at 0 bytes 128 init "constant" 0.0
exec.buffer parameter @w.rows0 : tensor<16xf32> at 0 bytes 64 in @w
exec.buffer parameter @w.rows1 : tensor<16xf32> at 64 bytes 64 in @w
exec.buffer gradient @v : tensor<16xf32> at 0 bytes 64
exec.buffer workspace @a : tensor<256xf32> at 0 bytes 1024
exec.buffer workspace @b : tensor<256xf32> at 0 bytes 1024
func.func private @make(%x: tensor<16xf32>) -> tensor<256xf32>
func.func private @make_all(%x: tensor<32xf32>) -> tensor<256xf32>
func.func private @use(%x: tensor<256xf32>) -> tensor<16xf32>
// CHECK-LABEL: exec.program @new_contents
// CHECK-NEXT: exec.launch @make reads [@w.rows0] writes [@a]
// CHECK-NEXT: exec.launch @use reads [@a] writes [@w.rows0]
// CHECK-NEXT: exec.launch @make_all reads [@w] writes [@b]
// CHECK-NEXT: exec.launch @use reads [@b] writes [@v]
// CHECK-NEXT: {{^  }$}}
exec.program @new_contents "update" tokens 0 inputs {} outputs {} {
  exec.launch @make reads [@w.rows0] writes [@a] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @use reads [@a] writes [@w.rows0] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @make_all reads [@w] writes [@b] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @use reads [@b] writes [@v] {label = "", flops = 0 : i64, bytes = 0 : i64}
}
