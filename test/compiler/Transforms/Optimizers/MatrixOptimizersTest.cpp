//===- MatrixOptimizersTest.cpp - What Muon and NorMuon expand to ---------===//
//
// The expansion of a bank against the ops' meaning, matrix by matrix, in double.
//
//===----------------------------------------------------------------------===//
#include "compiler/Reference/Interpreter.h"
#include "compiler/Transforms/Optimizers/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include <gtest/gtest.h>
#include <random>

using namespace mlir;
using smelt::reference::Interpreter;
using smelt::reference::Tensor;

namespace {

struct Case {
  int64_t rows, columns, groups;
  bool nesterov = true, alike = true; ///< alike: one rate and decay for all matrices.
  bool cautious = true;
  int64_t axis = 1;
  bool smoothed = false;
};

std::string list(std::initializer_list<double> values, int64_t count, bool alike) {
  std::string text = "#lm.numbers<";
  auto value = values.begin();
  for (int64_t i = 0; i < count; ++i) {
    text += (i ? ", " : "") + std::to_string(*value);
    if (!alike && ++value == values.end())
      value = values.begin();
  }
  return text + ">";
}

/// Three rounds with different coefficients, as the records have them.
const std::string coefficients =
    "#lm.numbers<4.0848, -6.8946, 2.9270, 3.9505, -6.3029, 2.6377, 2.8366, -3.0525, 1.2012>";

std::string attributes(const Case &c) {
  return "groups = " + std::to_string(c.groups) +
         " : i64, lr_scales = " + list({0.5, 2.0, 1.0}, c.groups, c.alike) +
         ", weight_decays = " + list({0.25, 0.0}, c.groups, c.alike) +
         ", nesterov = " + (c.nesterov ? "true" : "false") +
         ", norm_scale = 1.02, norm_eps = 1.0e-6, coefficients = " + coefficients;
}

std::string muon(const Case &c) {
  std::string shape = std::to_string(c.groups * c.rows) + "x" + std::to_string(c.columns),
              t = "tensor<" + shape + "xf64>", s = "tensor<" + shape + "xbf16>";
  std::string results = t + ", " + t + (c.smoothed ? ", " + s : "");
  return "func.func @f(%p: " + t + ", %g: " + t + ", %m: " + t + ", %v: " + s +
         ", %lr: tensor<f64>, %mu: tensor<f64>) -> (" + results + ") {\n%r:" +
         (c.smoothed ? "3" : "2") + " = train.muon %p gradient %g momentum %m " +
         (c.smoothed ? "smoothed %v " : "") + "lr %lr mu %mu {" + attributes(c) +
         (c.smoothed ? ", smoothing = 0.2" : "") + "} : (" + t + ", " + t + ", " + t +
         (c.smoothed ? ", " + s : "") + ", tensor<f64>, tensor<f64>) -> (" + results +
         ")\nreturn %r#0, %r#1" + (c.smoothed ? ", %r#2" : "") + " : " + results + "\n}";
}

std::string normuon(const Case &c) {
  std::string t = "tensor<" + std::to_string(c.groups * c.rows) + "x" + std::to_string(c.columns) +
                  "xf64>",
              v = c.axis == 1 ? "tensor<" + std::to_string(c.groups * c.rows) + "xf64>"
                              : "tensor<" + std::to_string(c.groups) + "x" +
                                    std::to_string(c.columns) + "xf64>";
  std::string results = t + ", " + t + ", " + v;
  return "func.func @f(%p: " + t + ", %g: " + t + ", %m: " + t + ", %v: " + v +
         ", %lr: tensor<f64>, %mu: tensor<f64>) -> (" + results +
         ") {\n%r:3 = train.normuon %p gradient %g momentum %m second %v lr %lr mu %mu {" +
         attributes(c) + ", peak = 0.5, beta2 = 0.9, cautious = " + (c.cautious ? "true" : "false") +
         ", variance_axis = " + std::to_string(c.axis) + " : i64} : (" + t + ", " + t + ", " + t +
         ", " + v + ", tensor<f64>, tensor<f64>) -> (" + results +
         ")\nreturn %r#0, %r#1, %r#2 : " + results + "\n}";
}

/// Interprets @f before and after the pass on the same random inputs.
void check(const std::string &text) {
  SCOPED_TRACE(text);
  MLIRContext context;
  context.loadDialect<lm::LMDialect, train::TrainDialect, func::FuncDialect>();
  auto module = parseSourceString<ModuleOp>(text, &context);
  ASSERT_TRUE(module);
  auto function = *module->getOps<func::FuncOp>().begin();
  std::mt19937_64 random(7);
  std::normal_distribution<double> normal;
  std::vector<Tensor> inputs;
  for (Type type : function.getArgumentTypes()) {
    Tensor tensor = Tensor::filled(cast<RankedTensorType>(type).getShape(), 0.75);
    if (tensor.getRank()) // Second moments are positive.
      for (double &value : tensor.values)
        value = inputs.size() == 3 ? std::abs(normal(random)) : normal(random);
    smelt::reference::roundTo(cast<RankedTensorType>(type).getElementType(), tensor);
    inputs.push_back(tensor);
  }
  auto before = Interpreter(*module).run("f", inputs);
  ASSERT_TRUE(succeeded(before));
  PassManager passes(&context);
  passes.addPass(smelt::createExpandMuonPass());
  ASSERT_TRUE(succeeded(passes.run(*module)));
  bool expanded = true;
  module->walk([&](Operation *op) { expanded &= !isa<train::MuonOp, train::NorMuonOp>(op); });
  ASSERT_TRUE(expanded);
  auto after = Interpreter(*module).run("f", inputs);
  ASSERT_TRUE(succeeded(after));
  for (size_t i = 0; i < before->size(); ++i)
    for (int64_t j = 0; j < (*before)[i].getNumElements(); ++j) {
      double expected = (*before)[i](j), got = (*after)[i](j);
      // Both in double; sums in another order, amplified by the rounds' polynomials.
      ASSERT_TRUE(std::abs(got - expected) <= 1e-9 * (1 + std::abs(expected)))
          << "result " << i << " element " << j << ": " << got << " not " << expected;
    }
}

const std::pair<int64_t, int64_t> shapes[] = {{9, 4}, {4, 9}, {6, 6}, {1, 12}, {6, 12}, {12, 1}};

TEST(MatrixOptimizers, MuonExpandsToItsMeaning) {
  for (auto [rows, columns] : shapes)
    for (int64_t groups : {1, 3})
      for (bool flag : {false, true}) {
        check(muon({rows, columns, groups, flag, !flag}));
        check(muon({rows, columns, groups, true, flag, false, 1, /*smoothed=*/true}));
      }
}

TEST(MatrixOptimizers, NorMuonExpandsToItsMeaning) {
  for (auto [rows, columns] : shapes)
    for (int64_t groups : {1, 3})
      for (int64_t axis : {0, 1})
        for (bool flag : {false, true}) {
          check(normuon({rows, columns, groups, flag, !flag, true, axis}));
          check(normuon({rows, columns, groups, true, flag, false, axis}));
        }
}

} // namespace
