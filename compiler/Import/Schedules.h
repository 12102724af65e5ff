//===- Schedules.h - Values over the steps, as straight pieces --*- C++ -*-===//
#ifndef SMELT_COMPILER_IMPORT_SCHEDULES_H
#define SMELT_COMPILER_IMPORT_SCHEDULES_H

#include "compiler/Import/Spec.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace smelt {

struct LrShape {
  int64_t warmup = 0; // steps
  Rational cooldown;  // part of the scheduled steps
  double floor = 0;
};

/// The learning-rate factor: each stage's level; over the first `warmup` steps it rises linearly,
/// level · (s + 1) / warmup; over the last `cooldown` part of the S scheduled steps it is level · w
/// + floor · (1 − w) with w = (1 − s/S) / cooldown; after S: floor (the level, without a cooldown).
std::vector<Segment> makeLrSchedule(const TrainingSpec &training, const LrShape &shape);

/// From `from` to `to` over the first `warmup` steps, back over the last `cooldown`.
std::vector<Segment> makeMomentumSchedule(double from, double to, int64_t warmup, int64_t cooldown,
                                          int64_t steps);

/// The window's tokens at every step. Cubics are evaluated in double, as the medium record's
/// program does.
std::vector<Segment> makeWindowSchedule(const TrainingSpec &training, llvm::StringRef name);

/// One value, or one row of values, per stretch of steps.
struct Piece {
  int64_t first, last;
  std::vector<double> values;
};

/// The frequencies of a rotary embedding under YaRN; one piece when its window never changes.
std::vector<Piece> makeYarnFrequencies(const TrainingSpec &training, const Rope &rope);

/// A softmax scale that is multiplied by growth · ln(new / old) + 1 where YaRN's window changes.
std::vector<Segment> makeYarnScale(const TrainingSpec &training, const Yarn &yarn, double init,
                                   double growth);

/// One piece per stage; equal neighbours are joined.
std::vector<Segment> makeStageSchedule(const std::vector<Stage> &stages,
                                       llvm::function_ref<double(const Stage &)> value);

} // namespace smelt
#endif
