//===- ParseStages.cpp - Batch, windows and rate over the steps -----------===//
#include "compiler/Import/ParseValues.h"
#include "compiler/Import/Schedules.h"

using namespace smelt;

namespace {

/// More steps than this, and a curve that is drawn step by step takes too long to read.
constexpr int64_t kMaxCurveSteps = 10'000'000;

class StageParser : public ValueParser {
public:
  using ValueParser::ValueParser;

  void parse() {
    const JsonMember &stages = *tree.get("training")->find("stages");
    first = stages.value.elements.front().get("windows");
    for (const JsonValue &object : stages.value.elements)
      parseStage(object);
    if (diagnostics.hasErrors())
      return;
    if (!(before == Rational{1, 1}))
      diagnostics.error(stages.value.elements.back().get("until")->mark,
                        "the last stage must end at 1");
    else if (!extension && out.steps > out.scheduledSteps) {
      // The extension runs on as the last stage did.
      Stage stage = out.stages.back();
      stage.first = stage.lrFirst = out.scheduledSteps;
      stage.last = out.steps - 1;
      out.stages.push_back(stage);
    }
    for (auto &[name, mark] : spec.usedWindows)
      checkWindowName(name, mark);
    if (spec.model.rope.yarn && !diagnostics.hasErrors())
      checkYarn(*spec.model.rope.yarn);
  }

private:
  void parseStage(const JsonValue &object) {
    Stage stage;
    stage.mark = object.mark;
    stage.first = next;
    const JsonValue &until = *object.get("until");
    std::optional<int64_t> last = parseUntil(until);
    if (!last)
      return;
    stage.last = *last;
    parseTokens(*object.get("tokens"), stage);
    if (const JsonValue *given = object.get("windows"))
      for (const JsonMember &window : given->members) {
        windows[window.key] = parseWindow(window);
        if (!first || !first->find(window.key))
          diagnostics
              .error(window.keyMark, "window '" + window.key + "' has no value in the first stage")
              .note(tree.get("training")->get("stages")->elements.front().mark,
                    "the first stage is here");
      }
    stage.windows = windows;
    for (auto &[name, window] : stage.windows)
      checkHalves(name, window);
    stage.lrFirst = stage.first;
    if (!out.stages.empty())
      stage.lr = out.stages.back().lr;
    if (const JsonValue *lr = object.get("lr"))
      parseLevel(*lr, stage);
    next = stage.last + 1;
    // A stage too short to hold a step vanishes.
    if (stage.first <= stage.last)
      out.stages.push_back(stage);
  }

  /// The stage's last step; `before` moves to its end.
  std::optional<int64_t> parseUntil(const JsonValue &until) {
    begin = before;
    if (until.text == "extension") {
      extension = true;
      if (!(before == Rational{1, 1}))
        diagnostics.error(until.mark, "the extension comes after a stage that ends at 1");
      if (out.steps == out.scheduledSteps)
        diagnostics
            .error(until.mark, "there are no extension steps; give them in \"steps\": "
                               "{\"scheduled\": …, \"extension\": …}")
            .note(tree.get("training")->find("steps")->keyMark, "steps are declared here");
      return out.steps - 1;
    }
    std::optional<Rational> end = parseExact(until);
    if (!end)
      return std::nullopt;
    if (!(before < *end) || Rational{1, 1} < *end) {
      diagnostics.error(until.mark, "stages end at ascending fractions in (0, 1]");
      return std::nullopt;
    }
    before = *end;
    return end->ceilTimes(out.scheduledSteps) - 1;
  }

  void parseTokens(const JsonValue &tokens, Stage &stage) {
    stage.tokens = tokens.integer;
    stage.tokensMark = tokens.mark;
    const JsonValue &training = *tree.get("training");
    if (stage.tokens % out.ranks) {
      diagnostics
          .error(tokens.mark, std::to_string(stage.tokens) + " tokens are no multiple of the " +
                                  std::to_string(out.ranks) + " ranks")
          .note(training.find("ranks")->keyMark, "'ranks' is given here");
    } else if (out.microBatch && stage.tokens / out.ranks % *out.microBatch) {
      std::string share = std::to_string(stage.tokens / out.ranks);
      diagnostics
          .error(tokens.mark, share + (out.ranks > 1 ? " tokens of a rank" : " tokens") +
                                  " are no multiple of the micro-batch of " +
                                  std::to_string(*out.microBatch))
          .note(training.get("micro_batch")->mark, "'micro_batch' is given here");
    }
    checkActivations(tokens.mark, out.microTokens(stage));
  }

  WindowRule parseWindow(const JsonMember &member) {
    WindowRule window;
    window.mark = member.keyMark;
    if (member.value.isNumber()) {
      window.tokens = member.value.integer;
      return window;
    }
    const JsonMember *blocks = member.value.find("blocks");
    if (const JsonValue *cubic = member.value.get("cubic")) {
      window.kind = WindowRule::Kind::Cubic;
      window.peak = cubic->get("peak")->number;
      for (size_t i = 0; i < 3; ++i)
        window.coefficients[i] = cubic->get("coefficients")->elements[i].number;
      if (const JsonValue *roundUp = cubic->get("round_up"))
        window.roundUp = roundUp->integer;
      if (blocks)
        diagnostics.error(blocks->keyMark, "'blocks' belongs to 'half_of'; a cubic has 'round_up'");
      if (out.steps > kMaxCurveSteps)
        diagnostics.error(member.keyMark, "a cubic window takes at most " +
                                              std::to_string(kMaxCurveSteps) + " steps");
      return window;
    }
    window.kind = WindowRule::Kind::HalfOf;
    const JsonValue &other = *member.value.get("half_of");
    window.window = other.text;
    window.mark = other.mark;
    if (blocks)
      window.blocks = blocks->value.integer;
    return window;
  }

  /// Halves of halves are refused: there is no use for them.
  void checkHalves(const std::string &name, const WindowRule &window) {
    if (window.kind != WindowRule::Kind::HalfOf || diagnostics.hasErrors())
      return;
    if (!checkWindowName(window.window, window.mark))
      return;
    if (windows.at(window.window).kind == WindowRule::Kind::HalfOf)
      diagnostics.error(window.mark, "window '" + name + "' is half of '" + window.window +
                                         "', which is " +
                                         (window.window == name ? "itself" : "half of another"));
  }

  bool checkWindowName(const std::string &name, Mark mark) {
    if (windows.count(name))
      return true;
    std::vector<llvm::StringRef> names = {"full"};
    for (auto &known : windows)
      names.push_back(known.first);
    diagnostics
        .error(mark,
               "no stage has a window named '" + printable(name) + "'" + didYouMean(name, names))
        .note(tree.get("training")->find("stages")->keyMark, "stages are declared here");
    return false;
  }

  void parseLevel(const JsonValue &value, Stage &stage) {
    const JsonValue *after = value.get("after");
    stage.lr = parseNumber(after ? *after : value);
    if (!after)
      return;
    // The first step s with s / scheduled > begin.
    stage.lrFirst = begin.floorTimes(out.scheduledSteps) + 1;
    if (begin == Rational{0, 1})
      diagnostics.error(after->mark, "the first stage has no earlier stage whose end could pass");
  }

  /// YaRN takes one step per change, so its window must not be a curve.
  void checkYarn(const Yarn &yarn) {
    for (const Stage &stage : out.stages)
      if (WindowRule rule = stage.windows.at(yarn.window); rule.kind != WindowRule::Kind::Tokens) {
        diagnostics
            .error(rule.mark, "YaRN follows '" + yarn.window +
                                  "', which must be a number of tokens in every stage")
            .note(yarn.mark, "'yarn' is here");
        return;
      }
  }

  TrainingSpec &out = spec.training;
  const JsonValue *first = nullptr;
  Rational before{0, 1}, begin{0, 1};
  int64_t next = 0;
  std::map<std::string, WindowRule> windows;
  bool extension = false;
};

} // namespace

void smelt::parseStages(const JsonValue &tree, SpecDiagnostics &diagnostics, Spec &spec) {
  StageParser(tree, diagnostics, spec).parse();
}
