//===- KernelsTest.cpp - Kernel ops mean what their regions say -----------===//
#include "RunText.h"
#include <gtest/gtest.h>
#include <random>

using namespace smelt::test;
using smelt::reference::Tensor;

namespace {

Tensor makeRandom(std::mt19937 &random, llvm::ArrayRef<int64_t> shape) {
  std::normal_distribution<double> normal;
  Tensor tensor = Tensor::filled(shape, 0.0);
  for (double &value : tensor.values)
    value = normal(random);
  return tensor;
}

/// Runs @plain and @fused of one module on the same inputs; all results must agree to the last bits
/// of a double.
void expectSame(const std::string &text, llvm::ArrayRef<Tensor> inputs) {
  Program program(text);
  auto plain = program.run("plain", inputs), fused = program.run("fused", inputs);
  ASSERT_EQ(program.messages, "");
  ASSERT_FALSE(plain.empty());
  ASSERT_EQ(plain.size(), fused.size());
  for (size_t i = 0; i < plain.size(); ++i)
    expectNear(fused[i], plain[i], 1e-14);
}

TEST(KernelGemm, FusesPrologueAndEpilogue) {
  std::mt19937 random(1);
  expectSame(R"(
    func.func @plain(%x: tensor<4x3xf64>, %w: tensor<5x3xf64>, %r: tensor<4x5xf64>) -> (tensor<4x5xf64>, tensor<4x5xf64>) {
      %n = lm.rms_norm %x {eps = 0.01} : tensor<4x3xf64>
      %c = lm.matmul %n, %w {transpose_b} : tensor<4x3xf64>, tensor<5x3xf64> -> tensor<4x5xf64>
      %a = lm.unary relu_squared %c : tensor<4x5xf64>
      %y = lm.add %a, %r : tensor<4x5xf64>
      return %y, %c : tensor<4x5xf64>, tensor<4x5xf64>
    }
    func.func private @kernel_0(%x: tensor<4x3xf64>, %w: tensor<5x3xf64>, %r: tensor<4x5xf64>) -> (tensor<4x5xf64>, tensor<4x5xf64>) {
      %y:2 = kernel.gemm a(%x) b(%w) result(%r) {transpose_b}
          : (tensor<4x3xf64>, tensor<5x3xf64>, tensor<4x5xf64>) -> (tensor<4x5xf64>, tensor<4x5xf64>) a {
      ^bb0(%0: tensor<4x3xf64>):
        %1 = lm.rms_norm %0 {eps = 0.01} : tensor<4x3xf64>
        kernel.yield %1 : tensor<4x3xf64>
      } b {
      ^bb0(%0: tensor<5x3xf64>):
        kernel.yield %0 : tensor<5x3xf64>
      } result {
      ^bb0(%c: tensor<4x5xf64>, %0: tensor<4x5xf64>):
        %1 = lm.unary relu_squared %c : tensor<4x5xf64>
        %2 = lm.add %1, %0 : tensor<4x5xf64>
        kernel.yield %2, %c : tensor<4x5xf64>, tensor<4x5xf64>
      }
      return %y#0, %y#1 : tensor<4x5xf64>, tensor<4x5xf64>
    }
    func.func @fused(%x: tensor<4x3xf64>, %w: tensor<5x3xf64>, %r: tensor<4x5xf64>) -> (tensor<4x5xf64>, tensor<4x5xf64>) {
      %y:2 = call @kernel_0(%x, %w, %r) : (tensor<4x3xf64>, tensor<5x3xf64>, tensor<4x5xf64>) -> (tensor<4x5xf64>, tensor<4x5xf64>)
      return %y#0, %y#1 : tensor<4x5xf64>, tensor<4x5xf64>
    })",
             {makeRandom(random, {4, 3}), makeRandom(random, {5, 3}), makeRandom(random, {4, 5})});
}

/// token_shift on keys inside the attention kernel, forward and backward, against the ops one by
/// one.
TEST(KernelAttention, ShiftsKeysInTheLoad) {
  std::mt19937 random(2);
  std::string shift =
      R"(lm.token_shift replace cross %K {features = array<i64: 1, 3>, heads = array<i64>} : (tensor<5x2x4xf64>) -> tensor<5x2x4xf64>)";
  auto shiftOf = [&](std::string value) {
    std::string text = shift;
    return text.replace(text.find("%K"), 2, value);
  };
  std::string arguments = "%q: tensor<5x2x4xf64>, %k: tensor<5x2x4xf64>, %v: tensor<5x2x4xf64>, "
                          "%dout: tensor<5x2x4xf64>, "
                          "%first: tensor<5xi32>, %scale: tensor<f64>";
  std::string heads = "tensor<5x2x4xf64>",
              types = heads + ", tensor<5x2xf64>, " + heads + ", " + heads + ", " + heads;
  auto identity = [&](std::string name) {
    return name + " {\n^bb0(%0: " + heads + "):\n kernel.yield %0 : " + heads + "\n}\n";
  };
  std::string shifted = "k {\n^bb0(%0: " + heads + "):\n %1 = " + shiftOf("%0") +
                        "\n kernel.yield %1 : " + heads + "\n}\n";
  expectSame(
      "func.func @plain(" + arguments + ") -> (" + types + ") {\n %ks = " + shiftOf("%k") + R"(
      %o, %lse = lm.attention %q, %ks, %v first %first scale %scale : tensor<5x2x4xf64>, tensor<5xi32>, tensor<f64> -> tensor<5x2x4xf64>, tensor<5x2xf64>
      %dq, %dk, %dv = lm.attention_backward %q, %ks, %v first %first scale %scale out %o, %lse, %dout : tensor<5x2x4xf64>, tensor<5xi32>, tensor<f64>, tensor<5x2xf64>
      return %o, %lse, %dq, %dk, %dv : )" +
          types + "\n}\nfunc.func @fused(" + arguments + ") -> (" + types + R"() {
      %o, %lse = kernel.attention q(%q) k(%k) v(%v) result() first(%first) scale(%scale)
          : (tensor<5x2x4xf64>, tensor<5x2x4xf64>, tensor<5x2x4xf64>, tensor<5xi32>, tensor<f64>) -> (tensor<5x2x4xf64>, tensor<5x2xf64>) )" +
          identity("q") + shifted + identity("v") + identity("result") + R"(
      %dq, %dk, %dv = kernel.attention_backward q(%q) k(%k) v(%v) first(%first) scale(%scale) out(%o, %lse, %dout)
          : (tensor<5x2x4xf64>, tensor<5x2x4xf64>, tensor<5x2x4xf64>, tensor<5xi32>, tensor<f64>, tensor<5x2x4xf64>, tensor<5x2xf64>, tensor<5x2x4xf64>)
          -> (tensor<5x2x4xf64>, tensor<5x2x4xf64>, tensor<5x2x4xf64>) )" +
          identity("q") + shifted + identity("v") + "return %o, %lse, %dq, %dk, %dv : " + types +
          "\n}",
      {makeRandom(random, {5, 2, 4}), makeRandom(random, {5, 2, 4}), makeRandom(random, {5, 2, 4}),
       makeRandom(random, {5, 2, 4}), Tensor({5}, {0, 0, 1, 3, 3}), Tensor::scalar(0.5)});
}

TEST(KernelRowwise, RunsItsBody) {
  std::mt19937 random(3);
  expectSame(R"(
    func.func @plain(%x: tensor<4x3xf64>, %s: tensor<f64>) -> (tensor<4x3xf64>, tensor<f64>) {
      %0 = lm.scale %x, %s : tensor<4x3xf64>, tensor<f64>
      %1 = lm.dot %0, %x : tensor<4x3xf64> -> tensor<f64>
      return %0, %1 : tensor<4x3xf64>, tensor<f64>
    }
    func.func @fused(%x: tensor<4x3xf64>, %s: tensor<f64>) -> (tensor<4x3xf64>, tensor<f64>) {
      %y:2 = kernel.rowwise(%x, %s) : (tensor<4x3xf64>, tensor<f64>) -> (tensor<4x3xf64>, tensor<f64>) {
      ^bb0(%a: tensor<4x3xf64>, %b: tensor<f64>):
        %0 = lm.scale %a, %b : tensor<4x3xf64>, tensor<f64>
        %1 = lm.dot %0, %a : tensor<4x3xf64> -> tensor<f64>
        kernel.yield %0, %1 : tensor<4x3xf64>, tensor<f64>
      }
      return %y#0, %y#1 : tensor<4x3xf64>, tensor<f64>
    })",
             {makeRandom(random, {4, 3}), Tensor::scalar(1.5)});
}

TEST(KernelEmbeddingBackward, ScattersWhatItsRegionGives) {
  std::mt19937 random(4);
  expectSame(R"(
    func.func @plain(%t: tensor<4xi32>, %dy: tensor<4x3xf64>, %s: tensor<f64>) -> tensor<5x3xf64> {
      %0 = lm.scale %dy, %s : tensor<4x3xf64>, tensor<f64>
      %1 = lm.embedding_backward %t, %0 : tensor<4xi32>, tensor<4x3xf64> -> tensor<5x3xf64>
      %2 = lm.unary negate %1 : tensor<5x3xf64>
      return %2 : tensor<5x3xf64>
    }
    func.func @fused(%t: tensor<4xi32>, %dy: tensor<4x3xf64>, %s: tensor<f64>) -> tensor<5x3xf64> {
      %y = kernel.embedding_backward tokens(%t) dy(%dy, %s) result() : (tensor<4xi32>, tensor<4x3xf64>, tensor<f64>) -> tensor<5x3xf64> dy {
      ^bb0(%a: tensor<4x3xf64>, %b: tensor<f64>):
        %0 = lm.scale %a, %b : tensor<4x3xf64>, tensor<f64>
        kernel.yield %0 : tensor<4x3xf64>
      } result {
      ^bb0(%a: tensor<5x3xf64>):
        %0 = lm.unary negate %a : tensor<5x3xf64>
        kernel.yield %0 : tensor<5x3xf64>
      }
      return %y : tensor<5x3xf64>
    })",
             {Tensor({4}, {4, 0, 4, 2}), makeRandom(random, {4, 3}), Tensor::scalar(3)});
}

} // namespace
