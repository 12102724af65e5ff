//===- ParseOptimizers.cpp - Update rules and what they update ------------===//
#include "compiler/Import/ParseValues.h"
#include "compiler/Import/Schedules.h"

using namespace smelt;
using mlir::train::OptimizerKind;

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

/// The norm is what each program divides by before the first round.
Orthogonalization getOrthogonalization(llvm::StringRef name) {
  if (name == "polar_express_5")
    return {getCoefficients(name), 1.02, 1e-6};
  if (name == "newton_schulz_medium_5")
    return {getCoefficients(name), 1, 1e-7};
  return {getCoefficients(name), 1 + 1.0 / 64, 1e-7};
}

class OptimizerParser : public ValueParser {
public:
  using ValueParser::ValueParser;

  void parse() {
    const JsonValue &training = *tree.get("training");
    const JsonMember &optimizers = *training.find("optimizers");
    out.optimizersMark = optimizers.keyMark;
    for (const JsonValue &optimizer : optimizers.value.elements)
      parseOptimizer(optimizer);
    if (const JsonValue *outer = training.get("outer_optimizer"))
      parseSnoo(outer->members.front());
  }

private:
  void parseOptimizer(const JsonValue &object) {
    const JsonMember *kind = nullptr;
    for (const JsonMember &member : object.members)
      if (member.key != "parameters")
        kind = &member;
    Optimizer optimizer;
    optimizer.kind = *mlir::train::symbolizeOptimizerKind(kind->key);
    optimizer.mark = kind->keyMark;
    const JsonValue &value = kind->value;
    optimizer.lr = parseNumber(*value.get("lr"));
    parseEvery(value, optimizer, /*fallback=*/std::nullopt);
    if (optimizer.isMatrixOptimizer())
      parseMuon(value, optimizer);
    else
      parseAdam(value, optimizer);
    for (const JsonMember &member : object.get("parameters")->members)
      optimizer.selections.push_back(parseSelection(member, *kind, optimizer));
    out.optimizers.push_back(std::move(optimizer));
  }

  Selection parseSelection(const JsonMember &member, const JsonMember &kind,
                           const Optimizer &optimizer) {
    Selection selection;
    selection.pattern = member.key;
    selection.mark = member.keyMark;
    if (const JsonValue *lr = member.value.get("lr"))
      selection.lr = parseNumber(*lr);
    if (const JsonValue *decay = member.value.get("weight_decay"))
      selection.weightDecay = decay->number;
    if (const JsonMember *split = member.value.find("split")) {
      selection.split = split->value.integer;
      if (!optimizer.isMatrixOptimizer())
        diagnostics.error(split->keyMark, "'split' belongs to matrices that are orthogonalised; " +
                                              kind.key + " does not");
    }
    if (const JsonMember *over = member.value.find("variance_over")) {
      selection.varianceOverColumns = over->value.text == "columns";
      if (optimizer.kind != OptimizerKind::normuon)
        diagnostics.error(over->keyMark, "'variance_over' belongs to normuon; " + kind.key +
                                             " has no second moment of the update");
    }
    return selection;
  }

  /// `every` and `offset`; without an offset the group updates at the end of each `every` steps.
  void parseEvery(const JsonValue &value, Optimizer &optimizer, std::optional<int64_t> fallback) {
    const JsonMember *every = value.find("every"), *offset = value.find("offset");
    if (every)
      optimizer.every = every->value.integer;
    optimizer.offset = fallback.value_or(optimizer.every - 1);
    if (!offset)
      return;
    optimizer.offset = offset->value.integer;
    if (optimizer.offset < optimizer.every)
      return;
    auto report =
        diagnostics.error(offset->value.mark, "'offset' must be less than 'every', which is " +
                                                  std::to_string(optimizer.every));
    if (every)
      report.note(every->keyMark, "'every' is here");
  }

  void parseAdam(const JsonValue &value, Optimizer &optimizer) {
    optimizer.beta1 = value.get("betas")->elements[0].number;
    optimizer.beta2 = value.get("betas")->elements[1].number;
    optimizer.eps = value.get("eps")->number;
    if (const JsonValue *decay = value.get("weight_decay"))
      optimizer.weightDecay = decay->number;
    optimizer.state = parseDType(value.get("state"));
  }

  void parseMuon(const JsonValue &value, Optimizer &optimizer) {
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
    if (const JsonValue *beta2 = value.get("beta2"))
      optimizer.beta2 = beta2->number;
    if (const JsonValue *decay = value.get("weight_decay")) {
      optimizer.cautious = decay->isObject();
      optimizer.weightDecay = (decay->isObject() ? *decay->get("cautious") : *decay).number;
    }
    const JsonValue *orthogonalize = value.get("orthogonalize");
    optimizer.orthogonalization = getOrthogonalization(orthogonalize ? orthogonalize->text : "");
    if (const JsonValue *smoothing = value.get("update_smoothing"))
      optimizer.updateSmoothing = smoothing->number;
    if (const JsonMember *master = value.find("master"); master && !spec.fullPrecision) {
      optimizer.master = master->value.text;
      optimizer.masterMark = master->keyMark;
    }
  }

  void parseSnoo(const JsonMember &member) {
    Optimizer snoo;
    snoo.kind = OptimizerKind::snoo;
    snoo.mark = member.keyMark;
    snoo.lr = member.value.get("lr")->number;
    snoo.snooMomentum = member.value.get("momentum")->number;
    parseEvery(member.value, snoo, /*fallback=*/0);
    out.outer = snoo;
  }

  TrainingSpec &out = spec.training;
};

} // namespace

void smelt::parseOptimizers(const JsonValue &tree, SpecDiagnostics &diagnostics, Spec &spec) {
  OptimizerParser(tree, diagnostics, spec).parse();
}
