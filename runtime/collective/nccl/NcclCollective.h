//===- NcclCollective.h - Collectives of GPUs -------------------*- C++ -*-===//
#pragma once

#include "runtime/collective/Peers.h"
#include "runtime/collective/StreamCollective.h"

namespace smelt::runtime {

/// The machine's NCCL, "NCCL 2.28.9", or why there is none.
StatusOr<std::string> ncclVersion();

/// Connects all ranks through NCCL, each with the GPU whose context is current in this thread, and
/// sees that a first sum is right. Fails when a rank has not come after `patience`. `blocks`: the
/// most that a collective takes, so multiprocessors; 0: as many as NCCL wants. NCCL_MAX_CTAS in the
/// environment says otherwise.
StatusOr<std::unique_ptr<StreamCollective>>
makeNcclCollective(Peers &peers, std::chrono::milliseconds patience, int blocks = 0);

} // namespace smelt::runtime
