//===- LMOps.td - Operations of the lm dialect ---------------------------===//
#ifndef SMELT_LM_OPS
#define SMELT_LM_OPS

include "dialects/LM/LMNumbers.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def LM_DifferentiableOpInterface : OpInterface<"DifferentiableOpInterface"> {
  let cppNamespace = "::mlir::lm";
  let description = [{An op with a gradient: builds, after the forward code, the ops that turn the gradients of its results into those of its operands.}];
  let methods = [InterfaceMethod<
    [{Given one gradient per result (null: zero; at least one is not) returns one gradient per operand, of the operand's type.
      Builds nothing for operands that are not `needed`; their entries are null. Fails with an error on the op where it has no
      gradient for a needed operand or for a result.}],
    "::llvm::FailureOr<::llvm::SmallVector<::mlir::Value>>", "buildGradients",
    (ins "::mlir::OpBuilder &":$builder, "::mlir::ValueRange":$resultGradients, "::llvm::ArrayRef<bool>":$needed)>];
}

defvar Diff = DeclareOpInterfaceMethods<LM_DifferentiableOpInterface>;

/// A row op without side effects.
class LM_PureRowOp<string mnemonic, list<Trait> traits = []> : LM_Op<mnemonic, !listconcat(traits, [Pure, LM_RowOp])>;

//===----------------------------------------------------------------------===//
// Parameters, settings, constants
//===----------------------------------------------------------------------===//

def LM_ParameterOp : LM_Op<"parameter", [Symbol]> {
  let summary = "A trained tensor of the model";
  let description = [{
    `init_value` is the constant, the uniform bound (values in [-b, b)), or the standard deviation.

    ```mlir
    lm.parameter @"layers.0.uniform" : tensor<6x4xf32> uniform 0.5
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttr:$type, LM_InitKindAttr:$init, F64Attr:$init_value);
  let assemblyFormat = "$sym_name `:` $type `` $init $init_value attr-dict";
  let hasVerifier = 1;
}

def LM_ReadOp : LM_Op<"read", [Diff, MemoryEffects<[MemRead]>, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "The current value of a parameter, optimiser state or other named tensor";
  let description = [{
    The whole tensor, or the rows of the result's shape from `first_row` on: a block of rows is optimised like a matrix of its own. With
    `ranks` = N > 1: this rank's part, that is, rank r's rows are those from r·R on, R the rows of the result; the tensor is padded to N·R
    rows (what is behind its own rows is zero at first).

    ```mlir
    %0 = lm.read @"layers.0.uniform" : tensor<6x4xf32>
    %1 = lm.read @"layers.0.uniform" {ranks = 4 : i64} : tensor<2x4xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$symbol, DefaultValuedAttr<I64Attr, "0">:$first_row, DefaultValuedAttr<I64Attr, "1">:$ranks);
  let results = (outs LM_AnyTensor:$value);
  let assemblyFormat = "$symbol attr-dict `:` type($value)";
}

def LM_SettingOp : LM_Op<"setting", [Diff, Pure]> {
  let summary = "A value that the runtime sets before a step: window, learning rate, momentum …";
  let description = [{
    Named by a `train.schedule` symbol, or `accumulate` / `step`, which the runtime keeps itself.

    ```mlir
    %2 = lm.setting @window : tensor<i32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$symbol);
  let results = (outs LM_AnyTensor:$value);
  let assemblyFormat = "$symbol attr-dict `:` type($value)";
}

def LM_ConstantOp : LM_Op<"constant", [Diff, Pure, ConstantLike, LM_RowOp, AllTypesMatch<["value", "result"]>]> {
  let summary = "A constant tensor (a splat, or a small table)";
  let description = [{
    ```mlir
    %3 = lm.constant dense<0.5> : tensor<2x2xf32>
    ```
  }];
  let arguments = (ins ElementsAttr:$value);
  let results = (outs LM_AnyTensor:$result);
  let assemblyFormat = "attr-dict $value";
  let hasFolder = 1;
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::mlir::RankedTensorType":$type, "double":$value)>];
  let extraClassDeclaration = [{ static bool isBuildableWith(::mlir::Attribute value, ::mlir::Type type); }];
}

//===----------------------------------------------------------------------===//
// Contractions, embedding, attention: the roots of kernels
//===----------------------------------------------------------------------===//

def LM_MatmulOp : LM_Op<"matmul", [Diff, Pure]> {
  let summary = "op(a)·op(b), where op transposes if asked; with groups, block by block";
  let description = [{
    `a` is [M, K] ([K, M] with `transpose_a`), `b` is [K, N] ([N, K] with `transpose_b`); a linear layer is `lm.matmul %x, %w {transpose_b}`.
    Products and sums are f32 whatever the operands are; f8 operands stand together and give an f32 result.

    With `groups = G` the rows of `a`, `b` and the result are cut into G equal blocks, each a matrix of the shapes above, and
    `result_i = op(a_i)·op(b_i)`: many matrices of one shape that lie below each other, as the optimisers' banks have them.

    ```mlir
    %0 = lm.matmul %a, %w {transpose_b} : tensor<3x4xf32>, tensor<5x4xf32> -> tensor<3x5xf32>
    ```
  }];
  let arguments = (ins LM_Tensor:$a, LM_Tensor:$b, UnitAttr:$transpose_a, UnitAttr:$transpose_b, DefaultValuedAttr<I64Attr, "1">:$groups);
  let results = (outs LM_Tensor:$result);
  let assemblyFormat = "$a `,` $b attr-dict `:` type($a) `,` type($b) `->` type($result)";
  let hasVerifier = 1;
}

def LM_EmbeddingOp : LM_PureRowOp<"embedding", [Diff]> {
  let summary = "Rows of a table: result[t] = table[tokens[t]]";
  let description = [{
    A token outside the table is undefined behaviour here; the data layer refuses it.

    ```mlir
    %2 = lm.embedding %table, %tokens : tensor<7x4xf32>, tensor<3xi32> -> tensor<3x4xf32>
    ```
  }];
  let arguments = (ins LM_Tensor:$table, LM_IndexVector:$tokens);
  let results = (outs LM_Tensor:$result);
  let assemblyFormat = "$table `,` $tokens attr-dict `:` type($table) `,` type($tokens) `->` type($result)";
  let hasVerifier = 1;
}

def LM_EmbeddingBackwardOp : LM_Op<"embedding_backward", [Pure]> {
  let summary = "Gradient of a table: result[v] = Σ over t with tokens[t] = v of dy[t], in the order of t";
  let description = [{
    ```mlir
    %3 = lm.embedding_backward %tokens, %a : tensor<3xi32>, tensor<3x4xf32> -> tensor<7x4xf32>
    ```
  }];
  let arguments = (ins LM_IndexVector:$tokens, LM_Tensor:$dy);
  let results = (outs LM_Tensor:$result);
  let assemblyFormat = "$tokens `,` $dy attr-dict `:` type($tokens) `,` type($dy) `->` type($result)";
  let hasVerifier = 1;
}

def LM_AttentionRangeOp : LM_PureRowOp<"attention_range"> {
  let summary = "First key that each query sees: max(document_start[t], t − window)";
  let description = [{
    Without `blocks`: token-exact. With `blocks = B`: the medium record's rule on blocks of B tokens, where `window` is w·B tokens:
    a query sees its own block and the w − 1 blocks before it, so `result[t] = max(document_start[t], (t div B − (max(w, 1) − 1))·B)`.
    (The record counts wholly and partly visible blocks apart; a test shows that both come to this.)

    ```mlir
    %0 = lm.attention_range %documents, %window : tensor<8xi32>, tensor<i32> -> tensor<8xi32>
    ```
  }];
  let arguments = (ins LM_IndexVector:$document_start, LM_IndexScalar:$window, OptionalAttr<I64Attr>:$blocks);
  let results = (outs LM_IndexVector:$result);
  let assemblyFormat = "$document_start `,` $window attr-dict `:` type($document_start) `,` type($window) `->` type($result)";
  let hasVerifier = 1;
}

def LM_AttentionOp : LM_Op<"attention", [Diff, Pure, AllTypesMatch<["q","k","v"]>]> {
  let summary = "Causal softmax attention over keys first[t] … t";
  let description = [{
    `result[t,h] = Σ_j softmax_j(scale · q[t,h]·k[j,h]) v[j,h]`, j from `first[t]` to t; `lse[t,h]` is the natural logarithm of the
    softmax denominator (of the scaled scores). q, k, v: [T, H, d].

    ```mlir
    %2, %3 = lm.attention %q, %q, %q first %0 scale %scale : tensor<8x2x4xf32>, tensor<8xi32>, tensor<f32> -> tensor<8x2x4xf32>, tensor<8x2xf32>
    ```
  }];
  let arguments = (ins LM_Tensor:$q, LM_Tensor:$k, LM_Tensor:$v, LM_IndexVector:$first, LM_Scalar:$scale);
  let results = (outs LM_Tensor:$result, LM_Tensor:$lse);
  let assemblyFormat = "$q `,` $k `,` $v `first` $first `scale` $scale attr-dict `:` type($q) `,` type($first) `,` type($scale) `->` type($result) `,` type($lse)";
  let hasVerifier = 1;
}

def LM_AttentionBackwardOp : LM_Op<"attention_backward", [Pure, AllTypesMatch<["q","k","v","out","dout","dq","dk","dv"]>]> {
  let summary = "Gradients of attention's q, k and v";
  let description = [{
    ```mlir
    %4, %5, %6 = lm.attention_backward %q, %q, %q first %0 scale %scale out %2, %3, %q : tensor<8x2x4xf32>, tensor<8xi32>, tensor<f32>, tensor<8x2xf32>
    ```
  }];
  let arguments = (ins LM_Tensor:$q, LM_Tensor:$k, LM_Tensor:$v, LM_IndexVector:$first, LM_Scalar:$scale,
                       LM_Tensor:$out, LM_Tensor:$lse, LM_Tensor:$dout);
  let results = (outs LM_Tensor:$dq, LM_Tensor:$dk, LM_Tensor:$dv);
  let assemblyFormat = "$q `,` $k `,` $v `first` $first `scale` $scale `out` $out `,` $lse `,` $dout attr-dict `:` type($q) `,` type($first) `,` type($scale) `,` type($lse)";
  let hasVerifier = 1;
}

include "dialects/LM/LMRowOps.td"
include "dialects/LM/LMNumberFormats.td"
include "dialects/LM/LMGroups.td"
#endif
