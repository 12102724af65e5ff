//===- RankGroup.h - The ranks of a job know of each other ------*- C++ -*-===//
//
// The control plane: every rank holds one TCP connection to rank 0. Over it go the words that ranks
// exchange before there are collectives (addresses, hashes to compare), heartbeats with the phase
// that a rank is in, and the news that a rank is gone. What it does not carry: tensors.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/collective/Peers.h"
#include "runtime/collective/RankEnvironment.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace smelt::runtime {

/// A rank that ended, or was silent for too long.
struct LostRank {
  int rank = 0;
  std::string phase; ///< The last it told of.
  std::string why;
  std::string message() const;
};

struct RankGroupOptions {
  /// A rank whose heartbeat fails for so long is lost.
  std::chrono::milliseconds timeout{30000};
  /// How long ranks wait for each other at first.
  std::chrono::milliseconds startTimeout{120000};
  /// A rank whose process lives, but which does not call progress() or enter() for so long once all
  /// have called progress(), is lost too; 0: never.
  std::chrono::milliseconds stallTimeout{0};
  /// Called once, on a thread of the group. By default it prints both ranks and phases and ends the
  /// process with exit code 6: the main thread may hang in a collective that never ends.
  std::function<void(const LostRank &)> onLost = {};
};

class RankGroup : public Peers {
public:
  /// Meets the other ranks; returns when all are there.
  static StatusOr<std::unique_ptr<RankGroup>> join(const RankEnvironment &environment,
                                                   RankGroupOptions options = {});
  /// Without leave() before, the others hold this rank for lost.
  ~RankGroup() override;

  int rank() const override;
  int size() const override;
  const std::string &localAddress() const override;

  /// Tells what this rank does from now on ("forward"); `phase` must be a literal.
  void enter(const char *phase);
  const char *phase() const;

  Status set(const std::string &key, const std::string &value) override;
  StatusOr<std::string> get(const std::string &key) override;
  bool isSet(const std::string &key, std::chrono::milliseconds patience) override;
  Status explain(const std::string &what, std::chrono::milliseconds patience) override;
  /// Fails on every rank, with both values named, unless all ranks have the same `value`; then the
  /// ranks have left.
  Status agree(const std::string &what, const std::string &value);
  /// Returns when every rank has come to the place called `name`; each name once.
  Status meet(const std::string &name);

  /// The sums over all ranks, added in order of ranks: for a few numbers, without a collective.
  Status sum(std::span<double> values);
  /// The main thread does something; to be called often from the first step on.
  void progress();
  /// What the process does in another thread, for at most three seconds, before a lost rank ends
  /// it. Returns once no earlier one runs any more.
  void setLastWill(std::function<void()> will);

  bool anyLost(std::chrono::milliseconds patience) override {
    return waitForLoss(patience).has_value();
  }
  /// If a rank is lost, or is found to be so within `patience`: who.
  std::optional<LostRank> waitForLoss(std::chrono::milliseconds patience);
  std::chrono::milliseconds timeout() const override;
  std::chrono::milliseconds startTimeout() const;
  /// This rank ends in order. Rank 0 waits until the others have left.
  void leave();

private:
  RankGroup();
  struct Connection;
  std::unique_ptr<Connection> connection_;
};

} // namespace smelt::runtime
