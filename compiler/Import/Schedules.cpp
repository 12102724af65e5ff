//===- Schedules.cpp - Values over the steps, as straight pieces ----------===//
#include "compiler/Import/Schedules.h"
#include <cmath>
#include <numbers>

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

/// The learning-rate level of every step: a stage's holds from its `lrFirst` on.
static std::vector<Piece> getLevels(const TrainingSpec &training) {
  std::vector<Piece> levels;
  double before = 1;
  for (const Stage &stage : training.stages) {
    int64_t first = std::min(stage.lrFirst, stage.last + 1);
    if (stage.first < first)
      levels.push_back({stage.first, first - 1, {before}});
    if (first <= stage.last)
      levels.push_back({first, stage.last, {stage.lr}});
    before = stage.lr;
  }
  return levels;
}

std::vector<Segment> smelt::makeLrSchedule(const TrainingSpec &training, const LrShape &shape) {
  std::vector<Segment> segments;
  int64_t scheduled = training.scheduledSteps;
  double share = shape.cooldown.toDouble();
  bool cools = shape.cooldown.numerator > 0;
  // The first step of the cooldown: the least s with s ≥ (1 − cooldown)·S.
  Rational flat{shape.cooldown.denominator - shape.cooldown.numerator, shape.cooldown.denominator};
  int64_t cooldownFirst = cools ? flat.ceilTimes(scheduled) : training.steps;
  for (const Piece &piece : getLevels(training)) {
    double level = piece.values.front();
    int64_t warmupLast = std::min(piece.last, shape.warmup - 1);
    if (piece.first <= warmupLast)
      append(segments, {piece.first, warmupLast, level * (piece.first + 1) / shape.warmup,
                        level / shape.warmup});
    int64_t flatFirst = std::max(piece.first, shape.warmup);
    append(segments, {flatFirst, std::min(piece.last, cooldownFirst - 1), level, 0});
    int64_t coolFirst = std::max(flatFirst, cooldownFirst),
            coolLast = std::min(piece.last, scheduled - 1);
    if (coolFirst <= coolLast) {
      auto w = [&](int64_t step) { return (1.0 - static_cast<double>(step) / scheduled) / share; };
      double value = level * w(coolFirst) + shape.floor * (1 - w(coolFirst));
      append(segments, {coolFirst, coolLast, value, -(level - shape.floor) / (share * scheduled)});
    }
    if (cools)
      append(segments, {std::max(flatFirst, scheduled), piece.last, shape.floor, 0});
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

static int64_t getWindow(const TrainingSpec &training, const Stage &stage, const std::string &name,
                         int64_t step) {
  const WindowRule &rule = stage.windows.at(name);
  switch (rule.kind) {
  case WindowRule::Kind::Tokens:
    return rule.tokens;
  case WindowRule::Kind::HalfOf:
    return getWindow(training, stage, rule.window, step) / rule.blocks / 2 * rule.blocks;
  case WindowRule::Kind::Cubic:
    break;
  }
  double x = std::min(1.0, static_cast<double>(step) / training.scheduledSteps);
  double part = rule.coefficients[0] * std::pow(x, 3) + rule.coefficients[1] * std::pow(x, 2) +
                rule.coefficients[2] * x;
  double blocks = std::ceil(rule.peak * part / rule.roundUp);
  return static_cast<int64_t>(std::clamp(blocks, 1.0, double(INT32_MAX / rule.roundUp))) *
         rule.roundUp;
}

std::vector<Segment> smelt::makeWindowSchedule(const TrainingSpec &training, llvm::StringRef name) {
  std::vector<Segment> segments;
  for (const Stage &stage : training.stages) {
    const WindowRule *rule = &stage.windows.at(name.str());
    if (rule->kind == WindowRule::Kind::HalfOf)
      rule = &stage.windows.at(rule->window);
    // Only a curve changes within a stage.
    int64_t stride = rule->kind == WindowRule::Kind::Cubic ? 1 : stage.last - stage.first + 1;
    for (int64_t step = stage.first; step <= stage.last; step += stride)
      append(segments,
             {step, step + stride - 1, double(getWindow(training, stage, name.str(), step)), 0});
  }
  return segments;
}

/// Calls `apply` for each change of YaRN's window before the stage, and `emit` for each stage.
static void followYarn(const TrainingSpec &training, const Yarn &yarn,
                       llvm::function_ref<void(double from, double to)> apply,
                       llvm::function_ref<void(const Stage &)> emit) {
  double window = static_cast<double>(training.stages.front().windows.at(yarn.window).tokens);
  for (const Stage &stage : training.stages) {
    double next = static_cast<double>(stage.windows.at(yarn.window).tokens);
    if (next != window)
      apply(window, next);
    window = next;
    emit(stage);
  }
}

std::vector<Piece> smelt::makeYarnFrequencies(const TrainingSpec &training, const Rope &rope) {
  std::vector<Piece> pieces;
  std::vector<double> frequencies = rope.frequencies;
  const Yarn &yarn = *rope.yarn;
  followYarn(
      training, yarn,
      [&](double from, double to) {
        double ratio = from / to;
        for (double &f : frequencies) {
          double rotations = from * f / (2 * std::numbers::pi);
          double w = std::clamp((rotations - yarn.alpha) / (yarn.beta - yarn.alpha), 0.0, 1.0);
          f *= ratio + w * (1 - ratio);
        }
      },
      [&](const Stage &stage) {
        if (!pieces.empty() && pieces.back().values == frequencies)
          pieces.back().last = stage.last;
        else
          pieces.push_back({stage.first, stage.last, frequencies});
      });
  return pieces;
}

std::vector<Segment> smelt::makeYarnScale(const TrainingSpec &training, const Yarn &yarn,
                                          double init, double growth) {
  std::vector<Segment> segments;
  double scale = init;
  followYarn(
      training, yarn, [&](double from, double to) { scale *= growth * std::log(to / from) + 1; },
      [&](const Stage &stage) { append(segments, {stage.first, stage.last, scale, 0}); });
  return segments;
}

std::vector<Segment> smelt::makeStageSchedule(const std::vector<Stage> &stages,
                                              llvm::function_ref<double(const Stage &)> value) {
  std::vector<Segment> segments;
  for (const Stage &stage : stages)
    append(segments, {stage.first, stage.last, value(stage), 0});
  return segments;
}
