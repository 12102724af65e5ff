//===- LMNumberFormats.td - f8 products, bf16+16 masters -----------------===//
//
// Ops that exist for a number format. Plain conversions are lm.cast.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_LM_NUMBER_FORMATS
#define SMELT_LM_NUMBER_FORMATS

def LM_QuantizeOp : LM_PureRowOp<"quantize", [Diff, AllShapesMatch<["x", "result"]>]> {
  let summary = "x / scale in f8: round to nearest even, saturating";
  let description = [{
    `f8(x · r)` with r = 1/scale rounded to f32 and the product rounded to f32 (a product, not a quotient: exact in the same way on every
    target). Magnitudes beyond the format's largest number (448, 57344), infinities too, become it; NaN stays NaN. It has no gradient:
    `lm.quantized_matmul` has one.

    ```mlir
    %q = lm.quantize %x {scale = 0.5 : f64} : tensor<3x4xf32> -> tensor<3x4xf8E4M3FN>
    ```
  }];
  let arguments = (ins LM_WideTensor:$x, F64Attr:$scale);
  let results = (outs LM_Float8Tensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
}

def LM_QuantizedMatmulOp : LM_Op<"quantized_matmul", [Diff, Pure]> {
  let summary = "x·wᵀ of operands in f8: x [T, K], w [N, K], result [T, N]";
  let description = [{
    With qx = quantize(x, x_scale) and qw = quantize(w, w_scale) in f8E4M3FN: `result = (qx·qwᵀ) · (x_scale · w_scale)`, summed in f32.
    The gradient takes qg = quantize(dy, gradient_scale) in f8E5M2, and the same quantised operands:
    `dx = (qg·qw) · (gradient_scale · w_scale)`, `dw = (qgᵀ·qx) · (gradient_scale · x_scale)`: rounding is passed over, as in the records.

    ```mlir
    %z = lm.quantized_matmul %x, %w {x_scale = 0.0625 : f64, w_scale = 0.001953125 : f64, gradient_scale = 0.25 : f64} : tensor<3x4xf32>, tensor<5x4xf32> -> tensor<3x5xf32>
    ```
  }];
  let arguments = (ins LM_WideTensor:$x, LM_WideTensor:$w, F64Attr:$x_scale, F64Attr:$w_scale, F64Attr:$gradient_scale);
  let results = (outs LM_WideTensor:$result);
  let assemblyFormat = "$x `,` $w attr-dict `:` type($x) `,` type($w) `->` type($result)";
  let hasVerifier = 1;
}

def LM_JoinMasterOp : LM_PureRowOp<"join_master", [AllShapesMatch<["high", "low", "result"]>]> {
  let summary = "The f32 whose high 16 bits are those of a bf16 and whose low 16 bits are given";
  let description = [{
    For optimisers: a bf16 parameter and 16 bits of state make a full-precision master.

    ```mlir
    %m = lm.join_master %high, %low : tensor<3x4xbf16>, tensor<3x4xi16> -> tensor<3x4xf32>
    ```
  }];
  let arguments = (ins LM_HighTensor:$high, LM_LowBitsTensor:$low);
  let results = (outs LM_MasterTensor:$result);
  let assemblyFormat = "$high `,` $low attr-dict `:` type($high) `,` type($low) `->` type($result)";
}

def LM_SplitMasterOp : LM_PureRowOp<"split_master", [AllShapesMatch<["x", "high", "low"]>]> {
  let summary = "Cuts an f32 into its high 16 bits, a bf16 (truncated, not rounded), and its low 16 bits";
  let description = [{
    ```mlir
    %h, %l = lm.split_master %m : tensor<3x4xf32> -> tensor<3x4xbf16>, tensor<3x4xi16>
    ```
  }];
  let arguments = (ins LM_MasterTensor:$x);
  let results = (outs LM_HighTensor:$high, LM_LowBitsTensor:$low);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($high) `,` type($low)";
}
#endif
