//===- MutateCorpus.cpp - A deterministic driver for fuzz targets ---------===//
//
// fuzz-import CORPUS [--runs N] [--seed S] [--only I]
//
// Without libFuzzer: mutates the files of a corpus by bytes and by JSON tokens. Run i depends on
// the seed and i alone, so a crash is reproduced by --only i, which also prints the text. CI runs a
// few thousand; the 100,000 of the acceptance test run under ASan.
//
//===----------------------------------------------------------------------===//
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <sstream>
#include <string>
#include <tuple>
#include <unistd.h>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*)());

namespace {

/// SplitMix64: the same numbers everywhere, unlike the distributions of <random>.
class Random {
public:
  explicit Random(uint64_t seed) : state(seed) {}
  uint64_t next() {
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  size_t below(size_t bound) { return bound ? next() % bound : 0; }

private:
  uint64_t state;
};

/// Strings, numbers, words and punctuation; white space belongs to no token.
std::vector<std::pair<size_t, size_t>> findTokens(const std::string &text) {
  std::vector<std::pair<size_t, size_t>> tokens;
  for (size_t i = 0; i < text.size();) {
    size_t start = i;
    if (std::strchr(" \t\r\n", text[i])) {
      ++i;
      continue;
    }
    if (text[i] == '"') {
      for (++i; i < text.size() && text[i] != '"'; ++i)
        i += text[i] == '\\';
      i = std::min(i + 1, text.size());
    } else if (std::strchr("{}[],:", text[i])) {
      ++i;
    } else {
      while (i < text.size() && !std::strchr("{}[],:\" \t\r\n", text[i]))
        ++i;
    }
    tokens.push_back({start, std::max(i, start + 1) - start});
  }
  return tokens;
}

const char *const kDictionary[] = {"0",
                                   "1",
                                   "2",
                                   "3",
                                   "-1",
                                   "0.5",
                                   "1e308",
                                   "1e-320",
                                   "1e999",
                                   "2147483647",
                                   "2147483648",
                                   "4294967296",
                                   "9223372036854775807",
                                   "9223372036854775808",
                                   "18446744073709551616",
                                   "-9223372036854775808",
                                   "65536",
                                   "1024",
                                   "1.0",
                                   "true",
                                   "false",
                                   "null",
                                   "{}",
                                   "[]",
                                   "\"\"",
                                   "\"1/3\"",
                                   "\"1/0\"",
                                   "\"0/1\"",
                                   "\"9223372036854775807/9223372036854775806\"",
                                   "\"2/3\"",
                                   "\"extension\"",
                                   "\"full\"",
                                   "\"x\"",
                                   "\"zeros\"",
                                   "\"resid[0]\"",
                                   "\"resid[99999999999999999999]\"",
                                   "\"\\u0000\"",
                                   "\"\\ud834\\udd1e\"",
                                   "\"*\"",
                                   "\"only\"",
                                   "\"except\"",
                                   "\"sigmoid\"",
                                   "\"steps\"",
                                   "\"save\"",
                                   "\"as\"",
                                   "\"layers\"",
                                   "\"rope\"",
                                   "[[0, 1]]",
                                   "{\"normal\": 1}",
                                   "{\"rms_norm\": {}}",
                                   "{\"embed\": \"token\"}",
                                   "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
                                   "{\"a\":{\"a\":{\"a\":",
                                   "// x",
                                   "/* */",
                                   "\xef\xbb\xbf",
                                   "\xff",
                                   "NaN",
                                   "Infinity",
                                   "--",
                                   "\"\"\""};

std::string mutate(const std::vector<std::string> &corpus, Random &random) {
  std::string text = corpus[random.below(corpus.size())];
  // Half of the texts stay JSON, so that the stages behind the reader get their share.
  bool gentle = random.below(2);
  for (size_t count = 1 + random.below(gentle ? 2 : 4); count > 0; --count) {
    auto tokens = findTokens(text);
    if (tokens.empty())
      break;
    auto pick = [&] { return tokens[random.below(tokens.size())]; };
    auto [at, length] = pick();
    switch (gentle ? 8 : random.below(10)) {
    case 0: // A byte.
      text[random.below(text.size())] = static_cast<char>(random.next());
      break;
    case 1: { // A range goes.
      size_t from = random.below(text.size());
      text.erase(from, 1 + random.below(40));
      break;
    }
    case 2: // A token goes.
      text.erase(at, length);
      break;
    case 3: // A token twice.
      text.insert(at, text.substr(at, length) + (random.below(2) ? "," : " "));
      break;
    case 4:
    case 5: // A token of the dictionary.
      text.replace(at, length, kDictionary[random.below(std::size(kDictionary))]);
      break;
    case 6: { // Two tokens swap.
      auto [other, otherLength] = pick();
      std::string first = text.substr(at, length), second = text.substr(other, otherLength);
      if (at == other)
        break;
      bool later = at > other;
      text.replace(later ? at : other, later ? length : otherLength, later ? second : first);
      text.replace(later ? other : at, later ? otherLength : length, later ? first : second);
      break;
    }
    case 7: { // A token of another file.
      const std::string &donor = corpus[random.below(corpus.size())];
      auto others = findTokens(donor);
      auto [from, size] = others[random.below(others.size())];
      text.replace(at, length, donor.substr(from, size));
      break;
    }
    case 8: { // The same kind of token from elsewhere in the text: most likely still a spec.
      for (int tries = 0; tries < 20; ++tries) {
        auto [other, size] = pick();
        std::tie(at, length) = pick();
        auto isNumber = [&](size_t place) {
          return std::isdigit(static_cast<unsigned char>(text[place])) != 0;
        };
        bool bothStrings = text[at] == '"' && text[other] == '"',
             bothNumbers = isNumber(at) && isNumber(other);
        if (isNumber(at) && random.below(3) == 0) {
          text.replace(at, length, kDictionary[random.below(16)]);
          break;
        }
        if (other != at && (bothStrings || bothNumbers)) {
          text.replace(at, length, text.substr(other, size));
          break;
        }
      }
      break;
    }
    case 9: // The text ends.
      text.resize(random.below(text.size() + 1));
      break;
    }
  }
  return text;
}

volatile uint64_t currentRun = 0;

void tellRun() {
  char line[96];
  int length = std::snprintf(
      line, sizeof line, "\nfuzz: died in run %llu; reproduce with --only %llu\n",
      static_cast<unsigned long long>(currentRun), static_cast<unsigned long long>(currentRun));
  [[maybe_unused]] ssize_t ignored = write(2, line, length);
}

void onSignal(int signal) {
  tellRun();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

} // namespace

int main(int argc, char **argv) {
  uint64_t runs = 2000, seed = 1;
  long long only = -1;
  const char *folder = nullptr;
  for (int i = 1; i < argc; ++i) {
    auto value = [&] { return i + 1 < argc ? std::strtoull(argv[++i], nullptr, 10) : 0; };
    if (!std::strcmp(argv[i], "--runs"))
      runs = value();
    else if (!std::strcmp(argv[i], "--seed"))
      seed = value();
    else if (!std::strcmp(argv[i], "--only"))
      only = static_cast<long long>(value());
    else
      folder = argv[i];
  }
  std::vector<std::filesystem::path> paths;
  if (folder)
    for (const auto &entry : std::filesystem::directory_iterator(folder))
      paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> corpus;
  for (const auto &path : paths) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    corpus.push_back(text.str());
  }
  if (corpus.empty()) {
    std::fprintf(stderr, "usage: %s CORPUS [--runs N] [--seed S] [--only I]\n", argv[0]);
    return 2;
  }
  if (__sanitizer_set_death_callback)
    __sanitizer_set_death_callback(tellRun);
  for (int signal : {SIGABRT, SIGSEGV, SIGFPE, SIGILL, SIGBUS})
    std::signal(signal, onSignal);

  uint64_t accepted = 0, longest = 0;
  uint64_t first = only >= 0 ? only : 0, last = only >= 0 ? only + 1 : runs;
  for (uint64_t run = first; run < last; ++run) {
    currentRun = run;
    Random random(seed * 0x100000001b3u ^ run);
    random.next();
    // The corpus itself comes first, unchanged.
    std::string text = run < corpus.size() ? corpus[run] : mutate(corpus, random);
    if (only >= 0)
      std::cout << text << "\n";
    longest = std::max<uint64_t>(longest, text.size());
    // A copy of exactly this size: reading behind the end is visible to ASan.
    std::vector<uint8_t> bytes(text.begin(), text.end());
    accepted += LLVMFuzzerTestOneInput(bytes.data(), bytes.size()) == 0;
  }
  std::printf("fuzz: %llu runs, %llu accepted, %llu refused, longest text %llu bytes, no crash\n",
              static_cast<unsigned long long>(last - first),
              static_cast<unsigned long long>(accepted),
              static_cast<unsigned long long>(last - first - accepted),
              static_cast<unsigned long long>(longest));
  // A fuzzer that never gets past the reader, or never is refused, tests nothing.
  return only >= 0 || (accepted > 0 && accepted < last - first) ? 0 : 1;
}
