//===- EveryOpTest.cpp - Every op of lm has a reference meaning -----------===//
//
// Interprets the dialect's round-trip test, which holds every op of lm, and asks that it does.
//
//===----------------------------------------------------------------------===//
#include "RunText.h"
#include "dialects/LM/LMOps.h"
#include <fstream>
#include <gtest/gtest.h>
#include <set>
#include <sstream>

using namespace mlir;
using namespace smelt::test;
using smelt::reference::Tensor;

namespace {

/// 0.5 everywhere; index tensors are 0: the first token, the first document.
Tensor makeInput(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  return Tensor::filled(tensor.getShape(), isa<FloatType>(tensor.getElementType()) ? 0.5 : 0.0);
}

TEST(EveryOp, HasAReferenceMeaning) {
  std::ifstream file(SMELT_LM_OPS_TEST);
  std::stringstream text;
  text << file.rdbuf();
  Program program(text.str());
  ModuleOp module = program.getInterpreter().getModule();
  auto &tensors = program.getInterpreter().tensors;
  for (auto parameter : module.getOps<lm::ParameterOp>())
    tensors[parameter.getSymName().str()] = makeInput(parameter.getType());
  tensors["window"] = Tensor::scalar(0);

  std::set<std::string> seen;
  for (auto function : module.getOps<func::FuncOp>()) {
    // The interpreter is one rank: it refuses to read a rank's part.
    bool readsPart = false;
    function.walk([&](lm::ReadOp read) { readsPart |= read.getRanks() > 1; });
    if (readsPart)
      continue;
    std::vector<Tensor> inputs;
    for (Type type : function.getArgumentTypes())
      inputs.push_back(makeInput(type));
    program.run(function.getSymName(), inputs);
    function.walk([&](Operation *op) { seen.insert(op->getName().getStringRef().str()); });
  }
  EXPECT_EQ(program.messages, "");

  size_t count = 0;
  for (RegisteredOperationName name : module.getContext()->getRegisteredOperations())
    if (name.getDialectNamespace() == "lm" && name.getStringRef() != "lm.parameter") {
      ++count;
      EXPECT_TRUE(seen.count(name.getStringRef().str()))
          << name.getStringRef().str() << " is not tested";
    }
  EXPECT_GT(count, 30u);
}

} // namespace
