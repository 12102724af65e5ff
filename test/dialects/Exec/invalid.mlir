// RUN: smelt-opt %s --split-input-file --verify-diagnostics

// expected-error@+1 {{offset 32 is not a multiple of 64}}
exec.buffer workspace @a : tensor<4xf32> at 32 bytes 16

// -----

// expected-error@+1 {{has 12 bytes but its type needs 16}}
exec.buffer workspace @a : tensor<4xf32> at 0 bytes 12

// -----

// expected-error@+1 {{needs a static tensor type}}
exec.buffer workspace @a : tensor<?xf32> at 0 bytes 12

// -----

// expected-error@+1 {{has a value exactly if it is a constant}}
exec.buffer constant @a : tensor<4xf32> at 0 bytes 16

// -----

// expected-error@+1 {{has an init exactly if it is a parameter}}
exec.buffer parameter @a : tensor<4xf32> at 0 bytes 16

// -----

// expected-error@+1 {{lies in @b, which is no exec.buffer of its own}}
exec.buffer workspace @a : tensor<4xf32> at 0 bytes 16 in @b

// -----

exec.buffer workspace @b : tensor<8xf32> at 64 bytes 32
// expected-error@+1 {{reaches outside of @b}}
exec.buffer workspace @a : tensor<4xf32> at 84 bytes 16 in @b

// -----

exec.buffer workspace @b : tensor<8xf32> at 64 bytes 32
// expected-error@+1 {{offset 66 is not a multiple of 4}}
exec.buffer workspace @a : tensor<4xf32> at 66 bytes 16 in @b

// -----

exec.program @p "update" tokens 0 inputs {} outputs {} {
  // expected-error@+1 {{cannot stand in a program: only launches and collectives}}
  exec.arena 64
}

// -----

exec.program @p "update" tokens 0 inputs {} outputs {} {
  // expected-error@+1 {{launches @k, which is no kernel function}}
  exec.launch @k reads [] writes [] {label = "", flops = 0 : i64, bytes = 0 : i64}
}

// -----

func.func private @k(tensor<f32>) -> tensor<f32>
exec.program @p "update" tokens 0 inputs {} outputs {} {
  // expected-error@+1 {{gives 0 operands and 0 results to @k, which has 1 and 1}}
  exec.launch @k reads [] writes [] {label = "", flops = 0 : i64, bytes = 0 : i64}
}

// -----

func.func private @k(tensor<f32>)
exec.program @p "update" tokens 0 inputs {} outputs {} {
  // expected-error@+1 {{reads @a, which is no exec.buffer}}
  exec.launch @k reads [@a] writes [] {label = "", flops = 0 : i64, bytes = 0 : i64}
}

// -----

func.func private @k() -> tensor<f32>
exec.program @p "update" tokens 0 inputs {} outputs {} {
  // expected-error@+1 {{writes @k, which is no exec.buffer}}
  exec.launch @k reads [] writes [@k] {label = "", flops = 0 : i64, bytes = 0 : i64}
}

// -----

func.func private @k()
exec.program @p "update" tokens 0 inputs {} outputs {} {
  // expected-error@+1 {{works in @a, which is no exec.buffer}}
  exec.launch @k reads [] writes [] workspace @a {label = "", flops = 0 : i64, bytes = 0 : i64}
}

// -----

// expected-error@+1 {{runs every 2 steps at offset 2; the offset must be 0 to the period less 1}}
exec.program @p "update" tokens 0 inputs {} outputs {} attributes {every = 2 : i64, offset = 2 : i64} {
}

// -----

// expected-error@+1 {{has a period, but only programs of role update do}}
exec.program @p "train" tokens 0 inputs {} outputs {} attributes {every = 2 : i64} {
}

// -----

// expected-error@+1 {{begins as a copy, but only states do}}
exec.buffer workspace @a : tensor<4xf32> at 0 bytes 16 {copy_of = @w}

// -----

exec.buffer parameter @w : tensor<8xf32> at 64 bytes 32 init "constant" 0.0
// expected-error@+1 {{begins as a copy of @w, which is no parameter of its type}}
exec.buffer state @a : tensor<4xf32> at 0 bytes 16 {copy_of = @w}

// -----

exec.program @p "update" tokens 0 inputs {} outputs {} {
  // expected-error@+1 {{has no buffers}}
  exec.all_reduce []
}

// -----

exec.program @p "update" tokens 0 inputs {} outputs {} {
  // expected-error@+1 {{sums @g, which is no exec.buffer}}
  exec.all_reduce [@g]
}

// -----

exec.buffer gradient @g : tensor<8xi32> at 0 bytes 32
exec.program @p "update" tokens 0 inputs {} outputs {} {
  // expected-error@+1 {{sums @g, whose elements are 'i32'; there are sums of f32 and bf16}}
  exec.all_reduce [@g]
}

// -----

exec.buffer gradient @g : tensor<8xf32> at 0 bytes 32
exec.buffer gradient @h : tensor<8xbf16> at 64 bytes 16
exec.program @p "update" tokens 0 inputs {} outputs {} {
  // expected-error@+1 {{has buffers of 'f32' and 'bf16'}}
  exec.all_reduce [@g, @h]
}

// -----

exec.buffer gradient @g : tensor<64xf32> at 0 bytes 256
exec.program @p "update" tokens 0 inputs {} outputs {} {
  // expected-error@+1 {{cannot cut the 256 bytes of @g into 2 parts of a multiple of 256 bytes}}
  exec.reduce_scatter [@g] ranks 2
}

// -----

exec.buffer gradient @g : tensor<128xf32> at 0 bytes 512
exec.program @p "update" tokens 0 inputs {} outputs {} {
  // expected-error@+1 {{makes no sense for 1 rank}}
  exec.all_gather [@g] ranks 1
}

// -----

exec.program @p "update" tokens 0 inputs {} outputs {} {
  // expected-error@+1 {{gathers @g, which is no exec.buffer}}
  exec.all_gather [@g] ranks 2
}

// -----

exec.buffer gradient @g : tensor<128xi32> at 0 bytes 512
exec.program @p "update" tokens 0 inputs {} outputs {} {
  // expected-error@+1 {{sums @g, whose elements are 'i32'; there are sums of f32 and bf16}}
  exec.reduce_scatter [@g] ranks 2
}

// -----

exec.buffer gradient @g : tensor<256xf32> at 0 bytes 1024
exec.buffer workspace @h : tensor<128xf32> at 0 bytes 512 in @g
exec.program @p "update" tokens 0 inputs {} outputs {} {
  // expected-error@+1 {{takes @h, which is a range of another buffer}}
  exec.reduce_scatter [@h] ranks 2
}

// -----

exec.buffer gradient @g : tensor<128xf32> at 0 bytes 512
// expected-error@+1 {{is no part of one stride of 192 bytes of @g, which has 512}}
exec.buffer workspace @h : tensor<32xf32> at 0 bytes 128 in @g {rank_stride = 192 : i64}

// -----

exec.buffer gradient @g : tensor<128xf32> at 0 bytes 512
// expected-error@+1 {{is no part of one stride of 256 bytes of @g, which has 512}}
exec.buffer workspace @h : tensor<64xf32> at 64 bytes 256 in @g {rank_stride = 256 : i64}

// -----

// expected-error@+1 {{has a rank_stride but lies in no other buffer}}
exec.buffer workspace @h : tensor<64xf32> at 0 bytes 256 {rank_stride = 256 : i64}

// -----

// expected-error@+1 {{is a part of other tensors, but only states with rows are}}
exec.buffer gradient @h : tensor<64xf32> at 0 bytes 256 {part_names = ["a"], part_rows = array<i64: 4>}
