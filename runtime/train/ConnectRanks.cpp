//===- ConnectRanks.cpp - Who runs the collectives of a device ------------===//
//
// CPUs: Gloo, through host memory. GPUs: NCCL, as part of the device's programs; or Gloo, where
// ranks share a GPU, which NCCL refuses (for tests of the logic of many ranks).
//
//===----------------------------------------------------------------------===//
#include "runtime/collective/nccl/NcclCollective.h"
#include "runtime/device/cuda/CudaDevice.h"
#include "runtime/train/Ranks.h"

#include <map>
#include <thread>

namespace smelt::runtime {

/// NCCL needs a GPU for each rank: every rank says which it has.
static Status checkOwnGpus(RankGroup &group, const std::string &uuid, int gpu) {
  SMELT_RETURN_IF_ERROR(group.set(concat("gpu/", group.rank()), concat(uuid, " ", gpu)));
  std::map<std::string, int> owners;
  Status status;
  for (int rank = 0; rank < group.size(); ++rank) {
    SMELT_ASSIGN_OR_RETURN(std::string theirs, group.get(concat("gpu/", rank)));
    size_t space = theirs.find(' ');
    auto [owner, isNew] = owners.emplace(theirs.substr(0, space), rank);
    if (!isNew && status.isOk())
      status = usageError("ranks ", owner->second, " and ", rank, " have the same GPU (",
                          theirs.substr(space + 1),
                          " on their machine), which NCCL refuses; "
                          "--collectives gloo lets them share it");
  }
  if (!status.isOk())
    group.leave(); // Every rank comes here.
  return status;
}

Status Ranks::connect(Device &device, std::optional<int> gpu, const std::string &collectives,
                      int64_t blocks) {
  if (!gpu || collectives == "gloo") {
    SMELT_ASSIGN_OR_RETURN(collective_, makeGlooCollective(*group_));
    return Status::ok();
  }
  SMELT_ASSIGN_OR_RETURN(CudaIdentity identity, cudaIdentity(*gpu));
  SMELT_RETURN_IF_ERROR(group_->agree("the GPU", identity.name));
  SMELT_RETURN_IF_ERROR(checkOwnGpus(*group_, identity.uuid, *gpu));
  StatusOr<std::string> version = ncclVersion();
  SMELT_RETURN_IF_ERROR(group_->agree("NCCL", version.isOk() ? *version : "not found"));
  if (!version.isOk())
    group_->leave();
  SMELT_RETURN_IF_ERROR(version.status());
  SMELT_ASSIGN_OR_RETURN(auto nccl,
                         makeNcclCollective(*group_, group_->startTimeout(), int(blocks)));
  stream_ = nccl.get();
  collective_ = std::move(nccl);
  // When a rank is lost, this one's GPU would wait for it for ever. The abort returns only once no
  // captured graph is left, so the two go side by side.
  group_->setLastWill([this, &device] {
    std::thread abort([this] { stream_->abort(); });
    device.abandon();
    abort.join();
  });
  return device.setCollective(stream_);
}

void Ranks::disconnect(Device &device) {
  if (!stream_)
    return;
  // The group's thread does its last will with this device, and then ends the process.
  if (group_->anyLost(std::chrono::milliseconds(0)))
    std::this_thread::sleep_for(std::chrono::seconds(5));
  group_->setLastWill({});
  device.abandon(); // No graph may outlive the communicator.
  stream_ = nullptr;
  collective_.reset();
}

Status Ranks::check() { return stream_ ? stream_->check() : Status::ok(); }

} // namespace smelt::runtime
