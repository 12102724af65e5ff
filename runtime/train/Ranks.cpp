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

StatusOr<std::unique_ptr<Ranks>> Ranks::connect(std::unique_ptr<RankGroup> group) {
  SMELT_ASSIGN_OR_RETURN(auto collective, makeGlooCollective(*group));
  return std::unique_ptr<Ranks>(new Ranks(std::move(group), std::move(collective)));
}

Status Ranks::sum(std::span<std::byte> data, DType type) {
  CollectivePhase phase(*group_);
  return collective_->allReduce(data, type);
}

Status Ranks::sum(std::span<double> values) {
  return sum(std::as_writable_bytes(values), DType::F64);
}

Status Ranks::broadcast(std::span<std::byte> data, int root) {
  CollectivePhase phase(*group_);
  return collective_->broadcast(data, root);
}

} // namespace smelt::runtime
