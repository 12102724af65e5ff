//===- NumberFormats.h - f8 products of lm ops ------------------*- C++ -*-===//
//
// What the gradient of lm.quantized_matmul and the pass that expands it both build, so that common
// subexpressions of forward and backward meet.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_DIALECTS_LM_NUMBERFORMATS_H
#define SMELT_DIALECTS_LM_NUMBERFORMATS_H

#include "mlir/IR/Builders.h"

namespace mlir::lm {

/// x / scale in `elementType`, an f8.
Value buildQuantize(OpBuilder &builder, Location loc, Value x, Type elementType, double scale);

/// op(a)·op(b)·scale of f8 matrices: summed in f32, then cast to `type` if that is another one.
Value buildQuantizedProduct(OpBuilder &builder, Location loc, Type type, Value a, Value b,
                            bool transposeA, bool transposeB, double scale);

} // namespace mlir::lm

#endif
