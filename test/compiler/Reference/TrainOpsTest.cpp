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

TEST(AdamW, TakesTheSignInItsFirstStep) {
  // After one step both moments are unbiased: m̂ = g, v̂ = g², so the direction is g/(|g| + eps).
  Program program(R"(
    func.func @f(%p: tensor<2xf64>, %g: tensor<2xf64>, %m: tensor<2xf64>, %v: tensor<2xf64>, %lr: tensor<f64>, %t: tensor<f64>)
        -> (tensor<2xf64>, tensor<2xf64>, tensor<2xf64>) {
      %0, %1, %2 = train.adamw (%p) gradients (%g) moments (%m : %v) lr (%lr) step (%t)
          {lr_scales = array<f64: 2.0>, weight_decays = array<f64: 0.5>, beta1 = 0.9, beta2 = 0.99, eps = 1.0}
          : (tensor<2xf64>, tensor<2xf64>, tensor<2xf64>, tensor<2xf64>, tensor<f64>, tensor<f64>) -> (tensor<2xf64>, tensor<2xf64>, tensor<2xf64>)
      return %0, %1, %2 : tensor<2xf64>, tensor<2xf64>, tensor<2xf64>
    })");
  auto y = program.run("f", {Tensor({2}, {1, -1}), Tensor({2}, {3, -1}), Tensor::filled({2}, 0.0),
                             Tensor::filled({2}, 0.0), Tensor::scalar(0.1), Tensor::scalar(1)});
  ASSERT_EQ(program.messages, "");
  expectNear(y[0], Tensor({2}, {1 - 0.2 * (0.5 + 0.75), -1 + 0.2 * (0.5 + 0.5)}));
  expectNear(y[1], Tensor({2}, {0.3, -0.1}));
  expectNear(y[2], Tensor({2}, {0.09, 0.01}));
}

/// With the classical Newton–Schulz coefficients the update becomes orthogonal: its rows (wide) or
/// columns (tall) are orthonormal.
TEST(Muon, Orthogonalises) {
  for (auto [rows, columns] : {std::pair<int64_t, int64_t>{3, 5}, {5, 3}}) {
    std::string type = "tensor<" + std::to_string(rows) + "x" + std::to_string(columns) + "xf64>";
    std::string triples;
    for (int i = 0; i < 40; ++i)
      triples += std::string(i ? ", " : "") + "1.5, -0.5, 0.0";
    Program program(
        "func.func @f(%p: " + type + ", %g: " + type + ", %m: " + type +
        ", %lr: tensor<f64>, %mu: tensor<f64>) -> (" + type + ", " + type +
        ") {\n%0, %1 = train.muon %p gradient %g momentum %m lr %lr mu %mu {lr_scale = 1.0 : f64, "
        "weight_decay = 0.25 : f64, nesterov = false, coefficients = array<f64: " +
        triples + ">} : " + type + ", tensor<f64>, tensor<f64>\nreturn %0, %1 : " + type + ", " +
        type + "\n}");
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

} // namespace
