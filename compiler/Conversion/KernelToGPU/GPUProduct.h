//===- GPUProduct.h - A kernel that is a plain product ----------*- C++ -*-===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_GPUPRODUCT_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_GPUPRODUCT_H

#include <cstdint>
#include <optional>

namespace smelt {

/// A number that is known now, or an f32 scalar among the kernel's buffers.
struct GPUFactor {
  double value = 1;
  std::optional<uint32_t> argument;
};

/// A kernel that is nothing but output = alpha · op(a) · op(b) + beta · addend, for each of
/// `groups` matrices below each other, so that a library may compute it (PlainProduct.h). a and b
/// are bf16.
struct GPUProduct {
  int64_t groups = 1, m = 0, n = 0, k = 0;
  bool transposeA = false, transposeB = false;
  bool isF32 = false;                ///< Output and addend: f32, or bf16.
  uint32_t a = 0, b = 0, output = 0; ///< Positions among the kernel's buffers.
  GPUFactor alpha;
  std::optional<uint32_t> addend;
  GPUFactor beta;
};

} // namespace smelt
#endif
