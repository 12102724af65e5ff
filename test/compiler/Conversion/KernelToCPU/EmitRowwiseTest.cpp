// Row ops on the CPU against the interpreter: every op, ragged widths, heads, sums over rows, two
// instruction sets.
#include "test/compiler/Conversion/KernelToCPU/KernelRunner.h"
#include "test/compiler/Conversion/KernelToCPU/RowwiseText.h"

using namespace smelt::test;

namespace {

// Polynomials for exp, log and tanh are good to a few units in the last place; sums of a few
// hundred products add up to 2^-24 · 300.
constexpr double kTolerance = 2e-5;

using Adjust = std::function<void(std::vector<KernelRunner::Tensor> &)>;

void checkOn(const char *cpu, const std::string &text, int bound, Adjust adjust) {
  SCOPED_TRACE(testing::Message() << cpu << "\n" << text);
  KernelRunner runner(text, cpu);
  auto inputs = runner.makeInputs(7, bound);
  if (adjust)
    adjust(inputs);
  runner.check(inputs, kTolerance);
}

void check(const std::string &text, int bound = 1, Adjust adjust = {}) {
  checkOn("host", text, bound, adjust);
  checkOn("haswell", text, bound, adjust);
}

Adjust positive(size_t i) {
  return [i](auto &inputs) {
    for (double &value : inputs[i].values)
      value = std::fabs(value) + 0.1;
  };
}

TEST(Rowwise, Elementwise) {
  for (const char *shape : {"5x7", "33x48", "3x130", "70", "4x3x10", "64x256"}) {
    std::string t = tensor(shape);
    check(rowwise(
        {shape, shape, "", ""},
        "%0 = lm.add %a0, %a1 : $0  %1 = lm.multiply %0, %a0 : $0  %2 = lm.scale %1, %a2 : $0, $2 "
        "%3 = lm.mix %2, %a1 by %a2, %a3 : ($0, $0, $2, $3) -> $0",
        {{"%3", shape}, {"%1", shape}}));
  }
}

TEST(Rowwise, ElementwiseBesideRows) { // With a row reduction beside it, nothing is flattened.
  check(rowwise({"9x50", "9x50"},
                "%0 = lm.add %a0, %a1 : $0  %1 = lm.rms_norm %0 {eps = 1.0e-6} : $0",
                {{"%0", "9x50"}, {"%1", "9x50"}}));
}

TEST(Rowwise, Unary) {
  for (const char *kind :
       {"identity", "negate", "sigmoid", "tanh", "relu", "relu_squared", "gelu", "silu", "exp"})
    check(rowwise({"6x35", "6x35"},
                  std::string("%0 = lm.unary ") + kind + " %a0 : $0  %1 = lm.unary_backward " +
                      kind + " %a0, %a1 : $0",
                  {{"%0", "6x35"}, {"%1", "6x35"}}));
  for (const char *kind : {"sqrt", "reciprocal"})
    check(rowwise({"6x35", "6x35"},
                  std::string("%0 = lm.unary ") + kind + " %a0 : $0  %1 = lm.unary_backward " +
                      kind + " %a0, %a1 : $0",
                  {{"%0", "6x35"}, {"%1", "6x35"}}),
          1, positive(0));
  for (const char *kind : {"sigmoid", "tanh", "relu", "relu_squared", "exp", "sqrt", "reciprocal"})
    check(rowwise({"6x35", "6x35"},
                  std::string("%0 = lm.unary_backward ") + kind + " %a0, %a1 {from_output} : $0",
                  {{"%0", "6x35"}}),
          1, positive(0));
}

TEST(Rowwise, NormOfRowsAndHeads) {
  for (const char *shape : {"5x7", "9x256", "3x200", "6x4x64", "6x3x20", "5x2x8", "2x1x33"})
    check(rowwise({shape, shape},
                  "%0 = lm.rms_norm %a0 {eps = 1.0e-5} : $0  %1 = lm.rms_norm_backward %a0, %a1 "
                  "{eps = 1.0e-5} : $0",
                  {{"%0", shape}, {"%1", shape}}));
}

TEST(Rowwise, NormOfNormOfSum) {
  check(rowwise({"7x96", "7x96"},
                "%0 = lm.add %a0, %a1 : $0  %1 = lm.rms_norm %0 {eps = 1.0e-5} : $0  %2 = lm.add "
                "%1, %a0 : $0 "
                "%3 = lm.rms_norm_backward %2, %1 {eps = 1.0e-5} : $0",
                {{"%3", "7x96"}, {"%2", "7x96"}}));
}

TEST(Rowwise, GroupsOfRows) {
  // Norms of matrices below each other: sums per group, one of many blocks, and reads per group.
  for (auto [groups, rows, width] :
       {std::tuple{3, 5, 7}, {4, 1, 12}, {2, 600, 40}, {1, 33, 20}, {7, 64, 64}}) {
    std::string x = std::to_string(groups * rows) + "x" + std::to_string(width),
                r = std::to_string(groups * rows), g = std::to_string(groups);
    check(rowwise({x, x, g, r},
                  "%0 = lm.expand_groups %a2 : $2 -> $3  %1 = lm.row_scale %a0, %0 : $0, $3 "
                  "%2 = lm.add %1, %a1 : $0  %3 = lm.row_dot %2, %2 : $0 -> $3 "
                  "%4 = lm.group_sum %3 : $3 -> $2  %5 = lm.multiply %3, %a3 : $3 "
                  "%6 = lm.group_sum %5 : $3 -> $2  %7 = lm.sum %5 : $3 -> " +
                      tensor(""),
                  {{"%2", x}, {"%4", g}, {"%3", r}, {"%6", g}, {"%7", ""}}));
  }
}

TEST(Rowwise, StepAndAtLeast) {
  check(rowwise({"6x35", "6x35"},
                "%0 = lm.unary step %a0 : $0  %1 = lm.multiply %0, %a1 : $0 "
                "%2 = lm.at_least %a1 {bound = 0.25 : f64} : $0",
                {{"%1", "6x35"}, {"%2", "6x35"}}));
}

TEST(Rowwise, RowScaleAndDot) {
  for (auto [x, g] : {std::pair{"6x40", "6"},
                      {"6x40", "6x1"},
                      {"6x4x32", "6x4"},
                      {"6x4x10", "6x4"},
                      {"6x4x32", "6x1"},
                      {"6x3x20", "6"}})
    check(rowwise({x, x, g},
                  "%0 = lm.row_scale %a0, %a2 : $0, $2  %1 = lm.row_dot %a0, %a1 : $0 -> $2  %2 = "
                  "lm.row_scale %0, %1 : $0, $2",
                  {{"%0", x}, {"%1", g}, {"%2", x}}));
}

TEST(Rowwise, Broadcast) {
  for (auto [x, y] : {std::pair{"6", "6x40"}, {"6x4", "6x4x32"}, {"6x3", "6x3x20"}, {"", "6x40"}})
    check(rowwise({x, y}, "%0 = lm.broadcast %a0 : $0 -> $1  %1 = lm.multiply %0, %a1 : $1",
                  {{"%1", y}}));
}

TEST(Rowwise, SplitReshapeConcat) {
  for (int width : {64, 32, 20, 7}) { // q, k, v of 2 heads; norm of one; back together.
    std::string all = "5x" + std::to_string(6 * width), part = "5x" + std::to_string(2 * width),
                heads = "5x2x" + std::to_string(width);
    std::string p = tensor(part), h = tensor(heads);
    check(rowwise({all},
                  "%0:3 = lm.split %a0 : ($0) -> (" + p + ", " + p + ", " + p +
                      ")  %1 = lm.reshape %0#1 : " + p + " -> " + h +
                      "  %2 = lm.rms_norm %1 {eps = 1.0e-5} : " + h +
                      "  %3 = lm.reshape %2 : " + h + " -> " + p +
                      "  %4 = lm.concat %0#2, %3, %0#0 : (" + p + ", " + p + ", " + p + ") -> $0",
                  {{"%4", all}, {"%2", heads}, {"%0#0", part}}));
  }
}

TEST(Rowwise, SplitAndConcatOfHeads) {
  for (auto [whole, a, b] :
       {std::tuple{"5x3x64", "5x3x16", "5x3x48"}, {"5x3x20", "5x3x7", "5x3x13"}})
    check(rowwise({whole},
                  "%0:2 = lm.split %a0 : ($0) -> (" + tensor(a) + ", " + tensor(b) +
                      ")  %1 = lm.concat %0#1, %0#0 : (" + tensor(b) + ", " + tensor(a) +
                      ") -> $0  %2 = lm.rms_norm %1 {eps = 1.0e-5} : $0",
                  {{"%1", whole}, {"%0#1", b}, {"%2", whole}}));
}

TEST(Rowwise, Rope) {
  for (auto [x, table] :
       {std::pair{"9x4x64", "9x64"}, {"9x2x20", "9x20"}, {"9x1x6", "9x6"}, {"9x2x256", "9x256"}})
    for (const char *inverse : {"", " {inverse}"}) {
      check(rowwise({x, table}, std::string("%0 = lm.rope %a0, %a1") + inverse + " : $0, $1",
                    {{"%0", x}}));
      check(rowwise({x, table, "i9"},
                    std::string("%n = lm.rms_norm %a0 {eps = 1.0e-5} : $0  %0 = lm.rope %n, %a1 "
                                "document_start %a2") +
                        inverse + " : $0, $1, $2",
                    {{"%0", x}}),
            1, [](auto &inputs) { inputs[2].values = {0, 0, 0, 3, 3, 3, 3, 7, 7}; });
    }
}

TEST(Rowwise, EmbeddingAndNorm) {
  for (const char *width : {"64", "19"})
    check(
        rowwise({std::string("11x") + width, "i30"},
                "%0 = lm.embedding %a0, %a1 : $0, $1 -> " + tensor(std::string("30x") + width) +
                    "  %1 = lm.rms_norm %0 {eps = 1.0e-5} : " + tensor(std::string("30x") + width),
                {{"%0", std::string("30x") + width}, {"%1", std::string("30x") + width}}),
        11);
}

TEST(Rowwise, Gate) {
  for (auto [x, w, g] : {std::tuple{"8x40", "6x12", "8x6"},
                         {"8x40", "1x12", "8x1"},
                         {"200x256", "4x40", "200x4"},
                         {"8x20", "3x20", "8x3"}})
    check(rowwise({x, w, g},
                  "%0 = lm.gate %a0, %a1 : $0, $1 -> $2  %dx, %dw = lm.gate_backward %a0, %a1, %0, "
                  "%a2 : $0, $1, $2",
                  {{"%0", g}, {"%dx", x}, {"%dw", w}}));
}

TEST(Rowwise, Softcap) {
  for (const char *kind : {"tanh", "sigmoid", "rsqrt"})
    check(rowwise({"5x50", "5x50"},
                  std::string("%0 = lm.softcap ") + kind +
                      " %a0 {amplitude = 3.0, temperature = 2.0} : $0  %1 = lm.softcap_backward " +
                      kind + " %a0, %a1 {amplitude = 3.0, temperature = 2.0} : $0",
                  {{"%0", "5x50"}, {"%1", "5x50"}}));
}

void someTargets(KernelRunner::Tensor &targets, int classes) {
  for (size_t i = 0; i < targets.values.size(); ++i)
    targets.values[i] = i % 5 == 3 ? -1 : double((i * 7) % classes);
}

TEST(Rowwise, CrossEntropy) {
  for (int classes : {10, 256, 50}) {
    std::string logits = "33x" + std::to_string(classes);
    check(rowwise({logits, "i33", "33"},
                  "%0 = lm.softcap tanh %a0 {amplitude = 15.0, temperature = 10.0} : $0  %loss, "
                  "%lse = lm.cross_entropy %0, %a1 : $0, $1 -> $2, $2 "
                  "%1 = lm.cross_entropy_backward %0, %a1, %lse, %a2 : $0, $1, $2  %2 = "
                  "lm.softcap_backward tanh %a0, %1 {amplitude = 15.0, temperature = 10.0} : $0 "
                  "%sum = lm.sum %loss : $2 -> tensor<f32>  %count = lm.count_targets %a1 : $1 -> "
                  "tensor<f32> "
                  "%inverse = lm.unary reciprocal %count : tensor<f32>  %mean = lm.multiply %sum, "
                  "%inverse : tensor<f32>",
                  {{"%loss", "33"},
                   {"%lse", "33"},
                   {"%2", logits},
                   {"%sum", ""},
                   {"%count", ""},
                   {"%mean", ""}}),
          1, [=](auto &inputs) {
            someTargets(inputs[1], classes);
            for (double &value : inputs[0].values)
              value *= 30; // Far beyond where a naive exp of sums is safe.
          });
  }
}

TEST(Rowwise, NaNLogitsGiveNaNLoss) {
  KernelRunner runner(rowwise({"4x40", "i4"},
                              "%loss, %lse = lm.cross_entropy %a0, %a1 : $0, $1 -> tensor<4xf32>, "
                              "tensor<4xf32>  %s = lm.sum %loss : tensor<4xf32> -> tensor<f32>",
                              {{"%loss", "4"}, {"%s", ""}}));
  auto inputs = runner.makeInputs(3, 40);
  inputs[0].values[1 * 40 + 22] = std::nan("");
  auto got = runner.run(inputs);
  EXPECT_FALSE(std::isnan(got[0][0]));
  EXPECT_TRUE(std::isnan(got[0][1]));
  EXPECT_TRUE(std::isnan(got[1][0]));
}

TEST(Rowwise, SumsOverRows) {
  for (const char *shape : {"5x7", "300x256", "1000", "70x3x20"})
    check(rowwise({shape, shape},
                  "%0 = lm.sum %a0 : $0 -> tensor<f32>  %1 = lm.dot %a0, %a1 : $0 -> tensor<f32>  "
                  "%2 = lm.multiply %0, %1 : tensor<f32>",
                  {{"%0", ""}, {"%1", ""}, {"%2", ""}}));
  check(rowwise({"300x40", "300x40"},
                "%n = lm.rms_norm %a0 {eps = 1.0e-5} : $0  %1 = lm.dot %n, %a1 : $0 -> tensor<f32>",
                {{"%1", ""}, {"%n", "300x40"}}));
}

TEST(Rowwise, ScalarsAlone) {
  check(rowwise({"", ""},
                "%0 = lm.multiply %a0, %a1 : $0  %1 = lm.unary sigmoid %0 : $0  %2 = lm.constant "
                "dense<2.0> : tensor<f32>  %3 = lm.add %1, %2 : $0",
                {{"%3", ""}, {"%0", ""}}));
}

TEST(Rowwise, Constants) {
  check(rowwise({"2x3"},
                "%0 = lm.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32>  %1 "
                "= lm.constant dense<0.5> : tensor<2x3xf32> "
                "%2 = lm.add %0, %a0 : $0  %3 = lm.multiply %2, %1 : $0",
                {{"%3", "2x3"}}));
}

TEST(Rowwise, AttentionRange) {
  auto documents = [](auto &inputs) {
    inputs[0].values = {0, 0, 0, 0, 0, 5, 5, 5, 5, 5, 5, 11, 11};
    inputs[1].values = {4};
  };
  check(rowwise({"i13", "i"}, "%0 = lm.attention_range %a0, %a1 : $0, $1 -> $0", {{"%0", "i13"}}),
        1, documents);
  check(rowwise({"i13", "i"}, "%0 = lm.attention_range %a0, %a1 {blocks = 2} : $0, $1 -> $0",
                {{"%0", "i13"}}),
        1, documents);
}

} // namespace
