//===- ParseTraining.cpp - How a model is trained -------------------------===//
#include "compiler/Import/ParseValues.h"
#include "compiler/Import/Schedules.h"

using namespace smelt;

void ValueParser::checkActivations(Mark mark, int64_t tokens) {
  int64_t bytes;
  if (__builtin_mul_overflow(
          tokens, std::max<int64_t>(spec.model.widest, spec.model.dims.vocabRows), &bytes) ||
      __builtin_mul_overflow(bytes, 4, &bytes) || bytes > (int64_t{1} << 56))
    diagnostics.error(mark, "the sizes overflow: " + std::to_string(tokens) + " tokens of " +
                                std::to_string(spec.model.widest) +
                                " features do not fit into 64-bit byte counts");
}

namespace {

class TrainingParser : public ValueParser {
public:
  using ValueParser::ValueParser;

  void parse() {
    const JsonMember &member = *tree.find("training");
    const JsonValue &training = member.value;
    out.mark = member.keyMark;
    parseSteps(*training.get("steps"));
    if (const JsonValue *seed = training.get("seed"))
      out.seed = seed->integer;
    if (const JsonValue *ranks = training.get("ranks"))
      out.ranks = ranks->integer;
    if (const JsonValue *micro = training.get("micro_batch"))
      out.microBatch = micro->integer;
    parseStages(tree, diagnostics, spec);
    parseLr(training.find("lr"));
    parseOptimizers(tree, diagnostics, spec);
    if (const JsonValue *checkpoint = training.get("checkpoint")) {
      out.checkpointEvery = checkpoint->get("every")->integer;
      if (const JsonValue *keep = checkpoint->get("keep"))
        out.checkpointKeep = keep->integer;
    }
  }

private:
  void parseSteps(const JsonValue &steps) {
    if (steps.isNumber()) {
      out.scheduledSteps = out.steps = steps.integer;
      return;
    }
    out.scheduledSteps = out.steps = steps.get("scheduled")->integer;
    if (const JsonValue *extension = steps.get("extension"))
      out.steps += extension->integer;
  }

  void parseLr(const JsonMember *lr) {
    LrShape shape;
    out.lrMark = lr ? lr->keyMark : out.mark;
    if (lr) {
      if (const JsonValue *warmup = lr->value.get("warmup")) {
        if (warmup->isNumber()) {
          shape.warmup = warmup->integer;
        } else if (std::optional<Rational> part = parseExact(*warmup)) {
          if (Rational{1, 1} < *part)
            diagnostics.error(warmup->mark, "'warmup' as a part of the schedule must be at most 1");
          else
            shape.warmup = part->ceilTimes(out.scheduledSteps);
        }
      }
      if (const JsonValue *cooldown = lr->value.get("cooldown"))
        if (std::optional<Rational> part = parseExact(*cooldown)) {
          if (part->numerator < 0 || Rational{1, 1} < *part)
            diagnostics.error(cooldown->mark,
                              "'cooldown' must be a part of the schedule, between 0 and 1");
          else
            shape.cooldown = *part;
        }
      if (const JsonValue *floor = lr->value.get("floor"))
        shape.floor = floor->number;
      Rational flat{shape.cooldown.denominator - shape.cooldown.numerator,
                    shape.cooldown.denominator};
      if (!diagnostics.hasErrors() && shape.cooldown.numerator > 0 &&
          shape.warmup > flat.ceilTimes(out.scheduledSteps))
        diagnostics
            .error(lr->value.find("warmup")->keyMark, "'warmup' ends after 'cooldown' has begun")
            .note(lr->value.find("cooldown")->keyMark, "'cooldown' is given here");
    }
    if (!diagnostics.hasErrors())
      out.lr = makeLrSchedule(out, shape);
  }

  TrainingSpec &out = spec.training;
};

} // namespace

bool smelt::parseTraining(const JsonValue &tree, SpecDiagnostics &diagnostics, Spec &spec) {
  unsigned before = diagnostics.getErrorCount();
  TrainingParser(tree, diagnostics, spec).parse();
  return diagnostics.getErrorCount() == before;
}
