//===- Schedules.cpp - Values over the steps, as straight pieces ----------===//
#include "compiler/Import/Schedules.h"

using namespace smelt;

/// Adds a piece that takes `atFirst` on `first` and is straight up to `last`; empty pieces vanish,
/// equal constants join.
static void append(std::vector<Segment> &segments, Segment piece) {
  if (piece.first > piece.last)
    return;
  if (piece.first == piece.last)
    piece.slope = 0;
  if (!segments.empty()) {
    Segment &before = segments.back();
    if (before.slope == 0 && piece.slope == 0 && before.value == piece.value) {
      before.last = piece.last;
      return;
    }
  }
  segments.push_back(piece);
}

std::vector<Segment> smelt::makeLrSchedule(const TrainingSpec &training, const LrShape &shape) {
  std::vector<Segment> segments;
  int64_t scheduled = training.scheduledSteps;
  double share = shape.cooldown.toDouble();
  bool cools = shape.cooldown.numerator > 0;
  // The first step of the cooldown: the least s with s ≥ (1 − cooldown)·S.
  Rational flat{shape.cooldown.denominator - shape.cooldown.numerator, shape.cooldown.denominator};
  int64_t cooldownFirst = cools ? flat.ceilTimes(scheduled) : training.steps;
  for (const Stage &stage : training.stages) {
    double level = stage.lr;
    int64_t warmupLast = std::min(stage.last, shape.warmup - 1);
    if (stage.first <= warmupLast)
      append(segments, {stage.first, warmupLast, level * (stage.first + 1) / shape.warmup,
                        level / shape.warmup});
    int64_t flatFirst = std::max(stage.first, shape.warmup);
    append(segments, {flatFirst, std::min(stage.last, cooldownFirst - 1), level, 0});
    int64_t coolFirst = std::max(flatFirst, cooldownFirst),
            coolLast = std::min(stage.last, scheduled - 1);
    if (coolFirst <= coolLast) {
      auto w = [&](int64_t step) { return (1.0 - static_cast<double>(step) / scheduled) / share; };
      double value = level * w(coolFirst) + shape.floor * (1 - w(coolFirst));
      append(segments, {coolFirst, coolLast, value, -(level - shape.floor) / (share * scheduled)});
    }
    if (cools)
      append(segments, {std::max(flatFirst, scheduled), stage.last, shape.floor, 0});
  }
  return segments;
}

std::vector<Segment> smelt::makeMomentumSchedule(double from, double to, int64_t warmup,
                                                 int64_t cooldown, int64_t steps) {
  std::vector<Segment> segments;
  int64_t coolFirst = std::max(warmup, steps - cooldown);
  append(segments, {0, std::min(warmup, steps) - 1, from, (to - from) / warmup});
  append(segments, {warmup, std::min(coolFirst, steps) - 1, to, 0});
  if (cooldown > 0)
    append(segments,
           {coolFirst, steps - 1,
            to - (to - from) * static_cast<double>(coolFirst - (steps - cooldown)) / cooldown,
            -(to - from) / cooldown});
  return segments;
}

std::vector<Segment> smelt::makeStageSchedule(const std::vector<Stage> &stages,
                                              llvm::function_ref<double(const Stage &)> value) {
  std::vector<Segment> segments;
  for (const Stage &stage : stages)
    append(segments, {stage.first, stage.last, value(stage), 0});
  return segments;
}
