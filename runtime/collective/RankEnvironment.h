//===- RankEnvironment.h - Which rank this process is -----------*- C++ -*-===//
#pragma once

#include "runtime/base/Status.h"

#include <functional>
#include <optional>
#include <string>

namespace smelt::runtime {

/// One process of a job, and where its ranks meet.
struct RankEnvironment {
  int rank = 0;
  int size = 1;
  int localRank = 0; ///< Among the ranks of this machine.
  int localSize = 1;
  std::string address = "127.0.0.1"; ///< Of rank 0.
  int port = 0;
  int listener = -1;  ///< Rank 0: a socket that listens there already; -1: none.
  std::string source; ///< Who said so, for people: "torchrun".
};

using Variables = std::function<std::optional<std::string>(const char *name)>;

/// From the variables of Smelt's own launcher, torchrun (RANK, WORLD_SIZE …), SLURM or OpenMPI;
/// nothing when there are none. MASTER_ADDR and MASTER_PORT go before what the launcher implies.
StatusOr<std::optional<RankEnvironment>> readRankEnvironment(const Variables &variables);
/// From this process's environment.
StatusOr<std::optional<RankEnvironment>> readRankEnvironment();

} // namespace smelt::runtime
