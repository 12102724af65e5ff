// RUN: smelt-opt %s --split-input-file --smelt-join-launches | FileCheck %s
// RUN: smelt-opt %s --split-input-file --smelt-join-launches=updates=false | FileCheck %s --check-prefix=TRAIN

// Two launches that read the same tensor, with blocks of one size: one launch, with both kernels and workspaces
// (for which there is room: @big needs more).
exec.buffer parameter @w : tensor<16xf32> at 0 bytes 64 init "constant" 0.0
exec.buffer gradient @u : tensor<16xf32> at 0 bytes 64
exec.buffer gradient @v : tensor<16xf32> at 0 bytes 64
exec.buffer gradient @t : tensor<16xf32> at 0 bytes 64
// CHECK: exec.buffer {{ ?}}workspace @s0 : tensor<192xf32> at 0 bytes 768
exec.buffer workspace @s0 : tensor<64xf32> at 0 bytes 256
// CHECK-NOT: @s1
exec.buffer workspace @s1 : tensor<128xf32> at 0 bytes 512
exec.buffer workspace @big : tensor<256xf32> at 0 bytes 1024
func.func private @make(%x: tensor<16xf32>) -> tensor<256xf32>
func.func private @use(%x: tensor<256xf32>) -> tensor<16xf32>
func.func private @kernel_0(%x: tensor<16xf32>) -> tensor<16xf32> attributes {kernel.workspace = 256 : i64, kernel.launches = array<i64: 128, 2, 0, 0, 16>} {
  %0 = kernel.rowwise(%x) : (tensor<16xf32>) -> tensor<16xf32> {
    ^bb0(%a: tensor<16xf32>):
    kernel.yield %a : tensor<16xf32>
  }
  return %0 : tensor<16xf32>
}
func.func private @kernel_1(%x: tensor<16xf32>) -> tensor<16xf32> attributes {kernel.workspace = 512 : i64, kernel.launches = array<i64: 128, 5, 1024, 32, 24, 256, 1, 0, 0, 8>} {
  %0 = kernel.rowwise(%x) : (tensor<16xf32>) -> tensor<16xf32> {
    ^bb0(%a: tensor<16xf32>):
    %1 = lm.add %a, %a : tensor<16xf32>
    kernel.yield %1 : tensor<16xf32>
  }
  return %0 : tensor<16xf32>
}
// CHECK-LABEL: exec.program @both
// CHECK-NEXT: exec.launch @make
// CHECK-NEXT: exec.launch @use
// CHECK-NEXT: exec.launch @kernel_0_with_1 reads [@w, @w] writes [@u, @v] workspace @s0
// CHECK-SAME: bytes = 7 : i64, flops = 3 : i64, label = "a + b", smelt.steps = ["x", "y"]
// CHECK-NEXT: {{^  }$}}
// Updates are left as they are if that is wanted.
// TRAIN-LABEL: exec.program @both
// TRAIN-NEXT: exec.launch @make
// TRAIN-NEXT: exec.launch @use
// TRAIN-NEXT: exec.launch @kernel_0 
// TRAIN-NEXT: exec.launch @kernel_1 
exec.program @both "update" tokens 0 inputs {} outputs {} {
  exec.launch @make reads [@w] writes [@big] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @use reads [@big] writes [@t] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @kernel_0 reads [@w] writes [@u] workspace @s0 {label = "a", flops = 1 : i64, bytes = 3 : i64, smelt.steps = ["x"]}
  exec.launch @kernel_1 reads [@w] writes [@v] workspace @s1 {label = "b", flops = 2 : i64, bytes = 4 : i64, smelt.steps = ["y", "x"]}
}
// CHECK: func.func private @kernel_0_with_1(%[[A:.*]]: tensor<16xf32>, %[[B:.*]]: tensor<16xf32>) -> (tensor<16xf32>, tensor<16xf32>)
// CHECK-SAME: kernel.launches = array<i64: 128, 7, 1024, 32, 88, 256, 1, 0, 0, 8>
// CHECK-SAME: kernel.workspace = 768
// CHECK: %[[FIRST:.*]] = kernel.rowwise(%[[A]])
// CHECK: %[[SECOND:.*]] = kernel.rowwise(%[[B]])
// CHECK: return %[[FIRST]], %[[SECOND]]

// -----

// What waits for the launch between them stays behind it; what nobody before it waits for moves down instead.
exec.buffer parameter @w : tensor<16xf32> at 0 bytes 64 init "constant" 0.0
exec.buffer gradient @u : tensor<16xf32> at 0 bytes 64
exec.buffer gradient @v : tensor<16xf32> at 0 bytes 64
exec.buffer workspace @a : tensor<16xf32> at 0 bytes 64
func.func private @kernel_0(%x: tensor<16xf32>) -> tensor<16xf32> attributes {kernel.launches = array<i64: 128, 2, 0, 0, 16>} {
  %0 = kernel.rowwise(%x) : (tensor<16xf32>) -> tensor<16xf32> {
    ^bb0(%a: tensor<16xf32>):
    kernel.yield %a : tensor<16xf32>
  }
  return %0 : tensor<16xf32>
}
func.func private @other(%x: tensor<16xf32>) -> tensor<16xf32> attributes {kernel.launches = array<i64: 384, 2, 0, 0, 16>} {
  %0 = kernel.rowwise(%x) : (tensor<16xf32>) -> tensor<16xf32> {
    ^bb0(%a: tensor<16xf32>):
    kernel.yield %a : tensor<16xf32>
  }
  return %0 : tensor<16xf32>
}
// CHECK-LABEL: exec.program @moves_down
// CHECK-NEXT: exec.launch @other reads [@w] writes [@a]
// CHECK-NEXT: exec.launch @kernel_0_with_0 reads [@w, @a] writes [@u, @v]
// CHECK-NEXT: {{^  }$}}
exec.program @moves_down "train" tokens 0 inputs {} outputs {} {
  exec.launch @kernel_0 reads [@w] writes [@u] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @other reads [@w] writes [@a] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @kernel_0 reads [@a] writes [@v] {label = "", flops = 0 : i64, bytes = 0 : i64}
}
// A chain stays a chain; so do launches between which something stands that both sides wait for.
// CHECK-LABEL: exec.program @chain
// CHECK-NEXT: exec.launch @kernel_0 reads [@w] writes [@a]
// CHECK-NEXT: exec.launch @other reads [@a] writes [@u]
// CHECK-NEXT: exec.launch @kernel_0 reads [@u] writes [@v]
// CHECK-NEXT: {{^  }$}}
exec.program @chain "train" tokens 0 inputs {} outputs {} {
  exec.launch @kernel_0 reads [@w] writes [@a] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @other reads [@a] writes [@u] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @kernel_0 reads [@u] writes [@v] {label = "", flops = 0 : i64, bytes = 0 : i64}
}
// Both add to one gradient.
// CHECK-LABEL: exec.program @same_gradient
// CHECK-NEXT: exec.launch @kernel_0 reads [@w] writes [@u]
// CHECK-NEXT: exec.launch @kernel_0 reads [@u] writes [@u]
// CHECK-NEXT: {{^  }$}}
exec.program @same_gradient "train" tokens 0 inputs {} outputs {} {
  exec.launch @kernel_0 reads [@w] writes [@u] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @kernel_0 reads [@u] writes [@u] {label = "", flops = 0 : i64, bytes = 0 : i64}
}

// -----

// Not joined: a kernel without launches (of the CPU, or in more than one dimension), one that would lose
// blocks on a multiprocessor to the other's shared memory, more parameters than a launch may have.
exec.buffer parameter @w : tensor<16xf32> at 0 bytes 64 init "constant" 0.0
exec.buffer gradient @u : tensor<16xf32> at 0 bytes 64
exec.buffer gradient @v : tensor<16xf32> at 0 bytes 64
func.func private @small(%x: tensor<16xf32>) -> tensor<16xf32> attributes {kernel.launches = array<i64: 128, 2, 0, 0, 16>} {
  %0 = kernel.rowwise(%x) : (tensor<16xf32>) -> tensor<16xf32> {
    ^bb0(%a: tensor<16xf32>):
    kernel.yield %a : tensor<16xf32>
  }
  return %0 : tensor<16xf32>
}
func.func private @plane(%x: tensor<16xf32>) -> tensor<16xf32> attributes {kernel.launches = array<i64: 128, 0, 0, 0, 16>} {
  %0 = kernel.rowwise(%x) : (tensor<16xf32>) -> tensor<16xf32> {
    ^bb0(%a: tensor<16xf32>):
    kernel.yield %a : tensor<16xf32>
  }
  return %0 : tensor<16xf32>
}
func.func private @large(%x: tensor<16xf32>) -> tensor<16xf32> attributes {kernel.launches = array<i64: 128, 2, 65536, 0, 16>} {
  %0 = kernel.rowwise(%x) : (tensor<16xf32>) -> tensor<16xf32> {
    ^bb0(%a: tensor<16xf32>):
    kernel.yield %a : tensor<16xf32>
  }
  return %0 : tensor<16xf32>
}
func.func private @many(%x: tensor<16xf32>) -> tensor<16xf32> attributes {kernel.launches = array<i64: 128, 2, 0, 0, 4090>} {
  %0 = kernel.rowwise(%x) : (tensor<16xf32>) -> tensor<16xf32> {
    ^bb0(%a: tensor<16xf32>):
    kernel.yield %a : tensor<16xf32>
  }
  return %0 : tensor<16xf32>
}
// CHECK-LABEL: exec.program @refused
// CHECK-NEXT: exec.launch @small 
// CHECK-NEXT: exec.launch @plane 
// CHECK-NEXT: exec.launch @large 
// CHECK-NEXT: exec.launch @many 
// CHECK-NEXT: {{^  }$}}
exec.program @refused "train" tokens 0 inputs {} outputs {} {
  exec.launch @small reads [@w] writes [@u] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @plane reads [@w] writes [@v] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @large reads [@w] writes [@v] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @many reads [@w] writes [@v] {label = "", flops = 0 : i64, bytes = 0 : i64}
}

// -----

// A join may not need more memory: @a and @b would be there at once.
exec.buffer parameter @w : tensor<16xf32> at 0 bytes 64 init "constant" 0.0
exec.buffer gradient @u : tensor<16xf32> at 0 bytes 64
exec.buffer gradient @v : tensor<16xf32> at 0 bytes 64
exec.buffer workspace @a : tensor<256xf32> at 0 bytes 1024
exec.buffer workspace @b : tensor<256xf32> at 0 bytes 1024
func.func private @make(%x: tensor<16xf32>) -> tensor<256xf32> attributes {kernel.launches = array<i64: 128, 2, 0, 0, 16>} {
  %0 = kernel.rowwise(%x) : (tensor<16xf32>) -> tensor<256xf32> {
    ^bb0(%a: tensor<16xf32>):
    %1 = lm.constant dense<1.0> : tensor<256xf32>
    kernel.yield %1 : tensor<256xf32>
  }
  return %0 : tensor<256xf32>
}
func.func private @use(%x: tensor<256xf32>) -> tensor<16xf32> attributes {kernel.launches = array<i64: 256, 2, 0, 0, 16>} {
  %0 = kernel.rowwise(%x) : (tensor<256xf32>) -> tensor<16xf32> {
    ^bb0(%a: tensor<256xf32>):
    %1 = lm.constant dense<1.0> : tensor<16xf32>
    kernel.yield %1 : tensor<16xf32>
  }
  return %0 : tensor<16xf32>
}
// CHECK-LABEL: exec.program @memory
// CHECK-NEXT: exec.launch @make 
// CHECK-NEXT: exec.launch @use 
// CHECK-NEXT: exec.launch @make 
// CHECK-NEXT: exec.launch @use 
exec.program @memory "train" tokens 0 inputs {} outputs {} {
  exec.launch @make reads [@w] writes [@a] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @use reads [@a] writes [@u] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @make reads [@w] writes [@b] {label = "", flops = 0 : i64, bytes = 0 : i64}
  exec.launch @use reads [@b] writes [@v] {label = "", flops = 0 : i64, bytes = 0 : i64}
}
