#include "runtime/data/PackText.h"
#include "runtime/data/Shard.h"
#include "runtime/data/TokenStream.h"
#include "runtime/data/Tokenizer.h"

#include <algorithm>
#include <cstdio>

namespace smelt::runtime {

namespace {
std::vector<std::string> splitDocuments(const std::string &text, const std::string &separator) {
  std::vector<std::string> documents;
  for (size_t at = 0; at < text.size();) {
    size_t end = separator.empty() ? std::string::npos : text.find(separator, at);
    if (end == std::string::npos)
      end = text.size();
    if (end > at)
      documents.push_back(text.substr(at, end - at));
    at = end + separator.size();
  }
  return documents;
}

std::string shardName(const std::string &output, size_t index) {
  char number[32];
  std::snprintf(number, sizeof number, "_%06zu", index);
  std::string stem = output.substr(0, output.size() - 4); // It ends in ".bin".
  return stem + number + ".bin";
}

Status writeShards(const std::string &output, std::span<const uint16_t> tokens,
                   uint64_t shardTokens, PackResult &result) {
  size_t shards = std::max<size_t>(1, (tokens.size() + shardTokens - 1) / shardTokens);
  for (size_t i = 0; i < shards; ++i) {
    std::string path = shards == 1 ? output : shardName(output, i);
    size_t first = i * shardTokens;
    SMELT_RETURN_IF_ERROR(
        writeShard(path, tokens.subspan(first, std::min(shardTokens, tokens.size() - first))));
    result.files.push_back(path);
  }
  return Status::ok();
}

Status checkOptions(const PackOptions &options, const Tokenizer &tokenizer) {
  int64_t vocabulary = tokenizer.vocabulary();
  if (vocabulary > 65536)
    return usageError("shards have two bytes a token; the tokenizer has ", vocabulary, " tokens");
  for (const std::string *path : {&options.output, &options.validationOutput})
    if (!path->empty() && (path->size() < 5 || path->substr(path->size() - 4) != ".bin"))
      return usageError("the output ", *path, " must end in .bin");
  if (options.output.empty())
    return usageError("no output is named");
  if (!(options.validationFraction > 0 && options.validationFraction < 1))
    return usageError("the validation fraction must lie between 0 and 1");
  if (int32_t start = options.startToken.value_or(-1); start < -1 || start >= vocabulary)
    return usageError("the start token ", start, " is not below the vocabulary ", vocabulary);
  if (options.shardTokens < 2 || options.shardTokens > 0x7fffffff)
    return usageError("a shard holds 2 to 2147483647 tokens");
  return Status::ok();
}
} // namespace

StatusOr<PackResult> packText(const PackOptions &options) {
  TokenizerFiles files;
  if (!options.tokenizerFiles.empty()) {
    SMELT_ASSIGN_OR_RETURN(files, findTokenizerFiles(options.tokenizerFiles));
  }
  SMELT_ASSIGN_OR_RETURN(auto tokenizer, makeTokenizer(options.tokenizer, files));
  SMELT_RETURN_IF_ERROR(checkOptions(options, *tokenizer));
  int32_t startToken = options.startToken.value_or(tokenizer->startToken());
  PackResult result;
  std::vector<uint16_t> tokens;
  for (const std::string &input : options.inputs) {
    SMELT_ASSIGN_OR_RETURN(auto paths, expandPaths(input));
    for (const std::string &path : paths) {
      SMELT_ASSIGN_OR_RETURN(std::string text, readFile(path));
      for (const std::string &document : splitDocuments(text, options.separator)) {
        ++result.documents;
        if (startToken >= 0)
          tokens.push_back(static_cast<uint16_t>(startToken));
        for (int32_t token : tokenizer->encode(document))
          tokens.push_back(static_cast<uint16_t>(token));
      }
    }
  }
  if (tokens.size() < 4)
    return corruptError("the text has ", tokens.size(), " tokens; there is nothing to pack");
  uint64_t held = 0;
  if (!options.validationOutput.empty()) {
    auto wanted =
        static_cast<uint64_t>(options.validationFraction * static_cast<double>(tokens.size()));
    held = std::clamp<uint64_t>(wanted, 2, tokens.size() - 2);
  }
  std::span<const uint16_t> all(tokens);
  result.trainTokens = tokens.size() - held;
  result.validationTokens = held;
  SMELT_RETURN_IF_ERROR(
      writeShards(options.output, all.first(result.trainTokens), options.shardTokens, result));
  if (held)
    SMELT_RETURN_IF_ERROR(
        writeShards(options.validationOutput, all.last(held), options.shardTokens, result));
  return result;
}

} // namespace smelt::runtime
