// Encodes texts for Inputs/check_tokenizer.py.
//
//   DumpTokens FILES < texts
//
// FILES is what --tokenizer-files takes. Texts: the length as four little-endian bytes, then that
// many bytes. Prints one line of tokens a text, and "lossy" behind it if decoding them does not
// give the text.
#include "runtime/data/Tokenizer.h"

#include <cstdio>
#include <cstring>

using namespace smelt::runtime;

int main(int argc, char **argv) {
  auto files = findTokenizerFiles(argc == 2 ? argv[1] : "");
  if (!files.isOk()) {
    std::printf("failed: %s\n", files.status().message().c_str());
    return 0;
  }
  auto tokenizer = makeTokenizer("gpt2", *files);
  if (!tokenizer.isOk()) {
    std::printf("failed: %s\n", tokenizer.status().message().c_str());
    return 0;
  }
  std::printf("%d\n", (*tokenizer)->startToken());
  for (uint32_t length; std::fread(&length, sizeof length, 1, stdin) == 1;) {
    std::string text(length, '\0'), back;
    if (std::fread(text.data(), 1, length, stdin) != length)
      return 1;
    for (int32_t token : (*tokenizer)->encode(text)) {
      std::printf("%d ", token);
      back += (*tokenizer)->decode(token);
    }
    std::puts(back == text ? "" : "lossy");
  }
}
