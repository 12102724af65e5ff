//===- RunSetup.h - What a run begins with ----------------------*- C++ -*-===//
#pragma once

#include "runtime/data/PrefetchingLoader.h"
#include "runtime/train/Trainer.h"

namespace smelt::runtime {

/// The stage of a step; steps after the last stage belong to it.
const Stage &stageAt(const Training &training, int64_t step);

/// The tokens of the n-th micro-batch after `firstStep`.
BatchPlan planBatches(const Manifest &manifest, int64_t firstStep);

/// The checkpoint to continue from; nothing for a run from the beginning.
StatusOr<std::optional<Checkpoint>> findResumePoint(const TrainOptions &options);

StatusOr<RunDescription> describeRun(const TrainOptions &options, Session &session,
                                     const DataSources &data, uint64_t seed, int64_t firstStep);

} // namespace smelt::runtime
