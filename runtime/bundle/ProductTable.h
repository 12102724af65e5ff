//===- ProductTable.h - Measured choices between kernels --------*- C++ -*-===//
//
// `smelt-run tune` times a bundle's plain products on a GPU, as generated and by cuBLASLt's
// algorithms, and writes what it found as a table; merged into a bundle, the table decides which of
// them the library computes. So a bundle runs the same kernels every day.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/bundle/Manifest.h"

namespace smelt::runtime {

struct ProductEntry {
  std::string product; ///< describeProduct's words.
  double generatedMicroseconds = 0;
  std::optional<LibraryAlgorithm> algorithm = {}; ///< The fastest; none: the library has none.
  double libraryMicroseconds = 0;

  /// By so much that it is no accident.
  bool prefersLibrary() const {
    return algorithm && libraryMicroseconds < 0.98 * generatedMicroseconds;
  }
};

struct ProductTable {
  std::string device; ///< "NVIDIA H200": where it was measured.
  std::vector<ProductEntry> entries;
};

/// "22 x 768x768x3072 tn bf16 + beta addend": all that decides how fast a product is. Layouts: t or
/// n for a and b; "alpha" and "beta" where the factor is read from memory.
std::string describeProduct(const GpuProduct &product);

/// Failures have the code Corrupt and name the place.
StatusOr<ProductTable> parseProductTable(std::string_view text);
std::string writeProductTable(const ProductTable &table);

struct MergedTable {
  size_t products = 0; ///< Kernels that are one.
  size_t measured = 0; ///< Of these, how many the table knows.
  size_t library = 0;  ///< Of these, how many the library computes from now on.
};
/// Takes the table's choices in place of those that the manifest has; the library's workspace lies
/// behind everything else.
MergedTable mergeProductTable(Manifest &manifest, const ProductTable &table);

} // namespace smelt::runtime
