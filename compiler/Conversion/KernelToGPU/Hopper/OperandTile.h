//===- OperandTile.h - Operands of a product, tile by tile -------*- C++ -*-===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_OPERANDTILE_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_OPERANDTILE_H

#include "compiler/Conversion/KernelToGPU/GPULaunch.h"
#include "compiler/Conversion/KernelToGPU/Hopper/AsyncCopy.h"
#include "compiler/Conversion/KernelToGPU/Hopper/WarpGroupMultiply.h"

namespace smelt::gpu {

/// The map of an operand with `rows` rows of the product and k, of each of `groups` products:
/// boxes of 128 bytes of k and `boxRows` (at most 256) rows, or of 64 × 64 if MN-major.
GPUTensorMap describeOperand(OperandType type, Major major, int64_t rows, int64_t k, int64_t groups,
                             int64_t boxRows);

/// Loads 128 bytes of k of `count` rows, as wgmma wants them; `group` is null for one product. The
/// map's boxes have `count` rows.
void loadOperand(CodeBuilder &code, Value map, Major major, Value place, Value barrier, Value row,
                 Value k, Value group, int64_t count);

} // namespace smelt::gpu
#endif
