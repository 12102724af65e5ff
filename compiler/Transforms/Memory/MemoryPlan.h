//===- MemoryPlan.h - Offsets for things with lifetimes ---------*- C++ -*-===//
#ifndef SMELT_COMPILER_TRANSFORMS_MEMORY_MEMORYPLAN_H
#define SMELT_COMPILER_TRANSFORMS_MEMORY_MEMORYPLAN_H

#include "llvm/ADT/ArrayRef.h"
#include <cstdint>
#include <optional>
#include <utility>

namespace smelt {

/// Two lines of a GPU's L2 cache. A tile that TMA reads in rows of 128 bytes touches each line twice if the matrix begins within one: products
/// were 1.45 times slower (measured on H200).
constexpr int64_t kMemoryAlignment = 256;

inline int64_t alignMemory(int64_t bytes) { return (bytes + kMemoryAlignment - 1) / kMemoryAlignment * kMemoryAlignment; }

/// Something that needs `bytes` from launch `first` to launch `last` (both inclusive).
struct Lifetime {
  int64_t bytes = 0;
  int64_t first = 0;
  int64_t last = 0;
  int64_t offset = 0; ///< Set by planMemory.
  /// Those of one side meet all of the other, whenever they live.
  enum Side { None, Left, Right } side = None;

  bool meets(const Lifetime &other) const {
    return (first <= other.last && other.first <= last) || (side != None && other.side != None && side != other.side);
  }
};

/// Gives each lifetime an offset, a multiple of kMemoryAlignment, so that lifetimes that meet do not overlap; returns how many bytes that
/// takes. Largest first, each into the smallest gap that holds it. The result depends on nothing but the input.
int64_t planMemory(llvm::MutableArrayRef<Lifetime> lifetimes);

/// The first two lifetimes that meet and overlap, if any.
std::optional<std::pair<size_t, size_t>> findOverlap(llvm::ArrayRef<Lifetime> lifetimes);

/// The most bytes that are alive at one launch: no plan takes fewer.
int64_t getPeak(llvm::ArrayRef<Lifetime> lifetimes);

} // namespace smelt
#endif
