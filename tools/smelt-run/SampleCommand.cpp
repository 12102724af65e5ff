#include "runtime/base/Interrupt.h"
#include "tools/smelt-run/ModelChoice.h"

#include <CLI/CLI.hpp>

#include <cstdio>

namespace smelt::runtime {

void addSampleOptions(CLI::App &command, SampleCommandOptions &options) {
  addModelChoice(command, options.model);
  command.add_option("--prompt", options.sample.prompt, "Text to continue");
  command.add_option("--tokens", options.sample.tokens, "How many tokens to add [200]")
      ->check(CLI::Range(1, 1 << 24));
  command
      .add_option("--temperature", options.sample.temperature,
                  "Below 1 more likely text, above 1 wilder; 0 = always the likeliest [0.8]")
      ->check(CLI::Range(0.0, 100.0));
  command.add_option("--top-k", options.sample.topK, "Only the K likeliest tokens; 0 = all");
  command.add_option("--seed", options.sample.seed, "Seed of the choices [1]");
  command.add_option("--tokenizer-files", options.tokenizerFiles,
                     "For gpt2: a folder with encoder.json and vocab.bpe, or a .tiktoken file");
}

Status runSample(const SampleCommandOptions &options) {
  SMELT_ASSIGN_OR_RETURN(LoadedModel model, loadModel(options.model));
  const Data &data = model.session->manifest().data;
  TokenizerFiles files = data.tokenizerFiles;
  if (!options.tokenizerFiles.empty()) {
    SMELT_ASSIGN_OR_RETURN(files, findTokenizerFiles(options.tokenizerFiles));
  }
  SMELT_ASSIGN_OR_RETURN(auto tokenizer, makeTokenizer(data.tokenizer, files));
  if (tokenizer->vocabulary() > data.vocabulary)
    return usageError("the tokenizer has ", tokenizer->vocabulary(), " tokens, the model only ",
                      data.vocabulary);
  InterruptScope interrupts;
  std::fputs(options.sample.prompt.c_str(), stdout);
  Status status = sample(*model.session, options.sample, *tokenizer, [](const std::string &text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  });
  std::fputc('\n', stdout);
  return status;
}

} // namespace smelt::runtime
