#include "tools/smelt-run/Commands.h"

#include <CLI/CLI.hpp>

#include <cstdio>

namespace smelt::runtime {

void addPackOptions(CLI::App &command, PackOptions &options) {
  command.add_option("inputs", options.inputs, "Text files, or quoted patterns of them")
      ->required();
  command.add_option("-o,--output", options.output, "The shard to write, for example train.bin")
      ->required();
  command.add_option("--validation-output", options.validationOutput,
                     "A second shard with the last part of the text");
  command.add_option("--validation-fraction", options.validationFraction,
                     "How much of the text that is [0.05]");
  command.add_option(
      "--start-token", options.startToken,
      "Put this token before each document; -1 = none [none for bytes, 50256 for gpt2]");
  command.add_option("--separator", options.separator,
                     "Text between documents within a file; without it a file is one document");
  command.add_option("--shard-tokens", options.shardTokens, "At most so many tokens in one shard");
  command.add_option("--tokenizer", options.tokenizer, "How text becomes tokens [bytes]")
      ->check(CLI::IsMember({"bytes", "gpt2"}));
  command.add_option("--tokenizer-files", options.tokenizerFiles,
                     "For gpt2: a folder with encoder.json and vocab.bpe, or a .tiktoken file");
}

Status runPack(const PackOptions &options) {
  SMELT_ASSIGN_OR_RETURN(PackResult result, packText(options));
  std::printf("%llu documents, %llu training tokens, %llu validation tokens\n",
              static_cast<unsigned long long>(result.documents),
              static_cast<unsigned long long>(result.trainTokens),
              static_cast<unsigned long long>(result.validationTokens));
  for (const std::string &file : result.files)
    std::printf("wrote %s\n", file.c_str());
  return Status::ok();
}

} // namespace smelt::runtime
