//===- OperandCopy.h - GEMM operands as wgmma wants them ---------*- C++ -*-===//
//
// A K-major matrix whose rows begin at multiples of 16 bytes. An operand that is stored so is read
// in place. Any other is written into the workspace by a launch of its own: what its region
// computes (casts, quantisation, shifts, norms), rounded to the operand's type, and transposed if
// it is stored along the other axis.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_OPERANDCOPY_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_OPERANDCOPY_H

#include "compiler/Conversion/KernelToGPU/GPUEmission.h"
#include "compiler/Conversion/KernelToGPU/Hopper/WarpGroupMultiply.h"
#include "dialects/Kernel/KernelOps.h"

namespace smelt::gpu {

struct KMajorOperand {
  OperandType type = OperandType::BF16;
  uint32_t argument = 0;
  int64_t byteOffset = 0;
  int64_t rows = 0, depth = 0; ///< Of the product, and k.
  int64_t pitch = 0;           ///< Bytes from row to row.

  /// Boxes of `boxRows` rows and 128 bytes of k, swizzled.
  GPUTensorMap describe(int64_t boxRows) const;
};

/// The buffer of an f8 operand that is stored with rows of k, if its boxes can be loaded as they
/// are (see EmitHopperFp8Gemm); for operand a alone, which can be multiplied from registers.
std::optional<uint32_t> findRowsOfK(mlir::kernel::GemmOp op, unsigned index,
                                    const GPUEmission &emission);
/// What region `index` (0: a, 1: b) is multiplied as: f8 if it yields that, else bf16.
OperandType getMultipliedType(mlir::kernel::GemmOp op, unsigned index);
/// Why the operand cannot be had K-major; empty if it can.
std::string whyNotKMajor(mlir::kernel::GemmOp op, unsigned index, const GPUEmission &emission);
/// Adds the launch that writes it, if it takes one.
KMajorOperand makeKMajor(mlir::kernel::GemmOp op, unsigned index, GPUEmission &emission);

} // namespace smelt::gpu
#endif
