// kernel.attention and its backward on the CPU against the interpreter: ragged lengths and widths,
// windows, documents, regions.
#include "test/compiler/Conversion/KernelToCPU/KernelRunner.h"
#include "test/compiler/Conversion/KernelToCPU/RowwiseText.h"

using namespace smelt::test;

namespace {

// Scores are sums of up to 128 products, outputs averages over up to 200 keys; exp adds a few units
// in the last place.
constexpr double kTolerance = 2e-5;

struct Case {
  int tokens, heads, width, window, document; ///< Documents of `document` tokens.
};

std::string headsShape(const Case &c) {
  return std::to_string(c.tokens) + "x" + std::to_string(c.heads) + "x" + std::to_string(c.width);
}

std::string region(const std::string &name, const std::string &type, const std::string &body) {
  return "    " + name + " { ^bb0(%0: " + type + "): " + body + " kernel.yield " +
         (body.empty() ? "%0" : "%y") + " : " + type + " }\n";
}

struct Regions {
  std::string q, k, v;
};

std::string forward(const Case &c, const Regions &r = {}) {
  std::string t = tensor(headsShape(c)), f = tensor("i" + std::to_string(c.tokens)),
              l = tensor(std::to_string(c.tokens) + "x" + std::to_string(c.heads));
  return "func.func private @kernel_0(%q: " + t + ", %k: " + t + ", %v: " + t + ", %f: " + f +
         ", %s: tensor<f32>) -> (" + t + ", " + l +
         ") {\n  %o, %l = kernel.attention q(%q) k(%k) v(%v) result() first(%f) scale(%s) : (" + t +
         ", " + t + ", " + t + ", " + f + ", tensor<f32>) -> (" + t + ", " + l + ")\n" +
         region("q", t, r.q) + region("k", t, r.k) + region("v", t, r.v) + region("result", t, "") +
         "  return %o, %l : " + t + ", " + l + "\n}\n";
}

/// `summed`: the kernel is given Σ out·dout of each head in the output's place.
std::string backward(const Case &c, const Regions &r = {}, bool summed = false) {
  std::string t = tensor(headsShape(c)), f = tensor("i" + std::to_string(c.tokens)),
              l = tensor(std::to_string(c.tokens) + "x" + std::to_string(c.heads)),
              o = summed ? l : t;
  return "func.func private @kernel_0(%q: " + t + ", %k: " + t + ", %v: " + t + ", %f: " + f +
         ", %s: tensor<f32>, %o: " + o + ", %l: " + l + ", %do: " + t + ") -> (" + t + ", " + t +
         ", " + t +
         ") {\n  %dq, %dk, %dv = kernel.attention_backward q(%q) k(%k) v(%v) first(%f) scale(%s) "
         "out(%o, %l, %do) : (" +
         t + ", " + t + ", " + t + ", " + f + ", tensor<f32>, " + o + ", " + l + ", " + t +
         ") -> (" + t + ", " + t + ", " + t + ")\n" + region("q", t, r.q) + region("k", t, r.k) +
         region("v", t, r.v) + "  return %dq, %dk, %dv : " + t + ", " + t + ", " + t + "\n}\n";
}

void setRange(const Case &c, std::vector<KernelRunner::Tensor> &inputs) {
  for (int t = 0; t < c.tokens; ++t)
    inputs[3].values[t] = std::max(t / c.document * c.document, t - c.window);
  inputs[4].values = {1.0 / std::sqrt(double(c.width))};
}

/// Checks both kernels; out and lse of the backward kernel are the interpreter's.
void check(const Case &c, const Regions &regions = {}, const char *cpu = "host") {
  SCOPED_TRACE(testing::Message() << cpu << " T=" << c.tokens << " H=" << c.heads
                                  << " d=" << c.width << " window=" << c.window
                                  << " document=" << c.document);
  KernelRunner runner(forward(c, regions), cpu);
  auto inputs = runner.makeInputs(5 + c.tokens);
  setRange(c, inputs);
  runner.check(inputs, kTolerance);
  auto results = runner.interpret(inputs);
  KernelRunner gradients(backward(c, regions), cpu);
  auto more = gradients.makeInputs(5 + c.tokens);
  setRange(c, more);
  for (int i = 0; i < 3; ++i)
    more[i] = inputs[i];
  more[5] = results[0], more[6] = results[1];
  gradients.check(
      more, kTolerance,
      /*leastMagnitude=*/1); // Of a query with one key, dq and dk are differences that vanish.
  KernelRunner summed(backward(c, regions, /*summed=*/true), cpu);
  auto sums = summed.makeInputs(5 + c.tokens);
  for (size_t i = 0; i < more.size(); ++i)
    if (i != 5)
      sums[i] = more[i];
  for (int row = 0; row < c.tokens * c.heads; ++row) {
    sums[5].values[row] = 0;
    for (int i = 0; i < c.width; ++i)
      sums[5].values[row] += more[5].values[row * c.width + i] * more[7].values[row * c.width + i];
  }
  summed.check(sums, kTolerance, /*leastMagnitude=*/1);
}

constexpr int kAll = 100000;

TEST(Attention, Lengths) {
  for (int tokens : {1, 7, 64, 129, 200})
    check({tokens, 2, 64, kAll, kAll});
}

TEST(Attention, Widths) {
  for (int width : {1, 8, 20, 33, 128})
    check({70, 3, width, kAll, kAll});
}

TEST(Attention, WindowsAndDocuments) {
  check({200, 2, 32, 17, kAll});
  check({300, 2, 32, kAll, 64});
  check({300, 2, 32, kAll, 50});
  check({331, 4, 64, 100, 90});
  check({150, 1, 32, 0, kAll}); // Each token sees itself.
}

TEST(Attention, ManyBlocks) { // The backward kernel works in chunks of several blocks then.
  check({700, 8, 16, 300, 450});
  check({600, 16, 8, kAll, kAll});
  check({520, 13, 20, 40, 256});
}

TEST(Attention, AVX2) {
  check({129, 2, 64, kAll, kAll}, {}, "haswell");
  check({200, 3, 20, 60, 90}, {}, "haswell");
}

TEST(Attention, RegionsWithShiftedKeys) {
  for (int width : {64, 20}) {
    Case c{133, 4, width, 80, 100};
    std::string t = tensor(headsShape(c));
    std::string norm = "%n = lm.rms_norm %0 {eps = 1.0e-5} : " + t + " ";
    check(c, {norm + "%y = lm.unary identity %n : " + t,
              norm + "%y = lm.token_shift replace cross %n {features = array<i64: " +
                  (width == 64 ? "16, 32, 48, 64" : "5, 10, 15, 20") +
                  ">, heads = array<i64>} : (" + t + ") -> " + t,
              "%y = lm.token_shift replace cross %0 {features = array<i64>, heads = array<i64: 1, "
              "2>} : (" +
                  t + ") -> " + t});
  }
}

std::string withResult(const std::string &body, const std::string &inputs, const std::string &types,
                       const std::string &yields, const std::string &results,
                       const std::string &arguments) {
  std::string t = "tensor<100x4x32xf32>", f = "tensor<100xi32>", l = "tensor<100x4xf32>",
              base = t + ", " + t + ", " + t, comma = inputs.empty() ? "" : ", ";
  int count = 1 + int(std::count(results.begin(), results.end(), 't'));
  std::string names = "%r#0";
  for (int i = 1; i < count; ++i)
    names += ", %r#" + std::to_string(i);
  return "func.func private @kernel_0(%q: " + t + ", %k: " + t + ", %v: " + t + ", %f: " + f +
         ", %s: tensor<f32>" + arguments + ") -> (" + results + ", " + l +
         ") {\n  %r:" + std::to_string(count) + " = kernel.attention q(%q) k(%k) v(%v) result(" +
         inputs + ") first(%f) scale(%s) : (" + base + comma + types + ", " + f +
         ", tensor<f32>) -> (" + results + ", " + l + ")\n" + region("q", t, "") +
         region("k", t, "") + region("v", t, "") + "    result { ^bb0(%0: " + t +
         (arguments.empty() ? "" : ", %h" + arguments.substr(arguments.find(':'))) + "): " + body +
         " kernel.yield " + yields + " : " + results + " }\n  return " + names + " : " + results +
         ", " + l + "\n}\n";
}

TEST(Attention, ResultRegionPerHead) { // Gated heads, as one row: head by head.
  KernelRunner runner(withResult(
      "%1 = lm.row_scale %0, %h : tensor<100x4x32xf32>, tensor<100x4xf32> %2 = lm.reshape %1 : "
      "tensor<100x4x32xf32> -> tensor<100x128xf32>",
      "%g", "tensor<100x4xf32>", "%2", "tensor<100x128xf32>", ", %g: tensor<100x4xf32>"));
  auto inputs = runner.makeInputs(9);
  setRange({100, 4, 32, kAll, 40}, inputs);
  runner.check(inputs, kTolerance);
}

TEST(Attention,
     ResultRegionOfWholeRows) { // A norm over all heads needs whole rows; a sum needs all of them.
  KernelRunner runner(withResult("%1 = lm.reshape %0 : tensor<100x4x32xf32> -> tensor<100x128xf32> "
                                 "%2 = lm.rms_norm %1 {eps = 1.0e-5} : tensor<100x128xf32> "
                                 "%3 = lm.sum %1 : tensor<100x128xf32> -> tensor<f32>",
                                 "", "", "%2, %3", "tensor<100x128xf32>, tensor<f32>", ""));
  auto inputs = runner.makeInputs(9);
  setRange({100, 4, 32, kAll, 40}, inputs);
  runner.check(inputs, 1e-4); // The sum cancels.
}

TEST(Attention, LargeScoresAndNaN) {
  Case c{100, 1, 16, kAll, kAll};
  KernelRunner runner(forward(c));
  auto inputs = runner.makeInputs(4);
  setRange(c, inputs);
  for (double &value : inputs[0].values)
    value *= 100;             // Scores in the hundreds.
  runner.check(inputs, 1e-3); // A score of 1000 is known to 6e-5, and its exponential no better.
  inputs[0].values[50 * 16] = std::nan("");
  auto got = runner.run(inputs);
  EXPECT_TRUE(std::isnan(got[0][50 * 16]));
  EXPECT_TRUE(std::isnan(got[1][50]));
  EXPECT_FALSE(std::isnan(got[0][49 * 16]));
}

} // namespace
