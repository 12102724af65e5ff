//===- TrainMatrixOps.td - Optimisers of matrices, and their banks --------===//
#ifndef SMELT_TRAIN_MATRIX_OPS
#define SMELT_TRAIN_MATRIX_OPS

def Train_BankOp : Train_Op<"bank", [Symbol, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Parameters or states of one row shape that lie below each other in one buffer";
  let description = [{
    The members keep their names, initial values and places in checkpoints; they are the consecutive rows of the bank, in order.
    `lm.read`, `train.read_gradient` and `train.write` take the whole by the bank's name (gradients lie below each other likewise).
    So a bank of N matrices [R, C] is one tensor [N·R, C]: one operand of a kernel that works on all of them. `padding` rows at the end belong
    to no member: with them the bank is a whole number of parts, one per rank. They are zero at first.

    ```mlir
    train.bank @weights [@w, @v] : tensor<8x8xf32>
    train.bank @padded [@w, @v] : tensor<12x8xf32> {padding = 4 : i64}
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, ArrayAttr:$members, TypeAttr:$type, DefaultValuedAttr<I64Attr, "0">:$padding);
  let assemblyFormat = "$sym_name $members `:` $type attr-dict";
}

class Train_MatrixOptimizerOp<string mnemonic> : Train_Op<mnemonic, [Pure, AllTypesMatch<["parameter", "gradient", "momentum", "new_parameter", "new_momentum"]>]> {
  let hasVerifier = 1;
  code sharedClassDeclaration = [{
    int64_t getRows() { return ::llvm::cast<::mlir::RankedTensorType>(getParameter().getType()).getDimSize(0) / int64_t(getGroups()); }
    int64_t getColumns() { return ::llvm::cast<::mlir::RankedTensorType>(getParameter().getType()).getDimSize(1); }
    /// What stands in η beside the rate: lr_scale · √max(1, rows/columns), matrix by matrix.
    ::llvm::SmallVector<double> getShapedScales();
  }];
}

def Train_MuonOp : Train_MatrixOptimizerOp<"muon"> {
  let summary = "Muon on matrices of one shape: momentum, orthogonalisation by Newton–Schulz, decayed update";
  let description = [{
    On each of the `groups` matrices [R, C] that lie below each other: `buf = lerp(buf, g, 1 − μ)`; `u = nesterov ? lerp(g, buf, μ) : buf`;
    `X = u / (‖u‖·norm_scale + norm_eps)`; for each coefficient triple (a, b, c): `A = XXᵀ; X = aX + (bA + cAA)X` (XᵀX on the right
    for tall matrices); with `smoothed`: `smoothed = lerp(X, smoothed, smoothing)`, and X becomes that, as rounded to its type;
    `p ← p − η·wd·p − η·√max(1, R/C)·X` with η = lr · lr_scales[i]. With `ranks` = N > 1 the matrices are this rank's part of N times as many:
    `lr_scales` and `weight_decays` list all of them, and rank r has those from r·groups on. Source: Jordan et al., Muon (2024); smoothing: RECORDS §2.

    ```mlir
    %q, %n = train.muon %p gradient %g momentum %m lr %lr mu %lr {groups = 2 : i64, lr_scales = #lm.numbers<1.0, 0.5>, weight_decays = #lm.numbers<0.0, 0.0>, nesterov = true, norm_scale = 1.0 : f64, norm_eps = 1.0e-7 : f64, coefficients = #lm.numbers<3.0, -4.0, 2.0>} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>, tensor<f32>, tensor<f32>) -> (tensor<4x8xf32>, tensor<4x8xf32>)
    ```
  }];
  let arguments = (ins LM_Tensor:$parameter, LM_Tensor:$gradient, LM_Tensor:$momentum, Optional<LM_Tensor>:$smoothed, LM_Scalar:$lr, LM_Scalar:$mu,
                       DefaultValuedAttr<I64Attr, "1">:$groups, LM_Numbers:$lr_scales, LM_Numbers:$weight_decays, BoolAttr:$nesterov,
                       F64Attr:$norm_scale, F64Attr:$norm_eps, DefaultValuedAttr<F64Attr, "0.0">:$smoothing, LM_Numbers:$coefficients,
                       DefaultValuedAttr<I64Attr, "1">:$ranks);
  let results = (outs LM_Tensor:$new_parameter, LM_Tensor:$new_momentum, Optional<LM_Tensor>:$new_smoothed);
  let assemblyFormat = "$parameter `gradient` $gradient `momentum` $momentum (`smoothed` $smoothed^)? `lr` $lr `mu` $mu attr-dict `:` functional-type(operands, results)";
  let extraClassDeclaration = sharedClassDeclaration;
}

def Train_NorMuonOp : Train_MatrixOptimizerOp<"normuon"> {
  let summary = "NorMuon on matrices of one shape: Muon's direction, normalised per row (or column), with cautious decay";
  let description = [{
    As `train.muon` up to X. Then, with vm = mean(X², `variance_axis`): `second = lerp(vm, second, beta2)`;
    `step = 1/√max(second, 1e-10)`; `X ← X · step · ‖X‖ / max(‖X·step‖, 1e-10)`, norms over the whole matrix;
    `p ← p − mask·wd·r·η·p − η·X` with r = lr · peak (the rate itself, so that the decay goes with its square),
    η = r · lr_scales[i] · √max(1, R/C), mask = (X·p ≥ 0) if `cautious`, else 1. `ranks` as in train.muon. `second` is [N·R] (axis 1) or [N, C] (axis 0).
    Sources: Li et al., NorMuon (2025); RECORDS §1.

    ```mlir
    %a, %b, %c = train.normuon %p gradient %g momentum %m second %v lr %lr mu %lr {groups = 2 : i64, peak = 0.1 : f64, lr_scales = #lm.numbers<1.0, 0.5>, weight_decays = #lm.numbers<1.0, 1.0>, nesterov = true, beta2 = 0.95 : f64, cautious = true, variance_axis = 1 : i64, norm_scale = 1.02 : f64, norm_eps = 1.0e-6 : f64, coefficients = #lm.numbers<3.0, -4.0, 2.0>} : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>, tensor<4xf32>, tensor<f32>, tensor<f32>) -> (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4xf32>)
    ```
  }];
  let arguments = (ins LM_Tensor:$parameter, LM_Tensor:$gradient, LM_Tensor:$momentum, LM_Tensor:$second, LM_Scalar:$lr, LM_Scalar:$mu,
                       DefaultValuedAttr<I64Attr, "1">:$groups, F64Attr:$peak, LM_Numbers:$lr_scales, LM_Numbers:$weight_decays,
                       BoolAttr:$nesterov, F64Attr:$beta2, BoolAttr:$cautious, I64Attr:$variance_axis, F64Attr:$norm_scale,
                       F64Attr:$norm_eps, LM_Numbers:$coefficients, DefaultValuedAttr<I64Attr, "1">:$ranks);
  let results = (outs LM_Tensor:$new_parameter, LM_Tensor:$new_momentum, LM_Tensor:$new_second);
  let assemblyFormat = "$parameter `gradient` $gradient `momentum` $momentum `second` $second `lr` $lr `mu` $mu attr-dict `:` functional-type(operands, results)";
  let extraClassDeclaration = sharedClassDeclaration;
}
#endif
