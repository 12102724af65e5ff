// The transpose of a key offset in a row kernel: a feature that moves is read from the next row and the others from their own, by one load
// of either; the row that kept its own feature reads that one beside. Numbers without a GPU: Inputs/ptx.py runs the PTX.
// REQUIRES: gpu-codegen
// RUN: gpu_kernels %s %t sm_90a
// RUN: FileCheck %s < %t/kernels.ptx
// RUN: %python %S/Inputs/check_key_rows.py %t | FileCheck %s --check-prefix=NUMBERS

// A lane has four features and their four partners in the rotation: of the keys and of the gradient, which in the first row is read a second
// time behind a branch; the table's cosine and sine once. All four features wide.
// CHECK-LABEL: .visible .entry smelt_keys(
// CHECK-COUNT-8: ld.global.v2.b32
// CHECK-NOT: ld.global
// CHECK: .visible .entry smelt_documents(
func.func private @keys(%dk: tensor<7x2x128xbf16>, %k: tensor<7x2x128xbf16>, %table: tensor<7x128xbf16>) -> tensor<7x2x128xbf16> {
  %0 = kernel.rowwise(%dk, %k, %table) : (tensor<7x2x128xbf16>, tensor<7x2x128xbf16>, tensor<7x128xbf16>) -> tensor<7x2x128xbf16> {
    ^bb0(%a: tensor<7x2x128xbf16>, %b: tensor<7x2x128xbf16>, %c: tensor<7x128xbf16>):
    %1 = lm.cast %a : tensor<7x2x128xbf16> -> tensor<7x2x128xf32>
    %2 = lm.cast %b : tensor<7x2x128xbf16> -> tensor<7x2x128xf32>
    %3 = lm.cast %c : tensor<7x128xbf16> -> tensor<7x128xf32>
    %4 = lm.token_shift_adjoint replace cross %1 {features = array<i64: 32, 64, 96, 128>, heads = array<i64>} : (tensor<7x2x128xf32>) -> tensor<7x2x128xf32>
    %5 = lm.rope %4, %3 {inverse} : tensor<7x2x128xf32>, tensor<7x128xf32>
    %6 = lm.rms_norm_backward %2, %5 {eps = 1.0e-6 : f64} : tensor<7x2x128xf32>
    %7 = lm.cast %6 : tensor<7x2x128xf32> -> tensor<7x2x128xbf16>
    kernel.yield %7 : tensor<7x2x128xbf16>
  }
  return %0 : tensor<7x2x128xbf16>
}

// Documents of 1, 3, 1 and 2 rows: their first rows read twice, of the last one's features nothing came back.
func.func private @documents(%dk: tensor<7x2x128xbf16>, %k: tensor<7x2x128xbf16>, %table: tensor<7x128xbf16>, %starts: tensor<7xi32>) -> tensor<7x2x128xbf16> {
  %0 = kernel.rowwise(%dk, %k, %table, %starts) : (tensor<7x2x128xbf16>, tensor<7x2x128xbf16>, tensor<7x128xbf16>, tensor<7xi32>) -> tensor<7x2x128xbf16> {
    ^bb0(%a: tensor<7x2x128xbf16>, %b: tensor<7x2x128xbf16>, %c: tensor<7x128xbf16>, %s: tensor<7xi32>):
    %1 = lm.cast %a : tensor<7x2x128xbf16> -> tensor<7x2x128xf32>
    %2 = lm.cast %b : tensor<7x2x128xbf16> -> tensor<7x2x128xf32>
    %3 = lm.cast %c : tensor<7x128xbf16> -> tensor<7x128xf32>
    %4 = lm.token_shift_adjoint replace mask %1 document_start %s {features = array<i64: 32, 64, 96, 128>, heads = array<i64>} : (tensor<7x2x128xf32>, tensor<7xi32>) -> tensor<7x2x128xf32>
    %5 = lm.rope %4, %3 {inverse} : tensor<7x2x128xf32>, tensor<7x128xf32>
    %6 = lm.rms_norm_backward %2, %5 {eps = 1.0e-6 : f64} : tensor<7x2x128xf32>
    %7 = lm.cast %6 : tensor<7x2x128xf32> -> tensor<7x2x128xbf16>
    kernel.yield %7 : tensor<7x2x128xbf16>
  }
  return %0 : tensor<7x2x128xbf16>
}

// One row: it keeps all of its own.
func.func private @one(%dk: tensor<1x2x128xbf16>, %k: tensor<1x2x128xbf16>, %table: tensor<1x128xbf16>) -> tensor<1x2x128xbf16> {
  %0 = kernel.rowwise(%dk, %k, %table) : (tensor<1x2x128xbf16>, tensor<1x2x128xbf16>, tensor<1x128xbf16>) -> tensor<1x2x128xbf16> {
    ^bb0(%a: tensor<1x2x128xbf16>, %b: tensor<1x2x128xbf16>, %c: tensor<1x128xbf16>):
    %1 = lm.cast %a : tensor<1x2x128xbf16> -> tensor<1x2x128xf32>
    %2 = lm.cast %b : tensor<1x2x128xbf16> -> tensor<1x2x128xf32>
    %3 = lm.cast %c : tensor<1x128xbf16> -> tensor<1x128xf32>
    %4 = lm.token_shift_adjoint replace cross %1 {features = array<i64: 32, 64, 96, 128>, heads = array<i64>} : (tensor<1x2x128xf32>) -> tensor<1x2x128xf32>
    %5 = lm.rope %4, %3 {inverse} : tensor<1x2x128xf32>, tensor<1x128xf32>
    %6 = lm.rms_norm_backward %2, %5 {eps = 1.0e-6 : f64} : tensor<1x2x128xf32>
    %7 = lm.cast %6 : tensor<1x2x128xf32> -> tensor<1x2x128xbf16>
    kernel.yield %7 : tensor<1x2x128xbf16>
  }
  return %0 : tensor<1x2x128xbf16>
}

// Heads of 64 share a warp by fours, three heads of 128 by none, 96 features make three rounds whose second has both halves.
func.func private @narrow(%dk: tensor<7x4x64xbf16>, %k: tensor<7x4x64xbf16>, %table: tensor<7x64xbf16>) -> tensor<7x4x64xbf16> {
  %0 = kernel.rowwise(%dk, %k, %table) : (tensor<7x4x64xbf16>, tensor<7x4x64xbf16>, tensor<7x64xbf16>) -> tensor<7x4x64xbf16> {
    ^bb0(%a: tensor<7x4x64xbf16>, %b: tensor<7x4x64xbf16>, %c: tensor<7x64xbf16>):
    %1 = lm.cast %a : tensor<7x4x64xbf16> -> tensor<7x4x64xf32>
    %2 = lm.cast %b : tensor<7x4x64xbf16> -> tensor<7x4x64xf32>
    %3 = lm.cast %c : tensor<7x64xbf16> -> tensor<7x64xf32>
    %4 = lm.token_shift_adjoint replace cross %1 {features = array<i64: 16, 32, 48, 64>, heads = array<i64>} : (tensor<7x4x64xf32>) -> tensor<7x4x64xf32>
    %5 = lm.rope %4, %3 {inverse} : tensor<7x4x64xf32>, tensor<7x64xf32>
    %6 = lm.rms_norm_backward %2, %5 {eps = 1.0e-6 : f64} : tensor<7x4x64xf32>
    %7 = lm.cast %6 : tensor<7x4x64xf32> -> tensor<7x4x64xbf16>
    kernel.yield %7 : tensor<7x4x64xbf16>
  }
  return %0 : tensor<7x4x64xbf16>
}
func.func private @three(%dk: tensor<7x3x128xbf16>, %k: tensor<7x3x128xbf16>, %table: tensor<7x128xbf16>) -> tensor<7x3x128xbf16> {
  %0 = kernel.rowwise(%dk, %k, %table) : (tensor<7x3x128xbf16>, tensor<7x3x128xbf16>, tensor<7x128xbf16>) -> tensor<7x3x128xbf16> {
    ^bb0(%a: tensor<7x3x128xbf16>, %b: tensor<7x3x128xbf16>, %c: tensor<7x128xbf16>):
    %1 = lm.cast %a : tensor<7x3x128xbf16> -> tensor<7x3x128xf32>
    %2 = lm.cast %b : tensor<7x3x128xbf16> -> tensor<7x3x128xf32>
    %3 = lm.cast %c : tensor<7x128xbf16> -> tensor<7x128xf32>
    %4 = lm.token_shift_adjoint replace cross %1 {features = array<i64: 32, 64, 96, 128>, heads = array<i64>} : (tensor<7x3x128xf32>) -> tensor<7x3x128xf32>
    %5 = lm.rope %4, %3 {inverse} : tensor<7x3x128xf32>, tensor<7x128xf32>
    %6 = lm.rms_norm_backward %2, %5 {eps = 1.0e-6 : f64} : tensor<7x3x128xf32>
    %7 = lm.cast %6 : tensor<7x3x128xf32> -> tensor<7x3x128xbf16>
    kernel.yield %7 : tensor<7x3x128xbf16>
  }
  return %0 : tensor<7x3x128xbf16>
}
func.func private @odd(%dk: tensor<7x2x96xbf16>, %k: tensor<7x2x96xbf16>, %table: tensor<7x96xbf16>) -> tensor<7x2x96xbf16> {
  %0 = kernel.rowwise(%dk, %k, %table) : (tensor<7x2x96xbf16>, tensor<7x2x96xbf16>, tensor<7x96xbf16>) -> tensor<7x2x96xbf16> {
    ^bb0(%a: tensor<7x2x96xbf16>, %b: tensor<7x2x96xbf16>, %c: tensor<7x96xbf16>):
    %1 = lm.cast %a : tensor<7x2x96xbf16> -> tensor<7x2x96xf32>
    %2 = lm.cast %b : tensor<7x2x96xbf16> -> tensor<7x2x96xf32>
    %3 = lm.cast %c : tensor<7x96xbf16> -> tensor<7x96xf32>
    %4 = lm.token_shift_adjoint replace cross %1 {features = array<i64: 24, 48, 72, 96>, heads = array<i64>} : (tensor<7x2x96xf32>) -> tensor<7x2x96xf32>
    %5 = lm.rope %4, %3 {inverse} : tensor<7x2x96xf32>, tensor<7x96xf32>
    %6 = lm.rms_norm_backward %2, %5 {eps = 1.0e-6 : f64} : tensor<7x2x96xf32>
    %7 = lm.cast %6 : tensor<7x2x96xf32> -> tensor<7x2x96xbf16>
    kernel.yield %7 : tensor<7x2x96xbf16>
  }
  return %0 : tensor<7x2x96xbf16>
}

// Four features take two reads and a write, and a read of the table, which serves both halves. In the first of the seven rows they take one
// more: 4 + 1/7.
// NUMBERS-DAG: keys: right, 4.143 reads and writes of four numbers
// NUMBERS-DAG: documents: right
// NUMBERS-DAG: one: right, 5.000 reads and writes
// NUMBERS-DAG: narrow: right, 4.143 reads and writes
// NUMBERS-DAG: three: right
// NUMBERS-DAG: odd: right
// NUMBERS-NOT: WRONG
