//===- EmitRun.cpp - Steps, stages, validation, data ----------------------===//
//
// The keys are those of the bundle's manifest; what a spec does not ask for is left out.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/EmitModule.h"
#include "dialects/Train/TrainOps.h"

using namespace mlir;
using namespace smelt;

namespace {

class RunEmitter {
public:
  explicit RunEmitter(ModuleEmitter &module)
      : module(module), spec(module.spec), training(spec.training), data(spec.data),
        builder(module.builder) {}

  void emit() {
    Attribute config = makeDictionary(
        {{"name", text(spec.model.name)}, {"training", makeTraining()}, {"data", makeData()}});
    train::RunOp::create(builder, module.diagnostics.getLocation("training", training.mark),
                         cast<DictionaryAttr>(config));
  }

private:
  using Entry = std::pair<llvm::StringRef, Attribute>;

  Attribute makeTraining() {
    llvm::SmallVector<Attribute> stages;
    for (const Stage &stage : training.stages) {
      int64_t micro = training.microTokens(stage);
      stages.push_back(makeDictionary({{"first", integer(stage.first)},
                                       {"last", integer(stage.last)},
                                       {"program", text("train.T" + llvm::Twine(micro))},
                                       {"micro_batches", integer(stage.tokens / micro)},
                                       {"tokens", integer(micro)}}));
    }
    llvm::SmallVector<Entry> entries = {{"steps", integer(training.steps)},
                                        {"seed", integer(training.seed)},
                                        {"stages", builder.getArrayAttr(stages)},
                                        {"validation", makeValidation()},
                                        {"checkpoint_every", integer(training.checkpointEvery)}};
    if (training.checkpointKeep)
      entries.push_back({"checkpoint_keep", integer(training.checkpointKeep)});
    if (training.ranks > 1)
      entries.push_back({"ranks", integer(training.ranks)});
    return makeDictionary(entries);
  }

  Attribute makeValidation() {
    std::string program = "evaluate.T" + std::to_string(data.validationMicroBatch);
    llvm::SmallVector<Entry> entries = {{"every", integer(data.validationEvery)},
                                        {"tokens", integer(data.validationTokens)},
                                        {"program", text(data.hasValidation ? program : "")}};
    if (!data.finalWindows.empty()) {
      llvm::SmallVector<NamedAttribute> settings;
      for (auto &[name, tokens] : data.finalWindows)
        settings.push_back(builder.getNamedAttr("window." + name, integer(tokens)));
      entries.push_back({"final_settings", builder.getDictionaryAttr(settings)});
    }
    return makeDictionary(entries);
  }

  Attribute makeData() {
    llvm::SmallVector<Entry> documents = {{"order", text(data.order)},
                                          {"start_token", integer(data.startToken)}};
    if (data.maxTokens)
      documents.push_back({"max_tokens", integer(data.maxTokens)});
    if (data.ranks)
      documents.push_back({"ranks", integer(data.ranks)});
    llvm::SmallVector<Entry> entries = {
        {"train", text(data.train)},          {"validation", text(data.validationFiles)},
        {"tokenizer", text(data.tokenizer)},  {"vocabulary", integer(spec.model.dims.vocab)},
        {"sequence", integer(data.sequence)}, {"documents", makeDictionary(documents)}};
    if (!data.tokenizerFiles.empty()) {
      llvm::SmallVector<NamedAttribute> files;
      for (auto &[role, path] : data.tokenizerFiles)
        files.push_back(builder.getNamedAttr(role, text(path)));
      entries.push_back({"tokenizer_files", builder.getDictionaryAttr(files)});
    }
    return makeDictionary(entries);
  }

  Attribute integer(int64_t value) { return builder.getI64IntegerAttr(value); }
  Attribute text(const llvm::Twine &value) { return builder.getStringAttr(value); }
  Attribute makeDictionary(llvm::ArrayRef<Entry> entries) {
    llvm::SmallVector<NamedAttribute> named;
    for (auto &[key, value] : entries)
      named.push_back(builder.getNamedAttr(key, value));
    return builder.getDictionaryAttr(named);
  }

  ModuleEmitter &module;
  const Spec &spec;
  const TrainingSpec &training;
  const DataSpec &data;
  OpBuilder &builder;
};

} // namespace

void smelt::emitRun(ModuleEmitter &emitter) { RunEmitter(emitter).emit(); }
