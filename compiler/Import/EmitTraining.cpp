//===- EmitTraining.cpp - Optimisers and the learning rate ----------------===//
#include "compiler/Import/EmitModule.h"
#include "dialects/Train/TrainOps.h"
#include "llvm/ADT/SmallSet.h"

using namespace mlir;
using namespace smelt;

/// `*` matches any characters, dots too; `?` one. Linear in practice, never worse than pattern ×
/// text.
static bool matchesPattern(llvm::StringRef pattern, llvm::StringRef text) {
  size_t p = 0, t = 0, star = llvm::StringRef::npos, retry = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      retry = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != llvm::StringRef::npos) {
      p = star + 1;
      t = ++retry;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*')
    ++p;
  return p == pattern.size();
}

namespace {

/// The parameters of one optimiser group with their multipliers.
struct Group {
  llvm::SmallVector<Attribute> symbols;
  llvm::SmallVector<double> lrScales, decayScales;
  llvm::SmallVector<int64_t> splits, varianceAxes;
};

class TrainingEmitter {
public:
  explicit TrainingEmitter(ModuleEmitter &module)
      : module(module), training(module.spec.training), builder(module.builder),
        groups(training.optimizers.size()) {}

  void emit() {
    warnAboutUnused();
    selectParameters();
    if (module.diagnostics.hasErrors())
      return;
    Location loc = module.diagnostics.getLocation("training.lr", training.lrMark);
    module.getSchedule("lr", builder.getF32Type(), training.lr, loc);
    for (size_t i = 0; i < groups.size(); ++i)
      emitOptimizer(i);
    if (training.outer)
      emitOuter(*training.outer);
  }

private:
  /// A scalar or table that no step reads is no parameter; most likely its step has been removed.
  void warnAboutUnused() {
    auto isUsed = [&](const std::string &name) {
      return llvm::any_of(module.getParameters(), [&](const ModuleEmitter::Parameter &parameter) {
        llvm::StringRef rest = parameter.name;
        return rest.consume_front(name) && (rest.empty() || rest.front() == '.');
      });
    };
    for (const Scalar &scalar : module.spec.model.scalars)
      if (!isUsed("scalars." + scalar.name))
        emitWarning(module.diagnostics.getLocation(scalar.mark))
            << "no step uses scalar '" << scalar.name << "'";
    for (const Embedding &embedding : module.spec.model.embeddings)
      if (!isUsed("embeddings." + embedding.name))
        emitWarning(module.diagnostics.getLocation(embedding.mark))
            << "no step uses embedding '" << embedding.name << "'";
  }

  void selectParameters() {
    std::vector<std::vector<bool>> used;
    std::vector<const ModuleEmitter::Parameter *> forgotten;
    for (const Optimizer &optimizer : training.optimizers)
      used.emplace_back(optimizer.selections.size(), false);
    for (const ModuleEmitter::Parameter &parameter : module.getParameters()) {
      const Selection *chosen = nullptr;
      for (size_t i = 0; i < training.optimizers.size(); ++i)
        for (size_t j = 0; j < training.optimizers[i].selections.size(); ++j) {
          const Selection &selection = training.optimizers[i].selections[j];
          if (!matchesPattern(selection.pattern, parameter.name))
            continue;
          used[i][j] = true;
          if (chosen) {
            module.diagnostics
                .error(selection.mark, "parameter '" + parameter.name + "' is selected twice")
                .note(chosen->mark, "the first selection is here");
            return;
          }
          chosen = &selection;
          addToGroup(i, selection, parameter);
        }
      if (!chosen)
        forgotten.push_back(&parameter);
    }
    if (!forgotten.empty())
      reportForgotten(forgotten);
    for (size_t i = 0; i < used.size(); ++i)
      for (size_t j = 0; j < used[i].size(); ++j)
        if (!used[i][j])
          reportUnused(training.optimizers[i].selections[j]);
  }

  /// One error, however many there are: usually a whole group is missing.
  void reportForgotten(llvm::ArrayRef<const ModuleEmitter::Parameter *> forgotten) {
    std::string names;
    constexpr size_t shown = 6;
    for (const ModuleEmitter::Parameter *parameter : forgotten.take_front(shown))
      names += (names.empty() ? "'" : ", '") + parameter->name + "'";
    if (forgotten.size() > shown)
      names += " and " + std::to_string(forgotten.size() - shown) + " more";
    module.diagnostics
        .error(training.optimizersMark, std::string("no optimizer selects the parameter") +
                                            (forgotten.size() > 1 ? "s " : " ") + names)
        .note(forgotten.front()->mark, "'" + forgotten.front()->name + "' belongs to this");
  }

  void reportUnused(const Selection &selection) {
    std::vector<llvm::StringRef> names;
    for (const ModuleEmitter::Parameter &parameter : module.getParameters())
      names.push_back(parameter.name);
    module.diagnostics.error(selection.mark, "'" + printable(selection.pattern) +
                                                 "' selects no parameter" +
                                                 didYouMean(selection.pattern, names));
  }

  void addToGroup(size_t i, const Selection &selection, const ModuleEmitter::Parameter &parameter) {
    const Optimizer &optimizer = training.optimizers[i];
    Group &group = groups[i];
    // A projection to q, k and v is three matrices below each other.
    int64_t split =
        selection.split.value_or(llvm::StringRef(parameter.name).ends_with(".qkv") ? 3 : 1);
    if (!optimizer.isMatrixOptimizer())
      split = 1;
    unsigned before = module.diagnostics.getErrorCount();
    if (llvm::is_contained(refused, &selection))
      return;
    if (optimizer.isMatrixOptimizer() && parameter.shape.size() != 2) {
      module.diagnostics
          .error(selection.mark, "parameter '" + parameter.name + "' is no matrix, so " +
                                     train::stringifyOptimizerKind(optimizer.kind) +
                                     " cannot orthogonalise it")
          .note(optimizer.mark, "the optimizer is here");
    } else if (optimizer.isMatrixOptimizer() && parameter.shape[0] % split) {
      module.diagnostics.error(selection.mark, "parameter '" + parameter.name + "' has " +
                                                   std::to_string(parameter.shape[0]) +
                                                   " rows, which do not split into " +
                                                   std::to_string(split) + " equal parts");
    } else if (optimizer.master == "bf16_plus_16" && parameter.dtype != DType::BF16) {
      module.diagnostics
          .error(selection.mark, "parameter '" + parameter.name +
                                     "' is f32 already; 16 more bits are for bf16 parameters")
          .note(optimizer.masterMark, "'master' is here")
          .note(parameter.mark, "the parameter belongs to this");
    }
    if (module.diagnostics.getErrorCount() != before)
      refused.push_back(&selection);
    group.symbols.push_back(FlatSymbolRefAttr::get(builder.getContext(), parameter.name));
    group.lrScales.push_back(selection.lr);
    group.decayScales.push_back(selection.weightDecay);
    group.splits.push_back(split);
    bool overColumns =
        parameter.shape.size() == 2 && parameter.shape[0] / split >= parameter.shape[1];
    group.varianceAxes.push_back(selection.varianceOverColumns.value_or(overColumns));
  }

  void emitOptimizer(size_t i) {
    const Optimizer &optimizer = training.optimizers[i];
    Group &group = groups[i];
    std::string number = std::to_string(i);
    Location loc = module.diagnostics.getLocation("training.optimizers[" + number + "]." +
                                                      train::stringifyOptimizerKind(optimizer.kind),
                                                  optimizer.mark);
    llvm::SmallVector<NamedAttribute> config = startConfig(optimizer);
    auto add = [&](llvm::StringRef key, Attribute value) {
      config.push_back(builder.getNamedAttr(key, value));
    };
    add("weight_decay", builder.getF64FloatAttr(optimizer.weightDecay));
    if (!optimizer.isMatrixOptimizer()) {
      add("beta1", builder.getF64FloatAttr(optimizer.beta1));
      add("beta2", builder.getF64FloatAttr(optimizer.beta2));
      add("eps", builder.getF64FloatAttr(optimizer.eps));
      add("state", builder.getStringAttr(optimizer.state == DType::BF16 ? "bf16" : "f32"));
      return create(optimizer, number, config, "lr", group, loc);
    }
    std::string momentum = "momentum." + number;
    module.getSchedule(momentum, builder.getF32Type(), optimizer.momentum, loc);
    const Orthogonalization &iteration = optimizer.orthogonalization;
    add("nesterov", builder.getBoolAttr(optimizer.nesterov));
    add("iterations", builder.getI64IntegerAttr(iteration.coefficients.size() / 3));
    add("coefficients", lm::NumbersAttr::get(builder.getContext(), iteration.coefficients));
    add("norm_scale", builder.getF64FloatAttr(iteration.normScale));
    add("norm_eps", builder.getF64FloatAttr(iteration.normEps));
    add("momentum_schedule", FlatSymbolRefAttr::get(builder.getContext(), momentum));
    add("cautious", builder.getBoolAttr(optimizer.cautious));
    add("update_smoothing", builder.getF64FloatAttr(optimizer.updateSmoothing));
    add("master", builder.getStringAttr(optimizer.master));
    if (optimizer.kind == train::OptimizerKind::normuon) {
      add("beta2", builder.getF64FloatAttr(optimizer.beta2));
      add("variance_axes", builder.getDenseI64ArrayAttr(group.varianceAxes));
    }
    create(optimizer, number, config, "lr", group, loc);
  }

  /// An optimiser over all parameters with a rate of its own.
  void emitOuter(const Optimizer &optimizer) {
    llvm::StringRef kind = train::stringifyOptimizerKind(optimizer.kind);
    Location loc =
        module.diagnostics.getLocation("training.outer_optimizer." + kind, optimizer.mark);
    module.getSchedule("outer_lr", builder.getF32Type(), {Segment{0, training.steps - 1, 1, 0}},
                       loc);
    Group all;
    for (const ModuleEmitter::Parameter &parameter : module.getParameters()) {
      all.symbols.push_back(FlatSymbolRefAttr::get(builder.getContext(), parameter.name));
      all.lrScales.push_back(1);
      all.decayScales.push_back(1);
      all.splits.push_back(1);
    }
    llvm::SmallVector<NamedAttribute> config = startConfig(optimizer);
    config.push_back(
        builder.getNamedAttr("momentum", builder.getF64FloatAttr(optimizer.snooMomentum)));
    config.push_back(builder.getNamedAttr("nesterov", builder.getBoolAttr(true)));
    create(optimizer, std::to_string(groups.size()), config, "outer_lr", all, loc);
  }

  llvm::SmallVector<NamedAttribute> startConfig(const Optimizer &optimizer) {
    return {builder.getNamedAttr("every", builder.getI64IntegerAttr(optimizer.every)),
            builder.getNamedAttr("offset", builder.getI64IntegerAttr(optimizer.offset))};
  }

  void create(const Optimizer &optimizer, const std::string &number,
              llvm::ArrayRef<NamedAttribute> config, llvm::StringRef schedule, const Group &group,
              Location loc) {
    train::OptimizerOp::create(
        builder, loc, builder.getStringAttr("optimizer." + number),
        train::OptimizerKindAttr::get(builder.getContext(), optimizer.kind),
        builder.getArrayAttr(group.symbols), builder.getF64FloatAttr(optimizer.lr),
        FlatSymbolRefAttr::get(builder.getContext(), schedule),
        lm::NumbersAttr::get(builder.getContext(), group.lrScales),
        lm::NumbersAttr::get(builder.getContext(), group.decayScales),
        builder.getDenseI64ArrayAttr(group.splits), builder.getDictionaryAttr(config));
  }

  ModuleEmitter &module;
  const TrainingSpec &training;
  OpBuilder &builder;
  std::vector<Group> groups;
  /// Selections that were reported for one parameter; the others would say the same.
  std::vector<const Selection *> refused;
};

} // namespace

void smelt::emitTraining(ModuleEmitter &emitter) {
  TrainingEmitter(emitter).emit();
  if (!emitter.diagnostics.hasErrors())
    emitRun(emitter);
}
