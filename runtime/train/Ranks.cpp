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
} // namespace

Status Ranks::sum(std::span<std::byte> data, DType type) {
  CollectivePhase phase(*group_);
  return collective_->allReduce(data, type);
}

Status Ranks::sum(std::span<double> values) {
  if (stream_) { // Not in the queue of the GPU's work.
    CollectivePhase phase(*group_);
    return group_->sum(values);
  }
  return sum(std::as_writable_bytes(values), DType::F64);
}

Status Ranks::broadcast(std::span<std::byte> data, int root) {
  CollectivePhase phase(*group_);
  return collective_->broadcast(data, root);
}

} // namespace smelt::runtime
