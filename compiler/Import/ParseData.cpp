//===- ParseData.cpp - What a model is trained on -------------------------===//
#include "compiler/Import/ParseValues.h"

using namespace smelt;

namespace {

class DataParser : public ValueParser {
public:
  using ValueParser::ValueParser;

  void parse() {
    const JsonValue &value = *tree.get("data");
    data.train = value.get("train")->text;
    if (const JsonValue *tokenizer = value.get("tokenizer"))
      parseTokenizer(*tokenizer);
    // After an error in the stages their sizes would only cause more.
    sizesKnown = !diagnostics.hasErrors();
    smallest = INT64_MAX;
    for (const Stage &stage : training.stages)
      smallest = std::min(smallest, training.microTokens(stage));
    parseSequence(value);
    parseOrder(value);
    if (data.order == "aligned" || (data.order != "random" && tree.get("training")->find("ranks")))
      data.ranks = training.ranks;
    data.sampleTokens = data.sequence ? data.sequence : std::min<int64_t>(smallest, 1024);
    data.validationMicroBatch = smallest;
    if (const JsonValue *validation = value.get("validation"))
      parseValidation(*validation);
  }

private:
  void parseTokenizer(const JsonValue &tokenizer) {
    if (tokenizer.isObject()) {
      // Both objects are ways to give the same encoding.
      data.tokenizer = "gpt2";
      for (const JsonMember &file : tokenizer.members.front().value.members)
        data.tokenizerFiles.emplace_back(file.key, file.value.text);
      return;
    }
    data.tokenizer = tokenizer.text;
    if (data.tokenizer == "bytes" && spec.model.dims.vocab < 256)
      diagnostics
          .error(tokenizer.mark, "the byte tokenizer has 256 tokens, the model only " +
                                     std::to_string(spec.model.dims.vocab))
          .note(tree.get("dims")->find("vocab")->keyMark, "'vocab' is declared here");
  }

  void parseSequence(const JsonValue &value) {
    if (const JsonValue *sequence = value.get("sequence")) {
      data.sequence = sequence->integer;
      for (const Stage &stage : training.stages)
        if (int64_t micro = training.microTokens(stage); sizesKnown && micro % data.sequence) {
          diagnostics
              .error(sequence->mark, "a micro-batch of " + std::to_string(micro) +
                                         " tokens is no multiple of the sequence of " +
                                         std::to_string(data.sequence))
              .note(stage.tokensMark, "this stage's tokens are given here");
          break;
        }
    }
  }

  /// How samples are taken from the tokens.
  void parseOrder(const JsonValue &value) {
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
      const JsonValue *align = documents->value.get("align");
      bool aligned = align && align->boolean;
      if (aligned)
        data.order = "aligned";
      if (const JsonMember *most = documents->value.find("max_tokens")) {
        data.maxTokens = most->value.integer;
        if (!aligned)
          diagnostics.error(most->keyMark,
                            "'max_tokens' cuts documents of aligned batches: give \"align\": true");
      }
      if (aligned && value.find("sequence"))
        diagnostics
            .error(documents->value.find("align")->keyMark, "'align' and 'sequence' in one place")
            .note(value.find("sequence")->keyMark, "'sequence' is here");
    }
  }

  void parseValidation(const JsonValue &validation) {
    data.hasValidation = true;
    if (const JsonValue *files = validation.get("files"))
      data.validationFiles = files->text;
    data.validationTokens = validation.get("tokens")->integer;
    if (const JsonValue *every = validation.get("every"))
      data.validationEvery = every->integer;
    if (const JsonMember *align = validation.find("align"); align && align->value.boolean)
      diagnostics.error(align->value.mark,
                        "validation takes every token in order, so it cannot start at documents");
    const JsonValue *micro = validation.get("micro_batch");
    data.validationMicroBatch = micro ? micro->integer : smallest;
    Mark mark = (micro ? micro : validation.get("tokens"))->mark;
    if ((micro || sizesKnown) && data.validationTokens % data.validationMicroBatch)
      diagnostics.error(validation.get("tokens")->mark,
                        std::to_string(data.validationTokens) +
                            " tokens are no multiple of the validation's micro-batch of " +
                            std::to_string(data.validationMicroBatch));
    if (data.sequence && data.validationMicroBatch % data.sequence && (micro || sizesKnown))
      diagnostics.error(
          mark, "the validation's micro-batch of " + std::to_string(data.validationMicroBatch) +
                    " tokens is no multiple of the sequence of " + std::to_string(data.sequence));
    checkActivations(mark, data.validationMicroBatch);
    if (const JsonValue *windows = validation.get("final_windows"))
      parseFinalWindows(*windows);
  }

  void parseFinalWindows(const JsonValue &windows) {
    for (const JsonMember &window : windows.members) {
      data.finalWindows[window.key] = window.value.integer;
      if (spec.usedWindows.count(window.key))
        continue;
      std::vector<llvm::StringRef> names;
      for (auto &used : spec.usedWindows)
        names.push_back(used.first);
      diagnostics.error(window.keyMark, "no attention has a window named '" + window.key + "'" +
                                            didYouMean(window.key, names));
    }
  }

  const TrainingSpec &training = spec.training;
  DataSpec &data = spec.data;
  int64_t smallest = 0;
  bool sizesKnown = false;
};

} // namespace

bool smelt::parseData(const JsonValue &tree, SpecDiagnostics &diagnostics, Spec &spec) {
  unsigned before = diagnostics.getErrorCount();
  DataParser(tree, diagnostics, spec).parse();
  return diagnostics.getErrorCount() == before;
}
