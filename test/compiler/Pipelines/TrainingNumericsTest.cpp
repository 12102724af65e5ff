//===- TrainingNumericsTest.cpp - Ten steps of a tiny spec against the interpreter ===//
//
// The whole way: JSON → lm → train → kernel → exec → bundle → runtime. Each step starts both sides from the same parameters and states:
// the runtime's generated fp32 code and the interpreter, which runs the train phase of the same spec in double precision.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/Import.h"
#include "compiler/Pipelines/Pipelines.h"
#include "compiler/Reference/Interpreter.h"
#include "compiler/Target/Bundle/EmitBundle.h"
#include "compiler/Target/ObjectCache.h"
#include "dialects/LM/LMOps.h"
#include "mlir/IR/MLIRContext.h"
#include "runtime/train/Session.h"
#include "test/compiler/Pipelines/TrainingSupport.h"
#include "tools/smelt-opt/RegisterEverything.h"
#include <cmath>
#include <filesystem>
#include <gtest/gtest.h>
#include <unistd.h>

using namespace mlir;
using namespace smelt;
using namespace smelt::testing_support;

namespace {

constexpr int64_t kTokens = 32, kSteps = 10;
/// Tensors below it count as that large: a scalar's gradient is a sum of terms of order 1e-2 that may cancel.
constexpr double kFloor = 1e-2;

/// One layer with a key offset, a smear, gates, residual mixes; AdamW and Muon (split, wide and tall). `eps` is large so that AdamW's
/// division does not magnify the rounding of gradients that are nearly 0.
constexpr llvm::StringLiteral kSpec = R"({
  "smelt": 1, "name": "test",
  "dims": {"layers": 1, "model": 32, "heads": 2, "head": 16, "mlp": 64, "vocab": 256},
  "scalars": {"resid": {"per": "layer", "init": 1.1}, "x0": {"per": "layer", "init": 0.2}, "smear": {"init": 0.3}},
  "embeddings": {"token": {"init": {"normal": 1.0}}},
  "rope": {"base": 1024, "rotate": "1/2"},
  "forward": [
    {"embed": "token"},
    {"token_shift": {"mode": "add", "scale": "smear", "gate": {"features": 12}}},
    {"rms_norm": {}},
    {"save": "x0"},
    {"layers": [
      {"mix": {"x": "resid", "x0": "x0"}},
      {"attention": {
        "input": [{"rms_norm": {}}],
        "q": [{"rms_norm": {}}, {"rope": {}}],
        "k": [{"rms_norm": {}}, {"rope": {}}, {"token_shift": {"mode": "replace", "features": [[4, 8], [12, 16]]}}],
        "output": [{"gate": {"features": 12, "per": "head"}}],
        "window": "short"
      }},
      {"mlp": {"input": [{"rms_norm": {}}], "hidden": "mlp", "activation": "relu_squared"}}
    ]},
    {"rms_norm": {}},
    {"head": {"softcap": {"tanh": {"amplitude": 15}}, "loss": {"cross_entropy": {"reduction": "mean"}}}}
  ],
  "training": {
    "steps": 10, "seed": 3, "micro_batch": 32,
    "stages": [{"until": "1/2", "tokens": TOKENS, "windows": {"short": 5}}, {"until": 1, "tokens": TOKENS, "windows": {"short": 9}}],
    "lr": {"warmup": 3, "cooldown": "1/2", "floor": 0.05},
    "optimizers": [
OPTIMIZERS
    ]
  },
  "data": {"train": "", "tokenizer": "bytes", "sequence": 16, "validation": {"tokens": 32, "every": 100}}
})";

constexpr llvm::StringLiteral kMuon = R"(
      {"adamw": {"lr": 0.05, "betas": [0.8, 0.95], "eps": 1e-2, "weight_decay": 0.1},
       "parameters": {"embeddings.*": {"lr": 2}, "head": {}, "scalars.*": {}, "*.gate": {}}},
      {"muon": {"lr": 0.02, "momentum": {"from": 0.85, "to": 0.95, "warmup": 5}, "weight_decay": 0.1},
       "parameters": {"layers.*.attention.qkv": {"split": 3}, "layers.*.attention.out": {}, "layers.*.mlp.*": {}}})";

/// NorMuon on all matrices, gates too (1 x 12 and 2 x 12); rates and decays that differ within a bank; both axes of the variance. The decay is
/// small: where update·parameter is nearly 0, fp32 and double may disagree on its sign, and then differ by the decay.
constexpr llvm::StringLiteral kNorMuon = R"(
      {"adamw": {"lr": 0.05, "betas": [0.8, 0.95], "eps": 1e-2, "weight_decay": 0.1},
       "parameters": {"embeddings.*": {"lr": 2}, "head": {}, "scalars.*": {}}},
      {"normuon": {"lr": 0.02, "momentum": {"from": 0.85, "to": 0.95, "warmup": 5}, "beta2": 0.95, "weight_decay": {"cautious": 0.1},
                   "orthogonalize": "polar_express_5"},
       "parameters": {"layers.*.attention.qkv": {"lr": 2, "split": 3}, "layers.*.attention.out": {}, "layers.*.mlp.*": {},
                      "*.gate": {"variance_over": "columns"}}})";

enum class Optimizer { muon, normuon };

std::string makeSpec(int64_t tokens, Optimizer optimizer) {
  std::string text = kSpec.str();
  text.replace(text.find("OPTIMIZERS"), 10, optimizer == Optimizer::muon ? kMuon.str() : kNorMuon.str());
  for (size_t at; (at = text.find("TOKENS")) != std::string::npos;)
    text.replace(at, 6, std::to_string(tokens));
  return text;
}

struct TrainingNumericsTest : testing::TestWithParam<std::tuple<bool, int64_t, Optimizer>> {
  void SetUp() override {
    registerDialects(registry);
    context.appendDialectRegistry(registry);
    directory = std::filesystem::temp_directory_path() / ("smelt-numerics-" + std::to_string(getpid()) + (fuse() ? "f" : "u") + std::to_string(microBatches()) +
                                                           (std::get<2>(GetParam()) == Optimizer::muon ? "m" : "n"));
    module = importSpecText(context, makeSpec(kTokens * microBatches(), std::get<2>(GetParam())), "test.json");
    ASSERT_TRUE(module);
    runPhase("train");
    train = module->clone();
    runPhase("kernel");
    runPhase("exec");
    runtime::Status status =
        emitBundle(*module, directory.string(), {.cache = ObjectCache::findFolder()});
    ASSERT_TRUE(status.isOk()) << status.message();
    auto opened = runtime::Session::open(directory.string(), {"auto", 2});
    ASSERT_TRUE(opened.isOk()) << opened.status().message();
    session = *std::move(opened);
    ASSERT_TRUE(session->initialise(7).isOk());
    interpreter = std::make_unique<reference::Interpreter>(*train);
  }
  void TearDown() override { std::filesystem::remove_all(directory); }

  bool fuse() const { return std::get<0>(GetParam()); }
  int64_t microBatches() const { return std::get<1>(GetParam()); }

  void runPhase(llvm::StringRef phase) {
    PassManager passes(&context);
    PipelineOptions options;
    options.fuse = fuse();
    ASSERT_TRUE(buildPhasePipeline(passes, phase, options));
    ASSERT_TRUE(succeeded(passes.run(*module))) << phase.str();
  }

  DialectRegistry registry;
  MLIRContext context;
  std::filesystem::path directory;
  OwningOpRef<ModuleOp> module, train;
  std::unique_ptr<runtime::Session> session;
  std::unique_ptr<reference::Interpreter> interpreter;
};

TEST_P(TrainingNumericsTest, EveryStepEqualsTheInterpreter) {
  const runtime::Program *trainProgram = session->manifest().findProgram("train.T32"), *update = session->manifest().findProgram("update");
  ASSERT_TRUE(trainProgram && update);
  double firstLoss = 0, lastLoss = 0;
  for (int64_t step = 0; step < kSteps; ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    ASSERT_TRUE(session->applySettings(step).isOk());
    ASSERT_TRUE(session->setAutomaticSetting("step", step + 1).isOk());
    Tensors before = read(*session, {runtime::BufferKind::Parameter, runtime::BufferKind::State});
    interpreter->tensors = before;
    for (auto &[name, value] : session->settings())
      interpreter->tensors[name] = Tensor::scalar(value);
    interpreter->tensors["step"] = Tensor::scalar(step + 1);
    interpreter->gradients.clear();
    for (auto parameter : train->getOps<lm::ParameterOp>())
      interpreter->gradients[parameter.getSymName().str()] = Tensor::filled(cast<RankedTensorType>(parameter.getType()).getShape(), 0.0);

    for (int64_t micro = 0; micro < microBatches(); ++micro) {
      runtime::Batch batch = makeBatch(step % 2 * microBatches() + micro, kTokens);
      ASSERT_TRUE(session->setAutomaticSetting("accumulate", micro > 0).isOk());
      interpreter->tensors["accumulate"] = Tensor::scalar(micro > 0);
      ASSERT_TRUE(session->runOnBatch(*trainProgram, batch).isOk());
      auto results = interpreter->run("train.T32", {toTensor(batch.tokens), toTensor(batch.targets), toTensor(batch.documentStart)});
      ASSERT_TRUE(succeeded(results));
      auto objective = session->readOutput(*trainProgram, "objective"), sum = session->readOutput(*trainProgram, "loss_sum");
      ASSERT_TRUE(objective.isOk() && sum.isOk());
      // fp32 logits of order 1 and sums of 30 losses: 1e-5 is about 100 roundings.
      EXPECT_TRUE(std::abs(*objective - (*results)[0].item()) <= 1e-5 * (1 + std::abs((*results)[0].item()))) << *objective << " " << (*results)[0].item();
      EXPECT_TRUE(std::abs(*sum - (*results)[1].item()) <= 1e-5 * (1 + std::abs((*results)[1].item()))) << *sum << " " << (*results)[1].item();
      (step == 0 ? firstLoss : lastLoss) = *objective;
    }
    Tensors gradients = read(*session, {runtime::BufferKind::Gradient});
    for (auto &[name, gradient] : gradients) {
      ASSERT_TRUE(llvm::StringRef(name).starts_with("gradient."));
      // Relative to the largest element of the gradient: sums over 32 to 64 tokens through a dozen ops in fp32.
      double error = getError(gradient, interpreter->gradients[name.substr(9)], kFloor);
      EXPECT_TRUE(error <= 1e-4) << name << ": " << error;
    }

    ASSERT_TRUE(session->run(*update).isOk());
    ASSERT_TRUE(succeeded(interpreter->run("update", {})));
    for (auto &[name, actual] : read(*session, {runtime::BufferKind::Parameter, runtime::BufferKind::State})) {
      auto expected = interpreter->tensors.find(name);
      ASSERT_NE(expected, interpreter->tensors.end()) << name;
      // Muon's five iterations magnify small singular values, and their rounding, by up to 3.4⁵ ≈ 450.
      double error = getError(actual, expected->second, kFloor);
      EXPECT_TRUE(error <= 2e-4) << name << ": " << error;
    }
  }
  EXPECT_LT(lastLoss, firstLoss - 0.5); // It learns: two batches, seen five times each.
}

INSTANTIATE_TEST_SUITE_P(All, TrainingNumericsTest, testing::Values(std::make_tuple(false, 1, Optimizer::muon), std::make_tuple(false, 2, Optimizer::muon),
                                         std::make_tuple(true, 1, Optimizer::muon), std::make_tuple(true, 2, Optimizer::muon),
                                         std::make_tuple(true, 1, Optimizer::normuon), std::make_tuple(false, 1, Optimizer::normuon)),
                         [](const auto &info) {
                           return std::string(std::get<0>(info.param) ? "Fused" : "Unfused") + (std::get<1>(info.param) > 1 ? "Accumulating" : "") +
                                  (std::get<2>(info.param) == Optimizer::normuon ? "NorMuon" : "");
                         });

} // namespace
