//===- Ranks.h - This process among the ranks of its job --------*- C++ -*-===//
#pragma once

#include "runtime/collective/Collective.h"
#include "runtime/collective/RankGroup.h"

#include <memory>
#include <vector>

namespace smelt::runtime {

/// The group and its collectives; the phase that the others are told of.
class Ranks {
public:
  static StatusOr<std::unique_ptr<Ranks>> connect(std::unique_ptr<RankGroup> group);

  int rank() const { return group_->rank(); }
  int size() const { return group_->size(); }
  RankGroup &group() { return *group_; }
  Collective &collective() { return *collective_; }

  /// All ranks' sums of `data`, in phase "collective".
  Status sum(std::span<std::byte> data, DType type);
  Status sum(std::span<double> values);
  Status broadcast(std::span<std::byte> data, int root);

private:
  Ranks(std::unique_ptr<RankGroup> group, std::unique_ptr<Collective> collective)
      : group_(std::move(group)), collective_(std::move(collective)) {}

  std::unique_ptr<RankGroup> group_;
  std::unique_ptr<Collective> collective_;
};

} // namespace smelt::runtime
