#include "runtime/data/Tokenizer.h"
#include "runtime/data/SplitGpt2.h"
#include "runtime/data/Unicode.h"
#include "test/runtime/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <fstream>

using namespace smelt::runtime;
using smelt::runtime::test::TemporaryFolder;

static std::vector<std::string> wordsOf(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    words.emplace_back(firstGpt2Word(text));
    text.remove_prefix(words.back().size());
  }
  return words;
}

TEST(SplitGpt2Test, FindsWordsAsTheExpressionDoes) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(wordsOf("Hello world's 3rd  test\n\n ok"),
            (Words{"Hello", " world", "'s", " 3", "rd", " ", " test", "\n\n", " ok"}));
  EXPECT_EQ(wordsOf("I'll 'll !'ll"), (Words{"I", "'ll", " '", "ll", " !'", "ll"}));
  EXPECT_EQ(wordsOf("a \n\tb"), (Words{"a", " \n", "\t", "b"}));
  EXPECT_EQ(wordsOf("a  "), (Words{"a", "  "}));
  EXPECT_EQ(wordsOf(" "), (Words{" "}));
  EXPECT_EQ(wordsOf("größe²½ ２"), (Words{"größe", "²½", " ２"}));
  EXPECT_EQ(wordsOf("\u00a0x"), (Words{"\u00a0", "x"})); // Only U+0020 belongs to the next word.
  EXPECT_EQ(wordsOf("a\xff\xc3 b"), (Words{"a", "\xff\xc3", " b"}));
}

TEST(UnicodeTest, TakesWellFormedCharactersOnly) {
  auto read = [](std::string_view text) { return readCharacter(text, 0); };
  EXPECT_EQ(read("\xf4\x8f\xbf\xbf").codePoint, 0x10ffffu);
  EXPECT_EQ(read("\xef\xbf\xbf").bytes, 3u);
  EXPECT_EQ(read("\xc2\x80").codePoint, 0x80u);
  for (const char *bad :
       {"\xf4\x90\x80\x80", "\xed\xa0\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf",
        "\xf0\x8f\xbf\xbf", "\xf8\x88\x80\x80\x80", "\x80", "\xe2\x82", "\xe2", "\xc3("}) {
    EXPECT_FALSE(read(bad).isValid) << bad;
    EXPECT_EQ(read(bad).bytes, 1u) << bad;
  }
  for (uint32_t point : {0x41u, 0x7ffu, 0x800u, 0xffffu, 0x10000u, 0x10ffffu}) {
    std::string text;
    appendUtf8(point, text);
    EXPECT_EQ(read(text).codePoint, point);
    EXPECT_EQ(read(text).bytes, text.size());
  }
}

namespace {
/// Files of the 256 bytes (token = byte) and a few merges.
class TokenizerTest : public ::testing::Test {
protected:
  void SetUp() override {
    std::filesystem::create_directories(folder / "gpt2");
    write("encoder.json", encoder());
    write("vocab.bpe", "#version: 0.2\na b\nab c\nb c\n");
  }
  void write(const std::string &name, const std::string &text) {
    std::ofstream(folder / "gpt2/" + name, std::ios::binary) << text;
  }
  static std::string encoder(const std::string &more = "") {
    std::string json = "{";
    int other = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      bool prints = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte != 0xad);
      std::string letter;
      appendUtf8(static_cast<uint32_t>(prints ? byte : other++), letter);
      if (letter == "\"" || letter == "\\")
        letter = "\\" + letter;
      json += concat("\"", letter, "\":", byte, ",");
    }
    return json + R"("ab":256,"abc":257,"bc":258,)" + more + R"("<|endoftext|>":259})";
  }
  StatusOr<std::unique_ptr<Tokenizer>> open() {
    return makeTokenizer("gpt2", *findTokenizerFiles(folder / "gpt2"));
  }
  std::string failure() { return open().status().message(); }
  TemporaryFolder folder;
};
} // namespace

TEST_F(TokenizerTest, MergesByRankAndLeftmostFirst) {
  auto tokenizer = open();
  ASSERT_TRUE(tokenizer.isOk()) << tokenizer.status().message();
  using Tokens = std::vector<int32_t>;
  EXPECT_EQ((*tokenizer)->encode("abc"), Tokens{257});
  EXPECT_EQ((*tokenizer)->encode("bcabcc abab"), (Tokens{258, 257, 'c', ' ', 256, 256}));
  EXPECT_EQ((*tokenizer)->encode("<|endoftext|>").size(), 13u); // Text never becomes it.
  EXPECT_EQ((*tokenizer)->vocabulary(), 260);
  EXPECT_EQ((*tokenizer)->startToken(), 259);
  EXPECT_EQ((*tokenizer)->decode(257), "abc");
  EXPECT_EQ((*tokenizer)->decode(259), "<|endoftext|>");
  EXPECT_EQ((*tokenizer)->decode(260), "");
}

TEST_F(TokenizerTest, DamagedFilesAreRefused) {
  struct Case {
    const char *file;
    std::string text;
    const char *message;
  };
  const Case cases[] = {
      {"vocab.bpe", "#version: 0.2\nab c\na b\n", "vocab.bpe: line 2: it uses a token that"},
      {"vocab.bpe", "a b\na b\n", "line 2: the merge appears twice"},
      {"vocab.bpe", "a\n", "line 1: it is not two tokens"},
      {"vocab.bpe", "a z\n", "lacks one of its tokens"},
      {"vocab.bpe", "\x01 b\n", "it is not two tokens"},
      {"encoder.json", "[]", "encoder.json: it is not a JSON object"},
      {"encoder.json", "{\"a\":0}", "has no \"<|endoftext|>\""},
      {"encoder.json", "{\"<|endoftext|>\":0}", "there is no token for byte 0"},
      {"encoder.json", encoder("\"x\":256,"), "appears twice"},
      {"encoder.json", encoder("\"zz\":400,"), "there is no token 260"},
      {"encoder.json", encoder("\"zz\":-1,"), "out of range"},
      {"encoder.json", encoder("\"zz\":\"1\","), "has no number"},
  };
  for (const Case &test : cases) {
    SetUp();
    write(test.file, test.text);
    EXPECT_EQ(exitCode(open().status().code()), 4);
    EXPECT_NE(failure().find(test.message), std::string::npos)
        << failure() << " / " << test.message;
  }
  for (auto [text, message] : {std::pair("YQ== 0\nYg==\n", "line 2: it is not a token"),
                               std::pair("YQ== 0\nYQ== 1\n", "token 1 has the bytes of another"),
                               std::pair("Y*== 0\n", "line 1: it is not a token"),
                               std::pair("YQ== 0\n", "no token for byte 0")}) {
    std::ofstream(folder / "bad.tiktoken") << text;
    Status status = makeTokenizer("gpt2", *findTokenizerFiles(folder / "bad.tiktoken")).status();
    EXPECT_EQ(exitCode(status.code()), 4);
    EXPECT_NE(status.message().find(message), std::string::npos) << status.message();
  }
}

TEST_F(TokenizerTest, MissingFilesAreExplained) {
  EXPECT_EQ(makeTokenizer("gpt2").status().code(), StatusCode::Usage);
  EXPECT_NE(makeTokenizer("gpt2").status().message().find("--tokenizer-files"), std::string::npos);
  EXPECT_EQ(makeTokenizer("gpt3").status().code(), StatusCode::Corrupt);
  EXPECT_NE(findTokenizerFiles(folder.path()).status().message().find("neither encoder.json"),
            std::string::npos);
}
