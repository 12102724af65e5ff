//===- GpuProduct.h - A kernel that is a plain product ----------*- C++ -*-===//
//
// What a library can compute in place of a generated kernel, and the measured choice to let it.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/base/DType.h"

#include <array>
#include <cstdint>
#include <optional>

namespace smelt::runtime {

/// A number that is known at compile time, or an f32 scalar among the kernel's buffers.
struct GpuFactor {
  double value = 1;
  std::optional<uint32_t> argument = {};
  bool operator==(const GpuFactor &) const = default;
};

/// For each of `groups` matrices, which lie one below the other:
///   output = alpha · op(a) · op(b) + beta · addend
/// All are row-major without gaps. a is [m, k], or [k, m] if transposed; b is [k, n], or [n, k] if
/// transposed; both are bf16. The buffers are arguments of the kernel.
struct GpuProduct {
  int64_t groups = 1, m = 0, n = 0, k = 0;
  bool transposeA = false, transposeB = false;
  DType type = DType::BF16; ///< Of output and addend: bf16 or f32.
  uint32_t a = 0, b = 0, output = 0;
  GpuFactor alpha = {};
  std::optional<uint32_t> addend = {}; ///< None: beta is not used. It may be the output.
  GpuFactor beta = {};
};

/// An algorithm of cuBLASLt, as its descriptor's bytes: good for one version of the library.
struct LibraryAlgorithm {
  uint64_t version = 0; ///< cublasLtGetVersion().
  std::array<uint64_t, 8> data = {};
  uint64_t workspaceBytes = 0;
};

/// An algorithm and its times; the first of a list is the generated kernel, without an algorithm.
struct ProductTime {
  std::optional<LibraryAlgorithm> algorithm = {};
  double microseconds = 0;
};

} // namespace smelt::runtime
