//===- OpGradientsTest.cpp - Every op's gradient, by central differences --===//
#include "GradientCheck.h"
#include "dialects/LM/LMOps.h"
#include <gtest/gtest.h>
#include <set>

using namespace smelt::test;

namespace {

struct OpCase {
  std::string name;
  std::string text; // The function @f.
};

/// One function: arguments, body, result, in the assembly's words.
std::string makeFunction(const std::string &arguments, const std::string &resultTypes,
                         const std::string &body) {
  return "func.func @f(" + arguments + ") -> (" + resultTypes + ") {\n" + body + "\n}";
}

std::vector<OpCase> makeCases() {
  std::vector<OpCase> cases;
  auto add = [&](std::string name, std::string arguments, std::string resultTypes,
                 std::string body) {
    cases.push_back({name, makeFunction(arguments, resultTypes, body)});
  };

  // Contractions.
  for (int ta = 0; ta < 2; ++ta)
    for (int tb = 0; tb < 2; ++tb) {
      std::string a = ta ? "tensor<4x3xf64>" : "tensor<3x4xf64>",
                  b = tb ? "tensor<5x4xf64>" : "tensor<4x5xf64>";
      std::string attributes = ta && tb ? "{transpose_a, transpose_b}"
                               : ta     ? "{transpose_a}"
                               : tb     ? "{transpose_b}"
                                        : "";
      add(std::string("matmul_") + (ta ? "t" : "n") + (tb ? "t" : "n"), "%a: " + a + ", %b: " + b,
          "tensor<3x5xf64>",
          "%y = lm.matmul %a, %b " + attributes + " : " + a + ", " + b +
              " -> tensor<3x5xf64>\nreturn %y : tensor<3x5xf64>");
    }
  add("quantized_matmul", "%x: tensor<3x4xf64>, %w: tensor<5x4xf64>", "tensor<3x5xf64>", R"(
    %y = lm.quantized_matmul %x, %w {x_scale = 0.3 : f64, w_scale = 0.7 : f64, gradient_scale = 0.6 : f64}
        : tensor<3x4xf64>, tensor<5x4xf64> -> tensor<3x5xf64>
    return %y : tensor<3x5xf64>)");
  // Three products of matrices below each other, in every transposition.
  for (int ta = 0; ta < 2; ++ta)
    for (int tb = 0; tb < 2; ++tb) {
      std::string a = ta ? "tensor<12x2xf64>" : "tensor<6x4xf64>",
                  b = tb ? "tensor<15x4xf64>" : "tensor<12x5xf64>";
      std::string attributes = std::string("{groups = 3 : i64") + (ta ? ", transpose_a" : "") +
                               (tb ? ", transpose_b}" : "}");
      add(std::string("matmul_groups_") + (ta ? "t" : "n") + (tb ? "t" : "n"),
          "%a: " + a + ", %b: " + b, "tensor<6x5xf64>",
          "%y = lm.matmul %a, %b " + attributes + " : " + a + ", " + b +
              " -> tensor<6x5xf64>\nreturn %y : tensor<6x5xf64>");
    }
  add("embedding",
      "%table: tensor<5x3xf64>, %tokens: tensor<4xi32> {smelt.values = dense<[1, 4, 1, 0]> : "
      "tensor<4xi32>}",
      "tensor<4x3xf64>",
      "%y = lm.embedding %table, %tokens : tensor<5x3xf64>, tensor<4xi32> -> "
      "tensor<4x3xf64>\nreturn %y : tensor<4x3xf64>");

  // Attention: documents, a window, a learned scale.
  add("attention",
      "%q: tensor<7x2x4xf64>, %k: tensor<7x2x4xf64>, %v: tensor<7x2x4xf64>, %scale: tensor<f64>, "
      "%documents: tensor<7xi32> {smelt.values = dense<[0, 0, 0, 0, 0, 5, 5]> : tensor<7xi32>}, "
      "%window: tensor<i32> {smelt.values = dense<3> : tensor<i32>}",
      "tensor<7x2x4xf64>", R"(
    %first = lm.attention_range %documents, %window : tensor<7xi32>, tensor<i32> -> tensor<7xi32>
    %y, %lse = lm.attention %q, %k, %v first %first scale %scale
        : tensor<7x2x4xf64>, tensor<7xi32>, tensor<f64> -> tensor<7x2x4xf64>, tensor<7x2xf64>
    return %y : tensor<7x2x4xf64>)");

  // Element-wise.
  add("add", "%a: tensor<3x4xf64>, %b: tensor<3x4xf64>", "tensor<3x4xf64>",
      "%y = lm.add %a, %b : tensor<3x4xf64>\nreturn %y : tensor<3x4xf64>");
  add("multiply", "%a: tensor<3x4xf64>, %b: tensor<3x4xf64>", "tensor<3x4xf64>",
      "%y = lm.multiply %a, %b : tensor<3x4xf64>\nreturn %y : tensor<3x4xf64>");
  add("multiply_square", "%a: tensor<3x4xf64>", "tensor<3x4xf64>",
      "%y = lm.multiply %a, %a : tensor<3x4xf64>\nreturn %y : tensor<3x4xf64>");
  add("mix", "%a: tensor<3x4xf64>, %b: tensor<3x4xf64>, %s: tensor<f64>, %t: tensor<f64>",
      "tensor<3x4xf64>", R"(
    %y = lm.mix %a, %b by %s, %t : (tensor<3x4xf64>, tensor<3x4xf64>, tensor<f64>, tensor<f64>) -> tensor<3x4xf64>
    return %y : tensor<3x4xf64>)");
  add("mix_shared", "%a: tensor<3x4xf64>, %s: tensor<f64>", "tensor<3x4xf64>", R"(
    %y = lm.mix %a, %a by %s, %s : (tensor<3x4xf64>, tensor<3x4xf64>, tensor<f64>, tensor<f64>) -> tensor<3x4xf64>
    return %y : tensor<3x4xf64>)");
  add("scale", "%x: tensor<3x4xf64>, %s: tensor<f64>", "tensor<3x4xf64>",
      "%y = lm.scale %x, %s : tensor<3x4xf64>, tensor<f64>\nreturn %y : tensor<3x4xf64>");
  for (auto [x, g] : {std::pair{"3x4", "3"},
                      {"3x4", "3x1"},
                      {"3x2x4", "3x2"},
                      {"3x2x4", "3x1"},
                      {"3x2x4", "3"}}) {
    std::string xt = std::string("tensor<") + x + "xf64>",
                gt = std::string("tensor<") + g + "xf64>";
    add(std::string("row_scale_") + x + "_" + g, "%x: " + xt + ", %g: " + gt, xt,
        "%y = lm.row_scale %x, %g : " + xt + ", " + gt + "\nreturn %y : " + xt);
  }
  for (std::string kind : {"identity", "negate", "sigmoid", "tanh", "relu", "relu_squared", "gelu",
                           "silu", "exp", "sqrt", "reciprocal"})
    add("unary_" + kind,
        std::string("%x: tensor<3x4xf64>") +
            (kind == "sqrt" || kind == "reciprocal" ? " {smelt.positive}" : ""),
        "tensor<3x4xf64>",
        "%y = lm.unary " + kind + " %x : tensor<3x4xf64>\nreturn %y : tensor<3x4xf64>");
  add("cast", "%x: tensor<3x4xf64>", "tensor<3x4xf32>",
      "%y = lm.cast %x : tensor<3x4xf64> -> tensor<3x4xf32>\nreturn %y : tensor<3x4xf32>");
  for (auto [from, to] : {std::pair{"", "3x4x"}, {"3x", "3x4x"}, {"3x2x", "3x2x4x"}}) {
    std::string ft = std::string("tensor<") + from + "f64>",
                tt = std::string("tensor<") + to + "f64>";
    add(std::string("broadcast_") + from + "to_" + to, "%x: " + ft, tt,
        "%y = lm.broadcast %x : " + ft + " -> " + tt + "\nreturn %y : " + tt);
  }

  // Shape.
  add("reshape", "%x: tensor<3x8xf64>", "tensor<3x2x4xf64>",
      "%y = lm.reshape %x : tensor<3x8xf64> -> tensor<3x2x4xf64>\nreturn %y : tensor<3x2x4xf64>");
  add("split", "%x: tensor<3x8xf64>", "tensor<3x2xf64>, tensor<3x5xf64>", R"(
    %a, %b, %c = lm.split %x : (tensor<3x8xf64>) -> (tensor<3x2xf64>, tensor<3x1xf64>, tensor<3x5xf64>)
    return %a, %c : tensor<3x2xf64>, tensor<3x5xf64>)");
  add("concat", "%a: tensor<3x2xf64>, %b: tensor<3x3xf64>", "tensor<3x7xf64>", R"(
    %y = lm.concat %a, %b, %a : (tensor<3x2xf64>, tensor<3x3xf64>, tensor<3x2xf64>) -> tensor<3x7xf64>
    return %y : tensor<3x7xf64>)");

  // Norm, rotary embedding, gate.
  for (std::string shape : {"3x4", "3x2x4"}) {
    std::string type = "tensor<" + shape + "xf64>";
    add("rms_norm_" + shape, "%x: " + type, type,
        "%y = lm.rms_norm %x {eps = 1.0e-2} : " + type + "\nreturn %y : " + type);
  }
  for (std::string inverse : {"", "{inverse}"}) {
    add("rope" + std::string(inverse.empty() ? "" : "_inverse"),
        "%x: tensor<5x2x4xf64>", "tensor<5x2x4xf64>", R"(
    %f = lm.constant dense<[1.0, 0.1]> : tensor<2xf64>
    %table = lm.rope_table %f : tensor<2xf64> -> tensor<5x4xf64>
    %y = lm.rope %x, %table )" + inverse + R"( : tensor<5x2x4xf64>, tensor<5x4xf64>
    return %y : tensor<5x2x4xf64>)");
    add("rope_documents" + std::string(inverse.empty() ? "" : "_inverse"),
        "%x: tensor<5x2x4xf64>, %documents: tensor<5xi32> {smelt.values = dense<[0, 0, 2, 2, 2]> : "
        "tensor<5xi32>}",
        "tensor<5x2x4xf64>",
        R"(
    %f = lm.constant dense<[1.0, 0.1]> : tensor<2xf64>
    %table = lm.rope_table %f : tensor<2xf64> -> tensor<5x4xf64>
    %y = lm.rope %x, %table document_start %documents )" +
            inverse + R"( : tensor<5x2x4xf64>, tensor<5x4xf64>, tensor<5xi32>
    return %y : tensor<5x2x4xf64>)");
  }
  add("gate", "%x: tensor<3x6xf64>, %w: tensor<2x4xf64>", "tensor<3x2xf64>", R"(
    %y = lm.gate %x, %w : tensor<3x6xf64>, tensor<2x4xf64> -> tensor<3x2xf64>
    return %y : tensor<3x2xf64>)");

  // Loss and sums.
  for (std::string kind : {"tanh", "sigmoid", "rsqrt"})
    add("softcap_" + kind, "%x: tensor<3x4xf64>", "tensor<3x4xf64>",
        "%y = lm.softcap " + kind +
            " %x {amplitude = 1.5, temperature = 0.75} : tensor<3x4xf64>\nreturn %y : "
            "tensor<3x4xf64>");
  add("cross_entropy",
      "%z: tensor<4x5xf64>, %targets: tensor<4xi32> {smelt.values = dense<[2, -1, 0, 4]> : "
      "tensor<4xi32>}",
      "tensor<4xf64>", R"(
    %loss, %lse = lm.cross_entropy %z, %targets : tensor<4x5xf64>, tensor<4xi32> -> tensor<4xf64>, tensor<4xf64>
    return %loss : tensor<4xf64>)");
  add("sum", "%x: tensor<3x4xf64>", "tensor<f64>",
      "%y = lm.sum %x : tensor<3x4xf64> -> tensor<f64>\nreturn %y : tensor<f64>");
  add("mean_loss",
      "%z: tensor<4x5xf64>, %targets: tensor<4xi32> {smelt.values = dense<[2, -1, 0, -1]> : "
      "tensor<4xi32>}",
      "tensor<f64>", R"(
    %loss, %lse = lm.cross_entropy %z, %targets : tensor<4x5xf64>, tensor<4xi32> -> tensor<4xf64>, tensor<4xf64>
    %sum = lm.sum %loss : tensor<4xf64> -> tensor<f64>
    %count = lm.count_targets %targets : tensor<4xi32> -> tensor<f64>
    %inverse = lm.unary reciprocal %count : tensor<f64>
    %mean = lm.scale %sum, %inverse : tensor<f64>, tensor<f64>
    return %mean : tensor<f64>)");

  // Groups of rows.
  add("group_sum", "%x: tensor<6xf64>", "tensor<2xf64>",
      "%y = lm.group_sum %x : tensor<6xf64> -> tensor<2xf64>\nreturn %y : tensor<2xf64>");
  add("expand_groups", "%x: tensor<2xf64>", "tensor<6xf64>",
      "%y = lm.expand_groups %x : tensor<2xf64> -> tensor<6xf64>\nreturn %y : tensor<6xf64>");
  // Each group divided by its norm; step multiplies, its own gradient is zero.
  add("group_norm", "%x: tensor<6xf64>", "tensor<6xf64>", R"(
    %r = lm.multiply %x, %x : tensor<6xf64>
    %g = lm.group_sum %r : tensor<6xf64> -> tensor<2xf64>
    %e = lm.expand_groups %g : tensor<2xf64> -> tensor<6xf64>
    %n = lm.unary sqrt %e : tensor<6xf64>
    %i = lm.unary reciprocal %n : tensor<6xf64>
    %y = lm.multiply %x, %i : tensor<6xf64>
    %s = lm.unary step %x : tensor<6xf64>
    %z = lm.multiply %y, %s : tensor<6xf64>
    return %z : tensor<6xf64>)");

  // A value with many uses, in ops of several kinds, and of one op twice.
  add("many_uses", "%x: tensor<3x4xf64>, %w: tensor<4x4xf64>, %s: tensor<f64>",
      "tensor<3x4xf64>, tensor<3x4xf64>", R"(
    %y = lm.matmul %x, %w {transpose_b} : tensor<3x4xf64>, tensor<4x4xf64> -> tensor<3x4xf64>
    %z = lm.matmul %y, %w : tensor<3x4xf64>, tensor<4x4xf64> -> tensor<3x4xf64>
    %n = lm.rms_norm %x {eps = 1.0e-6} : tensor<3x4xf64>
    %m = lm.mix %x, %n, %x, %z by %s, %s, %s, %s
        : (tensor<3x4xf64>, tensor<3x4xf64>, tensor<3x4xf64>, tensor<3x4xf64>, tensor<f64>, tensor<f64>, tensor<f64>, tensor<f64>) -> tensor<3x4xf64>
    %p = lm.multiply %m, %x : tensor<3x4xf64>
    return %p, %x : tensor<3x4xf64>, tensor<3x4xf64>)");
  return cases;
}

class OpGradients : public testing::TestWithParam<OpCase> {};

TEST_P(OpGradients, MatchCentralDifferences) {
  double largest = checkGradients(GetParam().text);
  EXPECT_GT(largest, 1e-2) << "the gradient vanishes: nothing was tested";
}

INSTANTIATE_TEST_SUITE_P(Ops, OpGradients, testing::ValuesIn(makeCases()),
                         [](const auto &info) { return info.param.name; });

/// No op with a gradient is left out.
TEST(OpGradientsList, IsComplete) {
  // These have no operands, token_shift has a test of its own, and quantize refuses
  // (autodiff_errors.mlir).
  const std::set<std::string> elsewhere{"lm.read", "lm.setting", "lm.constant", "lm.token_shift",
                                        "lm.quantize"};
  size_t count = 0;
  std::vector<OpCase> cases = makeCases();
  for (mlir::RegisteredOperationName name : getContext().getRegisteredOperations()) {
    std::string op = name.getStringRef().str();
    if (!name.hasInterface<mlir::lm::DifferentiableOpInterface>() || elsewhere.count(op))
      continue;
    ++count;
    EXPECT_TRUE(llvm::any_of(cases, [&](const OpCase &c) {
      return c.text.find(op + " ") != std::string::npos;
    })) << op;
  }
  EXPECT_GE(count, 20u);
}

} // namespace
