//===- WholeModelGradientsTest.cpp - A small model through smelt-autodiff -===//
#include "GradientCheck.h"

#include "compiler/Transforms/Autodiff/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace smelt::test;
using smelt::reference::Tensor;

namespace {

/// One layer with everything: smear, embedding norm, key shift, rotary embedding, windowed
/// attention over documents, residual mixes with the embedding, relu², soft cap, mean cross
/// entropy. The output head is the embedding table (a parameter with two reads).
constexpr char model[] = R"(
lm.parameter @table : tensor<7x8xf64> normal 1.0
lm.parameter @smear.scale : tensor<f64> constant 0.5
lm.parameter @smear.gate : tensor<1x3xf64> normal 1.0
lm.parameter @qkv : tensor<24x8xf64> normal 1.0
lm.parameter @projection : tensor<8x8xf64> normal 1.0
lm.parameter @up : tensor<12x8xf64> normal 1.0
lm.parameter @down : tensor<8x12xf64> normal 1.0
lm.parameter @residual : tensor<f64> constant 1.0
lm.parameter @x0 : tensor<f64> constant 0.0
func.func @train(%tokens: tensor<6xi32>, %targets: tensor<6xi32>, %document_start: tensor<6xi32>) -> (tensor<f64>, tensor<f64>)
    attributes {smelt.role = "train", smelt.tokens = 6 : i64} {
  %table = lm.read @table : tensor<7x8xf64>
  %e = lm.embedding %table, %tokens : tensor<7x8xf64>, tensor<6xi32> -> tensor<6x8xf64>
  %smear_scale = lm.read @smear.scale : tensor<f64>
  %smear_gate = lm.read @smear.gate : tensor<1x3xf64>
  %gate = lm.gate %e, %smear_gate : tensor<6x8xf64>, tensor<1x3xf64> -> tensor<6x1xf64>
  %smeared = lm.token_shift add mask %e scale %smear_scale gate %gate document_start %document_start {features = array<i64>, heads = array<i64>}
      : (tensor<6x8xf64>, tensor<f64>, tensor<6x1xf64>, tensor<6xi32>) -> tensor<6x8xf64>
  %x = lm.rms_norm %smeared {eps = 1.0e-6} : tensor<6x8xf64>

  %qkv_weight = lm.read @qkv : tensor<24x8xf64>
  %qkv = lm.matmul %x, %qkv_weight {transpose_b} : tensor<6x8xf64>, tensor<24x8xf64> -> tensor<6x24xf64>
  %q0, %k0, %v0 = lm.split %qkv : (tensor<6x24xf64>) -> (tensor<6x8xf64>, tensor<6x8xf64>, tensor<6x8xf64>)
  %q1 = lm.reshape %q0 : tensor<6x8xf64> -> tensor<6x2x4xf64>
  %k1 = lm.reshape %k0 : tensor<6x8xf64> -> tensor<6x2x4xf64>
  %v = lm.reshape %v0 : tensor<6x8xf64> -> tensor<6x2x4xf64>
  %frequencies = lm.constant dense<[1.0, 0.2]> : tensor<2xf64>
  %rope = lm.rope_table %frequencies : tensor<2xf64> -> tensor<6x4xf64>
  %q2 = lm.rms_norm %q1 {eps = 1.0e-6} : tensor<6x2x4xf64>
  %q = lm.rope %q2, %rope : tensor<6x2x4xf64>, tensor<6x4xf64>
  %k2 = lm.rms_norm %k1 {eps = 1.0e-6} : tensor<6x2x4xf64>
  %k3 = lm.rope %k2, %rope : tensor<6x2x4xf64>, tensor<6x4xf64>
  %k = lm.token_shift replace cross %k3 {features = array<i64: 1, 2, 3, 4>, heads = array<i64: 1>} : (tensor<6x2x4xf64>) -> tensor<6x2x4xf64>
  %window = lm.setting @window : tensor<i32>
  %first = lm.attention_range %document_start, %window : tensor<6xi32>, tensor<i32> -> tensor<6xi32>
  %attention_scale = lm.constant dense<0.5> : tensor<f64>
  %attention, %attention_lse = lm.attention %q, %k, %v first %first scale %attention_scale
      : tensor<6x2x4xf64>, tensor<6xi32>, tensor<f64> -> tensor<6x2x4xf64>, tensor<6x2xf64>
  %flat = lm.reshape %attention : tensor<6x2x4xf64> -> tensor<6x8xf64>
  %projection = lm.read @projection : tensor<8x8xf64>
  %o = lm.matmul %flat, %projection {transpose_b} : tensor<6x8xf64>, tensor<8x8xf64> -> tensor<6x8xf64>
  %residual = lm.read @residual : tensor<f64>
  %x0 = lm.read @x0 : tensor<f64>
  %one = lm.constant dense<1.0> : tensor<f64>
  %h = lm.mix %x, %x, %o by %residual, %x0, %one : (tensor<6x8xf64>, tensor<6x8xf64>, tensor<6x8xf64>, tensor<f64>, tensor<f64>, tensor<f64>) -> tensor<6x8xf64>

  %n = lm.rms_norm %h {eps = 1.0e-6} : tensor<6x8xf64>
  %up = lm.read @up : tensor<12x8xf64>
  %u = lm.matmul %n, %up {transpose_b} : tensor<6x8xf64>, tensor<12x8xf64> -> tensor<6x12xf64>
  %a = lm.unary relu_squared %u : tensor<6x12xf64>
  %down = lm.read @down : tensor<8x12xf64>
  %m = lm.matmul %a, %down {transpose_b} : tensor<6x12xf64>, tensor<8x12xf64> -> tensor<6x8xf64>
  %y = lm.add %h, %m : tensor<6x8xf64>

  %final = lm.rms_norm %y {eps = 1.0e-6} : tensor<6x8xf64>
  %head = lm.read @table : tensor<7x8xf64>
  %raw = lm.matmul %final, %head {transpose_b} : tensor<6x8xf64>, tensor<7x8xf64> -> tensor<6x7xf64>
  %logits = lm.softcap tanh %raw {amplitude = 5.0, temperature = 4.0} : tensor<6x7xf64>
  %loss, %lse = lm.cross_entropy %logits, %targets : tensor<6x7xf64>, tensor<6xi32> -> tensor<6xf64>, tensor<6xf64>
  %sum = lm.sum %loss : tensor<6xf64> -> tensor<f64>
  %count = lm.count_targets %targets : tensor<6xi32> -> tensor<f64>
  %inverse = lm.unary reciprocal %count : tensor<f64>
  %mean = lm.scale %sum, %inverse : tensor<f64>, tensor<f64>
  return %mean, %sum : tensor<f64>, tensor<f64>
})";

const std::vector<Tensor> inputs{Tensor({6}, {3, 1, 3, 0, 6, 1}), Tensor({6}, {1, 3, -1, 6, 1, 2}),
                                 Tensor({6}, {0, 0, 0, 3, 3, 3})};

/// Sets random parameters (the same every time) and the window; returns the parameters' names.
std::vector<std::string> setParameters(ModuleOp module,
                                       smelt::reference::Interpreter &interpreter) {
  std::mt19937_64 random(1);
  std::vector<std::string> parameters;
  for (auto parameter : module.getOps<lm::ParameterOp>()) {
    parameters.push_back(parameter.getSymName().str());
    interpreter.tensors[parameters.back()] =
        makeRandomTensor(random, cast<RankedTensorType>(parameter.getType()).getShape());
  }
  interpreter.tensors["window"] = Tensor::scalar(2);
  return parameters;
}

TEST(WholeModelGradients, MatchCentralDifferences) {
  auto module = parseModule(model);
  ASSERT_TRUE(module);
  PassManager passes(&getContext());
  passes.addPass(smelt::createAutodiffPass());
  ASSERT_TRUE(succeeded(passes.run(*module)));

  smelt::reference::Interpreter interpreter(*module, {smelt::reference::Rounding::none});
  std::vector<std::string> parameters = setParameters(*module, interpreter);
  auto results = interpreter.run("train", inputs);
  ASSERT_TRUE(succeeded(results));
  EXPECT_TRUE(std::abs((*results)[0].item() * 5 - (*results)[1].item()) <= 1e-12)
      << "five of six targets count";

  auto gradients = interpreter.gradients;
  ASSERT_EQ(gradients.size(), parameters.size());
  for (const std::string &parameter : parameters) {
    // A small step: no relu² may cross its corner, where the second derivative jumps.
    Tensor numeric = differentiateNumerically(
        interpreter.tensors[parameter],
        [&] { return (*interpreter.run("train", inputs))[0].item(); }, 1e-5);
    EXPECT_GT(expectSameGradient(gradients[parameter], numeric, parameter), 1e-5) << parameter;
  }
}

/// Canonicalisation and CSE, before and after differentiation, change no result: λ·x + λ₀·x becomes
/// (λ + λ₀)·x here.
TEST(WholeModelGradients, SurviveCanonicalisation) {
  auto plain = parseModule(model), simplified = parseModule(model);
  ASSERT_TRUE(plain && simplified);
  PassManager differentiate(&getContext()), simplify(&getContext());
  differentiate.addPass(smelt::createAutodiffPass());
  for (int i = 0; i < 2; ++i) {
    simplify.addPass(createCanonicalizerPass());
    simplify.addPass(createCSEPass());
    if (i == 0)
      simplify.addPass(smelt::createAutodiffPass());
  }
  ASSERT_TRUE(succeeded(differentiate.run(*plain)));
  ASSERT_TRUE(succeeded(simplify.run(*simplified)));

  smelt::reference::Interpreter first(*plain), second(*simplified);
  std::vector<std::string> parameters = setParameters(*plain, first);
  setParameters(*simplified, second);
  auto firstResults = first.run("train", inputs), secondResults = second.run("train", inputs);
  ASSERT_TRUE(succeeded(firstResults) && succeeded(secondResults));
  EXPECT_TRUE(std::abs((*firstResults)[0].item() - (*secondResults)[0].item()) <= 1e-13);
  for (const std::string &parameter : parameters) {
    const Tensor &a = first.gradients.at(parameter), &b = second.gradients.at(parameter);
    ASSERT_EQ(a.shape, b.shape) << parameter;
    for (int64_t i = 0; i < a.getNumElements(); ++i)
      EXPECT_TRUE(std::abs(a(i) - b(i)) <= 1e-13)
          << parameter << ", element " << i; // Sums in another order.
  }
  size_t count = 0;
  simplified->walk([&](lm::MixOp mix) {
    EXPECT_EQ(mix.getValues().size(), 2u) << "the two terms of one value are merged";
    ++count;
  });
  EXPECT_EQ(count, 1u);
}

} // namespace
