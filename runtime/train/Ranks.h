//===- Ranks.h - This process among the ranks of its job --------*- C++ -*-===//
#pragma once

#include "runtime/collective/RankGroup.h"
#include "runtime/collective/StreamCollective.h"
#include "runtime/device/Device.h"

#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace smelt::runtime {

/// The group and its collectives; the phase that the others are told of. What a communication lane's
/// thread calls goes over connections of its own, beside what the main thread says, and leaves the
/// phase to that one.
class Ranks {
public:
  explicit Ranks(std::unique_ptr<RankGroup> group) : group_(std::move(group)) {}

  /// Connects the collectives of all ranks' devices; `gpu` is the device's number if it is one,
  /// `collectives` as in DeviceChoice, `blocks` as in Training. Before anything is exchanged, once.
  Status connect(Device &device, std::optional<int> gpu, const std::string &collectives,
                 int64_t blocks = 0);
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
  /// As in Collective, in phase "collective".
  Status reduceScatter(std::span<const std::byte> from, std::span<std::byte> to, DType type);
  Status allGather(std::span<const std::byte> from, std::span<std::byte> to);
  Status broadcast(std::span<std::byte> data, int root);

  /// Makes the calling thread the communication lane's.
  void enterLane();
  /// Runs `wait`, which waits for other ranks, in phase "collective".
  Status waitFor(const std::function<Status()> &wait);

private:
  /// The calling thread's.
  StatusOr<Collective *> connections();
  Status run(const std::function<Status(Collective &)> &exchange);

  std::unique_ptr<RankGroup> group_;
  std::unique_ptr<Collective> collective_;
  StreamCollective *stream_ = nullptr; ///< The same, where the device runs collectives.
  std::unique_ptr<Peers> lanePeers_;
  std::unique_ptr<Collective> lane_; ///< Of the lane's thread alone.
};

} // namespace smelt::runtime
