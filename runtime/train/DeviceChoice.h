//===- DeviceChoice.h - What the user says about devices --------*- C++ -*-===//
#pragma once

#include <string>

namespace smelt::runtime {

/// Where a bundle runs.
struct DeviceChoice {
  std::string device = "auto"; ///< "cpu", "cuda", "cuda:N"; "auto": what the bundle is for.
  int threads = 0;             ///< CPU threads; 0: all cores.
  int localRank = 0;           ///< Of the ranks on this machine.
  int localSize = 1;
  /// Who runs collectives: "nccl" between GPUs, "gloo" through host memory; "auto": NCCL for GPUs.
  std::string collectives = "auto";
};

} // namespace smelt::runtime
