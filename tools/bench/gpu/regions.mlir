// Kernels of the short record as its compiler makes them (49,152 rows), named by what they are; region_cases.py derives other sizes.
module {
  func.func private @dout(%arg0: tensor<49152x768xbf16>, %arg1: tensor<768x768xbf16>, %arg2: tensor<f32>, %arg3: tensor<49152x6x128xbf16>, %arg4: tensor<49152x6xf32>) -> (tensor<49152x6xf32>, tensor<49152x6x128xbf16>) {
    %0:2 = kernel.gemm a(%arg0) b(%arg1) result(%arg2, %arg3, %arg4) : (tensor<49152x768xbf16>, tensor<768x768xbf16>, tensor<f32>, tensor<49152x6x128xbf16>, tensor<49152x6xf32>) -> (tensor<49152x6xf32>, tensor<49152x6x128xbf16>) a {
    ^bb0(%arg5: tensor<49152x768xbf16>):
      %1 = lm.cast %arg5 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      kernel.yield %1 : tensor<49152x768xf32>
    } b {
    ^bb0(%arg5: tensor<768x768xbf16>):
      %1 = lm.cast %arg5 : tensor<768x768xbf16> -> tensor<768x768xf32>
      kernel.yield %1 : tensor<768x768xf32>
    } result {
    ^bb0(%arg5: tensor<49152x768xf32>, %arg6: tensor<f32>, %arg7: tensor<49152x6x128xbf16>, %arg8: tensor<49152x6xf32>):
      %1 = lm.cast %arg7 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %2 = lm.scale %arg5, %arg6 : tensor<49152x768xf32>, tensor<f32>
      %3 = lm.reshape %2 : tensor<49152x768xf32> -> tensor<49152x6x128xf32>
      %4 = lm.row_dot %1, %3 : tensor<49152x6x128xf32> -> tensor<49152x6xf32>
      %5 = lm.row_scale %3, %arg8 : tensor<49152x6x128xf32>, tensor<49152x6xf32>
      %6 = lm.cast %5 : tensor<49152x6x128xf32> -> tensor<49152x6x128xbf16>
      kernel.yield %4, %6 : tensor<49152x6xf32>, tensor<49152x6x128xbf16>
    }
    return %0#0, %0#1 : tensor<49152x6xf32>, tensor<49152x6x128xbf16>
  }
  func.func private @out(%arg0: tensor<49152x6x128xbf16>, %arg1: tensor<768x768xbf16>, %arg2: tensor<f32>, %arg3: tensor<49152x768xbf16>) -> (tensor<49152x768xbf16>, tensor<49152x6xf32>) {
    %0:2 = kernel.gemm a(%arg0) b(%arg1) result(%arg2, %arg3) {transpose_b} : (tensor<49152x6x128xbf16>, tensor<768x768xbf16>, tensor<f32>, tensor<49152x768xbf16>) -> (tensor<49152x768xbf16>, tensor<49152x6xf32>) a {
    ^bb0(%arg4: tensor<49152x6x128xbf16>):
      %1 = lm.cast %arg4 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %2 = lm.reshape %1 : tensor<49152x6x128xf32> -> tensor<49152x768xf32>
      kernel.yield %2 : tensor<49152x768xf32>
    } b {
    ^bb0(%arg4: tensor<768x768xbf16>):
      %1 = lm.cast %arg4 : tensor<768x768xbf16> -> tensor<768x768xf32>
      kernel.yield %1 : tensor<768x768xf32>
    } result {
    ^bb0(%arg4: tensor<49152x768xf32>, %arg5: tensor<f32>, %arg6: tensor<49152x768xbf16>):
      %1 = lm.cast %arg6 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %2 = lm.scale %arg4, %arg5 : tensor<49152x768xf32>, tensor<f32>
      %3 = lm.add %1, %2 : tensor<49152x768xf32>
      %4 = lm.cast %3 : tensor<49152x768xf32> -> tensor<49152x768xbf16>
      %5 = lm.reshape %3 : tensor<49152x768xf32> -> tensor<49152x6x128xf32>
      %6 = lm.row_dot %5, %5 : tensor<49152x6x128xf32> -> tensor<49152x6xf32>
      kernel.yield %4, %6 : tensor<49152x768xbf16>, tensor<49152x6xf32>
    }
    return %0#0, %0#1 : tensor<49152x768xbf16>, tensor<49152x6xf32>
  }
  func.func private @down(%arg0: tensor<49152x3072xbf16>, %arg1: tensor<3072x768xbf16>, %arg2: tensor<49152x768xbf16>, %arg3: tensor<49152x768xbf16>, %arg4: tensor<f32>, %arg5: tensor<f32>) -> (tensor<49152x768xbf16>, tensor<49152x768xbf16>, tensor<49152x6xf32>) {
    %0:3 = kernel.gemm a(%arg0) b(%arg1) result(%arg2, %arg3, %arg4, %arg5) : (tensor<49152x3072xbf16>, tensor<3072x768xbf16>, tensor<49152x768xbf16>, tensor<49152x768xbf16>, tensor<f32>, tensor<f32>) -> (tensor<49152x768xbf16>, tensor<49152x768xbf16>, tensor<49152x6xf32>) a {
    ^bb0(%arg6: tensor<49152x3072xbf16>):
      %1 = lm.cast %arg6 : tensor<49152x3072xbf16> -> tensor<49152x3072xf32>
      kernel.yield %1 : tensor<49152x3072xf32>
    } b {
    ^bb0(%arg6: tensor<3072x768xbf16>):
      %1 = lm.cast %arg6 : tensor<3072x768xbf16> -> tensor<3072x768xf32>
      kernel.yield %1 : tensor<3072x768xf32>
    } result {
    ^bb0(%arg6: tensor<49152x768xf32>, %arg7: tensor<49152x768xbf16>, %arg8: tensor<49152x768xbf16>, %arg9: tensor<f32>, %arg10: tensor<f32>):
      %1 = lm.cast %arg7 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %2 = lm.cast %arg8 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %3 = lm.add %1, %arg6 : tensor<49152x768xf32>
      %4 = lm.cast %3 : tensor<49152x768xf32> -> tensor<49152x768xbf16>
      %5 = lm.mix %3, %2 by %arg9, %arg10 : (tensor<49152x768xf32>, tensor<49152x768xf32>, tensor<f32>, tensor<f32>) -> tensor<49152x768xf32>
      %6 = lm.cast %5 : tensor<49152x768xf32> -> tensor<49152x768xbf16>
      %7 = lm.reshape %5 : tensor<49152x768xf32> -> tensor<49152x6x128xf32>
      %8 = lm.row_dot %7, %7 : tensor<49152x6x128xf32> -> tensor<49152x6xf32>
      kernel.yield %4, %6, %8 : tensor<49152x768xbf16>, tensor<49152x768xbf16>, tensor<49152x6xf32>
    }
    return %0#0, %0#1, %0#2 : tensor<49152x768xbf16>, tensor<49152x768xbf16>, tensor<49152x6xf32>
  }
  func.func private @down6(%arg0: tensor<49152x3072xbf16>, %arg1: tensor<3072x768xbf16>, %arg2: tensor<49152x768xbf16>, %arg3: tensor<49152x768xbf16>, %arg4: tensor<f32>, %arg5: tensor<49152x768xbf16>, %arg6: tensor<f32>, %arg7: tensor<f32>) -> (tensor<49152x768xbf16>, tensor<49152x768xbf16>, tensor<49152x6xf32>) {
    %0:3 = kernel.gemm a(%arg0) b(%arg1) result(%arg2, %arg3, %arg4, %arg5, %arg6, %arg7) : (tensor<49152x3072xbf16>, tensor<3072x768xbf16>, tensor<49152x768xbf16>, tensor<49152x768xbf16>, tensor<f32>, tensor<49152x768xbf16>, tensor<f32>, tensor<f32>) -> (tensor<49152x768xbf16>, tensor<49152x768xbf16>, tensor<49152x6xf32>) a {
    ^bb0(%arg8: tensor<49152x3072xbf16>):
      %1 = lm.cast %arg8 : tensor<49152x3072xbf16> -> tensor<49152x3072xf32>
      kernel.yield %1 : tensor<49152x3072xf32>
    } b {
    ^bb0(%arg8: tensor<3072x768xbf16>):
      %1 = lm.cast %arg8 : tensor<3072x768xbf16> -> tensor<3072x768xf32>
      kernel.yield %1 : tensor<3072x768xf32>
    } result {
    ^bb0(%arg8: tensor<49152x768xf32>, %arg9: tensor<49152x768xbf16>, %arg10: tensor<49152x768xbf16>, %arg11: tensor<f32>, %arg12: tensor<49152x768xbf16>, %arg13: tensor<f32>, %arg14: tensor<f32>):
      %1 = lm.cast %arg9 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %2 = lm.cast %arg10 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %3 = lm.cast %arg12 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %4 = lm.add %1, %arg8 : tensor<49152x768xf32>
      %5 = lm.unary sigmoid %arg11 : tensor<f32>
      %6 = lm.constant dense<1.000000e+00> : tensor<f32>
      %7 = lm.mix %4, %2 by %6, %5 : (tensor<49152x768xf32>, tensor<49152x768xf32>, tensor<f32>, tensor<f32>) -> tensor<49152x768xf32>
      %8 = lm.cast %7 : tensor<49152x768xf32> -> tensor<49152x768xbf16>
      %9 = lm.mix %7, %3 by %arg13, %arg14 : (tensor<49152x768xf32>, tensor<49152x768xf32>, tensor<f32>, tensor<f32>) -> tensor<49152x768xf32>
      %10 = lm.cast %9 : tensor<49152x768xf32> -> tensor<49152x768xbf16>
      %11 = lm.reshape %9 : tensor<49152x768xf32> -> tensor<49152x6x128xf32>
      %12 = lm.row_dot %11, %11 : tensor<49152x6x128xf32> -> tensor<49152x6xf32>
      kernel.yield %8, %10, %12 : tensor<49152x768xbf16>, tensor<49152x768xbf16>, tensor<49152x6xf32>
    }
    return %0#0, %0#1, %0#2 : tensor<49152x768xbf16>, tensor<49152x768xbf16>, tensor<49152x6xf32>
  }
  func.func private @up(%arg0: tensor<49152x768xbf16>, %arg1: tensor<3072x768xbf16>, %arg2: tensor<49152x6xf32>) -> (tensor<49152x3072xbf16>, tensor<49152xf32>) {
    %0:2 = kernel.gemm a(%arg0) b(%arg1) result(%arg2) {transpose_b} : (tensor<49152x768xbf16>, tensor<3072x768xbf16>, tensor<49152x6xf32>) -> (tensor<49152x3072xbf16>, tensor<49152xf32>) a {
    ^bb0(%arg3: tensor<49152x768xbf16>):
      %1 = lm.cast %arg3 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      kernel.yield %1 : tensor<49152x768xf32>
    } b {
    ^bb0(%arg3: tensor<3072x768xbf16>):
      %1 = lm.cast %arg3 : tensor<3072x768xbf16> -> tensor<3072x768xf32>
      kernel.yield %1 : tensor<3072x768xf32>
    } result {
    ^bb0(%arg3: tensor<49152x3072xf32>, %arg4: tensor<49152x6xf32>):
      %1 = lm.constant dense<1.000000e+00> : tensor<49152x6xf32>
      %2 = lm.row_dot %arg4, %1 : tensor<49152x6xf32> -> tensor<49152xf32>
      %3 = lm.constant dense<0.00130208337> : tensor<f32>
      %4 = lm.scale %2, %3 : tensor<49152xf32>, tensor<f32>
      %5 = lm.constant dense<1.1920929E-7> : tensor<f32>
      %6 = lm.broadcast %5 : tensor<f32> -> tensor<49152xf32>
      %7 = lm.add %4, %6 : tensor<49152xf32>
      %8 = lm.unary sqrt %7 : tensor<49152xf32>
      %9 = lm.unary reciprocal %8 : tensor<49152xf32>
      %10 = lm.row_scale %arg3, %9 : tensor<49152x3072xf32>, tensor<49152xf32>
      %11 = lm.unary relu_squared %10 : tensor<49152x3072xf32>
      %12 = lm.cast %11 : tensor<49152x3072xf32> -> tensor<49152x3072xbf16>
      kernel.yield %12, %9 : tensor<49152x3072xbf16>, tensor<49152xf32>
    }
    return %0#0, %0#1 : tensor<49152x3072xbf16>, tensor<49152xf32>
  }
  func.func private @qkv(%arg0: tensor<49152x768xbf16>, %arg1: tensor<2304x768xbf16>, %arg2: tensor<f32>, %arg3: tensor<49152x128xbf16>, %arg4: tensor<49152x6xf32>, %arg5: tensor<6x12xbf16>) -> (tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152xf32>, tensor<49152x6xf32>) {
    %0:7 = kernel.gemm a(%arg0) b(%arg1) result(%arg2, %arg3, %arg4, %arg0, %arg5) {transpose_b} : (tensor<49152x768xbf16>, tensor<2304x768xbf16>, tensor<f32>, tensor<49152x128xbf16>, tensor<49152x6xf32>, tensor<49152x768xbf16>, tensor<6x12xbf16>) -> (tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152xf32>, tensor<49152x6xf32>) a {
    ^bb0(%arg6: tensor<49152x768xbf16>):
      %1 = lm.cast %arg6 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      kernel.yield %1 : tensor<49152x768xf32>
    } b {
    ^bb0(%arg6: tensor<2304x768xbf16>):
      %1 = lm.cast %arg6 : tensor<2304x768xbf16> -> tensor<2304x768xf32>
      kernel.yield %1 : tensor<2304x768xf32>
    } result {
    ^bb0(%arg6: tensor<49152x2304xf32>, %arg7: tensor<f32>, %arg8: tensor<49152x128xbf16>, %arg9: tensor<49152x6xf32>, %arg10: tensor<49152x768xbf16>, %arg11: tensor<6x12xbf16>):
      %1 = lm.cast %arg11 : tensor<6x12xbf16> -> tensor<6x12xf32>
      %2 = lm.cast %arg10 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %3 = lm.cast %arg8 : tensor<49152x128xbf16> -> tensor<49152x128xf32>
      %4 = lm.constant dense<1.000000e+00> : tensor<49152x6xf32>
      %5 = lm.row_dot %arg9, %4 : tensor<49152x6xf32> -> tensor<49152xf32>
      %6 = lm.constant dense<0.00130208337> : tensor<f32>
      %7 = lm.scale %5, %6 : tensor<49152xf32>, tensor<f32>
      %8 = lm.constant dense<1.1920929E-7> : tensor<f32>
      %9 = lm.broadcast %8 : tensor<f32> -> tensor<49152xf32>
      %10 = lm.add %7, %9 : tensor<49152xf32>
      %11 = lm.unary sqrt %10 : tensor<49152xf32>
      %12 = lm.unary reciprocal %11 : tensor<49152xf32>
      %13 = lm.row_scale %arg6, %12 : tensor<49152x2304xf32>, tensor<49152xf32>
      %14 = lm.scale %13, %arg7 : tensor<49152x2304xf32>, tensor<f32>
      %15:3 = lm.split %14 : (tensor<49152x2304xf32>) -> (tensor<49152x768xf32>, tensor<49152x768xf32>, tensor<49152x768xf32>)
      %16 = lm.cast %15#2 : tensor<49152x768xf32> -> tensor<49152x768xbf16>
      %17 = lm.cast %15#1 : tensor<49152x768xf32> -> tensor<49152x768xbf16>
      %18 = lm.cast %15#0 : tensor<49152x768xf32> -> tensor<49152x768xbf16>
      %19 = lm.reshape %15#0 : tensor<49152x768xf32> -> tensor<49152x6x128xf32>
      %20 = lm.reshape %18 : tensor<49152x768xbf16> -> tensor<49152x6x128xbf16>
      %21 = lm.rms_norm %19 {eps = 1.1920928955078125E-7 : f64} : tensor<49152x6x128xf32>
      %22 = lm.rope %21, %3 : tensor<49152x6x128xf32>, tensor<49152x128xf32>
      %23 = lm.cast %22 : tensor<49152x6x128xf32> -> tensor<49152x6x128xbf16>
      %24 = lm.reshape %15#1 : tensor<49152x768xf32> -> tensor<49152x6x128xf32>
      %25 = lm.reshape %17 : tensor<49152x768xbf16> -> tensor<49152x6x128xbf16>
      %26 = lm.rms_norm %24 {eps = 1.1920928955078125E-7 : f64} : tensor<49152x6x128xf32>
      %27 = lm.rope %26, %3 : tensor<49152x6x128xf32>, tensor<49152x128xf32>
      %28 = lm.cast %27 : tensor<49152x6x128xf32> -> tensor<49152x6x128xbf16>
      %29 = lm.reshape %16 : tensor<49152x768xbf16> -> tensor<49152x6x128xbf16>
      %30 = lm.row_scale %2, %12 : tensor<49152x768xf32>, tensor<49152xf32>
      %31 = lm.gate %30, %1 : tensor<49152x768xf32>, tensor<6x12xf32> -> tensor<49152x6xf32>
      kernel.yield %20, %23, %25, %28, %29, %12, %31 : tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152xf32>, tensor<49152x6xf32>
    }
    return %0#0, %0#1, %0#2, %0#3, %0#4, %0#5, %0#6 : tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152xf32>, tensor<49152x6xf32>
  }
  func.func private @qkve(%arg0: tensor<49152x768xbf16>, %arg1: tensor<2304x768xbf16>, %arg2: tensor<f32>, %arg3: tensor<49152x128xbf16>, %arg4: tensor<49152x6x128xbf16>, %arg5: tensor<49152x6xf32>, %arg6: tensor<6x12xbf16>) -> (tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152xf32>, tensor<49152x6xf32>) {
    %0:7 = kernel.gemm a(%arg0) b(%arg1) result(%arg2, %arg3, %arg4, %arg5, %arg0, %arg6) {transpose_b} : (tensor<49152x768xbf16>, tensor<2304x768xbf16>, tensor<f32>, tensor<49152x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6xf32>, tensor<49152x768xbf16>, tensor<6x12xbf16>) -> (tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152xf32>, tensor<49152x6xf32>) a {
    ^bb0(%arg7: tensor<49152x768xbf16>):
      %1 = lm.cast %arg7 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      kernel.yield %1 : tensor<49152x768xf32>
    } b {
    ^bb0(%arg7: tensor<2304x768xbf16>):
      %1 = lm.cast %arg7 : tensor<2304x768xbf16> -> tensor<2304x768xf32>
      kernel.yield %1 : tensor<2304x768xf32>
    } result {
    ^bb0(%arg7: tensor<49152x2304xf32>, %arg8: tensor<f32>, %arg9: tensor<49152x128xbf16>, %arg10: tensor<49152x6x128xbf16>, %arg11: tensor<49152x6xf32>, %arg12: tensor<49152x768xbf16>, %arg13: tensor<6x12xbf16>):
      %1 = lm.cast %arg13 : tensor<6x12xbf16> -> tensor<6x12xf32>
      %2 = lm.cast %arg12 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %3 = lm.cast %arg9 : tensor<49152x128xbf16> -> tensor<49152x128xf32>
      %4 = lm.cast %arg10 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %5 = lm.constant dense<1.000000e+00> : tensor<49152x6xf32>
      %6 = lm.row_dot %arg11, %5 : tensor<49152x6xf32> -> tensor<49152xf32>
      %7 = lm.constant dense<0.00130208337> : tensor<f32>
      %8 = lm.scale %6, %7 : tensor<49152xf32>, tensor<f32>
      %9 = lm.constant dense<1.1920929E-7> : tensor<f32>
      %10 = lm.broadcast %9 : tensor<f32> -> tensor<49152xf32>
      %11 = lm.add %8, %10 : tensor<49152xf32>
      %12 = lm.unary sqrt %11 : tensor<49152xf32>
      %13 = lm.unary reciprocal %12 : tensor<49152xf32>
      %14 = lm.row_scale %arg7, %13 : tensor<49152x2304xf32>, tensor<49152xf32>
      %15 = lm.scale %14, %arg8 : tensor<49152x2304xf32>, tensor<f32>
      %16:3 = lm.split %15 : (tensor<49152x2304xf32>) -> (tensor<49152x768xf32>, tensor<49152x768xf32>, tensor<49152x768xf32>)
      %17 = lm.cast %16#1 : tensor<49152x768xf32> -> tensor<49152x768xbf16>
      %18 = lm.cast %16#0 : tensor<49152x768xf32> -> tensor<49152x768xbf16>
      %19 = lm.reshape %16#0 : tensor<49152x768xf32> -> tensor<49152x6x128xf32>
      %20 = lm.reshape %18 : tensor<49152x768xbf16> -> tensor<49152x6x128xbf16>
      %21 = lm.rms_norm %19 {eps = 1.1920928955078125E-7 : f64} : tensor<49152x6x128xf32>
      %22 = lm.rope %21, %3 : tensor<49152x6x128xf32>, tensor<49152x128xf32>
      %23 = lm.cast %22 : tensor<49152x6x128xf32> -> tensor<49152x6x128xbf16>
      %24 = lm.reshape %16#1 : tensor<49152x768xf32> -> tensor<49152x6x128xf32>
      %25 = lm.reshape %17 : tensor<49152x768xbf16> -> tensor<49152x6x128xbf16>
      %26 = lm.rms_norm %24 {eps = 1.1920928955078125E-7 : f64} : tensor<49152x6x128xf32>
      %27 = lm.rope %26, %3 : tensor<49152x6x128xf32>, tensor<49152x128xf32>
      %28 = lm.cast %27 : tensor<49152x6x128xf32> -> tensor<49152x6x128xbf16>
      %29 = lm.reshape %16#2 : tensor<49152x768xf32> -> tensor<49152x6x128xf32>
      %30 = lm.add %29, %4 : tensor<49152x6x128xf32>
      %31 = lm.cast %30 : tensor<49152x6x128xf32> -> tensor<49152x6x128xbf16>
      %32 = lm.row_scale %2, %13 : tensor<49152x768xf32>, tensor<49152xf32>
      %33 = lm.gate %32, %1 : tensor<49152x768xf32>, tensor<6x12xf32> -> tensor<49152x6xf32>
      kernel.yield %20, %23, %25, %28, %31, %13, %33 : tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152xf32>, tensor<49152x6xf32>
    }
    return %0#0, %0#1, %0#2, %0#3, %0#4, %0#5, %0#6 : tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152xf32>, tensor<49152x6xf32>
  }
  func.func private @dz(%arg0: tensor<49152x768xbf16>, %arg1: tensor<3072x768xbf16>, %arg2: tensor<f32>, %arg3: tensor<49152x3072xbf16>, %arg4: tensor<49152xf32>) -> tensor<49152x3072xbf16> {
    %0 = kernel.gemm a(%arg0) b(%arg1) result(%arg2, %arg3, %arg4) {transpose_b} : (tensor<49152x768xbf16>, tensor<3072x768xbf16>, tensor<f32>, tensor<49152x3072xbf16>, tensor<49152xf32>) -> tensor<49152x3072xbf16> a {
    ^bb0(%arg5: tensor<49152x768xbf16>):
      %1 = lm.cast %arg5 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      kernel.yield %1 : tensor<49152x768xf32>
    } b {
    ^bb0(%arg5: tensor<3072x768xbf16>):
      %1 = lm.cast %arg5 : tensor<3072x768xbf16> -> tensor<3072x768xf32>
      kernel.yield %1 : tensor<3072x768xf32>
    } result {
    ^bb0(%arg5: tensor<49152x3072xf32>, %arg6: tensor<f32>, %arg7: tensor<49152x3072xbf16>, %arg8: tensor<49152xf32>):
      %1 = lm.cast %arg7 : tensor<49152x3072xbf16> -> tensor<49152x3072xf32>
      %2 = lm.scale %arg5, %arg6 : tensor<49152x3072xf32>, tensor<f32>
      %3 = lm.unary_backward relu_squared %1, %2 {from_output} : tensor<49152x3072xf32>
      %4 = lm.row_scale %3, %arg8 : tensor<49152x3072xf32>, tensor<49152xf32>
      %5 = lm.cast %4 : tensor<49152x3072xf32> -> tensor<49152x3072xbf16>
      kernel.yield %5 : tensor<49152x3072xbf16>
    }
    return %0 : tensor<49152x3072xbf16>
  }
  func.func private @keys(%arg0: tensor<49152x6x128xbf16>, %arg1: tensor<49152x128xbf16>, %arg2: tensor<49152x6x128xbf16>, %arg3: tensor<49152x6x128xbf16>, %arg4: tensor<49152x6x128xbf16>, %arg5: tensor<49152x6x128xbf16>, %arg6: tensor<49152xf32>) -> tensor<49152x2304xbf16> {
    %0 = kernel.rowwise(%arg0, %arg1, %arg2, %arg3, %arg4, %arg5, %arg6) : (tensor<49152x6x128xbf16>, tensor<49152x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152xf32>) -> tensor<49152x2304xbf16> {
    ^bb0(%arg7: tensor<49152x6x128xbf16>, %arg8: tensor<49152x128xbf16>, %arg9: tensor<49152x6x128xbf16>, %arg10: tensor<49152x6x128xbf16>, %arg11: tensor<49152x6x128xbf16>, %arg12: tensor<49152x6x128xbf16>, %arg13: tensor<49152xf32>):
      %1 = lm.cast %arg12 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %2 = lm.cast %arg10 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %3 = lm.cast %arg7 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %4 = lm.cast %arg11 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %5 = lm.cast %arg9 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %6 = lm.cast %arg8 : tensor<49152x128xbf16> -> tensor<49152x128xf32>
      %7 = lm.rope %3, %6 {inverse} : tensor<49152x6x128xf32>, tensor<49152x128xf32>
      %8 = lm.rms_norm_backward %5, %7 {eps = 1.1920928955078125E-7 : f64} : tensor<49152x6x128xf32>
      %9 = lm.reshape %8 : tensor<49152x6x128xf32> -> tensor<49152x768xf32>
      %10 = lm.token_shift_adjoint replace cross %2 {features = array<i64: 32, 64, 96, 128>, heads = array<i64>} : (tensor<49152x6x128xf32>) -> tensor<49152x6x128xf32>
      %11 = lm.rope %10, %6 {inverse} : tensor<49152x6x128xf32>, tensor<49152x128xf32>
      %12 = lm.rms_norm_backward %4, %11 {eps = 1.1920928955078125E-7 : f64} : tensor<49152x6x128xf32>
      %13 = lm.reshape %12 : tensor<49152x6x128xf32> -> tensor<49152x768xf32>
      %14 = lm.reshape %1 : tensor<49152x6x128xf32> -> tensor<49152x768xf32>
      %15 = lm.concat %9, %13, %14 : (tensor<49152x768xf32>, tensor<49152x768xf32>, tensor<49152x768xf32>) -> tensor<49152x2304xf32>
      %16 = lm.row_scale %15, %arg13 : tensor<49152x2304xf32>, tensor<49152xf32>
      %17 = lm.cast %16 : tensor<49152x2304xf32> -> tensor<49152x2304xbf16>
      kernel.yield %17 : tensor<49152x2304xbf16>
    }
    return %0 : tensor<49152x2304xbf16>
  }
  func.func private @nokeys(%arg0: tensor<49152x6x128xbf16>, %arg1: tensor<49152x128xbf16>, %arg2: tensor<49152x6x128xbf16>, %arg3: tensor<49152x6x128xbf16>, %arg4: tensor<49152x6x128xbf16>, %arg5: tensor<49152x6x128xbf16>, %arg6: tensor<49152xf32>) -> tensor<49152x2304xbf16> {
    %0 = kernel.rowwise(%arg0, %arg1, %arg2, %arg3, %arg4, %arg5, %arg6) : (tensor<49152x6x128xbf16>, tensor<49152x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152xf32>) -> tensor<49152x2304xbf16> {
    ^bb0(%arg7: tensor<49152x6x128xbf16>, %arg8: tensor<49152x128xbf16>, %arg9: tensor<49152x6x128xbf16>, %arg10: tensor<49152x6x128xbf16>, %arg11: tensor<49152x6x128xbf16>, %arg12: tensor<49152x6x128xbf16>, %arg13: tensor<49152xf32>):
      %1 = lm.cast %arg12 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %2 = lm.cast %arg10 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %3 = lm.cast %arg7 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %4 = lm.cast %arg11 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %5 = lm.cast %arg9 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %6 = lm.cast %arg8 : tensor<49152x128xbf16> -> tensor<49152x128xf32>
      %7 = lm.rope %3, %6 {inverse} : tensor<49152x6x128xf32>, tensor<49152x128xf32>
      %8 = lm.rms_norm_backward %5, %7 {eps = 1.1920928955078125E-7 : f64} : tensor<49152x6x128xf32>
      %9 = lm.reshape %8 : tensor<49152x6x128xf32> -> tensor<49152x768xf32>
      %11 = lm.rope %2, %6 {inverse} : tensor<49152x6x128xf32>, tensor<49152x128xf32>
      %12 = lm.rms_norm_backward %4, %11 {eps = 1.1920928955078125E-7 : f64} : tensor<49152x6x128xf32>
      %13 = lm.reshape %12 : tensor<49152x6x128xf32> -> tensor<49152x768xf32>
      %14 = lm.reshape %1 : tensor<49152x6x128xf32> -> tensor<49152x768xf32>
      %15 = lm.concat %9, %13, %14 : (tensor<49152x768xf32>, tensor<49152x768xf32>, tensor<49152x768xf32>) -> tensor<49152x2304xf32>
      %16 = lm.row_scale %15, %arg13 : tensor<49152x2304xf32>, tensor<49152xf32>
      %17 = lm.cast %16 : tensor<49152x2304xf32> -> tensor<49152x2304xbf16>
      kernel.yield %17 : tensor<49152x2304xbf16>
    }
    return %0 : tensor<49152x2304xbf16>
  }
  func.func private @keys_unscaled(%arg0: tensor<49152x6x128xbf16>, %arg1: tensor<49152x128xbf16>, %arg2: tensor<49152x6x128xbf16>, %arg3: tensor<49152x6x128xbf16>, %arg4: tensor<49152x6x128xbf16>, %arg5: tensor<49152x6x128xbf16>) -> tensor<49152x2304xbf16> {
    %0 = kernel.rowwise(%arg0, %arg1, %arg2, %arg3, %arg4, %arg5) : (tensor<49152x6x128xbf16>, tensor<49152x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>) -> tensor<49152x2304xbf16> {
    ^bb0(%arg6: tensor<49152x6x128xbf16>, %arg7: tensor<49152x128xbf16>, %arg8: tensor<49152x6x128xbf16>, %arg9: tensor<49152x6x128xbf16>, %arg10: tensor<49152x6x128xbf16>, %arg11: tensor<49152x6x128xbf16>):
      %1 = lm.cast %arg11 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %2 = lm.cast %arg9 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %3 = lm.cast %arg6 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %4 = lm.cast %arg10 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %5 = lm.cast %arg8 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %6 = lm.cast %arg7 : tensor<49152x128xbf16> -> tensor<49152x128xf32>
      %7 = lm.rope %3, %6 {inverse} : tensor<49152x6x128xf32>, tensor<49152x128xf32>
      %8 = lm.rms_norm_backward %5, %7 {eps = 1.1920928955078125E-7 : f64} : tensor<49152x6x128xf32>
      %9 = lm.reshape %8 : tensor<49152x6x128xf32> -> tensor<49152x768xf32>
      %10 = lm.token_shift_adjoint replace cross %2 {features = array<i64: 32, 64, 96, 128>, heads = array<i64>} : (tensor<49152x6x128xf32>) -> tensor<49152x6x128xf32>
      %11 = lm.rope %10, %6 {inverse} : tensor<49152x6x128xf32>, tensor<49152x128xf32>
      %12 = lm.rms_norm_backward %4, %11 {eps = 1.1920928955078125E-7 : f64} : tensor<49152x6x128xf32>
      %13 = lm.reshape %12 : tensor<49152x6x128xf32> -> tensor<49152x768xf32>
      %14 = lm.reshape %1 : tensor<49152x6x128xf32> -> tensor<49152x768xf32>
      %15 = lm.concat %9, %13, %14 : (tensor<49152x768xf32>, tensor<49152x768xf32>, tensor<49152x768xf32>) -> tensor<49152x2304xf32>
      %16 = lm.cast %15 : tensor<49152x2304xf32> -> tensor<49152x2304xbf16>
      kernel.yield %16 : tensor<49152x2304xbf16>
    }
    return %0 : tensor<49152x2304xbf16>
  }
  func.func private @nokeys_unscaled(%arg0: tensor<49152x6x128xbf16>, %arg1: tensor<49152x128xbf16>, %arg2: tensor<49152x6x128xbf16>, %arg3: tensor<49152x6x128xbf16>, %arg4: tensor<49152x6x128xbf16>, %arg5: tensor<49152x6x128xbf16>) -> tensor<49152x2304xbf16> {
    %0 = kernel.rowwise(%arg0, %arg1, %arg2, %arg3, %arg4, %arg5) : (tensor<49152x6x128xbf16>, tensor<49152x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>) -> tensor<49152x2304xbf16> {
    ^bb0(%arg6: tensor<49152x6x128xbf16>, %arg7: tensor<49152x128xbf16>, %arg8: tensor<49152x6x128xbf16>, %arg9: tensor<49152x6x128xbf16>, %arg10: tensor<49152x6x128xbf16>, %arg11: tensor<49152x6x128xbf16>):
      %1 = lm.cast %arg11 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %2 = lm.cast %arg9 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %3 = lm.cast %arg6 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %4 = lm.cast %arg10 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %5 = lm.cast %arg8 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %6 = lm.cast %arg7 : tensor<49152x128xbf16> -> tensor<49152x128xf32>
      %7 = lm.rope %3, %6 {inverse} : tensor<49152x6x128xf32>, tensor<49152x128xf32>
      %8 = lm.rms_norm_backward %5, %7 {eps = 1.1920928955078125E-7 : f64} : tensor<49152x6x128xf32>
      %9 = lm.reshape %8 : tensor<49152x6x128xf32> -> tensor<49152x768xf32>
      %10 = lm.rope %2, %6 {inverse} : tensor<49152x6x128xf32>, tensor<49152x128xf32>
      %11 = lm.rms_norm_backward %4, %10 {eps = 1.1920928955078125E-7 : f64} : tensor<49152x6x128xf32>
      %12 = lm.reshape %11 : tensor<49152x6x128xf32> -> tensor<49152x768xf32>
      %13 = lm.reshape %1 : tensor<49152x6x128xf32> -> tensor<49152x768xf32>
      %14 = lm.concat %9, %12, %13 : (tensor<49152x768xf32>, tensor<49152x768xf32>, tensor<49152x768xf32>) -> tensor<49152x2304xf32>
      %15 = lm.cast %14 : tensor<49152x2304xf32> -> tensor<49152x2304xbf16>
      kernel.yield %15 : tensor<49152x2304xbf16>
    }
    return %0 : tensor<49152x2304xbf16>
  }
  func.func private @heads_rows(%arg0: tensor<49152x6x128xbf16>, %arg1: tensor<49152x6x128xbf16>, %arg2: tensor<49152x128xbf16>, %arg3: tensor<49152x6x128xbf16>, %arg4: tensor<49152x6x128xbf16>, %arg5: tensor<49152x6x128xbf16>, %arg6: tensor<49152xf32>) -> (tensor<49152x768xbf16>, tensor<49152x2304xbf16>) {
    %0:2 = kernel.rowwise(%arg0, %arg1, %arg2, %arg3, %arg4, %arg5, %arg6) : (tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152xf32>) -> (tensor<49152x768xbf16>, tensor<49152x2304xbf16>) {
    ^bb0(%arg7: tensor<49152x6x128xbf16>, %arg8: tensor<49152x6x128xbf16>, %arg9: tensor<49152x128xbf16>, %arg10: tensor<49152x6x128xbf16>, %arg11: tensor<49152x6x128xbf16>, %arg12: tensor<49152x6x128xbf16>, %arg13: tensor<49152xf32>):
      %1 = lm.cast %arg7 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %2 = lm.cast %arg11 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %3 = lm.cast %arg8 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %4 = lm.cast %arg12 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %5 = lm.cast %arg10 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %6 = lm.cast %arg9 : tensor<49152x128xbf16> -> tensor<49152x128xf32>
      %7 = lm.reshape %1 : tensor<49152x6x128xf32> -> tensor<49152x768xf32>
      %8 = lm.reshape %arg7 : tensor<49152x6x128xbf16> -> tensor<49152x768xbf16>
      %9 = lm.rope %3, %6 {inverse} : tensor<49152x6x128xf32>, tensor<49152x128xf32>
      %10 = lm.rms_norm_backward %5, %9 {eps = 1.1920928955078125E-7 : f64} : tensor<49152x6x128xf32>
      %11 = lm.reshape %10 : tensor<49152x6x128xf32> -> tensor<49152x768xf32>
      %12 = lm.rope %2, %6 {inverse} : tensor<49152x6x128xf32>, tensor<49152x128xf32>
      %13 = lm.rms_norm_backward %4, %12 {eps = 1.1920928955078125E-7 : f64} : tensor<49152x6x128xf32>
      %14 = lm.reshape %13 : tensor<49152x6x128xf32> -> tensor<49152x768xf32>
      %15 = lm.concat %11, %14, %7 : (tensor<49152x768xf32>, tensor<49152x768xf32>, tensor<49152x768xf32>) -> tensor<49152x2304xf32>
      %16 = lm.row_scale %15, %arg13 : tensor<49152x2304xf32>, tensor<49152xf32>
      %17 = lm.cast %16 : tensor<49152x2304xf32> -> tensor<49152x2304xbf16>
      kernel.yield %8, %17 : tensor<49152x768xbf16>, tensor<49152x2304xbf16>
    }
    return %0#0, %0#1 : tensor<49152x768xbf16>, tensor<49152x2304xbf16>
  }
  func.func private @normback(%arg0: tensor<49152x768xbf16>, %arg1: tensor<49152xf32>, %arg2: tensor<49152x768xbf16>, %arg3: tensor<49152x768xbf16>) -> tensor<49152x768xbf16> {
    %0 = kernel.rowwise(%arg0, %arg1, %arg2, %arg3) : (tensor<49152x768xbf16>, tensor<49152xf32>, tensor<49152x768xbf16>, tensor<49152x768xbf16>) -> tensor<49152x768xbf16> {
    ^bb0(%arg4: tensor<49152x768xbf16>, %arg5: tensor<49152xf32>, %arg6: tensor<49152x768xbf16>, %arg7: tensor<49152x768xbf16>):
      %1 = lm.cast %arg4 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %2 = lm.cast %arg7 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %3 = lm.cast %arg6 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %4 = lm.unary reciprocal %arg5 : tensor<49152xf32>
      %5 = lm.row_scale %1, %4 : tensor<49152x768xf32>, tensor<49152xf32>
      %6 = lm.rms_norm_backward %3, %5 {eps = 1.1920928955078125E-7 : f64} : tensor<49152x768xf32>
      %7 = lm.add %2, %6 : tensor<49152x768xf32>
      %8 = lm.cast %7 : tensor<49152x768xf32> -> tensor<49152x768xbf16>
      kernel.yield %8 : tensor<49152x768xbf16>
    }
    return %0 : tensor<49152x768xbf16>
  }
  func.func private @normback3(%arg0: tensor<49152x768xbf16>, %arg1: tensor<49152xf32>, %arg2: tensor<49152x768xbf16>, %arg3: tensor<49152x768xbf16>, %arg4: tensor<f32>, %arg5: tensor<f32>, %arg6: tensor<49152x768xbf16>, %arg7: tensor<f32>, %arg8: tensor<f32>, %arg9: tensor<49152x768xbf16>, %arg10: tensor<f32>, %arg11: tensor<49152x768xbf16>, %arg12: tensor<f32>, %arg13: tensor<f32>) -> (tensor<49152x768xbf16>, tensor<49152x768xbf16>, tensor<f32>, tensor<f32>, tensor<f32>) {
    %0:5 = kernel.rowwise(%arg0, %arg1, %arg2, %arg3, %arg4, %arg5, %arg6, %arg7, %arg8, %arg9, %arg10, %arg11, %arg12, %arg13) : (tensor<49152x768xbf16>, tensor<49152xf32>, tensor<49152x768xbf16>, tensor<49152x768xbf16>, tensor<f32>, tensor<f32>, tensor<49152x768xbf16>, tensor<f32>, tensor<f32>, tensor<49152x768xbf16>, tensor<f32>, tensor<49152x768xbf16>, tensor<f32>, tensor<f32>) -> (tensor<49152x768xbf16>, tensor<49152x768xbf16>, tensor<f32>, tensor<f32>, tensor<f32>) {
    ^bb0(%arg14: tensor<49152x768xbf16>, %arg15: tensor<49152xf32>, %arg16: tensor<49152x768xbf16>, %arg17: tensor<49152x768xbf16>, %arg18: tensor<f32>, %arg19: tensor<f32>, %arg20: tensor<49152x768xbf16>, %arg21: tensor<f32>, %arg22: tensor<f32>, %arg23: tensor<49152x768xbf16>, %arg24: tensor<f32>, %arg25: tensor<49152x768xbf16>, %arg26: tensor<f32>, %arg27: tensor<f32>):
      %1 = lm.cast %arg14 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %2 = lm.cast %arg17 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %3 = lm.cast %arg16 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %4 = lm.cast %arg20 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %5 = lm.cast %arg25 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %6 = lm.cast %arg23 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %7 = lm.unary reciprocal %arg15 : tensor<49152xf32>
      %8 = lm.row_scale %1, %7 : tensor<49152x768xf32>, tensor<49152xf32>
      %9 = lm.rms_norm_backward %3, %8 {eps = 1.1920928955078125E-7 : f64} : tensor<49152x768xf32>
      %10 = lm.scale %2, %arg18 : tensor<49152x768xf32>, tensor<f32>
      %11 = lm.add %10, %9 : tensor<49152x768xf32>
      %12 = lm.cast %11 : tensor<49152x768xf32> -> tensor<49152x768xbf16>
      %13 = lm.scale %11, %arg19 : tensor<49152x768xf32>, tensor<f32>
      %14 = lm.cast %13 : tensor<49152x768xf32> -> tensor<49152x768xbf16>
      %15 = lm.dot %4, %11 : tensor<49152x768xf32> -> tensor<f32>
      %16 = lm.constant dense<1.000000e+00> : tensor<f32>
      %17 = lm.mix %arg21, %15 by %arg22, %16 : (tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>) -> tensor<f32>
      %18 = lm.dot %6, %11 : tensor<49152x768xf32> -> tensor<f32>
      %19 = lm.mix %arg24, %18 by %arg22, %16 : (tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>) -> tensor<f32>
      %20 = lm.dot %5, %13 : tensor<49152x768xf32> -> tensor<f32>
      %21 = lm.unary sigmoid %arg27 : tensor<f32>
      %22 = lm.unary_backward sigmoid %21, %20 {from_output} : tensor<f32>
      %23 = lm.mix %arg26, %22 by %arg22, %16 : (tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>) -> tensor<f32>
      kernel.yield %12, %14, %17, %19, %23 : tensor<49152x768xbf16>, tensor<49152x768xbf16>, tensor<f32>, tensor<f32>, tensor<f32>
    }
    return %0#0, %0#1, %0#2, %0#3, %0#4 : tensor<49152x768xbf16>, tensor<49152x768xbf16>, tensor<f32>, tensor<f32>, tensor<f32>
  }
  func.func private @gates(%arg0: tensor<49152x6xf32>, %arg1: tensor<49152x6xf32>, %arg2: tensor<49152x768xbf16>, %arg3: tensor<49152xf32>, %arg4: tensor<6x12xbf16>, %arg5: tensor<49152x768xbf16>, %arg6: tensor<f32>, %arg7: tensor<49152x768xbf16>, %arg8: tensor<49152x768xbf16>, %arg9: tensor<f32>, %arg10: tensor<f32>, %arg11: tensor<49152x768xbf16>, %arg12: tensor<f32>) -> (tensor<6x12xf32>, tensor<49152x768xbf16>, tensor<f32>, tensor<f32>) {
    %0:4 = kernel.rowwise(%arg0, %arg1, %arg2, %arg3, %arg4, %arg5, %arg6, %arg7, %arg8, %arg9, %arg10, %arg11, %arg12) : (tensor<49152x6xf32>, tensor<49152x6xf32>, tensor<49152x768xbf16>, tensor<49152xf32>, tensor<6x12xbf16>, tensor<49152x768xbf16>, tensor<f32>, tensor<49152x768xbf16>, tensor<49152x768xbf16>, tensor<f32>, tensor<f32>, tensor<49152x768xbf16>, tensor<f32>) -> (tensor<6x12xf32>, tensor<49152x768xbf16>, tensor<f32>, tensor<f32>) {
    ^bb0(%arg13: tensor<49152x6xf32>, %arg14: tensor<49152x6xf32>, %arg15: tensor<49152x768xbf16>, %arg16: tensor<49152xf32>, %arg17: tensor<6x12xbf16>, %arg18: tensor<49152x768xbf16>, %arg19: tensor<f32>, %arg20: tensor<49152x768xbf16>, %arg21: tensor<49152x768xbf16>, %arg22: tensor<f32>, %arg23: tensor<f32>, %arg24: tensor<49152x768xbf16>, %arg25: tensor<f32>):
      %1 = lm.cast %arg18 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %2 = lm.cast %arg20 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %3 = lm.cast %arg17 : tensor<6x12xbf16> -> tensor<6x12xf32>
      %4 = lm.cast %arg15 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %5 = lm.cast %arg21 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %6 = lm.cast %arg24 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %7 = lm.at_least %arg14 {bound = 1.000000e-30 : f64} : tensor<49152x6xf32>
      %8 = lm.unary reciprocal %7 : tensor<49152x6xf32>
      %9 = lm.multiply %arg13, %8 : tensor<49152x6xf32>
      %10 = lm.row_scale %4, %arg16 : tensor<49152x768xf32>, tensor<49152xf32>
      %dx, %dw = lm.gate_backward %10, %3, %arg14, %9 : tensor<49152x768xf32>, tensor<6x12xf32>, tensor<49152x6xf32>
      %11 = lm.unary reciprocal %arg16 : tensor<49152xf32>
      %12 = lm.row_scale %1, %11 : tensor<49152x768xf32>, tensor<49152xf32>
      %13 = lm.scale %12, %arg19 : tensor<49152x768xf32>, tensor<f32>
      %14 = lm.add %dx, %13 : tensor<49152x768xf32>
      %15 = lm.rms_norm_backward %4, %14 {eps = 1.1920928955078125E-7 : f64} : tensor<49152x768xf32>
      %16 = lm.add %2, %15 : tensor<49152x768xf32>
      %17 = lm.cast %16 : tensor<49152x768xf32> -> tensor<49152x768xbf16>
      %18 = lm.dot %5, %16 : tensor<49152x768xf32> -> tensor<f32>
      %19 = lm.constant dense<1.000000e+00> : tensor<f32>
      %20 = lm.mix %arg22, %18 by %arg23, %19 : (tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>) -> tensor<f32>
      %21 = lm.dot %6, %16 : tensor<49152x768xf32> -> tensor<f32>
      %22 = lm.mix %arg25, %21 by %arg23, %19 : (tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>) -> tensor<f32>
      kernel.yield %dw, %17, %20, %22 : tensor<6x12xf32>, tensor<49152x768xbf16>, tensor<f32>, tensor<f32>
    }
    return %0#0, %0#1, %0#2, %0#3 : tensor<6x12xf32>, tensor<49152x768xbf16>, tensor<f32>, tensor<f32>
  }
  func.func private @gates4(%arg0: tensor<49152x6xf32>, %arg1: tensor<49152x6xf32>, %arg2: tensor<49152x768xbf16>, %arg3: tensor<49152xf32>, %arg4: tensor<6x12xbf16>, %arg5: tensor<49152x768xbf16>, %arg6: tensor<f32>, %arg7: tensor<49152x768xbf16>, %arg8: tensor<f32>, %arg9: tensor<49152x768xbf16>, %arg10: tensor<f32>, %arg11: tensor<49152x768xbf16>, %arg12: tensor<f32>, %arg13: tensor<f32>, %arg14: tensor<49152x768xbf16>, %arg15: tensor<f32>) -> (tensor<6x12xf32>, tensor<49152x768xbf16>, tensor<49152x768xbf16>, tensor<f32>, tensor<f32>) {
    %0:5 = kernel.rowwise(%arg0, %arg1, %arg2, %arg3, %arg4, %arg5, %arg6, %arg7, %arg8, %arg9, %arg10, %arg11, %arg12, %arg13, %arg14, %arg15) : (tensor<49152x6xf32>, tensor<49152x6xf32>, tensor<49152x768xbf16>, tensor<49152xf32>, tensor<6x12xbf16>, tensor<49152x768xbf16>, tensor<f32>, tensor<49152x768xbf16>, tensor<f32>, tensor<49152x768xbf16>, tensor<f32>, tensor<49152x768xbf16>, tensor<f32>, tensor<f32>, tensor<49152x768xbf16>, tensor<f32>) -> (tensor<6x12xf32>, tensor<49152x768xbf16>, tensor<49152x768xbf16>, tensor<f32>, tensor<f32>) {
    ^bb0(%arg16: tensor<49152x6xf32>, %arg17: tensor<49152x6xf32>, %arg18: tensor<49152x768xbf16>, %arg19: tensor<49152xf32>, %arg20: tensor<6x12xbf16>, %arg21: tensor<49152x768xbf16>, %arg22: tensor<f32>, %arg23: tensor<49152x768xbf16>, %arg24: tensor<f32>, %arg25: tensor<49152x768xbf16>, %arg26: tensor<f32>, %arg27: tensor<49152x768xbf16>, %arg28: tensor<f32>, %arg29: tensor<f32>, %arg30: tensor<49152x768xbf16>, %arg31: tensor<f32>):
      %1 = lm.cast %arg21 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %2 = lm.cast %arg23 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %3 = lm.cast %arg25 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %4 = lm.cast %arg20 : tensor<6x12xbf16> -> tensor<6x12xf32>
      %5 = lm.cast %arg18 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %6 = lm.cast %arg27 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %7 = lm.cast %arg30 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %8 = lm.at_least %arg17 {bound = 1.000000e-30 : f64} : tensor<49152x6xf32>
      %9 = lm.unary reciprocal %8 : tensor<49152x6xf32>
      %10 = lm.multiply %arg16, %9 : tensor<49152x6xf32>
      %11 = lm.row_scale %5, %arg19 : tensor<49152x768xf32>, tensor<49152xf32>
      %dx, %dw = lm.gate_backward %11, %4, %arg17, %10 : tensor<49152x768xf32>, tensor<6x12xf32>, tensor<49152x6xf32>
      %12 = lm.unary reciprocal %arg19 : tensor<49152xf32>
      %13 = lm.row_scale %1, %12 : tensor<49152x768xf32>, tensor<49152xf32>
      %14 = lm.scale %13, %arg22 : tensor<49152x768xf32>, tensor<f32>
      %15 = lm.add %dx, %14 : tensor<49152x768xf32>
      %16 = lm.rms_norm_backward %5, %15 {eps = 1.1920928955078125E-7 : f64} : tensor<49152x768xf32>
      %17 = lm.add %2, %16 : tensor<49152x768xf32>
      %18 = lm.cast %17 : tensor<49152x768xf32> -> tensor<49152x768xbf16>
      %19 = lm.scale %17, %arg24 : tensor<49152x768xf32>, tensor<f32>
      %20 = lm.unary negate %arg26 : tensor<f32>
      %21 = lm.scale %3, %20 : tensor<49152x768xf32>, tensor<f32>
      %22 = lm.add %21, %19 : tensor<49152x768xf32>
      %23 = lm.cast %22 : tensor<49152x768xf32> -> tensor<49152x768xbf16>
      %24 = lm.dot %6, %17 : tensor<49152x768xf32> -> tensor<f32>
      %25 = lm.constant dense<1.000000e+00> : tensor<f32>
      %26 = lm.mix %arg28, %24 by %arg29, %25 : (tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>) -> tensor<f32>
      %27 = lm.dot %7, %17 : tensor<49152x768xf32> -> tensor<f32>
      %28 = lm.mix %arg31, %27 by %arg29, %25 : (tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>) -> tensor<f32>
      kernel.yield %dw, %18, %23, %26, %28 : tensor<6x12xf32>, tensor<49152x768xbf16>, tensor<49152x768xbf16>, tensor<f32>, tensor<f32>
    }
    return %0#0, %0#1, %0#2, %0#3, %0#4 : tensor<6x12xf32>, tensor<49152x768xbf16>, tensor<49152x768xbf16>, tensor<f32>, tensor<f32>
  }
  func.func private @smear(%arg0: tensor<49152x6xf32>, %arg1: tensor<49152x6xf32>, %arg2: tensor<49152x768xbf16>, %arg3: tensor<6x12xbf16>, %arg4: tensor<49152x768xbf16>, %arg5: tensor<f32>, %arg6: tensor<49152x768xbf16>, %arg7: tensor<49152x768xbf16>, %arg8: tensor<f32>, %arg9: tensor<f32>, %arg10: tensor<49152x768xbf16>, %arg11: tensor<49152x768xbf16>, %arg12: tensor<49152x768xbf16>, %arg13: tensor<f32>, %arg14: tensor<f32>, %arg15: tensor<f32>, %arg16: tensor<49152x768xbf16>, %arg17: tensor<f32>, %arg18: tensor<1x12xbf16>, %arg19: tensor<49152x1xf32>, %arg20: tensor<f32>) -> (tensor<6x12xf32>, tensor<49152x768xbf16>, tensor<f32>, tensor<f32>, tensor<49152x768xbf16>, tensor<1x12xf32>, tensor<f32>) {
    %0:7 = kernel.rowwise(%arg0, %arg1, %arg2, %arg3, %arg4, %arg5, %arg6, %arg7, %arg8, %arg9, %arg10, %arg11, %arg12, %arg13, %arg14, %arg15, %arg16, %arg17, %arg18, %arg19, %arg20) : (tensor<49152x6xf32>, tensor<49152x6xf32>, tensor<49152x768xbf16>, tensor<6x12xbf16>, tensor<49152x768xbf16>, tensor<f32>, tensor<49152x768xbf16>, tensor<49152x768xbf16>, tensor<f32>, tensor<f32>, tensor<49152x768xbf16>, tensor<49152x768xbf16>, tensor<49152x768xbf16>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<49152x768xbf16>, tensor<f32>, tensor<1x12xbf16>, tensor<49152x1xf32>, tensor<f32>) -> (tensor<6x12xf32>, tensor<49152x768xbf16>, tensor<f32>, tensor<f32>, tensor<49152x768xbf16>, tensor<1x12xf32>, tensor<f32>) {
    ^bb0(%arg21: tensor<49152x6xf32>, %arg22: tensor<49152x6xf32>, %arg23: tensor<49152x768xbf16>, %arg24: tensor<6x12xbf16>, %arg25: tensor<49152x768xbf16>, %arg26: tensor<f32>, %arg27: tensor<49152x768xbf16>, %arg28: tensor<49152x768xbf16>, %arg29: tensor<f32>, %arg30: tensor<f32>, %arg31: tensor<49152x768xbf16>, %arg32: tensor<49152x768xbf16>, %arg33: tensor<49152x768xbf16>, %arg34: tensor<f32>, %arg35: tensor<f32>, %arg36: tensor<f32>, %arg37: tensor<49152x768xbf16>, %arg38: tensor<f32>, %arg39: tensor<1x12xbf16>, %arg40: tensor<49152x1xf32>, %arg41: tensor<f32>):
      %1 = lm.cast %arg25 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %2 = lm.cast %arg28 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %3 = lm.cast %arg31 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %4 = lm.cast %arg23 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %5 = lm.cast %arg27 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %6 = lm.cast %arg33 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %7 = lm.cast %arg32 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %8 = lm.cast %arg37 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %9 = lm.cast %arg24 : tensor<6x12xbf16> -> tensor<6x12xf32>
      %10 = lm.cast %arg39 : tensor<1x12xbf16> -> tensor<1x12xf32>
      %11 = lm.at_least %arg22 {bound = 1.000000e-30 : f64} : tensor<49152x6xf32>
      %12 = lm.unary reciprocal %11 : tensor<49152x6xf32>
      %13 = lm.multiply %arg21, %12 : tensor<49152x6xf32>
      %dx, %dw = lm.gate_backward %4, %9, %arg22, %13 : tensor<49152x768xf32>, tensor<6x12xf32>, tensor<49152x6xf32>
      %14 = lm.scale %1, %arg26 : tensor<49152x768xf32>, tensor<f32>
      %15 = lm.add %dx, %14 : tensor<49152x768xf32>
      %16 = lm.rms_norm_backward %5, %15 {eps = 1.1920928955078125E-7 : f64} : tensor<49152x768xf32>
      %17 = lm.add %2, %16 : tensor<49152x768xf32>
      %18 = lm.add %arg29, %arg30 : tensor<f32>
      %19 = lm.scale %17, %18 : tensor<49152x768xf32>, tensor<f32>
      %20 = lm.add %3, %19 : tensor<49152x768xf32>
      %21 = lm.rms_norm_backward %7, %20 {eps = 1.1920928955078125E-7 : f64} : tensor<49152x768xf32>
      %22 = lm.cast %21 : tensor<49152x768xf32> -> tensor<49152x768xbf16>
      %23 = lm.dot %6, %17 : tensor<49152x768xf32> -> tensor<f32>
      %24 = lm.constant dense<1.000000e+00> : tensor<f32>
      %25 = lm.mix %arg34, %23 by %arg35, %24 : (tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>) -> tensor<f32>
      %26 = lm.mix %arg36, %23 by %arg35, %24 : (tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>) -> tensor<f32>
      %27 = lm.token_shift_dot add cross %8, %21 {features = array<i64>, heads = array<i64>} : (tensor<49152x768xf32>, tensor<49152x768xf32>) -> tensor<49152x1xf32>
      %28 = lm.scale %27, %arg38 : tensor<49152x1xf32>, tensor<f32>
      %dx_0, %dw_1 = lm.gate_backward %8, %10, %arg40, %28 : tensor<49152x768xf32>, tensor<1x12xf32>, tensor<49152x1xf32>
      %29 = lm.cast %dx_0 : tensor<49152x768xf32> -> tensor<49152x768xbf16>
      %30 = lm.dot %arg40, %27 : tensor<49152x1xf32> -> tensor<f32>
      %31 = lm.mix %arg41, %30 by %arg35, %24 : (tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>) -> tensor<f32>
      kernel.yield %dw, %22, %25, %26, %29, %dw_1, %31 : tensor<6x12xf32>, tensor<49152x768xbf16>, tensor<f32>, tensor<f32>, tensor<49152x768xbf16>, tensor<1x12xf32>, tensor<f32>
    }
    return %0#0, %0#1, %0#2, %0#3, %0#4, %0#5, %0#6 : tensor<6x12xf32>, tensor<49152x768xbf16>, tensor<f32>, tensor<f32>, tensor<49152x768xbf16>, tensor<1x12xf32>, tensor<f32>
  }
  func.func private @headback(%arg0: tensor<49152x768xbf16>, %arg1: tensor<49152x768xbf16>, %arg2: tensor<49152x768xbf16>, %arg3: tensor<f32>, %arg4: tensor<f32>) -> (tensor<49152x768xbf16>, tensor<f32>) {
    %0:2 = kernel.rowwise(%arg0, %arg1, %arg2, %arg3, %arg4) : (tensor<49152x768xbf16>, tensor<49152x768xbf16>, tensor<49152x768xbf16>, tensor<f32>, tensor<f32>) -> (tensor<49152x768xbf16>, tensor<f32>) {
    ^bb0(%arg5: tensor<49152x768xbf16>, %arg6: tensor<49152x768xbf16>, %arg7: tensor<49152x768xbf16>, %arg8: tensor<f32>, %arg9: tensor<f32>):
      %1 = lm.cast %arg5 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %2 = lm.cast %arg6 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %3 = lm.cast %arg7 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %4 = lm.constant dense<4.35965421E-6> : tensor<f32>
      %5 = lm.scale %1, %4 : tensor<49152x768xf32>, tensor<f32>
      %6 = lm.rms_norm_backward %2, %5 {eps = 1.1920928955078125E-7 : f64} : tensor<49152x768xf32>
      %7 = lm.cast %6 : tensor<49152x768xf32> -> tensor<49152x768xbf16>
      %8 = lm.dot %3, %6 : tensor<49152x768xf32> -> tensor<f32>
      %9 = lm.unary negate %8 : tensor<f32>
      %10 = lm.constant dense<1.000000e+00> : tensor<f32>
      %11 = lm.mix %arg8, %9 by %arg9, %10 : (tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>) -> tensor<f32>
      kernel.yield %7, %11 : tensor<49152x768xbf16>, tensor<f32>
    }
    return %0#0, %0#1 : tensor<49152x768xbf16>, tensor<f32>
  }
  func.func private @headnorm(%arg0: tensor<49152x768xbf16>) -> tensor<49152x768xf8E4M3FN> {
    %0 = kernel.rowwise(%arg0) : (tensor<49152x768xbf16>) -> tensor<49152x768xf8E4M3FN> {
    ^bb0(%arg1: tensor<49152x768xbf16>):
      %1 = lm.cast %arg1 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %2 = lm.rms_norm %1 {eps = 1.1920928955078125E-7 : f64} : tensor<49152x768xf32>
      %3 = lm.quantize %2 {scale = 0.061858957413174188 : f64} : tensor<49152x768xf32> -> tensor<49152x768xf8E4M3FN>
      kernel.yield %3 : tensor<49152x768xf8E4M3FN>
    }
    return %0 : tensor<49152x768xf8E4M3FN>
  }
  func.func private @lastnorm(%arg0: tensor<49152x768xbf16>, %arg1: tensor<49152x768xbf16>, %arg2: tensor<49152x768xbf16>, %arg3: tensor<f32>) -> tensor<49152x768xbf16> {
    %0 = kernel.rowwise(%arg0, %arg1, %arg2, %arg3) : (tensor<49152x768xbf16>, tensor<49152x768xbf16>, tensor<49152x768xbf16>, tensor<f32>) -> tensor<49152x768xbf16> {
    ^bb0(%arg4: tensor<49152x768xbf16>, %arg5: tensor<49152x768xbf16>, %arg6: tensor<49152x768xbf16>, %arg7: tensor<f32>):
      %1 = lm.cast %arg5 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %2 = lm.cast %arg4 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %3 = lm.cast %arg6 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %4 = lm.add %2, %1 : tensor<49152x768xf32>
      %5 = lm.unary negate %arg7 : tensor<f32>
      %6 = lm.constant dense<1.000000e+00> : tensor<f32>
      %7 = lm.mix %4, %3 by %6, %5 : (tensor<49152x768xf32>, tensor<49152x768xf32>, tensor<f32>, tensor<f32>) -> tensor<49152x768xf32>
      %8 = lm.rms_norm %7 {eps = 1.1920928955078125E-7 : f64} : tensor<49152x768xf32>
      %9 = lm.cast %8 : tensor<49152x768xf32> -> tensor<49152x768xbf16>
      kernel.yield %9 : tensor<49152x768xbf16>
    }
    return %0 : tensor<49152x768xbf16>
  }
  func.func private @norm(%arg0: tensor<49152x768xbf16>) -> tensor<49152x768xbf16> {
    %0 = kernel.rowwise(%arg0) : (tensor<49152x768xbf16>) -> tensor<49152x768xbf16> {
    ^bb0(%arg1: tensor<49152x768xbf16>):
      %1 = lm.cast %arg1 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %2 = lm.rms_norm %1 {eps = 1.1920928955078125E-7 : f64} : tensor<49152x768xf32>
      %3 = lm.cast %2 : tensor<49152x768xf32> -> tensor<49152x768xbf16>
      kernel.yield %3 : tensor<49152x768xbf16>
    }
    return %0 : tensor<49152x768xbf16>
  }
  func.func private @normgate(%arg0: tensor<49152x768xbf16>, %arg1: tensor<6x12xbf16>) -> (tensor<49152x768xbf16>, tensor<49152x6xf32>) {
    %0:2 = kernel.rowwise(%arg0, %arg1) : (tensor<49152x768xbf16>, tensor<6x12xbf16>) -> (tensor<49152x768xbf16>, tensor<49152x6xf32>) {
    ^bb0(%arg2: tensor<49152x768xbf16>, %arg3: tensor<6x12xbf16>):
      %1 = lm.cast %arg3 : tensor<6x12xbf16> -> tensor<6x12xf32>
      %2 = lm.cast %arg2 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %3 = lm.rms_norm %2 {eps = 1.1920928955078125E-7 : f64} : tensor<49152x768xf32>
      %4 = lm.cast %3 : tensor<49152x768xf32> -> tensor<49152x768xbf16>
      %5 = lm.gate %3, %1 : tensor<49152x768xf32>, tensor<6x12xf32> -> tensor<49152x6xf32>
      kernel.yield %4, %5 : tensor<49152x768xbf16>, tensor<49152x6xf32>
    }
    return %0#0, %0#1 : tensor<49152x768xbf16>, tensor<49152x6xf32>
  }
  func.func private @rowdot(%arg0: tensor<49152x6x128xbf16>, %arg1: tensor<49152x6x128xbf16>, %arg2: tensor<49152x6xf32>) -> (tensor<49152x6xf32>, tensor<49152x6x128xbf16>) {
    %0:2 = kernel.rowwise(%arg0, %arg1, %arg2) : (tensor<49152x6x128xbf16>, tensor<49152x6x128xbf16>, tensor<49152x6xf32>) -> (tensor<49152x6xf32>, tensor<49152x6x128xbf16>) {
    ^bb0(%arg3: tensor<49152x6x128xbf16>, %arg4: tensor<49152x6x128xbf16>, %arg5: tensor<49152x6xf32>):
      %1 = lm.cast %arg4 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %2 = lm.cast %arg3 : tensor<49152x6x128xbf16> -> tensor<49152x6x128xf32>
      %3 = lm.row_scale %1, %arg5 : tensor<49152x6x128xf32>, tensor<49152x6xf32>
      %4 = lm.cast %3 : tensor<49152x6x128xf32> -> tensor<49152x6x128xbf16>
      %5 = lm.row_dot %2, %1 : tensor<49152x6x128xf32> -> tensor<49152x6xf32>
      kernel.yield %5, %4 : tensor<49152x6xf32>, tensor<49152x6x128xbf16>
    }
    return %0#0, %0#1 : tensor<49152x6xf32>, tensor<49152x6x128xbf16>
  }
  func.func private @values(%arg0: tensor<50304x768xbf16>, %arg1: tensor<49152xi32>, %arg2: tensor<49152x768xbf16>) -> tensor<49152x6x128xbf16> {
    %0 = kernel.rowwise(%arg0, %arg1, %arg2) : (tensor<50304x768xbf16>, tensor<49152xi32>, tensor<49152x768xbf16>) -> tensor<49152x6x128xbf16> {
    ^bb0(%arg3: tensor<50304x768xbf16>, %arg4: tensor<49152xi32>, %arg5: tensor<49152x768xbf16>):
      %1 = lm.cast %arg5 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %2 = lm.embedding %arg3, %arg4 : tensor<50304x768xbf16>, tensor<49152xi32> -> tensor<49152x768xbf16>
      %3 = lm.cast %2 : tensor<49152x768xbf16> -> tensor<49152x768xf32>
      %4 = lm.reshape %3 : tensor<49152x768xf32> -> tensor<49152x6x128xf32>
      %5 = lm.reshape %1 : tensor<49152x768xf32> -> tensor<49152x6x128xf32>
      %6 = lm.add %5, %4 : tensor<49152x6x128xf32>
      %7 = lm.cast %6 : tensor<49152x6x128xf32> -> tensor<49152x6x128xbf16>
      kernel.yield %7 : tensor<49152x6x128xbf16>
    }
    return %0 : tensor<49152x6x128xbf16>
  }
}
