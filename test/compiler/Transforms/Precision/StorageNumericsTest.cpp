//===- StorageNumericsTest.cpp - What bf16 storage changes ----------------===//
//
// The meaning of a program before and after smelt-choose-storage: the same up to one rounding of
// each stored value, with the bound that follows from it.
//
//===----------------------------------------------------------------------===//
#include "compiler/Reference/Interpreter.h"
#include "compiler/Transforms/Precision/Passes.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include <cmath>
#include <gtest/gtest.h>
#include <random>

using namespace mlir;
using smelt::reference::Tensor;

namespace {

/// h = relu²(x·w1ᵀ) is stored; y = h·w2ᵀ is the program's result.
const char *const text = R"(
func.func @f(%x: tensor<9x24xf32>, %w1: tensor<40x24xf32>, %w2: tensor<7x40xf32>) -> tensor<9x7xf32> {
  %h = kernel.gemm a(%x) b(%w1) result() {transpose_b} : (tensor<9x24xf32>, tensor<40x24xf32>) -> tensor<9x40xf32>
    a { ^bb0(%a: tensor<9x24xf32>): kernel.yield %a : tensor<9x24xf32> }
    b { ^bb0(%a: tensor<40x24xf32>): kernel.yield %a : tensor<40x24xf32> }
    result { ^bb0(%c: tensor<9x40xf32>): %1 = lm.unary relu_squared %c : tensor<9x40xf32> kernel.yield %1 : tensor<9x40xf32> }
  %y = kernel.gemm a(%h) b(%w2) result() {transpose_b} : (tensor<9x40xf32>, tensor<7x40xf32>) -> tensor<9x7xf32>
    a { ^bb0(%a: tensor<9x40xf32>): kernel.yield %a : tensor<9x40xf32> }
    b { ^bb0(%a: tensor<7x40xf32>): kernel.yield %a : tensor<7x40xf32> }
    result { ^bb0(%c: tensor<9x7xf32>): kernel.yield %c : tensor<9x7xf32> }
  return %y : tensor<9x7xf32>
})";

TEST(StorageNumerics, EachStoredValueIsRoundedOnce) {
  MLIRContext context(MLIRContext::Threading::DISABLED);
  context.loadDialect<lm::LMDialect, kernel::KernelDialect, func::FuncDialect>();
  OwningOpRef<ModuleOp> wide = parseSourceString<ModuleOp>(text, &context);
  ASSERT_TRUE(wide);
  OwningOpRef<ModuleOp> narrow = wide->clone();
  PassManager passes(&context);
  smelt::ChooseStoragePassOptions options;
  options.activations = "bf16";
  passes.addNestedPass<func::FuncOp>(smelt::createChooseStoragePass(options));
  ASSERT_TRUE(succeeded(passes.run(*narrow)));

  std::mt19937 random(17);
  std::normal_distribution<float> normal;
  std::vector<Tensor> inputs{Tensor::filled({9, 24}, 0), Tensor::filled({40, 24}, 0),
                             Tensor::filled({7, 40}, 0)};
  for (Tensor &input : inputs)
    for (double &value : input.values)
      value = normal(random);
  auto f32 = smelt::reference::Interpreter(*wide).run("f", inputs);
  auto bf16 = smelt::reference::Interpreter(*narrow).run("f", inputs);
  ASSERT_TRUE(succeeded(f32) && succeeded(bf16));

  double different = 0;
  for (int64_t t = 0; t < 9; ++t)
    for (int64_t i = 0; i < 7; ++i) {
      // By hand, with h rounded; and the bound: half a unit of 8 bits, 2^-8, of each |h|·|w2|.
      double exact = 0, bound = 0;
      for (int64_t k = 0; k < 40; ++k) {
        double z = 0;
        for (int64_t j = 0; j < 24; ++j)
          z += inputs[0](t, j) * inputs[1](k, j);
        double h = z > 0 ? z * z : 0;
        exact += smelt::reference::roundTo(BFloat16Type::get(&context), h) * inputs[2](i, k);
        bound += 0x1p-8 * h * std::fabs(inputs[2](i, k));
      }
      double got = bf16->front()(t, i), want = f32->front()(t, i);
      EXPECT_TRUE(std::fabs(got - exact) <= 1e-9 * bound) << got << " for " << exact;
      EXPECT_TRUE(std::fabs(got - want) <= bound) << got << " for " << want;
      different += std::fabs(got - want);
    }
  EXPECT_GT(different, 0);
}

} // namespace
