//===- RunCommands.h - The commands that need no compiler -------*- C++ -*-===//
//
// Thin: they turn Options into calls of the runtime's command library, which smelt-run uses too.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "tools/smelt/Options.h"

namespace smelt::cli {

/// Each prints its own errors and returns the exit code.
int trainModel(const TrainOptions &options);
int evaluateModel(const EvalOptions &options);
int sampleModel(const SampleOptions &options);
int packData(const DataOptions &options);
int showData(const DataOptions &options);

} // namespace smelt::cli
