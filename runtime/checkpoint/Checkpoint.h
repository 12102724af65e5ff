//===- Checkpoint.h - Saving and finding the state of a run -----*- C++ -*-===//
//
// `RUN/checkpoints/step-000100/` holds parameters.safetensors, state.safetensors and a sealed
// manifest. It is written under another name, synced and renamed, so that a checkpoint either is
// there whole or is not there; a kill, a crash or a full disk leaves the older ones as they were.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/base/SealedFolder.h"
#include "runtime/checkpoint/Safetensors.h"
#include "runtime/data/Batch.h"

#include <optional>

namespace smelt::runtime {

inline constexpr int kCheckpointVersion = 1;

struct CheckpointInfo {
  int64_t step = 0; ///< Completed training steps.
  uint64_t seed = 0;
  std::string model;        ///< The manifest's name.
  std::string bundleSha256; ///< Of the bundle's manifest.
  DataPosition position;
  double trainMilliseconds = 0; ///< Time spent so far.
};

/// An opened checkpoint: every file has the hash that its manifest promises.
struct Checkpoint {
  std::string path;
  CheckpointInfo info;
  SafetensorsFile parameters;
  SafetensorsFile state;
};

/// Writes `root`/step-NNNNNN and then removes all but the newest `keep` checkpoints.
Status writeCheckpoint(const std::string &root, const CheckpointInfo &info,
                       const std::map<std::string, TensorView> &parameters,
                       const std::map<std::string, TensorView> &state, int keep);

StatusOr<Checkpoint> openCheckpoint(const std::string &path);

/// The paths in `root`, newest first.
std::vector<std::string> listCheckpoints(const std::string &root);

/// The newest checkpoint in `root` that is whole; nothing if there is no checkpoint at all. Damaged
/// ones are skipped and described in `skipped`; if all are damaged, that is a failure.
StatusOr<std::optional<Checkpoint>> openNewestCheckpoint(const std::string &root,
                                                         std::vector<std::string> &skipped);

} // namespace smelt::runtime
