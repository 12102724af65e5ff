// f8, i16 and tables of constants in row kernels: two f8 a conversion from sm_89 on, integers before.
// REQUIRES: gpu-codegen
// RUN: gpu_kernels %s %t90 sm_90a
// RUN: FileCheck %s < %t90/kernels.ptx
// RUN: gpu_kernels %s %t80 sm_80
// RUN: FileCheck %s --check-prefix=SM80 < %t80/kernels.ptx

// CHECK: .global .align 16 .b8 smelt_rates_table0[8]

// The product is rounded by itself, then two numbers at once are; four f8 are one store.
// CHECK-LABEL: .visible .entry smelt_quantize(
// CHECK: ld.global.v4.b32
// CHECK-COUNT-4: mul.rn.f32
// CHECK: cvt.rn.satfinite.e4m3x2.f32
// CHECK: cvt.rn.satfinite.e4m3x2.f32
// CHECK-NOT: cvt.rn.f16x2.e4m3x2
// CHECK: st.global.{{v2.b16|b32}}
// CHECK-NOT: st.global
// CHECK: ret;
// SM80-LABEL: .visible .entry smelt_quantize(
// SM80-NOT: e4m3
// SM80: 0f43E00000
// SM80: cvt.rn.f16.f32
// SM80: ret;
func.func private @quantize(%x: tensor<8x128xf32>) -> tensor<8x128xf8E4M3FN> {
  %0 = kernel.rowwise(%x) : (tensor<8x128xf32>) -> tensor<8x128xf8E4M3FN> {
    ^bb0(%a: tensor<8x128xf32>):
    %1 = lm.quantize %a {scale = 2.500000e-01 : f64} : tensor<8x128xf32> -> tensor<8x128xf8E4M3FN>
    kernel.yield %1 : tensor<8x128xf8E4M3FN>
  }
  return %0 : tensor<8x128xf8E4M3FN>
}

// What else reads a quantised value sees it rounded.
// CHECK-LABEL: .visible .entry smelt_both(
// CHECK-DAG: cvt.rn.satfinite.e5m2x2.f32
// CHECK-DAG: cvt.rn.f16x2.e5m2x2
// CHECK: ret;
func.func private @both(%x: tensor<8x128xbf16>) -> (tensor<8x128xf8E5M2>, tensor<8x128xf32>) {
  %0:2 = kernel.rowwise(%x) : (tensor<8x128xbf16>) -> (tensor<8x128xf8E5M2>, tensor<8x128xf32>) {
    ^bb0(%a: tensor<8x128xbf16>):
    %1 = lm.quantize %a {scale = 5.000000e-01 : f64} : tensor<8x128xbf16> -> tensor<8x128xf8E5M2>
    %2 = lm.cast %1 : tensor<8x128xf8E5M2> -> tensor<8x128xf32>
    kernel.yield %1, %2 : tensor<8x128xf8E5M2>, tensor<8x128xf32>
  }
  return %0#0, %0#1 : tensor<8x128xf8E5M2>, tensor<8x128xf32>
}

// A product of f8 matrices by the generic kernel (sizes that no tile divides).
// CHECK-LABEL: .visible .entry smelt_product(
// CHECK: cvt.rn.f16x2.e4m3x2
// CHECK: ret;
// SM80-LABEL: .visible .entry smelt_product(
// SM80: cvt.f32.f16
// SM80: ret;
func.func private @product(%a: tensor<5x7xf8E4M3FN>, %b: tensor<3x7xf8E4M3FN>) -> tensor<5x3xf32> {
  %0 = kernel.gemm a(%a) b(%b) result() {transpose_b} : (tensor<5x7xf8E4M3FN>, tensor<3x7xf8E4M3FN>) -> tensor<5x3xf32>
    a { ^bb0(%x: tensor<5x7xf8E4M3FN>): kernel.yield %x : tensor<5x7xf8E4M3FN> }
    b { ^bb0(%x: tensor<3x7xf8E4M3FN>): kernel.yield %x : tensor<3x7xf8E4M3FN> }
    result { ^bb0(%x: tensor<5x3xf32>): kernel.yield %x : tensor<5x3xf32> }
  return %0 : tensor<5x3xf32>
}

// A master's halves: no conversion of numbers is left, only bits.
// CHECK-LABEL: .visible .entry smelt_master(
// CHECK-NOT: cvt.rn.f32
// CHECK-NOT: cvt.rzi
// CHECK: ret;
func.func private @master(%h: tensor<4x96xbf16>, %l: tensor<4x96xi16>) -> (tensor<4x96xbf16>, tensor<4x96xi16>) {
  %0:2 = kernel.rowwise(%h, %l) : (tensor<4x96xbf16>, tensor<4x96xi16>) -> (tensor<4x96xbf16>, tensor<4x96xi16>) {
    ^bb0(%a: tensor<4x96xbf16>, %b: tensor<4x96xi16>):
    %1 = lm.join_master %a, %b : tensor<4x96xbf16>, tensor<4x96xi16> -> tensor<4x96xf32>
    %2 = lm.add %1, %1 : tensor<4x96xf32>
    %3, %4 = lm.split_master %2 : tensor<4x96xf32> -> tensor<4x96xbf16>, tensor<4x96xi16>
    kernel.yield %3, %4 : tensor<4x96xbf16>, tensor<4x96xi16>
  }
  return %0#0, %0#1 : tensor<4x96xbf16>, tensor<4x96xi16>
}

// A number per group of rows from a table in the code.
// CHECK-LABEL: .visible .entry smelt_rates(
// CHECK: smelt_rates_table0
// CHECK: ret;
func.func private @rates(%x: tensor<8x16xf32>) -> tensor<8x16xf32> {
  %0 = kernel.rowwise(%x) : (tensor<8x16xf32>) -> tensor<8x16xf32> {
    ^bb0(%a: tensor<8x16xf32>):
    %1 = lm.constant dense<[1.0, 2.0]> : tensor<2xf32>
    %2 = lm.expand_groups %1 : tensor<2xf32> -> tensor<8xf32>
    %3 = lm.row_scale %a, %2 : tensor<8x16xf32>, tensor<8xf32>
    kernel.yield %3 : tensor<8x16xf32>
  }
  return %0 : tensor<8x16xf32>
}
