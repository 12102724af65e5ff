//===- FixedOrder.h - Sums in the order of micro-batches --------*- C++ -*-===//
//
// With --fixed-order any number of ranks trains to the same bits. Every micro-batch's gradients are
// gathered from its rank and added up in the order of micro-batches on every rank, in the gradient's
// type; updates read these sums, and their own sums over ranks are left out. Every micro-batch's
// gradients travel, so this is for finding differences, not for speed.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/train/Session.h"

namespace smelt::runtime {

class FixedOrder {
public:
  FixedOrder(Session &session, Ranks *ranks);

  /// Takes up the sums that a checkpoint brought for `step`, where updates are still to read some.
  Status begin(int64_t step);
  /// After each rank has run one micro-batch of `step`, the `micro`-th of its own: adds the
  /// gradients. The buffers hold those of this micro-batch alone.
  Status add(int64_t step, int64_t micro);
  /// Sums `value` of each rank in order of ranks onto `sum`.
  Status add(double value, double &sum);
  /// Writes the sums that are complete, or that a checkpoint keeps, into the gradients' buffers.
  Status writeSums();

private:
  /// A gradient that some update reads.
  struct Gradient {
    uint32_t buffer;
    Period period; ///< Of the update.
    std::vector<std::byte> sum;
  };
  Status gather(std::span<const std::byte> mine, std::vector<std::byte> &all);

  Session &session_;
  Ranks *ranks_;
  std::vector<Gradient> gradients_;
};

} // namespace smelt::runtime
