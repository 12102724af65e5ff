//===- CheckForward.cpp - What only shows when the steps run --------------===//
#include "compiler/Import/CheckForward.h"
#include "compiler/Import/SpecDiagnostics.h"
#include <set>

using namespace smelt;

namespace {

class ForwardChecker {
public:
  ForwardChecker(const JsonValue &tree, Spec &spec, SpecDiagnostics &diagnostics)
      : tree(tree), model(spec.model), diagnostics(diagnostics) {}

  void check() {
    model.widest = std::max(model.dims.model, model.dims.vocabRows);
    collectSaves(model.forward);
    run(model.forward, /*heads=*/false, /*layer=*/-1);
    for (const Embedding &embedding : model.embeddings)
      countParameter(embedding.mark, embedding.rows, model.dims.model,
                     std::max<int64_t>(embedding.tables, 1));
  }

private:
  struct Saved {
    bool heads;
    Mark mark;
  };

  void collectSaves(const StepList &steps) {
    forEachList(steps, [&](const Step &step) {
      if (auto *save = std::get_if<SaveStep>(&step.op))
        everSaved.try_emplace(save->name, step.mark);
    });
  }

  template <typename Fn> static void forEachList(const StepList &steps, Fn fn) {
    for (const Step &step : steps) {
      fn(step);
      if (auto *save = std::get_if<SaveStep>(&step.op))
        forEachList(save->steps, fn);
      if (auto *layers = std::get_if<LayersStep>(&step.op))
        forEachList(layers->steps, fn);
      if (auto *head = std::get_if<HeadStep>(&step.op))
        forEachList(head->input, fn);
      if (auto *mlp = std::get_if<MlpStep>(&step.op))
        for (const StepList *list : {&mlp->input, &mlp->output})
          forEachList(*list, fn);
      if (auto *attention = std::get_if<AttentionStep>(&step.op))
        for (const StepList *list :
             {&attention->input, &attention->q, &attention->k, &attention->v, &attention->output})
          forEachList(*list, fn);
    }
  }

  void run(const StepList &steps, bool heads, int64_t layer) {
    for (const Step &step : steps)
      if (step.runsIn(layer))
        runStep(step, heads, layer);
  }

  void runStep(const Step &step, bool heads, int64_t layer) {
    if (std::holds_alternative<EmbedStep>(step.op)) {
      started = true;
      return;
    }
    if (!started) {
      diagnostics.error(step.mark, "the stream is empty here: 'embed' must come first");
      started = true;
    }
    if (auto *mix = std::get_if<MixStep>(&step.op)) {
      for (auto &[name, coefficient] : mix->terms)
        if (name != "x")
          checkUse(name, coefficient.mark, heads);
    } else if (auto *save = std::get_if<SaveStep>(&step.op)) {
      run(save->steps, heads, layer);
      saved[save->name] = {heads, step.mark};
    } else if (auto *layers = std::get_if<LayersStep>(&step.op)) {
      for (int64_t i = 0; i < model.dims.layers; ++i)
        run(layers->steps, false, i);
    } else if (auto *attention = std::get_if<AttentionStep>(&step.op)) {
      const Dims &d = model.dims;
      countParameter(step.mark, d.heads * d.head, d.model, 4);
      model.widest = std::max(model.widest, 3 * d.heads * d.head);
      run(attention->input, false, layer);
      run(attention->q, true, layer);
      run(attention->k, true, layer);
      run(attention->v, true, layer);
      run(attention->output, true, layer);
    } else if (auto *mlp = std::get_if<MlpStep>(&step.op)) {
      countParameter(step.mark, mlp->hidden, model.dims.model, 2);
      model.widest = std::max(model.widest, mlp->hidden);
      run(mlp->input, false, layer);
      run(mlp->output, false, layer);
    } else if (auto *head = std::get_if<HeadStep>(&step.op)) {
      countParameter(step.mark, model.dims.vocabRows, model.dims.model, 1);
      run(head->input, false, layer);
    }
  }

  void checkUse(const std::string &name, Mark mark, bool heads) {
    auto it = saved.find(name);
    if (it != saved.end() && it->second.heads == heads)
      return;
    if (!reported.insert({mark.line, mark.column}).second)
      return;
    if (it != saved.end()) {
      diagnostics
          .error(mark, "'" + name + "' was saved " +
                           (it->second.heads ? "in a list of heads" : "from the stream") +
                           " and is used " + (heads ? "on heads" : "on the stream"))
          .note(it->second.mark, "saved here");
      return;
    }
    if (auto later = everSaved.find(name); later != everSaved.end()) {
      diagnostics.error(mark, "'" + name + "' is used before it is saved")
          .note(later->second, "it is saved here");
      return;
    }
    std::vector<llvm::StringRef> names = {"x"};
    for (auto &entry : everSaved)
      names.push_back(entry.first);
    diagnostics.error(mark, "nothing is saved under '" + name + "'" + didYouMean(name, names));
  }

  /// Adds rows · columns · copies float32 elements to the model's size; the first overflow is
  /// reported.
  void countParameter(Mark mark, int64_t rows, int64_t columns, int64_t copies) {
    int64_t bytes;
    if (overflowed)
      return;
    if (__builtin_mul_overflow(rows, columns, &bytes) ||
        __builtin_mul_overflow(bytes, 4 * copies, &bytes) ||
        __builtin_add_overflow(total, bytes, &total) || total > (int64_t{1} << 56)) {
      overflowed = true;
      diagnostics
          .error(mark, "the sizes overflow: " + std::to_string(rows) + " × " +
                           std::to_string(columns) +
                           " parameters do not fit into 64-bit byte counts")
          .note(tree.find("dims")->keyMark, "dimensions are declared here");
    }
  }

  const JsonValue &tree;
  ModelSpec &model;
  SpecDiagnostics &diagnostics;
  std::map<std::string, Saved> saved;
  std::map<std::string, Mark> everSaved;
  std::set<std::pair<uint32_t, uint32_t>> reported;
  bool started = false, overflowed = false;
  int64_t total = 0;
};

} // namespace

void smelt::checkForward(const JsonValue &tree, Spec &spec, SpecDiagnostics &diagnostics) {
  ForwardChecker(tree, spec, diagnostics).check();
}
