//===- LMRowOps.td - Ops that work row by row, and the loss ---------------===//
// Included by LMOps.td.

//===----------------------------------------------------------------------===//
// Row ops: element-wise
//===----------------------------------------------------------------------===//

def LM_AddOp : LM_PureRowOp<"add", [Diff, Commutative, SameOperandsAndResultType]> {
  let summary = "a + b, same shapes";
  let description = [{
    ```mlir
    %0 = lm.add %x, %x : tensor<3x4xf32>
    ```
  }];
  let arguments = (ins LM_Tensor:$a, LM_Tensor:$b);
  let results = (outs LM_Tensor:$result);
  let assemblyFormat = "$a `,` $b attr-dict `:` type($result)";
  let hasFolder = 1;
}

def LM_MultiplyOp : LM_PureRowOp<"multiply", [Diff, Commutative, SameOperandsAndResultType]> {
  let summary = "a · b, element by element, same shapes";
  let description = [{
    ```mlir
    %1 = lm.multiply %x, %x : tensor<3x4xf32>
    ```
  }];
  let arguments = (ins LM_Tensor:$a, LM_Tensor:$b);
  let results = (outs LM_Tensor:$result);
  let assemblyFormat = "$a `,` $b attr-dict `:` type($result)";
  let hasFolder = 1;
}

def LM_MixOp : LM_PureRowOp<"mix", [Diff, AttrSizedOperandSegments]> {
  let summary = "Weighted sum: Σ coefficients[i] · values[i]";
  let description = [{
    Coefficients are rank 0. The same value twice folds: `mix(x·a + x·b)` becomes `mix(x·(a+b))`.

    ```mlir
    %2 = lm.mix %x, %0 by %s, %s : (tensor<3x4xf32>, tensor<3x4xf32>, tensor<f32>, tensor<f32>) -> tensor<3x4xf32>
    ```
  }];
  let arguments = (ins Variadic<LM_Tensor>:$values, Variadic<LM_Scalar>:$coefficients);
  let results = (outs LM_Tensor:$result);
  let assemblyFormat = "$values `by` $coefficients attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let hasCanonicalizer = 1;
}

def LM_ScaleOp : LM_PureRowOp<"scale", [Diff, AllTypesMatch<["x","result"]>]> {
  let summary = "x · s with s of rank 0";
  let description = [{
    ```mlir
    %3 = lm.scale %x, %s : tensor<3x4xf32>, tensor<f32>
    ```
  }];
  let arguments = (ins LM_Tensor:$x, LM_Scalar:$s);
  let results = (outs LM_Tensor:$result);
  let assemblyFormat = "$x `,` $s attr-dict `:` type($x) `,` type($s)";
  let hasFolder = 1;
}

def LM_RowScaleOp : LM_PureRowOp<"row_scale", [Diff, AllTypesMatch<["x","result"]>]> {
  let summary = "x[..., :] · g[...]: one factor per row, or per row and head";
  let description = [{
    x [T, D] with g [T] or [T, 1]; x [T, H, d] with g [T, H], [T, 1] (every head alike) or [T].

    ```mlir
    %4 = lm.row_scale %x, %g : tensor<3x4xf32>, tensor<3xf32>
    ```
  }];
  let arguments = (ins LM_Tensor:$x, LM_Tensor:$g);
  let results = (outs LM_Tensor:$result);
  let assemblyFormat = "$x `,` $g attr-dict `:` type($x) `,` type($g)";
  let hasVerifier = 1;
}

def LM_RowDotOp : LM_PureRowOp<"row_dot", [AllTypesMatch<["a","b"]>]> {
  let summary = "Σ over the axes that g lacks of a·b; the gradient of row_scale's factor";
  let description = [{
    a, b [T, D] → [T] or [T, 1]; a, b [T, H, d] → [T, H], [T, 1] or [T].

    ```mlir
    %6 = lm.row_dot %x, %x : tensor<3x4xf32> -> tensor<3x1xf32>
    ```
  }];
  let arguments = (ins LM_Tensor:$a, LM_Tensor:$b);
  let results = (outs LM_Tensor:$result);
  let assemblyFormat = "$a `,` $b attr-dict `:` type($a) `->` type($result)";
  let hasVerifier = 1;
}

def LM_UnaryOp : LM_PureRowOp<"unary", [Diff, SameOperandsAndResultType]> {
  let summary = "One function applied to every element";
  let description = [{
    gelu is x·Φ(x) itself (erf), not its tanh approximation. step is 1 where x ≥ 0, else 0 (its gradient is 0).

    ```mlir
    %7 = lm.unary silu %x : tensor<3x4xf32>
    ```
  }];
  let arguments = (ins LM_UnaryKindAttr:$kind, LM_Tensor:$x);
  let results = (outs LM_Tensor:$result);
  let assemblyFormat = "`` $kind $x attr-dict `:` type($x)";
  let hasFolder = 1;
}

def LM_UnaryBackwardOp : LM_PureRowOp<"unary_backward", [SameOperandsAndResultType]> {
  let summary = "dy · f'(x); with `from_output`, x is f's result instead (relu_squared: 2·sqrt(y))";
  let description = [{
    `from_output` is for kinds whose derivative is a function of their value: sigmoid, tanh, relu, relu_squared, exp, sqrt, reciprocal.

    ```mlir
    %8 = lm.unary_backward silu %x, %x : tensor<3x4xf32>
    ```
  }];
  let arguments = (ins LM_UnaryKindAttr:$kind, LM_Tensor:$x, LM_Tensor:$dy, UnitAttr:$from_output);
  let results = (outs LM_Tensor:$dx);
  let assemblyFormat = "`` $kind $x `,` $dy attr-dict `:` type($x)";
  let hasVerifier = 1;
  let extraClassDeclaration = [{ static bool supportsFromOutput(::mlir::lm::UnaryKind kind); }];
}

def LM_CastOp : LM_PureRowOp<"cast", [Diff]> {
  let summary = "Conversion between float types, round to nearest even; into f8 it saturates";
  let description = [{
    Beyond the range of bf16 and f16 lies infinity; beyond that of f8 its largest number (infinities too). NaN stays NaN.

    ```mlir
    %10 = lm.cast %x : tensor<3x4xf32> -> tensor<3x4xbf16>
    ```
  }];
  let arguments = (ins LM_Tensor:$x);
  let results = (outs LM_Tensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def LM_BroadcastOp : LM_PureRowOp<"broadcast", [Diff]> {
  let summary = "A rank-0 value at every element of the result; or [T] / [T, H] repeated along the last axis";
  let description = [{
    ```mlir
    %11 = lm.broadcast %s : tensor<f32> -> tensor<3x4xf32>
    ```
  }];
  let arguments = (ins LM_Tensor:$x);
  let results = (outs LM_Tensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

//===----------------------------------------------------------------------===//
// Row ops: shape
//===----------------------------------------------------------------------===//

def LM_ReshapeOp : LM_PureRowOp<"reshape", [Diff]> {
  let summary = "The same elements, another shape with the same first axis: [T, H·d] ↔ [T, H, d]";
  let description = [{
    ```mlir
    %0 = lm.reshape %x : tensor<3x8xf32> -> tensor<3x2x4xf32>
    ```
  }];
  let arguments = (ins LM_Tensor:$x);
  let results = (outs LM_Tensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def LM_SplitOp : LM_PureRowOp<"split", [Diff]> {
  let summary = "Cuts the last axis into consecutive pieces";
  let description = [{
    ```mlir
    %1:2 = lm.split %x : (tensor<3x8xf32>) -> (tensor<3x3xf32>, tensor<3x5xf32>)
    ```
  }];
  let arguments = (ins LM_Tensor:$x);
  let results = (outs Variadic<LM_Tensor>:$parts);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let hasCanonicalizer = 1;
}

def LM_ConcatOp : LM_PureRowOp<"concat", [Diff]> {
  let summary = "Joins along the last axis";
  let description = [{
    ```mlir
    %2 = lm.concat %1#1, %1#0 : (tensor<3x5xf32>, tensor<3x3xf32>) -> tensor<3x8xf32>
    ```
  }];
  let arguments = (ins Variadic<LM_Tensor>:$parts);
  let results = (outs LM_Tensor:$result);
  let assemblyFormat = "$parts attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

//===----------------------------------------------------------------------===//
// Row ops: norm, rotary embedding, token shift, gate
//===----------------------------------------------------------------------===//

def LM_RMSNormOp : LM_PureRowOp<"rms_norm", [Diff, SameOperandsAndResultType]> {
  let summary = "x · rsqrt(mean(x²) + eps) over the last axis, no learned weight";
  let description = [{
    ```mlir
    %0 = lm.rms_norm %x {eps = 0.25} : tensor<3x8xf32>
    ```
  }];
  let arguments = (ins LM_Tensor:$x, F64Attr:$eps);
  let results = (outs LM_Tensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($x)";
  let hasVerifier = 1;
}

def LM_RMSNormBackwardOp : LM_PureRowOp<"rms_norm_backward", [SameOperandsAndResultType]> {
  let summary = "r·(dy − y·mean(dy·y)), with y = r·x, r = rsqrt(mean(x²) + eps)";
  let description = [{
    ```mlir
    %1 = lm.rms_norm_backward %x, %x {eps = 0.25} : tensor<3x8xf32>
    ```
  }];
  let arguments = (ins LM_Tensor:$x, LM_Tensor:$dy, F64Attr:$eps);
  let results = (outs LM_Tensor:$dx);
  let assemblyFormat = "$x `,` $dy attr-dict `:` type($x)";
  let hasVerifier = 1;
}

def LM_RopeTableOp : LM_Op<"rope_table", [Pure]> {
  let summary = "table[t, j] = cos(t·f[j]), table[t, n+j] = sin(t·f[j]); n frequencies, table [T, 2n]";
  let description = [{
    Depends only on constants and settings: it is hoisted into the `setup` program. Angles in float64, then rounded to f32, then to the table's type.

    ```mlir
    %table = lm.rope_table %f : tensor<2xf32> -> tensor<3x4xf32>
    ```
  }];
  let arguments = (ins LM_Tensor:$frequencies);
  let results = (outs LM_Tensor:$table);
  let assemblyFormat = "$frequencies attr-dict `:` type($frequencies) `->` type($table)";
  let hasVerifier = 1;
}

def LM_RopeOp : LM_PureRowOp<"rope", [Diff, AllTypesMatch<["x","result"]>]> {
  let summary = "Rotary embedding of [T, H, d] heads by a [T, d] table; pairs (j, j + d/2)";
  let description = [{
    `y1 = x1·cos + x2·sin`, `y2 = −x1·sin + x2·cos` with x1 = x[j], x2 = x[j + d/2]; `inverse` rotates back (the gradient).
    Row of the table: t, or t − document_start[t] when `document_start` is given.

    ```mlir
    %2 = lm.rope %k, %table {inverse} : tensor<3x2x4xf32>, tensor<3x4xf32>
    ```
  }];
  let arguments = (ins LM_Tensor:$x, LM_Tensor:$table, Optional<LM_IndexVector>:$document_start, UnitAttr:$inverse);
  let results = (outs LM_Tensor:$result);
  let assemblyFormat = "$x `,` $table (`document_start` $document_start^)? attr-dict `:` type($x) `,` type($table) (`,` type($document_start)^)?";
  let hasVerifier = 1;
}

class LM_ShiftBase<string mnemonic, list<Trait> traits> : LM_PureRowOp<mnemonic, traits> {
  // Common attributes of the token_shift family.
  dag shiftAttributes = (ins LM_ShiftModeAttr:$mode, DenseI64ArrayAttr:$features, DenseI64ArrayAttr:$heads,
                             DefaultValuedAttr<I64Attr, "1">:$distance, LM_DocumentRuleAttr:$documents);
}

def LM_TokenShiftOp : LM_ShiftBase<"token_shift", [Diff, AttrSizedOperandSegments]> {
  let summary = "Each row takes from the row `distance` before it";
  let description = [{
    With e = x[t − distance], c[t] = scale · gate[t] (each 1 when absent), on the features in `features` (flat pairs [begin, end) of
    the last axis; empty: all) of the heads in `heads` (empty: all; rank-3 x only):
    - `add`:      y[t] = x[t] + c·e
    - `replace`:  y[t] = x[t] + c·(e − x[t]), which is e itself when there is no scale or gate.

    Elsewhere, for t < distance, and with `documents = mask` for t − distance < document_start[t], y[t] = x[t]: a row without an
    earlier row keeps its own features. gate: [T] or [T, 1], or [T, H] for heads.

    ```mlir
    %6 = lm.token_shift replace cross %k {features = array<i64: 1, 2, 3, 4>, heads = array<i64: 1>} : (tensor<3x2x4xf32>) -> tensor<3x2x4xf32>
    ```
  }];
  let arguments = !con((ins LM_Tensor:$x, Optional<LM_Scalar>:$scale, Optional<LM_Tensor>:$gate, Optional<LM_IndexVector>:$document_start), shiftAttributes);
  let results = (outs LM_Tensor:$result);
  let assemblyFormat = "`` $mode `` $documents $x (`scale` $scale^)? (`gate` $gate^)? (`document_start` $document_start^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def LM_TokenShiftAdjointOp : LM_ShiftBase<"token_shift_adjoint", [AttrSizedOperandSegments]> {
  let summary = "Transpose of token_shift as a linear map of x: the gradient of x given that of the result";
  let description = [{
    Row t reads dy[t] and dy[t + distance]. In replace mode a row that kept its own features receives its own gradient beside the later row's.

    ```mlir
    %8 = lm.token_shift_adjoint add mask %k scale %s document_start %documents {features = array<i64: 0, 2>, heads = array<i64>} : (tensor<3x2x4xf32>, tensor<f32>, tensor<3xi32>) -> tensor<3x2x4xf32>
    ```
  }];
  let arguments = !con((ins LM_Tensor:$dy, Optional<LM_Scalar>:$scale, Optional<LM_Tensor>:$gate, Optional<LM_IndexVector>:$document_start), shiftAttributes);
  let results = (outs LM_Tensor:$dx);
  let assemblyFormat = "`` $mode `` $documents $dy (`scale` $scale^)? (`gate` $gate^)? (`document_start` $document_start^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def LM_TokenShiftDotOp : LM_ShiftBase<"token_shift_dot", []> {
  let summary = "Gradient of the coefficient c: p[t] = Σ dy[t]·(e − x[t] if replace), over the shifted features; 0 where nothing is shifted";
  let description = [{
    Result [T], [T, 1], or [T, H] (per head). `scale` and `gate` are not operands: dscale = Σ gate·p, dgate = scale·p.

    ```mlir
    %9 = lm.token_shift_dot replace cross %k, %k {features = array<i64>, heads = array<i64>} : (tensor<3x2x4xf32>, tensor<3x2x4xf32>) -> tensor<3x2xf32>
    ```
  }];
  let arguments = !con((ins LM_Tensor:$x, LM_Tensor:$dy, Optional<LM_IndexVector>:$document_start), shiftAttributes);
  let results = (outs LM_Tensor:$result);
  let assemblyFormat = "`` $mode `` $documents $x `,` $dy (`document_start` $document_start^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def LM_GateOp : LM_PureRowOp<"gate", [Diff]> {
  let summary = "σ(x[:, :n]·wᵀ): G gates per row from the first n features; w is [G, n], result [T, G]";
  let description = [{
    ```mlir
    %gate = lm.gate %x, %w : tensor<3x8xf32>, tensor<2x6xf32> -> tensor<3x2xf32>
    ```
  }];
  let arguments = (ins LM_Tensor:$x, LM_Tensor:$w);
  let results = (outs LM_Tensor:$result);
  let assemblyFormat = "$x `,` $w attr-dict `:` type($x) `,` type($w) `->` type($result)";
  let hasVerifier = 1;
}

def LM_GateBackwardOp : LM_PureRowOp<"gate_backward", [AllTypesMatch<["x","dx"]>, AllTypesMatch<["w","dw"]>, AllTypesMatch<["gate","dgate"]>]> {
  let summary = "Gradients of gate's x (zero beyond the first n features) and w (accumulated over rows), from the gate's value and its gradient";
  let description = [{
    ```mlir
    %4, %5 = lm.gate_backward %x, %w, %gate, %gate : tensor<3x8xf32>, tensor<2x6xf32>, tensor<3x2xf32>
    ```
  }];
  let arguments = (ins LM_Tensor:$x, LM_Tensor:$w, LM_Tensor:$gate, LM_Tensor:$dgate);
  let results = (outs LM_Tensor:$dx, LM_Tensor:$dw);
  let assemblyFormat = "$x `,` $w `,` $gate `,` $dgate attr-dict `:` type($x) `,` type($w) `,` type($gate)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Row ops: the loss
//===----------------------------------------------------------------------===//

def LM_SoftcapOp : LM_PureRowOp<"softcap", [Diff, SameOperandsAndResultType]> {
  let summary = "tanh: A·tanh(z/τ); sigmoid: A·σ(z/τ); rsqrt: A·z·rsqrt(z² + A²)";
  let description = [{
    ```mlir
    %0 = lm.softcap rsqrt %z {amplitude = 15.0, temperature = 1.0} : tensor<3x8xf32>
    ```
  }];
  let arguments = (ins LM_SoftcapKindAttr:$kind, LM_Tensor:$x, F64Attr:$amplitude, F64Attr:$temperature);
  let results = (outs LM_Tensor:$result);
  let assemblyFormat = "`` $kind $x attr-dict `:` type($x)";
  let hasVerifier = 1;
}

def LM_SoftcapBackwardOp : LM_PureRowOp<"softcap_backward", [SameOperandsAndResultType]> {
  let summary = "dy · softcap'(x)";
  let description = [{
    ```mlir
    %1 = lm.softcap_backward sigmoid %z, %z {amplitude = 30.0, temperature = 7.5} : tensor<3x8xf32>
    ```
  }];
  let arguments = (ins LM_SoftcapKindAttr:$kind, LM_Tensor:$x, LM_Tensor:$dy, F64Attr:$amplitude, F64Attr:$temperature);
  let results = (outs LM_Tensor:$dx);
  let assemblyFormat = "`` $kind $x `,` $dy attr-dict `:` type($x)";
  let hasVerifier = 1;
}

def LM_CrossEntropyOp : LM_PureRowOp<"cross_entropy", [Diff]> {
  let summary = "loss[t] = log Σ exp(z[t]) − z[t, targets[t]]; 0 where the target is −1; lse[t] = log Σ exp(z[t])";
  let description = [{
    ```mlir
    %2, %3 = lm.cross_entropy %z, %targets : tensor<3x8xf32>, tensor<3xi32> -> tensor<3xf32>, tensor<3xf32>
    ```
  }];
  let arguments = (ins LM_Tensor:$logits, LM_IndexVector:$targets);
  let results = (outs LM_Tensor:$loss, LM_Tensor:$lse);
  let assemblyFormat = "$logits `,` $targets attr-dict `:` type($logits) `,` type($targets) `->` type($loss) `,` type($lse)";
  let hasVerifier = 1;
}

def LM_CrossEntropyBackwardOp : LM_PureRowOp<"cross_entropy_backward", [AllTypesMatch<["logits","dlogits"]>, AllTypesMatch<["lse","dloss"]>]> {
  let summary = "dloss[t] · (softmax(z[t]) − onehot(targets[t])); 0 where the target is −1";
  let description = [{
    ```mlir
    %4 = lm.cross_entropy_backward %z, %targets, %3, %2 : tensor<3x8xf32>, tensor<3xi32>, tensor<3xf32>
    ```
  }];
  let arguments = (ins LM_Tensor:$logits, LM_IndexVector:$targets, LM_Tensor:$lse, LM_Tensor:$dloss);
  let results = (outs LM_Tensor:$dlogits);
  let assemblyFormat = "$logits `,` $targets `,` $lse `,` $dloss attr-dict `:` type($logits) `,` type($targets) `,` type($lse)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Row ops: reductions over everything
//===----------------------------------------------------------------------===//

def LM_SumOp : LM_PureRowOp<"sum", [Diff]> {
  let summary = "Σ of all elements, a rank-0 result (rows added in order)";
  let description = [{
    ```mlir
    %5 = lm.sum %2 : tensor<3xf32> -> tensor<f32>
    ```
  }];
  let arguments = (ins LM_Tensor:$x);
  let results = (outs LM_Scalar:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
}

def LM_DotOp : LM_PureRowOp<"dot", [AllTypesMatch<["a","b"]>]> {
  let summary = "Σ a·b over all elements, a rank-0 result: the gradient of a scalar coefficient";
  let description = [{
    ```mlir
    %6 = lm.dot %z, %z : tensor<3x8xf32> -> tensor<f32>
    ```
  }];
  let arguments = (ins LM_Tensor:$a, LM_Tensor:$b);
  let results = (outs LM_Scalar:$result);
  let assemblyFormat = "$a `,` $b attr-dict `:` type($a) `->` type($result)";
}

def LM_CountOp : LM_PureRowOp<"count_targets"> {
  let summary = "How many targets are not −1, as a float of rank 0 (at least 1): the divisor of a mean loss";
  let description = [{
    ```mlir
    %7 = lm.count_targets %targets : tensor<3xi32> -> tensor<f32>
    ```
  }];
  let arguments = (ins LM_IndexVector:$targets);
  let results = (outs LM_Scalar:$result);
  let assemblyFormat = "$targets attr-dict `:` type($targets) `->` type($result)";
}
