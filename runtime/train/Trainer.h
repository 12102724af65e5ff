//===- Trainer.h - The training loop ----------------------------*- C++ -*-===//
#pragma once

#include "runtime/report/RunFolder.h"
#include "runtime/train/DataSources.h"
#include "runtime/train/Session.h"

namespace smelt::runtime {

struct TrainOptions {
  std::string bundle;
  std::string runFolder = "runs/run";
  std::string data;           ///< Instead of the manifest's training data.
  std::string validationData; ///< Instead of the manifest's validation data.
  std::optional<int64_t> steps;
  std::optional<uint64_t> seed;
  std::optional<int64_t> checkpointEvery;
  std::optional<int64_t> validateEvery;
  std::string initialParameters; ///< A safetensors file; empty = the spec's initial values.
  std::string initialLayout;     ///< Whose names it has; empty = Smelt's.
  std::string resume;            ///< "", "auto" or a checkpoint's path.
  bool overwrite = false;        ///< Start anew in a folder that has a run.
  std::optional<int> keepCheckpoints;
  std::string profile; ///< A file for a Chrome trace of a few steps; empty: none.
  /// Collectives run in order, where the update programs have them; the sums are the same.
  bool overlap = true;
  DeviceChoice device;
  Console::Mode console = Console::Mode::Automatic;
  int ranks = 0;           ///< Processes to start on this machine; 0: this one.
  bool fixedOrder = false; ///< The same bits for any number of ranks (FixedOrder.h).
  double rankTimeout = 30; ///< Seconds without a sign of life after which a rank is lost.
  /// Seconds without progress after which a rank that lives is lost; 0: never.
  std::optional<double> stallTimeout;
};

struct TrainResult {
  int64_t step = 0;
  std::optional<double> validationLoss;
  std::string finalHash;
  bool interrupted = false;
};

/// Trains a bundle in a run folder. The order of a step: settings, micro-batches, the check that
/// the loss is finite, update, log; then, where they are due, validation and checkpoint. A resumed
/// run continues bit for bit. SIGINT and SIGTERM end it after a checkpoint. With ranks, which all
/// call this, each takes its share of a step's micro-batches and rank 0 alone writes.
StatusOr<TrainResult> train(const TrainOptions &options, Ranks *ranks = nullptr);

} // namespace smelt::runtime
