// Random regions of row ops (Inputs/random_rows.py) on the CPU against the interpreter.
#include "test/compiler/Conversion/KernelToCPU/KernelRunner.h"

#include <cstdio>

using namespace smelt::test;

namespace {

/// The functions that the generator prints, each renamed to kernel_0.
std::vector<std::string> generate(int seed, int count) {
  std::string command = std::string(PYTHON) + " " + RANDOM_ROWS + " " + std::to_string(seed) + " " +
                        std::to_string(count);
  std::string text;
  std::FILE *pipe = popen(command.c_str(), "r");
  char buffer[4096];
  for (size_t n; pipe && (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;)
    text.append(buffer, n);
  EXPECT_TRUE(pipe && pclose(pipe) == 0) << command;
  std::vector<std::string> functions;
  for (size_t at = 0, next; at < text.size(); at = next) {
    next = text.find("func.func", at + 1);
    next = next == std::string::npos ? text.size() : next;
    std::string function = text.substr(at, next - at);
    size_t name = function.find("@kernel_"), end = function.find('(', name);
    functions.push_back(function.replace(name, end - name, "@kernel_0"));
  }
  return functions;
}

void check(int seed, const char *cpu) {
  std::vector<std::string> functions = generate(seed, 20);
  ASSERT_EQ(functions.size(), 20u);
  for (const std::string &text : functions) {
    SCOPED_TRACE(testing::Message() << cpu << " seed " << seed << "\n" << text);
    KernelRunner runner(text, cpu);
    auto inputs = runner.makeInputs(3);
    for (size_t t = 0; t < inputs.back().values.size(); ++t)
      inputs.back().values[t] = double(t / 7 * 7); // Documents of 7 tokens.
    // Up to a dozen ops in a row, norms of small sums among them, lose a few digits.
    runner.check(inputs, 2e-4, 1e-3);
  }
}

TEST(RandomRows, AVX512OrHost) { check(20261122, "host"); }
TEST(RandomRows, AVX2) { check(4711, "haswell"); }

} // namespace
