//===- Train.h - smelt train: compile, then run -----------------*- C++ -*-===//
#pragma once

#include "tools/smelt/Options.h"

namespace smelt::cli {

/// Compiles the spec into the run folder (or takes the bundle that is given instead) and trains it.
/// Returns the exit code.
int trainModel(TrainOptions options);

} // namespace smelt::cli
