#include "runtime/train/Ranks.h"

namespace smelt::runtime {

namespace {
/// In phase "collective" while it lives.
struct CollectivePhase {
  RankGroup &group;
  const char *before;
  explicit CollectivePhase(RankGroup &group) : group(group), before(group.phase()) {
    group.enter("collective");
  }
  ~CollectivePhase() { group.enter(before); }
};

thread_local bool isLane = false;

/// The group under other keys, so that a second set of connections can be made.
class LanePeers : public Peers {
public:
  explicit LanePeers(RankGroup &group) : group_(group) {}
  int rank() const override { return group_.rank(); }
  int size() const override { return group_.size(); }
  const std::string &localAddress() const override { return group_.localAddress(); }
  Status set(const std::string &key, const std::string &value) override {
    return group_.set("lane/" + key, value);
  }
  StatusOr<std::string> get(const std::string &key) override { return group_.get("lane/" + key); }
  bool isSet(const std::string &key, std::chrono::milliseconds patience) override {
    return group_.isSet("lane/" + key, patience);
  }
  Status explain(const std::string &what, std::chrono::milliseconds patience) override {
    return group_.explain(what, patience);
  }
  bool anyLost(std::chrono::milliseconds patience) override { return group_.anyLost(patience); }
  std::chrono::milliseconds timeout() const override { return group_.timeout(); }

private:
  RankGroup &group_;
};
} // namespace

void Ranks::enterLane() { isLane = true; }

StatusOr<Collective *> Ranks::connections() {
  if (!isLane)
    return collective_.get();
  if (!lane_) { // All ranks come here with their first collective of the lane.
    lanePeers_ = std::make_unique<LanePeers>(*group_);
    SMELT_ASSIGN_OR_RETURN(lane_, makeGlooCollective(*lanePeers_));
  }
  return lane_.get();
}

Status Ranks::waitFor(const std::function<Status()> &wait) {
  CollectivePhase phase(*group_);
  return wait();
}

Status Ranks::run(const std::function<Status(Collective &)> &exchange) {
  SMELT_ASSIGN_OR_RETURN(Collective * connections, this->connections());
  if (isLane)
    return exchange(*connections);
  return waitFor([&] { return exchange(*connections); });
}

Status Ranks::sum(std::span<std::byte> data, DType type) {
  return run([&](Collective &collective) { return collective.allReduce(data, type); });
}

Status Ranks::sum(std::span<double> values) {
  if (stream_) { // Not in the queue of the GPU's work.
    CollectivePhase phase(*group_);
    return group_->sum(values);
  }
  return sum(std::as_writable_bytes(values), DType::F64);
}

Status Ranks::reduceScatter(std::span<const std::byte> from, std::span<std::byte> to, DType type) {
  return run([&](Collective &collective) { return collective.reduceScatter(from, to, type); });
}

Status Ranks::allGather(std::span<const std::byte> from, std::span<std::byte> to) {
  return run([&](Collective &collective) { return collective.allGather(from, to); });
}

Status Ranks::broadcast(std::span<std::byte> data, int root) {
  return run([&](Collective &collective) { return collective.broadcast(data, root); });
}

} // namespace smelt::runtime
