//===- ModelChoice.h - A trained model from options -------------*- C++ -*-===//
#pragma once

#include "tools/smelt-run/Commands.h"

namespace smelt::runtime {

struct LoadedModel {
  std::unique_ptr<Session> session;
  std::string checkpointPath; ///< Empty: the initial values.
  int64_t step = 0;
};

/// Opens the bundle and restores the checkpoint's parameters; settings are those of its last step.
StatusOr<LoadedModel> loadModel(const ModelChoice &choice);

} // namespace smelt::runtime
