#include "runtime/data/Tokenizer.h"

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
} // namespace

StatusOr<std::unique_ptr<Tokenizer>> makeTokenizer(const std::string &name) {
  if (name == "bytes")
    return std::unique_ptr<Tokenizer>(std::make_unique<ByteTokenizer>());
  return corruptError("tokenizer \"", name, "\" is not known to this smelt (it knows: bytes)");
}

} // namespace smelt::runtime
