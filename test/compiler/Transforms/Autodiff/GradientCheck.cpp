//===- GradientCheck.cpp - Gradients against central differences ----------===//
#include "GradientCheck.h"

#include "compiler/Transforms/Autodiff/ReverseMode.h"
#include "dialects/LM/LMOps.h"
#include "dialects/Train/TrainOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace mlir;
using smelt::reference::Tensor;

MLIRContext &smelt::test::getContext() {
  static MLIRContext *context = [] {
    auto *context = new MLIRContext(MLIRContext::Threading::DISABLED);
    context->loadDialect<lm::LMDialect, train::TrainDialect, func::FuncDialect>();
    return context;
  }();
  return *context;
}

OwningOpRef<ModuleOp> smelt::test::parseModule(const std::string &text) {
  auto module = parseSourceString<ModuleOp>(text, &getContext());
  EXPECT_TRUE(module) << text;
  return module;
}

Tensor smelt::test::makeRandomTensor(std::mt19937_64 &random, ArrayRef<int64_t> shape,
                                     bool positive) {
  std::uniform_real_distribution<double> magnitude(0.05, 1.05);
  Tensor tensor = Tensor::filled(shape, 0.0);
  for (double &value : tensor.values)
    value = magnitude(random) * (positive || random() % 2 ? 1.0 : -1.0);
  return tensor;
}

Tensor smelt::test::differentiateNumerically(Tensor &x, const std::function<double()> &objective,
                                             double step) {
  Tensor gradient = Tensor::filled(x.shape, NAN);
  for (int64_t i = 0; i < x.getNumElements(); ++i) {
    double original = x(i);
    auto at = [&](double offset) {
      x(i) = original + offset;
      return objective();
    };
    gradient(i) = (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step);
    x(i) = original;
  }
  return gradient;
}

double smelt::test::expectSameGradient(const Tensor &analytic, const Tensor &numeric,
                                       const std::string &what) {
  EXPECT_EQ(analytic.shape, numeric.shape) << what;
  if (analytic.shape != numeric.shape)
    return 0;
  double largest = 0;
  for (double value : numeric.values)
    largest = std::max(largest, std::abs(value));
  // 1e-10: where the gradient is zero, what rounding leaves of the differences (1e-16 / 1e-3, times
  // a few).
  double tolerance = gradientTolerance * largest + 1e-10;
  for (int64_t i = 0; i < numeric.getNumElements(); ++i)
    if (!(std::abs(analytic(i) - numeric(i)) <= tolerance)) {
      ADD_FAILURE() << what << ", element " << i << ": built " << analytic(i) << ", numeric "
                    << numeric(i);
      break;
    }
  return largest;
}

/// Adds @objective = Σ weight · result of @f, with its gradients as further results. Its arguments
/// are f's, then one weight per float result.
static LogicalResult buildObjective(ModuleOp module) {
  auto f = module.lookupSymbol<func::FuncOp>("f");
  auto objective = cast<func::FuncOp>(f->clone());
  objective.setName("objective");
  module.push_back(objective);
  Block &block = objective.getBody().front();
  auto terminator = cast<func::ReturnOp>(block.getTerminator());
  OpBuilder builder(terminator);
  Location loc = f.getLoc();
  SmallVector<Value> sources;
  for (Value argument : block.getArguments())
    if (isa<FloatType>(getElementTypeOrSelf(argument)))
      sources.push_back(argument);
  auto scalar = RankedTensorType::get({}, builder.getF64Type());
  Value sum;
  for (Value result : terminator.getOperands()) {
    if (!isa<FloatType>(getElementTypeOrSelf(result)))
      continue;
    Value weight = block.addArgument(result.getType(), loc);
    Value product = lm::MultiplyOp::create(builder, loc, result, weight);
    Value term = lm::SumOp::create(builder, loc, scalar, product);
    sum = sum ? Value(lm::AddOp::create(builder, loc, sum, term)) : term;
  }
  auto gradients = smelt::buildReverseMode(builder.saveInsertionPoint(), sum, sources);
  if (failed(gradients))
    return failure();
  SmallVector<Value> results{sum};
  for (auto [source, gradient] : llvm::zip_equal(sources, *gradients)) {
    if (gradient && gradient.getType() != source.getType())
      return emitError(loc) << "a gradient has type " << gradient.getType() << ", its value "
                            << source.getType();
    results.push_back(gradient ? gradient
                               : Value(lm::ConstantOp::create(
                                     builder, loc, cast<RankedTensorType>(source.getType()), 0.0)));
  }
  terminator->setOperands(results);
  objective.setFunctionType(
      builder.getFunctionType(block.getArgumentTypes(), ValueRange(results).getTypes()));
  objective.removeArgAttrsAttr();
  return verify(module);
}

/// The values of @f's arguments, then the weights.
static std::vector<Tensor> makeInputs(func::FuncOp f, func::FuncOp objective,
                                      std::mt19937_64 &random) {
  std::vector<Tensor> inputs;
  for (auto [index, type] : llvm::enumerate(objective.getArgumentTypes())) {
    auto shape = cast<RankedTensorType>(type).getShape();
    auto values = index < f.getNumArguments()
                      ? f.getArgAttrOfType<DenseIntElementsAttr>(index, "smelt.values")
                      : nullptr;
    if (!values) {
      bool positive = index < f.getNumArguments() && f.getArgAttr(index, "smelt.positive");
      inputs.push_back(smelt::test::makeRandomTensor(random, shape, positive));
      continue;
    }
    Tensor tensor = Tensor::filled(shape, 0.0);
    for (auto [i, value] : llvm::enumerate(values.getValues<APInt>()))
      tensor(i) = value.getSExtValue();
    inputs.push_back(tensor);
  }
  return inputs;
}

double smelt::test::checkGradients(const std::string &text) {
  SCOPED_TRACE(text);
  auto module = parseModule(text);
  if (!module || failed(buildObjective(*module))) {
    ADD_FAILURE() << "no objective";
    return 0;
  }
  auto f = module->lookupSymbol<func::FuncOp>("f"),
       objective = module->lookupSymbol<func::FuncOp>("objective");
  std::mt19937_64 random(std::hash<std::string>()(text));
  std::vector<Tensor> inputs = makeInputs(f, objective, random);
  reference::Interpreter interpreter(*module, {reference::Rounding::none});
  auto results = interpreter.run("objective", inputs);
  if (failed(results)) {
    ADD_FAILURE() << "the objective does not run";
    return 0;
  }
  double total = 0;
  size_t gradient = 1;
  for (auto [index, type] : llvm::enumerate(f.getArgumentTypes())) {
    if (!isa<FloatType>(cast<RankedTensorType>(type).getElementType()))
      continue;
    // The numeric side runs the forward code alone.
    Tensor numeric = differentiateNumerically(inputs[index], [&] {
      auto forward = interpreter.run("f", ArrayRef(inputs).take_front(f.getNumArguments()));
      double sum = 0;
      size_t weight = f.getNumArguments();
      for (auto [result, type] : llvm::zip_equal(*forward, f.getResultTypes())) {
        if (!isa<FloatType>(cast<RankedTensorType>(type).getElementType()))
          continue;
        for (int64_t i = 0; i < result.getNumElements(); ++i)
          sum += result(i) * inputs[weight](i);
        ++weight;
      }
      return sum;
    });
    total +=
        expectSameGradient((*results)[gradient++], numeric, "argument " + std::to_string(index));
  }
  return total;
}
