//===- LMTypes.td - Tensor types that every Smelt dialect uses ------------===//
#ifndef SMELT_LM_TYPES
#define SMELT_LM_TYPES

include "mlir/IR/OpBase.td"

def LM_Float : AnyTypeOf<[F32, BF16, F64, F16]>;
def LM_Tensor : StaticShapeTensorOf<[LM_Float]>;
def LM_Scalar : 0DTensorOf<[LM_Float]>;
def LM_IndexTensor : StaticShapeTensorOf<[I32]>;
def LM_IndexVector : 1DTensorOf<[I32]>;
def LM_IndexScalar : 0DTensorOf<[I32]>;
def LM_AnyTensor : AnyTypeOf<[LM_Tensor, LM_IndexTensor]>;

#endif
