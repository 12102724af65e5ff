//===- ParseTraining.cpp - How a model is trained, and on what ------------===//
#include "compiler/Import/ParseValues.h"
#include "compiler/Import/Schedules.h"

using namespace smelt;

namespace {

/// Quintic Newton–Schulz iteration of Muon (Jordan et al., 2024), five times.
constexpr double kNewtonSchulz5[3] = {3.4445, -4.7750, 2.0315};
/// Polar Express (Amsel et al., 2025): the five rounds of the short record.
constexpr double kPolarExpress5[15] = {
    8.156554524902461,  -22.48329292557795,  15.878769915207462,  4.042929935166739,
    -2.808917465908714, 0.5000178451051316,  3.8916678022926607,  -2.772484153217685,
    0.5060648178503393, 3.285753657755655,   -2.3681294933425376, 0.46449024233003106,
    2.3465413258596377, -1.7097828382687081, 0.42323551169305323};
/// The five rounds of the medium record.
constexpr double kNewtonSchulzMedium5[15] = {4.0848,  -6.8946, 2.9270,  3.9505,  -6.3029,
                                             2.6377,  3.7418,  -5.5913, 2.3037,  2.8769,
                                             -3.1427, 1.2046,  2.8366,  -3.0525, 1.2012};

std::vector<double> getCoefficients(llvm::StringRef name) {
  if (name == "polar_express_5")
    return {std::begin(kPolarExpress5), std::end(kPolarExpress5)};
  if (name == "newton_schulz_medium_5")
    return {std::begin(kNewtonSchulzMedium5), std::end(kNewtonSchulzMedium5)};
  std::vector<double> coefficients;
  for (int round = 0; round < 5; ++round)
    coefficients.insert(coefficients.end(), std::begin(kNewtonSchulz5), std::end(kNewtonSchulz5));
  return coefficients;
}

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
    if (const JsonMember *ranks = training.find("ranks"); ranks && ranks->value.integer != 1)
      unsupported(ranks->keyMark, "more than one rank");
    if (const JsonValue *micro = training.get("micro_batch"))
      out.microBatch = micro->integer;
    parseStages(*training.find("stages"), training.get("micro_batch"));
    parseLr(training.find("lr"));
    out.optimizersMark = training.find("optimizers")->keyMark;
    for (const JsonValue &optimizer : training.get("optimizers")->elements)
      parseOptimizer(optimizer);
    if (const JsonMember *outer = training.find("outer_optimizer"))
      unsupported(outer->value.members.front().keyMark, "'snoo'");
    if (const JsonValue *checkpoint = training.get("checkpoint")) {
      out.checkpointEvery = checkpoint->get("every")->integer;
      if (const JsonMember *keep = checkpoint->find("keep"))
        unsupported(keep->keyMark, "'keep'");
    }
    parseData(*tree.get("data"));
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

  void parseStages(const JsonMember &stages, const JsonValue *micro) {
    Rational before{0, 1};
    int64_t next = 0;
    std::map<std::string, int64_t> windows;
    bool extension = false;
    for (const JsonValue &object : stages.value.elements) {
      Stage stage;
      stage.mark = object.mark;
      const JsonValue &until = *object.get("until");
      stage.first = next;
      if (until.text == "extension") {
        extension = true;
        if (!(before == Rational{1, 1}))
          diagnostics.error(until.mark, "the extension comes after a stage that ends at 1");
        if (out.steps == out.scheduledSteps)
          diagnostics
              .error(until.mark, "there are no extension steps; give them in \"steps\": "
                                 "{\"scheduled\": …, \"extension\": …}")
              .note(tree.get("training")->find("steps")->keyMark, "steps are declared here");
        stage.last = out.steps - 1;
      } else {
        std::optional<Rational> end = parseExact(until);
        if (!end)
          continue;
        if (!(before < *end) || Rational{1, 1} < *end) {
          diagnostics.error(until.mark, "stages end at ascending fractions in (0, 1]");
          continue;
        }
        stage.last = end->ceilTimes(out.scheduledSteps) - 1;
        before = *end;
      }
      const JsonValue &tokens = *object.get("tokens");
      stage.tokens = tokens.integer;
      stage.tokensMark = tokens.mark;
      if (micro && stage.tokens % micro->integer)
        diagnostics
            .error(tokens.mark, std::to_string(stage.tokens) +
                                    " tokens are no multiple of the micro-batch of " +
                                    std::to_string(micro->integer))
            .note(micro->mark, "'micro_batch' is given here");
      checkActivations(tokens.mark, micro ? micro->integer : stage.tokens);
      if (const JsonValue *given = object.get("windows"))
        for (const JsonMember &window : given->members) {
          if (window.value.isObject())
            unsupported(window.value.members.front().keyMark,
                        "'" + window.value.members.front().key + "'");
          else
            windows[window.key] = window.value.integer;
          if (&object == &stages.value.elements.front())
            continue;
          const JsonValue *first = stages.value.elements.front().get("windows");
          if (!first || !first->find(window.key))
            diagnostics
                .error(window.keyMark,
                       "window '" + window.key + "' has no value in the first stage")
                .note(stages.value.elements.front().mark, "the first stage is here");
        }
      stage.windows = windows;
      if (const JsonValue *lr = object.get("lr"))
        stage.lr = parseNumber(*lr);
      else if (!out.stages.empty())
        stage.lr = out.stages.back().lr;
      next = stage.last + 1;
      // A stage too short to hold a step vanishes.
      if (stage.first <= stage.last)
        out.stages.push_back(stage);
    }
    if (diagnostics.hasMistakes())
      return;
    if (!(before == Rational{1, 1}))
      diagnostics.error(stages.value.elements.back().get("until")->mark,
                        "the last stage must end at 1");
    else if (!extension && out.steps > out.scheduledSteps) {
      // The extension runs on as the last stage did.
      Stage stage = out.stages.back();
      stage.first = out.scheduledSteps;
      stage.last = out.steps - 1;
      out.stages.push_back(stage);
    }
    for (auto &[name, mark] : spec.usedWindows)
      if (!windows.count(name)) {
        std::vector<llvm::StringRef> names = {"full"};
        for (auto &known : windows)
          names.push_back(known.first);
        diagnostics
            .error(mark, "no stage has a window named '" + printable(name) + "'" +
                             didYouMean(name, names))
            .note(stages.keyMark, "stages are declared here");
      }
  }

  /// The widest activation of a program must have a size that 64 bits hold.
  void checkActivations(Mark mark, int64_t tokens) {
    int64_t bytes;
    if (__builtin_mul_overflow(
            tokens, std::max<int64_t>(spec.model.widest, spec.model.dims.vocabRows), &bytes) ||
        __builtin_mul_overflow(bytes, 4, &bytes) || bytes > (int64_t{1} << 56))
      diagnostics.error(mark, "the sizes overflow: " + std::to_string(tokens) + " tokens of " +
                                  std::to_string(spec.model.widest) +
                                  " features do not fit into 64-bit byte counts");
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
      if (!diagnostics.hasMistakes() && shape.cooldown.numerator > 0 &&
          shape.warmup > flat.ceilTimes(out.scheduledSteps))
        diagnostics
            .error(lr->value.find("warmup")->keyMark, "'warmup' ends after 'cooldown' has begun")
            .note(lr->value.find("cooldown")->keyMark, "'cooldown' is given here");
    }
    if (!diagnostics.hasMistakes())
      out.lr = makeLrSchedule(out, shape);
  }

  void parseOptimizer(const JsonValue &object) {
    const JsonMember *kind = nullptr;
    for (const JsonMember &member : object.members)
      if (member.key != "parameters")
        kind = &member;
    Optimizer optimizer;
    optimizer.mark = kind->keyMark;
    const JsonValue &value = kind->value;
    optimizer.lr = parseNumber(*value.get("lr"));
    if (kind->key == "normuon")
      unsupported(kind->keyMark, "'normuon'");
    else if (kind->key == "muon")
      parseMuon(value, optimizer);
    else
      parseAdam(value, optimizer);
    for (const JsonMember &member : object.get("parameters")->members) {
      Selection selection;
      selection.pattern = member.key;
      selection.mark = member.keyMark;
      if (const JsonValue *lr = member.value.get("lr"))
        selection.lr = parseNumber(*lr);
      if (const JsonValue *decay = member.value.get("weight_decay"))
        selection.weightDecay = decay->number;
      if (const JsonMember *split = member.value.find("split")) {
        selection.split = split->value.integer;
        if (kind->key == "adam" || kind->key == "adamw")
          diagnostics.error(split->keyMark,
                            "'split' belongs to matrices that are orthogonalised; " + kind->key +
                                " does not");
      }
      optimizer.selections.push_back(selection);
    }
    out.optimizers.push_back(std::move(optimizer));
  }

  void parseAdam(const JsonValue &value, Optimizer &optimizer) {
    optimizer.beta1 = value.get("betas")->elements[0].number;
    optimizer.beta2 = value.get("betas")->elements[1].number;
    optimizer.eps = value.get("eps")->number;
    if (const JsonValue *decay = value.get("weight_decay"))
      optimizer.weightDecay = decay->number;
    checkDtype(value.get("state"));
    if (const JsonMember *every = value.find("every"); every && every->value.integer != 1)
      unsupported(every->keyMark, "'every'");
  }

  void parseMuon(const JsonValue &value, Optimizer &optimizer) {
    optimizer.isMuon = true;
    const JsonValue &momentum = *value.get("momentum");
    if (momentum.isNumber()) {
      optimizer.momentum = {{0, out.steps - 1, momentum.number, 0}};
    } else {
      const JsonValue *cooldown = momentum.get("cooldown");
      optimizer.momentum = makeMomentumSchedule(
          momentum.get("from")->number, momentum.get("to")->number, momentum.get("warmup")->integer,
          cooldown ? cooldown->integer : 0, out.steps);
    }
    if (const JsonValue *nesterov = value.get("nesterov"))
      optimizer.nesterov = nesterov->boolean;
    if (const JsonValue *decay = value.get("weight_decay"))
      optimizer.weightDecay = decay->number;
    const JsonValue *orthogonalize = value.get("orthogonalize");
    optimizer.coefficients = getCoefficients(orthogonalize ? orthogonalize->text : "");
    if (const JsonMember *smoothing = value.find("update_smoothing");
        smoothing && smoothing->value.number != 0)
      unsupported(smoothing->keyMark, "'update_smoothing'");
    if (const JsonMember *master = value.find("master"); master && master->value.text != "f32")
      unsupported(master->keyMark, "'" + master->value.text + "'");
  }

  void parseData(const JsonValue &value) {
    DataSpec &data = spec.data;
    data.train = value.get("train")->text;
    if (const JsonValue *tokenizer = value.get("tokenizer"))
      data.tokenizer = tokenizer->text;
    if (data.tokenizer == "bytes" && spec.model.dims.vocab < 256)
      if (const JsonValue *tokenizer = value.get("tokenizer"))
        diagnostics
            .error(tokenizer->mark, "the byte tokenizer has 256 tokens, the model only " +
                                        std::to_string(spec.model.dims.vocab))
            .note(tree.get("dims")->find("vocab")->keyMark, "'vocab' is declared here");
    int64_t smallest = INT64_MAX;
    for (const Stage &stage : out.stages)
      smallest = std::min(smallest, out.microTokens(stage));
    if (const JsonValue *sequence = value.get("sequence")) {
      data.sequence = sequence->integer;
      for (const Stage &stage : out.stages)
        if (int64_t micro = out.microTokens(stage); micro % data.sequence) {
          diagnostics
              .error(sequence->mark, "a micro-batch of " + std::to_string(micro) +
                                         " tokens is no multiple of the sequence of " +
                                         std::to_string(data.sequence))
              .note(stage.tokensMark, "this stage's tokens are given here");
          break;
        }
    }
    data.order = data.sequence ? "random" : "contiguous";
    const JsonMember *order = value.find("order"), *documents = value.find("documents");
    if (order)
      data.order = order->value.text;
    if (order && order->value.text == "random" && !data.sequence)
      diagnostics.error(order->value.mark,
                        "samples at random places need a length: give 'sequence'");
    if (documents) {
      data.order = "documents";
      if (order)
        diagnostics.error(order->keyMark, "'order' and 'documents' in one place")
            .note(documents->keyMark, "'documents' is here");
      data.startToken = documents->value.get("start_token")->integer;
      if (data.startToken >= spec.model.dims.vocab)
        diagnostics
            .error(documents->value.get("start_token")->mark,
                   "token " + std::to_string(data.startToken) + " is none of the vocabulary's " +
                       std::to_string(spec.model.dims.vocab))
            .note(tree.get("dims")->find("vocab")->keyMark, "'vocab' is declared here");
      if (const JsonMember *align = documents->value.find("align"); align && align->value.boolean)
        unsupported(align->keyMark, "'align'");
      if (const JsonMember *most = documents->value.find("max_tokens"))
        unsupported(most->keyMark, "'max_tokens'");
    }
    data.sampleTokens = data.sequence ? data.sequence : std::min<int64_t>(smallest, 1024);
    if (const JsonValue *validation = value.get("validation")) {
      data.hasValidation = true;
      if (const JsonValue *files = validation->get("files"))
        data.validationFiles = files->text;
      data.validationTokens = validation->get("tokens")->integer;
      if (const JsonValue *every = validation->get("every"))
        data.validationEvery = every->integer;
      if (const JsonMember *align = validation->find("align"); align && align->value.boolean)
        unsupported(align->keyMark, "'align'");
      const JsonValue *micro = validation->get("micro_batch");
      data.validationMicroBatch = micro ? micro->integer : smallest;
      Mark mark = (micro ? micro : validation->get("tokens"))->mark;
      if (data.validationMicroBatch > 0 && data.validationTokens % data.validationMicroBatch)
        diagnostics.error(validation->get("tokens")->mark,
                          std::to_string(data.validationTokens) +
                              " tokens are no multiple of the validation's micro-batch of " +
                              std::to_string(data.validationMicroBatch));
      if (data.sequence && data.validationMicroBatch % data.sequence &&
          (micro || !diagnostics.hasMistakes()))
        diagnostics.error(
            mark, "the validation's micro-batch of " + std::to_string(data.validationMicroBatch) +
                      " tokens is no multiple of the sequence of " + std::to_string(data.sequence));
      checkActivations(mark, data.validationMicroBatch);
      if (const JsonMember *windows = validation->find("final_windows"))
        unsupported(windows->keyMark, "'final_windows'");
    } else {
      data.validationMicroBatch = smallest;
    }
  }

  TrainingSpec &out = spec.training;
};

} // namespace

bool smelt::parseTraining(const JsonValue &tree, SpecDiagnostics &diagnostics, Spec &spec) {
  unsigned before = diagnostics.getErrorCount();
  TrainingParser(tree, diagnostics, spec).parse();
  return diagnostics.getErrorCount() == before;
}
