//===- FusedNumericsTest.cpp - Fused and unfused programs compute the same ===//
//
// Every program of a spec (forward and backward, update, evaluation, generation) is interpreted
// before kernels are formed and after they are fused and outlined, in double precision, on random
// parameters.
//
//===----------------------------------------------------------------------===//
#include "FusionTest.h"

#include "compiler/Conversion/KernelToGPU/LowerKernelsToGPU.h"
#include "compiler/Reference/Interpreter.h"
#include "compiler/Transforms/Fusion/Passes.h"
#include "compiler/Transforms/Precision/Passes.h"
#include "dialects/Train/TrainOps.h"
#include <cmath>
#include <gtest/gtest.h>
#include <random>

using namespace mlir;
using namespace smelt::test;
using smelt::reference::Interpreter;
using smelt::reference::Tensor;

namespace {

/// Fusion reorders no sum; only a reassociation of one (a mix that was two ops) may differ, in the
/// last bits of double.
constexpr double tolerance = 1e-11;

void expectSame(const Tensor &fused, const Tensor &plain, const std::string &what) {
  ASSERT_EQ(fused.shape, plain.shape) << what;
  double largest = 1.0;
  for (double value : plain.values)
    largest = std::max(largest, std::abs(value));
  for (int64_t i = 0; i < plain.getNumElements(); ++i)
    ASSERT_FALSE(!(std::abs(fused(i) - plain(i)) <= tolerance * largest))
        << what << " at " << i << ": " << fused(i) << " and " << plain(i);
}

struct Outcome {
  std::map<std::string, Tensor> gradients, tensors, results;
};

/// Runs every program once: training twice (accumulation), then the update, then the others.
Outcome runAll(ModuleOp module, unsigned seed = 7) {
  std::mt19937_64 random(seed);
  auto draw = [&](ArrayRef<int64_t> shape) {
    Tensor tensor = Tensor::filled(shape, 0.0);
    for (double &value : tensor.values)
      value = std::uniform_real_distribution<double>(-1.0, 1.0)(random);
    return tensor;
  };
  Interpreter interpreter(module);
  for (auto parameter : module.getOps<lm::ParameterOp>())
    interpreter.tensors[parameter.getSymName().str()] =
        draw(cast<RankedTensorType>(parameter.getType()).getShape());
  for (auto parameter : module.getOps<lm::ParameterOp>()) // What accumulation finds; it must not
                                                          // matter for the first micro-batch.
    interpreter.gradients[parameter.getSymName().str()] =
        draw(cast<RankedTensorType>(parameter.getType()).getShape());
  for (auto schedule : module.getOps<train::ScheduleOp>())
    interpreter.tensors[schedule.getSymName().str()] = Tensor::filled(
        cast<RankedTensorType>(schedule.getType()).getShape(),
        cast<RankedTensorType>(schedule.getType()).getElementType().isInteger() ? 5.0 : 0.5);
  interpreter.tensors["step"] = Tensor::scalar(3);
  Outcome outcome;
  auto run = [&](func::FuncOp function) {
    std::vector<Tensor> inputs;
    for (Type type : function.getArgumentTypes()) {
      int64_t tokens = cast<RankedTensorType>(type).getDimSize(0);
      Tensor input = Tensor::filled({tokens}, 0.0);
      bool isDocumentStart = inputs.size() + 1 == function.getNumArguments();
      for (int64_t t = 0; t < tokens; ++t)
        input(t) = isDocumentStart ? t / 10 * 10 : double((t * t + 3 * inputs.size()) % 20);
      if (inputs.size() == 1 && !isDocumentStart)
        input(4) = -1; // A target that does not count.
      inputs.push_back(input);
    }
    auto results = interpreter.run(function.getSymName(), inputs);
    ASSERT_TRUE(succeeded(results)) << function.getSymName().str();
    for (auto [index, result] : llvm::enumerate(*results))
      outcome.results[function.getSymName().str() + std::to_string(index)] = result;
  };
  for (StringRef role : {"train", "evaluate", "generate", "update"})
    for (auto function : module.getOps<func::FuncOp>())
      if (auto attribute = function->getAttrOfType<StringAttr>("smelt.role");
          attribute && attribute.getValue() == role)
        for (int i = 0; i < (role == "train" ? 2 : 1); ++i) {
          interpreter.tensors["accumulate"] = Tensor::scalar(i);
          run(function);
        }
  outcome.gradients = interpreter.gradients;
  outcome.tensors = interpreter.tensors;
  return outcome;
}

void expectSame(const Outcome &fused, const Outcome &plain) {
  ASSERT_GT(plain.gradients.size(), 10u);
  ASSERT_GT(plain.results.size(), 4u);
  for (auto [part, name] : {std::pair{&Outcome::gradients, "gradient "},
                            {&Outcome::tensors, "tensor "},
                            {&Outcome::results, "result "}}) {
    ASSERT_EQ((fused.*part).size(), (plain.*part).size());
    for (const auto &[key, value] : plain.*part)
      expectSame((fused.*part).at(key), value, name + key);
  }
}

void fuseAll(OpPassManager &functions) {
  smelt::buildFusionPipeline(functions, smelt::FusionOptions());
}

/// As for a Hopper GPU: no GEMM gets rows with which its fast generator would not take it.
void fuseForHopper(OpPassManager &functions) {
  smelt::FusionOptions options;
  options.whyNotFastGemm = smelt::whyNotHopperGemm;
  options.whyNotFastAttention = smelt::whyNotHopperAttention;
  functions.addPass(smelt::createSumAttentionGradientsPass());
  smelt::TakeNormsAsFactorsPassOptions parts;
  parts.part = 4; // Of narrow models.
  functions.addPass(smelt::createTakeNormsAsFactorsPass(parts));
  smelt::buildFusionPipeline(functions, options);
}

/// What is done for Hopper before kernels are formed.
void prepareForHopper(ModuleOp module) {
  PassManager passes(module.getContext());
  OpPassManager &functions = passes.nest<func::FuncOp>();
  functions.addPass(smelt::createMoveScalesBehindProductsPass());
  functions.addPass(smelt::createTakeDotsOfMatricesPass());
  ASSERT_TRUE(succeeded(passes.run(module)));
}

void checkSpec(const Steps &steps) {
  OwningOpRef<ModuleOp> plain = importAndDifferentiate(getContext(), makeSpec(steps));
  ASSERT_TRUE(plain);
  Outcome expected = runAll(*plain);
  OwningOpRef<ModuleOp> fused = plain->clone();
  makeKernels(*fused, fuseAll, /*outline=*/true);
  expectSame(runAll(*fused), expected);
  OwningOpRef<ModuleOp> factored = plain->clone();
  makeKernels(
      *factored,
      [&](OpPassManager &functions) {
        smelt::TakeNormsAsFactorsPassOptions parts;
        parts.part = 8;
        functions.addPass(smelt::createTakeNormsAsFactorsPass(parts));
      },
      /*outline=*/false);
  expectSame(runAll(*factored), expected);
  OwningOpRef<ModuleOp> hopper = plain->clone();
  prepareForHopper(*hopper);
  makeKernels(*hopper, fuseForHopper, /*outline=*/true);
  int gemms = 0;
  hopper->walk([&](kernel::AttentionBackwardOp backward) {
    EXPECT_EQ(backward.getOut().getType().getRank(), 2);
  });
  hopper->walk([&](kernel::GemmOp gemm) {
    EXPECT_EQ(smelt::whyNotHopperGemm(gemm), "");
    ++gemms;
  });
  EXPECT_GT(gemms, 10);
  expectSame(runAll(*hopper), expected);
}

TEST(FusedNumerics, Plain) { checkSpec({}); }

TEST(FusedNumerics, Accumulation) {
  Steps steps;
  steps.microBatches = 2;
  checkSpec(steps);
}

TEST(FusedNumerics, ScaledProducts) {
  Steps steps;
  steps.attention = R"("weight_scale": {"qkv": "resid", "out": "shift"},)";
  checkSpec(steps);
}

TEST(FusedNumerics, KeyOffset) {
  Steps steps;
  steps.k +=
      R"(, {"token_shift": {"mode": "replace", "features": [[2, 4], [6, 8]], "documents": "cross"}})";
  checkSpec(steps);
}

TEST(FusedNumerics, KeyOffsetWithinDocuments) {
  Steps steps;
  steps.k +=
      R"(, {"token_shift": {"mode": "add", "scale": "shift", "distance": 2, "documents": "mask"}})";
  checkSpec(steps);
}

TEST(FusedNumerics, ShiftBeforeRope) {
  Steps steps;
  steps.k =
      R"({"rms_norm": {}}, {"token_shift": {"mode": "replace", "documents": "mask"}}, {"rope": {}})";
  checkSpec(steps);
}

TEST(FusedNumerics, ValueShiftAndEmbedding) {
  Steps steps;
  steps.v =
      R"({"add_embedding": {"table": "value", "by_layer": {"0": 1, "1": 0}}}, {"token_shift": {"mode": "add", "scale": "shift", "documents": "cross"}})";
  checkSpec(steps);
}

TEST(FusedNumerics, Smear) {
  Steps steps;
  steps.afterEmbedding =
      R"({"token_shift": {"mode": "add", "scale": "smear", "gate": {"features": 4}, "documents": "mask"}},)";
  checkSpec(steps);
}

TEST(FusedNumerics, ShiftBeforeMLPAndHead) {
  Steps steps;
  steps.mlpInput =
      R"({"rms_norm": {}}, {"token_shift": {"mode": "replace", "features": [[0, 8]], "documents": "cross"}})";
  steps.beforeHead =
      R"({"rms_norm": {}}, {"token_shift": {"mode": "add", "scale": "smear", "documents": "cross"}},)";
  checkSpec(steps);
}

TEST(FusedNumerics, ShiftOfTheStream) {
  Steps steps;
  steps.layerEnd = R"(, {"token_shift": {"mode": "add", "scale": "shift", "documents": "mask"}})";
  steps.q = steps.k = R"({"rms_norm": {}})";
  checkSpec(steps);
}

TEST(FusedNumerics, SkipConnections) {
  Steps steps;
  steps.layerStart = R"({"mix": {"x": 1, "early": {"sigmoid": "skip"}}, "only": [1]},)";
  steps.layerEnd = R"(, {"save": "early", "only": [0]})";
  checkSpec(steps);
}

/// Every combination of what a researcher may try; a fixed seed, so that a failure comes back.
TEST(FusedNumerics, RandomSpecs) {
  std::mt19937 random(11);
  auto choose = [&](std::vector<std::string> choices) {
    return choices[random() % choices.size()];
  };
  const std::string
      norm = R"({"rms_norm": {}})",
      rope = R"({"rope": {}})",
      offset =
          R"({"token_shift": {"mode": "replace", "features": [[2, 4], [6, 8]], "documents": "cross"}})",
      masked = R"({"token_shift": {"mode": "add", "scale": "shift", "documents": "mask"}})",
      far =
          R"({"token_shift": {"mode": "replace", "distance": 3, "scale": "smear", "documents": "mask"}})",
      gated =
          R"({"token_shift": {"mode": "add", "scale": "smear", "gate": {"features": 4}, "documents": "cross"}})",
      table = R"({"add_embedding": {"table": "value", "by_layer": {"0": 1, "1": 0}}})";
  for (int i = 0; i < 16; ++i) {
    Steps steps;
    steps.afterEmbedding = choose({"", gated + ",", masked + ",", norm + "," + far + ","});
    steps.layerStart = choose({"", "", norm + ",", masked + ",", gated + ","});
    steps.q = choose({norm + "," + rope, rope, norm + "," + rope + "," + masked, ""});
    steps.k = choose({norm + "," + rope + "," + offset, offset + "," + rope,
                      norm + "," + masked + "," + rope, masked + "," + far});
    steps.v = choose({"", table, table + "," + offset, norm + "," + table, masked});
    steps.mlpInput = choose(
        {norm, norm + "," + masked, masked + "," + norm, gated, far + "," + norm + "," + offset});
    steps.beforeHead = choose({norm + ",", norm + "," + masked + ",", gated + "," + norm + ","});
    steps.microBatches = 1 + random() % 2;
    SCOPED_TRACE(makeSpec(steps));
    checkSpec(steps);
    if (HasFatalFailure())
      return;
  }
}

/// Norms of whole rows.
int countNorms(ModuleOp module) {
  int count = 0;
  module.walk([&](lm::RMSNormOp norm) { count += norm.getX().getType().getRank() == 2; });
  return count;
}

/// Root of the mean square of what gradients differ by, each relative to its own size.
double measureError(const Outcome &outcome, const Outcome &expected) {
  double sum = 0;
  for (const auto &[name, want] : expected.gradients) {
    const Tensor &have = outcome.gradients.at(name);
    double off = 0, size = 1e-12;
    for (int64_t i = 0; i < want.getNumElements(); ++i)
      off += (have(i) - want(i)) * (have(i) - want(i)), size += want(i) * want(i);
    sum += off / size;
  }
  return std::sqrt(sum / double(expected.gradients.size()));
}

/// With activations in bf16, x is rounded where it is stored, norm(x) no longer.
TEST(FusedNumerics, NormsAsFactorsRoundNoMore) {
  OwningOpRef<ModuleOp> plain = importAndDifferentiate(getContext(), makeSpec({}));
  ASSERT_TRUE(plain);
  constexpr unsigned draws = 16;
  double errors[2] = {};
  int norms[2];
  for (bool factors : {false, true}) {
    OwningOpRef<ModuleOp> module = plain->clone();
    prepareForHopper(*module);
    auto round = [&](OpPassManager &functions) {
      smelt::TakeNormsAsFactorsPassOptions parts;
      parts.part = 8;
      if (factors)
        functions.addPass(smelt::createTakeNormsAsFactorsPass(parts));
      smelt::FusionOptions options;
      options.whyNotFastGemm = smelt::whyNotHopperGemm;
      smelt::buildFusionPipeline(functions, options);
      smelt::ChooseStoragePassOptions storage;
      storage.activations = "bf16";
      functions.addPass(smelt::createChooseStoragePass(storage));
    };
    makeKernels(*module, round, /*outline=*/false);
    norms[factors] = countNorms(*module);
    for (unsigned seed = 0; seed < draws; ++seed)
      errors[factors] +=
          std::log(measureError(runAll(*module, seed), runAll(*plain, seed))) / draws;
    errors[factors] = std::exp(errors[factors]);
  }
  EXPECT_LT(norms[true], norms[false]);
  EXPECT_GT(errors[false], 1e-3); // It does round.
  EXPECT_LT(errors[true], errors[false]);
  RecordProperty("errors", std::to_string(errors[false]) + " " + std::to_string(errors[true]));
}

/// Each pass alone, so that a defect of one is not hidden by another that came first.
class FusedNumericsByPass : public testing::TestWithParam<int> {};

TEST_P(FusedNumericsByPass, ComputesTheSame) {
  smelt::FusionOptions options;
  std::unique_ptr<Pass> (*create[])(const smelt::FusionOptions &) = {
      smelt::createFuseScalarsIntoUsersPass,
      smelt::createFuseTokenShiftIntoAttentionPass,
      smelt::createFuseRowwiseIntoGemmResultPass,
      smelt::createFuseRowwiseIntoAttentionResultPass,
      [](const smelt::FusionOptions &o) {
        return smelt::createFuseRowwiseIntoRowwisePass(o, true);
      },
      [](const smelt::FusionOptions &o) {
        return smelt::createFuseRowwiseIntoRowwisePass(o, false);
      },
      smelt::createFuseRowwiseIntoGemmLoadPass,
      smelt::createFuseRowwiseIntoEmbeddingBackwardPass,
  };
  Steps steps;
  steps.afterEmbedding =
      R"({"token_shift": {"mode": "add", "scale": "smear", "gate": {"features": 4}, "documents": "cross"}},)";
  steps.k +=
      R"(, {"token_shift": {"mode": "replace", "features": [[2, 4], [6, 8]], "documents": "mask"}})";
  steps.v = R"({"add_embedding": {"table": "value", "by_layer": {"0": 1, "1": 0}}})";
  OwningOpRef<ModuleOp> plain = importAndDifferentiate(getContext(), makeSpec(steps));
  ASSERT_TRUE(plain);
  Outcome expected = runAll(*plain);
  OwningOpRef<ModuleOp> fused = plain->clone();
  makeKernels(
      *fused, [&](OpPassManager &functions) { functions.addPass(create[GetParam()](options)); },
      /*outline=*/false);
  expectSame(runAll(*fused), expected);
}

INSTANTIATE_TEST_SUITE_P(Passes, FusedNumericsByPass, testing::Range(0, 8));

} // namespace
