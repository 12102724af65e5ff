#include "runtime/data/Tokenizer.h"
#include "runtime/base/Files.h"
#include "runtime/data/BytePairs.h"
#include "runtime/data/SplitGpt2.h"

namespace smelt::runtime {

namespace {
class ByteTokenizer final : public Tokenizer {
public:
  int64_t vocabulary() const override { return 256; }

  std::vector<int32_t> encode(std::string_view text) const override {
    std::vector<int32_t> tokens;
    tokens.reserve(text.size());
    for (char c : text)
      tokens.push_back(static_cast<unsigned char>(c));
    return tokens;
  }

  std::string decode(int32_t token) const override {
    if (token < 0 || token > 255)
      return "";
    return std::string(1, static_cast<char>(token));
  }
};

class Gpt2Tokenizer final : public Tokenizer {
public:
  explicit Gpt2Tokenizer(BytePairs pairs) : pairs_(std::move(pairs)) {}

  int64_t vocabulary() const override { return pairs_.vocabulary(); }
  int32_t startToken() const override { return pairs_.endOfText(); }

  std::vector<int32_t> encode(std::string_view text) const override {
    std::vector<int32_t> tokens;
    while (!text.empty()) {
      std::string_view word = firstGpt2Word(text);
      pairs_.encodeWord(word, tokens);
      text.remove_prefix(word.size());
    }
    return tokens;
  }

  std::string decode(int32_t token) const override { return std::string(pairs_.bytesOf(token)); }

private:
  BytePairs pairs_;
};

StatusOr<std::unique_ptr<Tokenizer>> makeGpt2(const TokenizerFiles &files) {
  auto get = [&](const char *role) {
    auto it = files.find(role);
    return it == files.end() ? std::string() : it->second;
  };
  std::string vocab = get("vocab"), merges = get("merges"), ranks = get("ranks");
  if (ranks.empty() && (vocab.empty() || merges.empty()))
    return usageError("the tokenizer gpt2 needs its files (encoder.json and vocab.bpe, or a "
                      ".tiktoken file); name them with --tokenizer-files or in the spec");
  StatusOr<BytePairs> pairs =
      ranks.empty() ? BytePairs::readMerges(vocab, merges) : BytePairs::readRanks(ranks);
  if (!pairs.isOk())
    return pairs.status().withContext("tokenizer gpt2");
  return std::unique_ptr<Tokenizer>(std::make_unique<Gpt2Tokenizer>(*std::move(pairs)));
}
} // namespace

StatusOr<std::unique_ptr<Tokenizer>> makeTokenizer(const std::string &name,
                                                   const TokenizerFiles &files) {
  if (name == "bytes")
    return std::unique_ptr<Tokenizer>(std::make_unique<ByteTokenizer>());
  if (name == "gpt2")
    return makeGpt2(files);
  return corruptError("tokenizer \"", name,
                      "\" is not known to this smelt (it knows: bytes, gpt2)");
}

StatusOr<TokenizerFiles> findTokenizerFiles(const std::string &path) {
  if (isFile(path))
    return TokenizerFiles{{"ranks", path}};
  for (auto [vocab, merges] :
       {std::pair("encoder.json", "vocab.bpe"), std::pair("vocab.json", "merges.txt")})
    if (isFile(path + "/" + vocab) && isFile(path + "/" + merges))
      return TokenizerFiles{{"vocab", path + "/" + vocab}, {"merges", path + "/" + merges}};
  TokenizerFiles found;
  for (const std::string &name : listDirectory(path)) {
    constexpr std::string_view ending = ".tiktoken";
    if (name.size() <= ending.size() || name.substr(name.size() - ending.size()) != ending)
      continue;
    if (!found.empty())
      return usageError(path, " has several .tiktoken files; name one");
    found["ranks"] = path + "/" + name;
  }
  if (found.empty())
    return corruptError(path, " has neither encoder.json and vocab.bpe nor a .tiktoken file");
  return found;
}

} // namespace smelt::runtime
