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
}

Status runSample(const SampleCommandOptions &options) {
  SMELT_ASSIGN_OR_RETURN(LoadedModel model, loadModel(options.model));
  SMELT_ASSIGN_OR_RETURN(auto tokenizer, makeTokenizer(model.session->manifest().data.tokenizer));
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
