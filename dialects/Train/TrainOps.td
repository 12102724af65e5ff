//===- TrainOps.td - Operations of the train dialect ---------------------===//
#ifndef SMELT_TRAIN_OPS
#define SMELT_TRAIN_OPS

include "dialects/LM/LMTypes.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Train_Dialect : Dialect {
  let name = "train";
  let cppNamespace = "::mlir::train";
  let useDefaultAttributePrinterParser = 1;
  let summary = "Gradients, optimiser state and updates, schedules, the run";
  let description = [{
    Module-level ops declare what a run has (schedules, optimiser groups, state tensors, the run itself); ops inside functions turn
    parameters and gradients into updated parameters.
  }];
  let dependentDialects = ["::mlir::lm::LMDialect"];
}

class Train_Op<string mnemonic, list<Trait> traits = []> : Op<Train_Dialect, mnemonic, traits>;

def Train_OptimizerKind : I32EnumAttr<"OptimizerKind", "Update rule of a group of parameters", [
  I32EnumAttrCase<"adamw", 0>, I32EnumAttrCase<"muon", 1>, I32EnumAttrCase<"adam", 2>, I32EnumAttrCase<"normuon", 3>,
  I32EnumAttrCase<"snoo", 4>]> {
  let cppNamespace = "::mlir::train";
  let genSpecializedAttr = 0;
}
def Train_OptimizerKindAttr : EnumAttr<Train_Dialect, Train_OptimizerKind, "optimizer_kind">;

//===----------------------------------------------------------------------===//
// Declarations
//===----------------------------------------------------------------------===//

def Train_ScheduleOp : Train_Op<"schedule", [Symbol]> {
  let summary = "A setting's value at every step";
  let description = [{
    Pieces cover all steps from 0 in order without gaps. Of rank 0, a piece is (first step, last step, value at first, slope per step);
    a vector tensor<nxf32> has (first step, last step, its n values) and is constant within a piece: RoPE frequencies that change
    between stages. A setting of constant pieces is *steady*: what depends on it alone is computed in setup.

    `one_minus_power β every P offset O` is 1 − βᵗ instead, t = the 1-based count of the updates that happen at steps s with
    s mod P = O: Adam's bias corrections. The runtime computes it in double and stores it rounded once.

    ```mlir
    train.schedule @lr : tensor<f32> = [0.0, 9.0, 0.0, 0.1]
    train.schedule @frequencies : tensor<2xf32> = [0.0, 4.0, 1.0, 0.5, 5.0, 9.0, 0.75, 0.25]
    train.schedule @correction : tensor<f32> one_minus_power 0.75 every 2 offset 1
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttr:$type, DefaultValuedOptionalAttr<LM_Numbers, "{}">:$segments,
                       OptionalAttr<F64Attr>:$power, OptionalAttr<I64Attr>:$every, OptionalAttr<I64Attr>:$offset);
  let assemblyFormat = "$sym_name `:` $type (`=` custom<Numbers>($segments)^)? (`one_minus_power` $power^ `every` $every `offset` $offset)? attr-dict";
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::mlir::StringAttr":$name, "::mlir::TypeAttr":$type, "::mlir::lm::NumbersAttr":$segments), [{
    build($_builder, $_state, name, type, segments, ::mlir::FloatAttr(), ::mlir::IntegerAttr(), ::mlir::IntegerAttr());
  }]>];
  let extraClassDeclaration = [{
    /// Numbers of one piece in `segments`.
    size_t getPieceSize();
    /// Constant pieces only: changes between stages, not every step.
    bool isConstantInPieces();
  }];
}

def Train_OptimizerOp : Train_Op<"optimizer", [Symbol]> {
  let summary = "A group of parameters with one update rule";
  let description = [{
    `lr_scales` and `weight_decay_scales` have one entry per parameter; `splits` says into how many equal row blocks a matrix is cut
    before it is orthogonalised (muon). `lr` is the peak; the step's rate is lr · setting(lr_schedule) · lr_scales[i].
    An outer optimiser (snoo) runs after the others of its step, does not follow lr_schedule, and may list parameters of other groups.
    Between a group's updates the gradients of its parameters add up.
    Keys of `config`, beside `every` and `offset` (i64; the group updates after steps s with s mod every = offset, 1 and 0 without them):
    - adamw, adam: beta1, beta2, eps, weight_decay (f64), state ("f32" or "bf16": the moments' type).
    - muon, normuon: momentum_schedule (symbol of a setting), nesterov (bool), weight_decay (f64), coefficients (f64 array, three per
      iteration), iterations (i64), norm_scale, norm_eps (f64: X = u / (‖u‖·norm_scale + norm_eps)); cautious (bool: decay only where
      update and parameter agree in sign), update_smoothing (f64), master ("parameter": the parameter itself; "f32"; "bf16_plus_16": the
      parameter is bf16 and a state holds the other 16 bits).
    - normuon also: beta2 (f64), variance_axes (i64 array, one per parameter: 1 averages v² over the columns, one number a row; 0 over the rows).
    - snoo: momentum (f64), nesterov (bool).
    The matrices of a muon or normuon group that have one shape are updated together, as a `train.bank`; η of a matrix (one of `splits`) is
    lr · setting(lr_schedule) · lr_scales[i] · √max(1, rows/columns).

    ```mlir
    train.optimizer adamw @group [@w] lr 0.01 @lr {lr_scales = #lm.numbers<1.0>, weight_decay_scales = #lm.numbers<0.5>, splits = array<i64: 1>, config = {beta1 = 0.9 : f64}}
    train.optimizer snoo @outer [@w] lr 0.68 @lr {lr_scales = #lm.numbers<1.0>, weight_decay_scales = #lm.numbers<0.0>, splits = array<i64: 1>, config = {every = 28 : i64, momentum = 0.37 : f64, nesterov = true}}
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, Train_OptimizerKindAttr:$kind, ArrayAttr:$parameters, F64Attr:$lr,
                       FlatSymbolRefAttr:$lr_schedule, LM_Numbers:$lr_scales, LM_Numbers:$weight_decay_scales,
                       DenseI64ArrayAttr:$splits, DictionaryAttr:$config);
  let assemblyFormat = "$kind $sym_name $parameters `lr` $lr $lr_schedule attr-dict";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The group is updated after the steps s (from 0) with s mod every = offset.
    int64_t getEvery();
    int64_t getOffset();
    /// Runs after the other updates of its step, on what they made.
    bool isOuter() { return getKind() == ::mlir::train::OptimizerKind::snoo; }
  }];
}

def Train_StateOp : Train_Op<"state", [Symbol]> {
  let summary = "A tensor kept between steps; zero at first";
  let description = [{
    An optimiser's, saved in checkpoints; or, with `derived`, one that the `setup` program computes anew (a RoPE table). With `copy_of`
    it begins as a copy of that parameter's initial value instead of zero (Snoo's outer copy).

    A state with `part_names` is a rank's part of several tensors, of `part_rows` rows each: they lie below each other, and rank r has the
    rows from r·R on, R its own. A checkpoint keeps them under their names, whatever the number of ranks.

    ```mlir
    train.state @m : tensor<4x8xf32>
    train.state @bank.m : tensor<4x8xf32> {part_names = ["m.w", "m.v"], part_rows = array<i64: 4, 4>}
    train.state @outer.w : tensor<4x8xf32> {copy_of = @w}
    train.state @table : tensor<8xf32> {derived}
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttr:$type, UnitAttr:$derived, OptionalAttr<FlatSymbolRefAttr>:$copy_of,
                       OptionalAttr<StrArrayAttr>:$part_names, OptionalAttr<DenseI64ArrayAttr>:$part_rows);
  let assemblyFormat = "$sym_name `:` $type attr-dict";
  let hasVerifier = 1;
  let builders = [OpBuilder<(ins "::mlir::StringAttr":$name, "::mlir::TypeAttr":$type, "::mlir::UnitAttr":$derived,
                                 CArg<"::mlir::FlatSymbolRefAttr", "{}">:$copy), [{
    build($_builder, $_state, name, type, derived, copy, ::mlir::ArrayAttr(), ::mlir::DenseI64ArrayAttr());
  }]>];
}

def Train_RunOp : Train_Op<"run"> {
  let summary = "The run: steps, stages, validation, checkpoints, data; `config` becomes the manifest's `training` and `data`";
  let description = [{
    `config` = {training = {…}, data = {…}} with the keys of the bundle manifest (runtime/bundle/README.md).

    ```mlir
    train.run {training = {steps = 10 : i64}}
    ```
  }];
  let arguments = (ins DictionaryAttr:$config);
  let assemblyFormat = "$config attr-dict";
}

//===----------------------------------------------------------------------===//
// Inside functions
//===----------------------------------------------------------------------===//

def Train_GradientOp : Train_Op<"gradient"> {
  let summary = "Gives a parameter's gradient for this micro-batch";
  let description = [{
    Adds to the step's gradient; with `total`, the value contains the earlier micro-batches already and replaces it.

    ```mlir
    train.gradient @w, %g : tensor<4x8xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$parameter, LM_Tensor:$gradient, UnitAttr:$total);
  let assemblyFormat = "$parameter `,` $gradient attr-dict `:` type($gradient)";
}

def Train_ReadGradientOp : Train_Op<"read_gradient", [MemoryEffects<[MemRead]>]> {
  let summary = "The gradient accumulated over the step's micro-batches, or rows of it, or this rank's part (as lm.read)";
  let description = [{
    ```mlir
    %1 = train.read_gradient @w {first_row = 2 : i64} : tensor<2x8xf32>
    %2 = train.read_gradient @w {ranks = 2 : i64} : tensor<2x8xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$parameter, DefaultValuedAttr<I64Attr, "0">:$first_row, DefaultValuedAttr<I64Attr, "1">:$ranks);
  let results = (outs LM_Tensor:$gradient);
  let assemblyFormat = "$parameter attr-dict `:` type($gradient)";
}

def Train_WriteOp : Train_Op<"write"> {
  let summary = "Sets a parameter or state, or rows of it, or this rank's part (as lm.read), for the next step";
  let description = [{
    ```mlir
    train.write @w, %1 {first_row = 2 : i64} : tensor<2x8xf32>
    train.write @w, %2 {ranks = 2 : i64} : tensor<2x8xf32>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$symbol, LM_AnyTensor:$value, DefaultValuedAttr<I64Attr, "0">:$first_row,
                       DefaultValuedAttr<I64Attr, "1">:$ranks);
  let assemblyFormat = "$symbol `,` $value attr-dict `:` type($value)";
}

class Train_AdamOps<string mnemonic> : Train_Op<mnemonic, [Pure, SameVariadicOperandSize, SameVariadicResultSize]> {
  let arguments = (ins Variadic<LM_Tensor>:$parameters, Variadic<LM_Tensor>:$gradients, Variadic<LM_Tensor>:$first_moments,
                       Variadic<LM_Tensor>:$second_moments, LM_Scalar:$lr, LM_Scalar:$correction1, LM_Scalar:$correction2,
                       LM_Numbers:$lr_scales, LM_Numbers:$weight_decays, F64Attr:$beta1, F64Attr:$beta2, F64Attr:$eps);
  let results = (outs Variadic<LM_Tensor>:$new_parameters, Variadic<LM_Tensor>:$new_first_moments, Variadic<LM_Tensor>:$new_second_moments);
  let assemblyFormat = [{
    `(` $parameters `)` `gradients` `(` $gradients `)` `moments` `(` $first_moments `:` $second_moments `)` `lr` `(` $lr `)`
    `corrections` `(` $correction1 `,` $correction2 `)` attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Train_AdamWOp : Train_AdamOps<"adamw"> {
  let summary = "AdamW on a group, as PyTorch computes it";
  let description = [{
    For parameter i: `m = β1·m + (1−β1)·g`, `v = β2·v + (1−β2)·g²`, `p −= η·(wd[i]·p + m/c1 / (√v/√c2 + eps))`, η = lr · lr_scales[i].
    The corrections are `c1 = 1−β1ᵗ`, `c2 = 1−β2ᵗ`, t the 1-based update count (a `one_minus_power` schedule). The moments may have
    another type than the parameter; p is computed from the new moments before they are rounded to it.

    ```mlir
    %p, %m, %v0 = train.adamw (%0) gradients (%g) moments (%0 : %g) lr (%lr) corrections (%lr, %lr)
      {lr_scales = #lm.numbers<1.0>, weight_decays = #lm.numbers<0.0>, beta1 = 0.9 : f64, beta2 = 0.95 : f64, eps = 1.0e-8 : f64}
      : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>, tensor<f32>, tensor<f32>, tensor<f32>) -> (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>)
    ```
  }];
}

def Train_AdamOp : Train_AdamOps<"adam"> {
  let summary = "The short record's Adam on a group: as train.adamw, but eps is not corrected";
  let description = [{
    `p −= η·wd[i]·p + η·√c2/c1 · m/(√v + eps)`.

    ```mlir
    %p2, %m2, %v2 = train.adam (%0) gradients (%g) moments (%0 : %g) lr (%lr) corrections (%lr, %lr)
      {lr_scales = #lm.numbers<1.0>, weight_decays = #lm.numbers<0.0>, beta1 = 0.65 : f64, beta2 = 0.95 : f64, eps = 1.0e-8 : f64}
      : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>, tensor<f32>, tensor<f32>, tensor<f32>) -> (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>)
    ```
  }];
}

def Train_SnooOp : Train_Op<"snoo", [Pure, SameVariadicOperandSize, SameVariadicResultSize]> {
  let summary = "An outer step: Nesterov's SGD from the outer copy, along the way that the parameters went since it";
  let description = [{
    For parameter i: `g = outer − p` rounded to the parameter's type, `b = μ·b + g`, `d = nesterov ? g + μ·b : b`,
    `p = outer = outer − lrs[i]·d`. As PyTorch's SGD, whose first buffer is g: b is 0 at first. Of a parameter whose master has 16 more
    bits, these stay as they are, as in the record. Source: Kallusky et al., SNOO (2025).

    ```mlir
    %p3, %o3, %b3 = train.snoo (%0) outer (%g) momenta (%0) {lrs = #lm.numbers<0.68>, momentum = 0.37 : f64, nesterov = true}
      : (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>)
    ```
  }];
  let arguments = (ins Variadic<LM_Tensor>:$parameters, Variadic<LM_Tensor>:$outer_copies, Variadic<LM_Tensor>:$momenta,
                       LM_Numbers:$lrs, F64Attr:$momentum, BoolAttr:$nesterov);
  let results = (outs Variadic<LM_Tensor>:$new_parameters, Variadic<LM_Tensor>:$new_outer_copies, Variadic<LM_Tensor>:$new_momenta);
  let assemblyFormat = [{
    `(` $parameters `)` `outer` `(` $outer_copies `)` `momenta` `(` $momenta `)` attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

include "dialects/Train/TrainMatrixOps.td"
#endif
