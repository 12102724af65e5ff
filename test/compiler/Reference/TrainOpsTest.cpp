//===- TrainOpsTest.cpp - Gradient sinks, states, optimisers --------------===//
#include "RunText.h"
#include <cmath>
#include <gtest/gtest.h>
#include <random>

using namespace smelt::test;
using smelt::reference::Tensor;

namespace {

TEST(Gradients, AddUpOverMicroBatches) {
  Program program(R"(
    lm.parameter @p : tensor<2xf64> constant 0.0
    train.state @m : tensor<2xf64>
    func.func @train(%g: tensor<2xf64>) {
      train.gradient @p, %g : tensor<2xf64>
      return
    }
    func.func @update() {
      %p = lm.read @p : tensor<2xf64>
      %m = lm.read @m : tensor<2xf64>
      %g = train.read_gradient @p : tensor<2xf64>
      %n = lm.add %m, %g : tensor<2xf64>
      train.write @m, %n : tensor<2xf64>
      %q = lm.add %p, %n : tensor<2xf64>
      train.write @p, %q : tensor<2xf64>
      return
    })");
  auto &interpreter = program.getInterpreter();
  interpreter.tensors["p"] = Tensor({2}, {10, 20});
  program.run("train", {Tensor({2}, {1, 2})});
  program.run("train", {Tensor({2}, {3, 4})});
  expectNear(interpreter.gradients["p"], Tensor({2}, {4, 6}));
  program.run("update"); // The state is zero at first.
  program.run("update");
  EXPECT_EQ(program.messages, "");
  expectNear(interpreter.tensors["m"], Tensor({2}, {8, 12}));
  expectNear(interpreter.tensors["p"], Tensor({2}, {22, 38}));
}

/// A group of one parameter as f(p, g, m, v, lr, c1, c2).
std::string adamText(const std::string &kind) {
  return R"(
    func.func @f(%p: tensor<2xf64>, %g: tensor<2xf64>, %m: tensor<2xf64>, %v: tensor<2xf64>, %lr: tensor<f64>, %c1: tensor<f64>, %c2: tensor<f64>)
        -> (tensor<2xf64>, tensor<2xf64>, tensor<2xf64>) {
      %0, %1, %2 = train.)" +
         kind + R"( (%p) gradients (%g) moments (%m : %v) lr (%lr) corrections (%c1, %c2)
          {lr_scales = #lm.numbers<2.0>, weight_decays = #lm.numbers<0.5>, beta1 = 0.9, beta2 = 0.99, eps = 1.0}
          : (tensor<2xf64>, tensor<2xf64>, tensor<2xf64>, tensor<2xf64>, tensor<f64>, tensor<f64>, tensor<f64>) -> (tensor<2xf64>, tensor<2xf64>, tensor<2xf64>)
      return %0, %1, %2 : tensor<2xf64>, tensor<2xf64>, tensor<2xf64>
    })";
}

std::vector<Tensor> adamInputs() {
  return {Tensor({2}, {1, -1}),      Tensor({2}, {3, -1}), Tensor::filled({2}, 0.0),
          Tensor::filled({2}, 0.0),  Tensor::scalar(0.1),  Tensor::scalar(1 - 0.9),
          Tensor::scalar(1 - 0.99)};
}

TEST(AdamW, TakesTheSignInItsFirstStep) {
  // After one step both moments are unbiased: m̂ = g, v̂ = g², so the direction is g/(|g| + eps).
  Program program(adamText("adamw"));
  auto y = program.run("f", adamInputs());
  ASSERT_EQ(program.messages, "");
  expectNear(y[0], Tensor({2}, {1 - 0.2 * (0.5 + 0.75), -1 + 0.2 * (0.5 + 0.5)}));
  expectNear(y[1], Tensor({2}, {0.3, -0.1}));
  expectNear(y[2], Tensor({2}, {0.09, 0.01}));
}

TEST(Adam, AddsEpsBeforeTheCorrection) {
  // √c2/c1 = 1, so the direction is m/(√v + eps) = (0.3/1.3, −0.1/1.1).
  Program program(adamText("adam"));
  auto y = program.run("f", adamInputs());
  ASSERT_EQ(program.messages, "");
  expectNear(y[0], Tensor({2}, {1 - 0.2 * (0.5 + 0.3 / 1.3), -1 + 0.2 * (0.5 + 0.1 / 1.1)}));
  expectNear(y[1], Tensor({2}, {0.3, -0.1}));
  expectNear(y[2], Tensor({2}, {0.09, 0.01}));
}

TEST(Snoo, IsNesterovFromTheOuterCopy) {
  for (bool nesterov : {true, false}) {
    Program program(std::string(R"(
    func.func @f(%p: tensor<2xf64>, %o: tensor<2xf64>, %b: tensor<2xf64>) -> (tensor<2xf64>, tensor<2xf64>, tensor<2xf64>) {
      %0, %1, %2 = train.snoo (%p) outer (%o) momenta (%b) {lrs = #lm.numbers<0.5>, momentum = 0.25 : f64, nesterov = )") +
                    (nesterov ? "true" : "false") + R"(}
          : (tensor<2xf64>, tensor<2xf64>, tensor<2xf64>) -> (tensor<2xf64>, tensor<2xf64>, tensor<2xf64>)
      return %0, %1, %2 : tensor<2xf64>, tensor<2xf64>, tensor<2xf64>
    })");
    auto y = program.run("f", {Tensor({2}, {1, 2}), Tensor({2}, {3, 2}), Tensor({2}, {4, 8})});
    ASSERT_EQ(program.messages, "");
    // g = (2, 0), b = 0.25·(4, 8) + g = (3, 2), direction g + 0.25·b = (2.75, 0.5), or b itself.
    Tensor expected = nesterov ? Tensor({2}, {3 - 0.5 * 2.75, 2 - 0.5 * 0.5})
                               : Tensor({2}, {3 - 0.5 * 3.0, 2 - 0.5 * 2.0});
    expectNear(y[0], expected);
    expectNear(y[1], expected);
    expectNear(y[2], Tensor({2}, {3, 2}));
  }
}

TEST(Snoo, RoundsTheOuterGradientToTheParametersType) {
  Program program(R"(
    func.func @f(%p: tensor<1xbf16>, %o: tensor<1xbf16>, %b: tensor<1xbf16>) -> (tensor<1xbf16>, tensor<1xbf16>, tensor<1xbf16>) {
      %0, %1, %2 = train.snoo (%p) outer (%o) momenta (%b) {lrs = #lm.numbers<1.0>, momentum = 0.0 : f64, nesterov = true}
          : (tensor<1xbf16>, tensor<1xbf16>, tensor<1xbf16>) -> (tensor<1xbf16>, tensor<1xbf16>, tensor<1xbf16>)
      return %0, %1, %2 : tensor<1xbf16>, tensor<1xbf16>, tensor<1xbf16>
    })");
  // 256 − (−1) = 257 lies between 256 and 258; ties go to the even significand, 256.
  auto y = program.run("f", {Tensor({1}, {-1}), Tensor({1}, {256}), Tensor({1}, {0})});
  ASSERT_EQ(program.messages, "");
  expectNear(y[0], Tensor({1}, {0}));
  expectNear(y[2], Tensor({1}, {256}));
}

TEST(States, ThatBeginAsACopyMustBeGiven) {
  Program program(R"(
    lm.parameter @p : tensor<f64> constant 2.0
    train.state @outer : tensor<f64> {copy_of = @p}
    func.func @f() -> tensor<f64> {
      %0 = lm.read @outer : tensor<f64>
      return %0 : tensor<f64>
    })");
  program.run("f");
  EXPECT_NE(program.messages.find("reads @outer, which the caller did not set"), std::string::npos)
      << program.messages;
}

/// With the classical Newton–Schulz coefficients the update becomes orthogonal: its rows (wide) or
/// columns (tall) are orthonormal.
TEST(Muon, Orthogonalises) {
  for (auto [rows, columns] : {std::pair<int64_t, int64_t>{3, 5}, {5, 3}}) {
    std::string type = "tensor<" + std::to_string(rows) + "x" + std::to_string(columns) + "xf64>";
    std::string triples;
    for (int i = 0; i < 40; ++i)
      triples += std::string(i ? ", " : "") + "1.5, -0.5, 0.0";
    Program program("func.func @f(%p: " + type + ", %g: " + type + ", %m: " + type +
                    ", %lr: tensor<f64>, %mu: tensor<f64>) -> (" + type + ", " + type +
                    ") {\n%0, %1 = train.muon %p gradient %g momentum %m lr %lr mu %mu {lr_scales "
                    "= #lm.numbers<1.0>, "
                    "weight_decays = #lm.numbers<0.25>, nesterov = false, norm_scale = 1.015625, "
                    "norm_eps = 1.0e-7, "
                    "coefficients = #lm.numbers<" +
                    triples + ">} : (" + type + ", " + type + ", " + type +
                    ", tensor<f64>, tensor<f64>) -> (" + type + ", " + type +
                    ")\nreturn %0, %1 : " + type + ", " + type + "\n}");
    std::mt19937 random(5);
    std::normal_distribution<double> normal;
    Tensor gradient = Tensor::filled({rows, columns}, 0.0);
    for (double &value : gradient.values)
      value = normal(random);
    Tensor ones = Tensor::filled({rows, columns}, 1.0),
           zeros = Tensor::filled({rows, columns}, 0.0);
    auto y = program.run("f", {ones, gradient, zeros, Tensor::scalar(1), Tensor::scalar(0.75)});
    ASSERT_EQ(program.messages, "");
    // p' = 1 − 0.25·1 − √max(1, rows/columns)·X
    double factor = std::sqrt(std::max(1.0, double(rows) / columns));
    int64_t small = std::min(rows, columns);
    Tensor product = Tensor::filled({small, small}, 0.0), identity = product;
    for (int64_t i = 0; i < small; ++i) {
      identity(i, i) = 1;
      for (int64_t j = 0; j < small; ++j)
        for (int64_t k = 0; k < std::max(rows, columns); ++k) {
          auto x = [&](int64_t a) {
            return (0.75 - (rows < columns ? y[0](a, k) : y[0](k, a))) / factor;
          };
          product(i, j) += x(i) * x(j);
        }
    }
    expectNear(product, identity, 1e-9); // Forty iterations converge far below this.
    for (int64_t i = 0; i < gradient.getNumElements(); ++i)
      EXPECT_TRUE(std::abs(y[1](i) - 0.25 * gradient(i)) <= 1e-15) << "momentum " << i;
  }
}

/// Two 1 x 2 matrices, so that X is u/‖u‖·(a + b·s + c·s²) with s its square: here a = 1, b = c = 0.
TEST(NorMuon, NormalisesRowsAndDecaysCautiously) {
  Program program(R"(
    func.func @f(%p: tensor<2x2xf64>, %g: tensor<2x2xf64>, %m: tensor<2x2xf64>, %v: tensor<2xf64>, %lr: tensor<f64>, %mu: tensor<f64>)
        -> (tensor<2x2xf64>, tensor<2x2xf64>, tensor<2xf64>) {
      %0, %1, %2 = train.normuon %p gradient %g momentum %m second %v lr %lr mu %mu
          {groups = 2 : i64, peak = 0.5, lr_scales = #lm.numbers<1.0, 2.0>, weight_decays = #lm.numbers<1.0, 0.5>, nesterov = true, beta2 = 0.75,
           cautious = true, variance_axis = 1 : i64, norm_scale = 1.0, norm_eps = 0.0, coefficients = #lm.numbers<1.0, 0.0, 0.0>}
          : (tensor<2x2xf64>, tensor<2x2xf64>, tensor<2x2xf64>, tensor<2xf64>, tensor<f64>, tensor<f64>) -> (tensor<2x2xf64>, tensor<2x2xf64>, tensor<2xf64>)
      return %0, %1, %2 : tensor<2x2xf64>, tensor<2x2xf64>, tensor<2xf64>
    })");
  auto y = program.run("f", {Tensor({2, 2}, {1, 1, -1, -1}), Tensor({2, 2}, {3, -4, 0, 2}),
                             Tensor::filled({2, 2}, 0.0), Tensor({2}, {1, 0}), Tensor::scalar(0.5),
                             Tensor::scalar(0.5)});
  ASSERT_EQ(program.messages, "");
  // X = (0.6, -0.8) and (0, 1); one row a matrix, so the step size cancels against the norm.
  // r = 0.25; η = 0.25 and 0.5; decay wd·r·η where X·p ≥ 0 (at 0 too): 0.0625 each.
  expectNear(y[0], Tensor({2, 2}, {1 - 0.0625 - 0.25 * 0.6, 1 + 0.25 * 0.8, -1 + 0.0625, -1 - 0.5}));
  expectNear(y[1], Tensor({2, 2}, {1.5, -2, 0, 1}));
  expectNear(y[2], Tensor({2}, {0.75 + 0.25 * 0.5, 0.25 * 0.5}));
}

/// A bank is its members' rows: read, written and its gradients read as a whole.
TEST(Banks, AreTheirMembers) {
  Program program(R"(
    lm.parameter @a : tensor<1x2xf64> constant 0.0
    lm.parameter @b : tensor<2x2xf64> constant 0.0
    train.state @m.a : tensor<1x2xf64>
    train.state @m.b : tensor<2x2xf64>
    train.bank @bank [@a, @b] : tensor<3x2xf64>
    train.bank @m [@m.a, @m.b] : tensor<3x2xf64>
    func.func @update() {
      %p = lm.read @bank : tensor<3x2xf64>
      %m = lm.read @m : tensor<3x2xf64>
      %g = train.read_gradient @bank : tensor<3x2xf64>
      %n = lm.add %m, %g : tensor<3x2xf64>
      train.write @m, %n : tensor<3x2xf64>
      %q = lm.add %p, %n : tensor<3x2xf64>
      train.write @bank, %q : tensor<3x2xf64>
      return
    })");
  auto &interpreter = program.getInterpreter();
  interpreter.tensors["a"] = Tensor({1, 2}, {1, 2});
  interpreter.tensors["b"] = Tensor({2, 2}, {3, 4, 5, 6});
  interpreter.gradients["a"] = Tensor({1, 2}, {10, 20});
  interpreter.gradients["b"] = Tensor({2, 2}, {30, 40, 50, 60});
  program.run("update");
  program.run("update");
  EXPECT_EQ(program.messages, "");
  expectNear(interpreter.tensors["a"], Tensor({1, 2}, {31, 62}));
  expectNear(interpreter.tensors["b"], Tensor({2, 2}, {93, 124, 155, 186}));
  expectNear(interpreter.tensors["m.b"], Tensor({2, 2}, {60, 80, 100, 120}));
}

} // namespace
