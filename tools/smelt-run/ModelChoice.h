//===- ModelChoice.h - A trained model from options -------------*- C++ -*-===//
#pragma once

#include "tools/smelt-run/Commands.h"

namespace smelt::runtime {

struct LoadedModel {
  std::unique_ptr<Session> session;
  std::string checkpointPath; ///< Empty: the initial values.
  int64_t step = 0;
};

/// Where a run's data are. Without validation files they are the end of the training files.
struct RunData {
  std::string train, validation;
};
/// What the run's run.json says; empty paths when it is silent.
StatusOr<RunData> readRunData(const std::string &runFolder);

/// Opens the bundle and restores the checkpoint's parameters; settings are those of its last step.
StatusOr<LoadedModel> loadModel(const ModelChoice &choice);

} // namespace smelt::runtime
