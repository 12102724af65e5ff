//===- LMBase.td - The lm dialect, its attributes and op classes ---------===//
#ifndef SMELT_LM_BASE
#define SMELT_LM_BASE

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "dialects/LM/LMTypes.td"

def LM_Dialect : Dialect {
  let name = "lm";
  let cppNamespace = "::mlir::lm";
  let summary = "Steps of a language-model spec on whole tensors";
  let description = [{
    One op is one step of the JSON spec (or a piece of its gradient), on whole static-shape tensors with value semantics.
    Every op has a reference meaning (compiler/Reference, double precision), and every op that a spec can use has a gradient.

    Shapes: `T` tokens of one packed sequence, `D` model width, `H` heads, `d` head width, `V` vocabulary rows. The stream is
    `[T, D]`; heads are `[T, H, d]`; gates are `[T, G]`; scalars have rank 0. "Row" means an index of the first axis.
    "Last axis" ops treat `[T, H, d]` as `T·H` vectors of width `d`.
  }];
  let useDefaultAttributePrinterParser = 1;
  let hasConstantMaterializer = 1;
  let dependentDialects = ["::mlir::func::FuncDialect"];
}

//===- Enumerations -------------------------------------------------------===//

class LM_Enum<string name, string summary, list<I32EnumAttrCase> cases> : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::mlir::lm";
  let genSpecializedAttr = 0;
}

def LM_ShiftMode : LM_Enum<"ShiftMode", "How token_shift uses the earlier row", [
  I32EnumAttrCase<"replace", 0>, I32EnumAttrCase<"add", 1>]>;
def LM_ShiftModeAttr : EnumAttr<LM_Dialect, LM_ShiftMode, "shift_mode">;

def LM_DocumentRule : LM_Enum<"DocumentRule", "What happens at a document's first tokens", [
  I32EnumAttrCase<"cross", 0>, I32EnumAttrCase<"mask", 1>]>;
def LM_DocumentRuleAttr : EnumAttr<LM_Dialect, LM_DocumentRule, "document_rule">;

def LM_UnaryKind : LM_Enum<"UnaryKind", "A function of one number", [
  I32EnumAttrCase<"identity", 0>, I32EnumAttrCase<"negate", 1>, I32EnumAttrCase<"sigmoid", 2>, I32EnumAttrCase<"tanh", 3>,
  I32EnumAttrCase<"relu", 4>, I32EnumAttrCase<"relu_squared", 5>, I32EnumAttrCase<"gelu", 6>, I32EnumAttrCase<"silu", 7>,
  I32EnumAttrCase<"exp", 8>, I32EnumAttrCase<"sqrt", 9>, I32EnumAttrCase<"reciprocal", 10>,
  I32EnumAttrCase<"step", 11>]>;
def LM_UnaryKindAttr : EnumAttr<LM_Dialect, LM_UnaryKind, "unary_kind">;

def LM_SoftcapKind : LM_Enum<"SoftcapKind", "Soft cap: tanh A·tanh(z/t); sigmoid A·sigmoid(z/t); rsqrt A·z/sqrt(z²+A²)", [
  I32EnumAttrCase<"tanh", 0>, I32EnumAttrCase<"sigmoid", 1>, I32EnumAttrCase<"rsqrt", 2>]>;
def LM_SoftcapKindAttr : EnumAttr<LM_Dialect, LM_SoftcapKind, "softcap_kind">;

def LM_InitKind : LM_Enum<"InitKind", "Initial values of a parameter", [
  I32EnumAttrCase<"constant", 0>, I32EnumAttrCase<"uniform", 1>, I32EnumAttrCase<"normal", 2>]>;
def LM_InitKindAttr : EnumAttr<LM_Dialect, LM_InitKind, "init_kind">;

//===- Traits and op classes ------------------------------------------------===//

/// Marks row ops: each result row depends on rows at a fixed distance of the row operands and on uniform operands, or the
/// result accumulates over rows. Regions of kernel ops hold only such ops.
def LM_RowOp : NativeOpTrait<"RowOp"> { let cppNamespace = "::mlir::lm"; }

class LM_Op<string mnemonic, list<Trait> traits = []> : Op<LM_Dialect, mnemonic, traits>;
#endif
