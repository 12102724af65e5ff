// Rows made of heads: a warp takes as many as it has lanes for, a lane eight features of one, and reads each number once. Table gradients: a stable sort, no atomics.
// REQUIRES: gpu-codegen
// RUN: gpu_kernels %s %t sm_90a
// RUN: FileCheck %s < %t/kernels.ptx

// Two sums over each of the two heads of the first part by sixteen lanes; the second part is a copy; no row is shared. All loads of a unit
// come before its stores.
// CHECK-LABEL: .visible .entry smelt_heads(
// CHECK: .reqntid 256
// CHECK-NOT: bar.sync
// CHECK-COUNT-8: shfl.sync.bfly
// CHECK-NOT: shfl.sync
// CHECK-NOT: bar.sync
// CHECK: ret;
func.func private @heads(%x: tensor<8x2x128xbf16>, %dy: tensor<8x2x128xbf16>, %z: tensor<8x2x128xbf16>) -> tensor<8x512xbf16> {
  %0 = kernel.rowwise(%x, %dy, %z) : (tensor<8x2x128xbf16>, tensor<8x2x128xbf16>, tensor<8x2x128xbf16>) -> tensor<8x512xbf16> {
    ^bb0(%a: tensor<8x2x128xbf16>, %b: tensor<8x2x128xbf16>, %c: tensor<8x2x128xbf16>):
    %1 = lm.cast %a : tensor<8x2x128xbf16> -> tensor<8x2x128xf32>
    %2 = lm.cast %b : tensor<8x2x128xbf16> -> tensor<8x2x128xf32>
    %3 = lm.rms_norm_backward %1, %2 {eps = 1.0e-6 : f64} : tensor<8x2x128xf32>
    %4 = lm.reshape %3 : tensor<8x2x128xf32> -> tensor<8x256xf32>
    %5 = lm.cast %c : tensor<8x2x128xbf16> -> tensor<8x2x128xf32>
    %6 = lm.reshape %5 : tensor<8x2x128xf32> -> tensor<8x256xf32>
    %7 = lm.concat %4, %6 : (tensor<8x256xf32>, tensor<8x256xf32>) -> tensor<8x512xf32>
    %8 = lm.cast %7 : tensor<8x512xf32> -> tensor<8x512xbf16>
    kernel.yield %8 : tensor<8x512xbf16>
  }
  return %0 : tensor<8x512xbf16>
}

// So too where the whole row has a factor.
// CHECK-LABEL: .visible .entry smelt_scaled(
// CHECK: .reqntid 256
// CHECK-NOT: bar.sync
// CHECK-COUNT-8: shfl.sync.bfly
// CHECK-NOT: shfl.sync
// CHECK-NOT: bar.sync
// CHECK: ret;
func.func private @scaled(%x: tensor<8x2x128xbf16>, %dy: tensor<8x2x128xbf16>, %z: tensor<8x2x128xbf16>, %r: tensor<8xf32>) -> tensor<8x512xbf16> {
  %0 = kernel.rowwise(%x, %dy, %z, %r) : (tensor<8x2x128xbf16>, tensor<8x2x128xbf16>, tensor<8x2x128xbf16>, tensor<8xf32>) -> tensor<8x512xbf16> {
    ^bb0(%a: tensor<8x2x128xbf16>, %b: tensor<8x2x128xbf16>, %c: tensor<8x2x128xbf16>, %f: tensor<8xf32>):
    %1 = lm.cast %a : tensor<8x2x128xbf16> -> tensor<8x2x128xf32>
    %2 = lm.cast %b : tensor<8x2x128xbf16> -> tensor<8x2x128xf32>
    %3 = lm.rms_norm_backward %1, %2 {eps = 1.0e-6 : f64} : tensor<8x2x128xf32>
    %4 = lm.reshape %3 : tensor<8x2x128xf32> -> tensor<8x256xf32>
    %5 = lm.cast %c : tensor<8x2x128xbf16> -> tensor<8x2x128xf32>
    %6 = lm.reshape %5 : tensor<8x2x128xf32> -> tensor<8x256xf32>
    %7 = lm.concat %4, %6 : (tensor<8x256xf32>, tensor<8x256xf32>) -> tensor<8x512xf32>
    %8 = lm.row_scale %7, %f : tensor<8x512xf32>, tensor<8xf32>
    %9 = lm.cast %8 : tensor<8x512xf32> -> tensor<8x512xbf16>
    kernel.yield %9 : tensor<8x512xbf16>
  }
  return %0 : tensor<8x512xbf16>
}

// Three heads: none shares a warp with another.
// CHECK-LABEL: .visible .entry smelt_three(
// CHECK-COUNT-10: shfl.sync.bfly
// CHECK-NOT: shfl.sync
// CHECK: ret;
func.func private @three(%x: tensor<8x3x128xbf16>, %dy: tensor<8x3x128xbf16>) -> tensor<8x3x128xbf16> {
  %0 = kernel.rowwise(%x, %dy) : (tensor<8x3x128xbf16>, tensor<8x3x128xbf16>) -> tensor<8x3x128xbf16> {
    ^bb0(%a: tensor<8x3x128xbf16>, %b: tensor<8x3x128xbf16>):
    %1 = lm.cast %a : tensor<8x3x128xbf16> -> tensor<8x3x128xf32>
    %2 = lm.cast %b : tensor<8x3x128xbf16> -> tensor<8x3x128xf32>
    %3 = lm.rms_norm_backward %1, %2 {eps = 1.0e-6 : f64} : tensor<8x3x128xf32>
    %4 = lm.cast %3 : tensor<8x3x128xf32> -> tensor<8x3x128xbf16>
    kernel.yield %4 : tensor<8x3x128xbf16>
  }
  return %0 : tensor<8x3x128xbf16>
}

// Sixteen bits of token: two passes of two launches, the starts, whole pieces, the table.
// CHECK-LABEL: .visible .entry smelt_table(
// CHECK: match.any.sync.b32
// CHECK-LABEL: .visible .entry smelt_table_1(
// CHECK: match.any.sync.b32
// CHECK-LABEL: .visible .entry smelt_table_3(
// CHECK-LABEL: .visible .entry smelt_table_4(
// CHECK-NOT: {{atom|red}}.
// CHECK-LABEL: .visible .entry smelt_table_5(
// CHECK-NOT: {{atom|red}}.
// CHECK-LABEL: .visible .entry smelt_table_6(
// CHECK-NOT: {{atom|red}}.
// CHECK-NOT: .entry
func.func private @table(%t: tensor<4096xi32>, %dy: tensor<4096x64xf32>) -> tensor<5000x64xf32> {
  %0 = kernel.embedding_backward tokens(%t) dy(%dy) result() : (tensor<4096xi32>, tensor<4096x64xf32>) -> tensor<5000x64xf32> dy {
    ^bb0(%a: tensor<4096x64xf32>):
    kernel.yield %a : tensor<4096x64xf32>
  } result {
    ^bb0(%a: tensor<5000x64xf32>):
    kernel.yield %a : tensor<5000x64xf32>
  }
  return %0 : tensor<5000x64xf32>
}
