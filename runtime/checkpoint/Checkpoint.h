//===- Checkpoint.h - Saving and finding the state of a run -----*- C++ -*-===//
//
// `RUN/checkpoints/step-000100/` holds parameters.safetensors, state.safetensors and a sealed
// manifest; with ranks that keep states of their own, also state.rank1.safetensors … It is written under another name, synced and renamed, so that a checkpoint either is
// there whole or is not there; a kill, a crash or a full disk leaves the older ones as they were.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/base/Files.h"
#include "runtime/base/SealedFolder.h"
#include "runtime/checkpoint/Safetensors.h"
#include "runtime/data/Batch.h"

#include <optional>

namespace smelt::runtime {

/// The newest version that this runtime reads. What one rank writes has version 1; 2 has the state
/// in several files.
inline constexpr int kCheckpointVersion = 2;

struct CheckpointInfo {
  int64_t step = 0; ///< Completed training steps.
  uint64_t seed = 0;
  std::string model = {};        ///< The manifest's name.
  std::string bundleSha256 = {}; ///< Of the bundle's manifest.
  DataPosition position = {};
  double trainMilliseconds = 0; ///< Time spent so far.
};

/// An opened checkpoint: every file has the hash that its manifest promises.
struct Checkpoint {
  std::string path;
  CheckpointInfo info;
  SafetensorsFile parameters;
  std::vector<SafetensorsFile> state; ///< Of each rank that has some; see TensorIndex.
};

/// A checkpoint that is being written: each rank adds its file, then one publishes all of them.
class PendingCheckpoint {
public:
  /// Makes the folder that becomes `root`/step-NNNNNN.
  static StatusOr<PendingCheckpoint> create(const std::string &root, int64_t step);
  /// Where the ranks' files go until then.
  const std::string &path() const { return folder_.path(); }
  Status addParameters(const std::map<std::string, TensorView> &parameters);
  /// What a rank has written with writeStateFile; rank 0's must be there.
  void addState(int rank, const FileRecord &record);
  /// Writes the manifest with all hashes, moves the folder to its place and then removes all but the
  /// newest `keep` checkpoints.
  Status publish(const CheckpointInfo &info, int keep);

private:
  PendingCheckpoint(PendingDirectory folder, std::string root)
      : folder_(std::move(folder)), root_(std::move(root)) {}
  PendingDirectory folder_;
  std::string root_;
  std::map<std::string, FileRecord> files_;
};

/// Writes and syncs a rank's states into the folder of a PendingCheckpoint (of any process).
StatusOr<FileRecord> writeStateFile(const std::string &folder, int rank,
                                    const std::map<std::string, TensorView> &state);

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
