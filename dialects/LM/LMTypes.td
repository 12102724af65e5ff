//===- LMTypes.td - Types and constraints that every Smelt dialect uses ---===//
#ifndef SMELT_LM_TYPES
#define SMELT_LM_TYPES

include "mlir/IR/OpBase.td"

def LM_Float8 : AnyTypeOf<[F8E4M3FN, F8E5M2]>;
def LM_Float : AnyTypeOf<[F32, BF16, F64, F16, F8E4M3FN, F8E5M2]>;
def LM_Tensor : StaticShapeTensorOf<[LM_Float]>;
def LM_Float8Tensor : StaticShapeTensorOf<[LM_Float8]>;
def LM_WideTensor : StaticShapeTensorOf<[F32, BF16, F64, F16]>;
/// A master weight of 32 bits is a bf16 parameter (its high half) and these low 16 bits.
def LM_HighTensor : StaticShapeTensorOf<[BF16]>;
def LM_LowBitsTensor : StaticShapeTensorOf<[I16]>;
def LM_MasterTensor : StaticShapeTensorOf<[F32]>;
def LM_Scalar : 0DTensorOf<[LM_Float]>;
def LM_IndexTensor : StaticShapeTensorOf<[I32]>;
def LM_IndexVector : 1DTensorOf<[I32]>;
def LM_IndexScalar : 0DTensorOf<[I32]>;
def LM_AnyTensor : AnyTypeOf<[LM_Tensor, LM_IndexTensor, LM_LowBitsTensor]>;

/// A list of f64 whose text has every bit; LMNumbers.td says why it is no `array<f64: …>`.
def LM_Numbers : Attr<CPred<"::llvm::isa<::mlir::lm::NumbersAttr>($_self)">, "list of numbers #lm.numbers<…>"> {
  let storageType = "::mlir::lm::NumbersAttr";
  let returnType = "::llvm::ArrayRef<double>";
  let convertFromStorage = "$_self.asArrayRef()";
  let constBuilderCall = "::mlir::lm::NumbersAttr::get($_builder.getContext(), $0)";
}

#endif
