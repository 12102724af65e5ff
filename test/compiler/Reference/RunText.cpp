//===- RunText.cpp - Interpret a module given as text ---------------------===//
#include "RunText.h"

#include "dialects/Kernel/KernelOps.h"
#include "dialects/LM/LMOps.h"
#include "dialects/Train/TrainOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace mlir;
using smelt::reference::Tensor;
using namespace smelt::test;

static MLIRContext &getContext() {
  static MLIRContext *context = [] {
    auto *context = new MLIRContext(MLIRContext::Threading::DISABLED);
    context->loadDialect<lm::LMDialect, train::TrainDialect, kernel::KernelDialect,
                         func::FuncDialect>();
    return context;
  }();
  return *context;
}

Program::Program(const std::string &text)
    : module(parseSourceString<ModuleOp>(text, &getContext())) {
  EXPECT_TRUE(module) << text;
  if (module)
    interpreter = std::make_unique<reference::Interpreter>(*module);
}

std::vector<Tensor> Program::run(StringRef function, ArrayRef<Tensor> inputs) {
  if (!interpreter)
    return {};
  ScopedDiagnosticHandler handler(
      &getContext(), [&](Diagnostic &diagnostic) { messages += diagnostic.str() + "\n"; });
  auto results = interpreter->run(function, inputs);
  if (failed(results))
    return {};
  return *results;
}

std::vector<Tensor> smelt::test::runBody(const std::string &arguments, const std::string &results,
                                         const std::string &body, ArrayRef<Tensor> inputs) {
  Program program("func.func @f(" + arguments + ") -> (" + results + ") {\n" + body + "\n}");
  auto tensors = program.run("f", inputs);
  EXPECT_EQ(program.messages, "");
  return tensors;
}

void smelt::test::expectNear(const Tensor &actual, const Tensor &expected, double tolerance) {
  ASSERT_EQ(actual.shape, expected.shape);
  for (int64_t i = 0; i < expected.getNumElements(); ++i)
    EXPECT_TRUE(std::abs(actual(i) - expected(i)) <= tolerance)
        << "element " << i << " is " << actual(i) << ", not " << expected(i);
}
