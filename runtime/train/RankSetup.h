//===- RankSetup.h - What the ranks of a job begin with ---------*- C++ -*-===//
#pragma once

#include "runtime/train/RunSetup.h"

namespace smelt::runtime {

/// The bundle is for this number of ranks, and they can run it.
Status checkRanks(const TrainOptions &options, const Manifest &manifest, int size);

/// Rank 0 looks into the run folder, and the others take what it found.
StatusOr<std::optional<Checkpoint>> findCommonResumePoint(const TrainOptions &options,
                                                          Ranks *ranks);

/// What must be the same on all ranks before the first step.
Status checkAgreement(const TrainOptions &options, Session &session, const CheckpointInfo &start,
                      const DataSources &data, Ranks &ranks);

} // namespace smelt::runtime
