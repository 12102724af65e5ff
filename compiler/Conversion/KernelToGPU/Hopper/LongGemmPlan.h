//===- LongGemmPlan.h - Who multiplies which part of a long k ----*- C++ -*-===//
//
// A product with a long k and few tiles (a weight's gradient) is dealt to all blocks of the grid in
// equal parts. What runs at the same time should read the same rows of k, else every tile would
// fetch them from memory again; so all tiles advance along k together: of P blocks, T at a time
// take the same steps of k of the T tiles; what is left of k is dealt to the blocks that are left
// in the same way (whole tiles while they go round, then parts of the rest).
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_LONGGEMMPLAN_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_LONGGEMMPLAN_H

#include <cstdint>
#include <vector>

namespace smelt::gpu {

/// Steps [first, first + count) of k of one tile; its sum goes to slot number `slot`.
struct LongGemmPart {
  int64_t tile = 0, first = 0, count = 0, slot = 0;
};

struct LongGemmPlan {
  /// The parts of each block of the grid, in its order.
  std::vector<std::vector<LongGemmPart>> work;
  /// The slots of tile t, in the order of k: firstSlot[t] … firstSlot[t + 1] − 1.
  std::vector<int64_t> firstSlot;

  int64_t countSlots() const { return firstSlot.back(); }
  int64_t mostParts() const;

  /// `tiles` of `steps` each on at most `blocks` blocks.
  static LongGemmPlan make(int64_t tiles, int64_t steps, int64_t blocks);
};

} // namespace smelt::gpu
#endif
