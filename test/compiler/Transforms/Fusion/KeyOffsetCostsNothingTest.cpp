//===- KeyOffsetCostsNothingTest.cpp - The property that Smelt is made for ===//
//
// The same spec with and without a token_shift on its keys has the same number of launches and of
// buffers, the same bytes to read and write, and no copy of k: forward, backward, update,
// evaluation and generation.
//
//===----------------------------------------------------------------------===//
#include "FusionTest.h"

#include "compiler/Transforms/Fusion/Passes.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace smelt::test;

namespace {

struct Costs {
  int64_t launches = 0, buffers = 0, bytes = 0, shifts = 0;
  bool operator==(const Costs &other) const {
    return launches == other.launches && buffers == other.buffers && bytes == other.bytes;
  }
};

std::ostream &operator<<(std::ostream &stream, const Costs &costs) {
  return stream << costs.launches << " launches, " << costs.buffers << " buffers, " << costs.bytes
                << " bytes";
}

/// Per program: its launches, and the values between them, each a buffer.
std::map<std::string, Costs> measure(const std::string &k, const std::string &v = "") {
  Steps steps;
  steps.k = k;
  steps.v = v;
  OwningOpRef<ModuleOp> module = importAndDifferentiate(getContext(), makeSpec(steps));
  makeKernels(
      *module,
      [](OpPassManager &functions) {
        smelt::buildFusionPipeline(functions, smelt::FusionOptions());
      },
      /*outline=*/true);
  std::map<std::string, Costs> costs;
  SymbolTable symbols(*module);
  for (auto function : module->getOps<func::FuncOp>())
    for (auto call : function.getOps<func::CallOp>()) {
      Costs &mine = costs[function.getSymName().str()];
      ++mine.launches;
      mine.buffers += call.getNumResults();
      mine.bytes += call->getAttrOfType<IntegerAttr>("smelt.bytes").getInt();
      symbols.lookup(call.getCallee())->walk([&](Operation *op) {
        mine.shifts += isa<lm::TokenShiftOp, lm::TokenShiftAdjointOp>(op);
      });
    }
  return costs;
}

const std::string plainKeys = R"({"rms_norm": {}}, {"rope": {}})";

void expectFree(const std::string &shift) {
  auto without = measure(plainKeys), with = measure(plainKeys + ", " + shift);
  ASSERT_EQ(without.size(), with.size());
  ASSERT_GE(without.size(), 4u);
  for (const auto &[name, costs] : without) {
    EXPECT_EQ(costs.shifts, 0);
    EXPECT_EQ(with[name], costs) << name;
    if (name != "update")
      EXPECT_GE(with[name].shifts, 2) << name << " lost its shifts";
  }
  // Two layers: each shifts forward, again in the backward kernel's key load, and has adjoints
  // where dk is read.
  EXPECT_GE(with["train.T24"].shifts, 6);
}

TEST(KeyOffset, CostsNothing) {
  expectFree(
      R"({"token_shift": {"mode": "replace", "features": [[2, 4], [6, 8]], "documents": "cross"}})");
}

TEST(KeyOffset, OfOneLayerCostsNothing) {
  expectFree(
      R"({"token_shift": {"mode": "replace", "features": [[2, 4], [6, 8]], "documents": "cross"}, "only": [0, 1]})");
}

} // namespace
