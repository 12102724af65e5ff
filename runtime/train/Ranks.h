//===- Ranks.h - This process among the ranks of its job --------*- C++ -*-===//
#pragma once

#include "runtime/collective/RankGroup.h"
#include "runtime/collective/StreamCollective.h"
#include "runtime/device/Device.h"

#include <memory>
#include <optional>
#include <vector>

namespace smelt::runtime {

/// The group and its collectives; the phase that the others are told of.
class Ranks {
public:
  explicit Ranks(std::unique_ptr<RankGroup> group) : group_(std::move(group)) {}

  /// Connects the collectives of all ranks' devices; `gpu` is the device's number if it is one,
  /// `collectives` as in DeviceChoice. Before anything is exchanged, and once.
  Status connect(Device &device, std::optional<int> gpu, const std::string &collectives);
  /// Before the device goes.
  void disconnect(Device &device);
  /// Errors that the collectives' library has found by itself.
  Status check();

  int rank() const { return group_->rank(); }
  int size() const { return group_->size(); }
  RankGroup &group() { return *group_; }
  Collective &collective() { return *collective_; }

  /// All ranks' sums of `data`, in phase "collective".
  Status sum(std::span<std::byte> data, DType type);
  Status sum(std::span<double> values);
  Status broadcast(std::span<std::byte> data, int root);

private:
  std::unique_ptr<RankGroup> group_;
  std::unique_ptr<Collective> collective_;
  StreamCollective *stream_ = nullptr; ///< The same, where the device runs collectives.
};

} // namespace smelt::runtime
