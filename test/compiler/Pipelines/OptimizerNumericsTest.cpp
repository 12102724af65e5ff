//===- OptimizerNumericsTest.cpp - Twenty steps of three optimisers against plain loops ===//
//
// The whole way of a spec with Adam every second step, AdamW every step and Snoo every third, two micro-batches a step, on the one side;
// on the other its gradients from the interpreter, in double precision, and the optimisers as loops over doubles, written here from the
// records' equations: no pass, schedule, automatic setting or accumulation is shared. The two runs start alike and never meet again.
//
//===----------------------------------------------------------------------===//
#include "compiler/Import/Import.h"
#include "compiler/Pipelines/Pipelines.h"
#include "compiler/Reference/Interpreter.h"
#include "compiler/Target/Bundle/EmitBundle.h"
#include "compiler/Target/ObjectCache.h"
#include "compiler/Transforms/Autodiff/Passes.h"
#include "dialects/LM/LMOps.h"
#include "dialects/Train/TrainOps.h"
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

constexpr int64_t kTokens = 16, kSteps = 20, kMicroBatches = 2;
constexpr double kFloor = 1e-3;

/// eps is large, so that the division by √v does not magnify the rounding of gradients that are nearly 0.
constexpr llvm::StringLiteral kSpec = R"({
  "smelt": 1, "name": "test",
  "dims": {"layers": 1, "model": 32, "heads": 2, "head": 16, "mlp": 64, "vocab": 256},
  "scalars": {"resid": {"per": "layer", "init": 1.1}},
  "embeddings": {"token": {"init": {"normal": 1.0}}},
  "rope": {"base": 1024, "rotate": "1/2"},
  "forward": [
    {"embed": "token"}, {"rms_norm": {}},
    {"layers": [
      {"scale": "resid"},
      {"attention": {"input": [{"rms_norm": {}}], "q": [{"rope": {}}], "k": [{"rope": {}}], "window": "short"}},
      {"mlp": {"input": [{"rms_norm": {}}], "hidden": "mlp", "activation": "relu_squared"}}
    ]},
    {"rms_norm": {}}, {"head": {"loss": {"cross_entropy": {"reduction": "mean"}}}}
  ],
  "training": {
    "steps": 20, "seed": 3, "micro_batch": 16, "stages": [{"until": 1, "tokens": 32, "windows": {"short": 5}}],
    "lr": {"warmup": 3, "cooldown": "1/2", "floor": 0.1},
    "optimizers": [
      {"adam": {"lr": 0.02, "betas": [0.65, 0.95], "eps": 1e-3, "every": 2},
       "parameters": {"embeddings.*": {"lr": 2}, "head": {}, "scalars.*": {}}},
      {"adamw": {"lr": 0.01, "betas": [0.8, 0.95], "eps": 1e-3, "weight_decay": 0.5}, "parameters": {"layers.*": {}}}
    ],
    "outer_optimizer": {"snoo": {"every": 3, "lr": 0.68, "momentum": 0.37}}
  },
  "data": {"train": "", "tokenizer": "bytes", "sequence": 16, "validation": {"tokens": 16, "every": 100}}
})";

/// What the loops keep of one parameter.
struct Kept {
  Tensor gradient, first, second, outer, velocity;
  bool isAdam = false;
  double rate = 0;
};

/// Equation of RECORDS §1: p −= lr·√(1−β2ᵗ)/(1−β1ᵗ)·m/(√v+eps).
void stepAdam(Tensor &p, Kept &kept, double lr, int t) {
  constexpr double beta1 = 0.65, beta2 = 0.95, eps = 1e-3;
  for (int64_t i = 0; i < p.getNumElements(); ++i) {
    double g = kept.gradient(i);
    kept.first(i) = beta1 * kept.first(i) + (1 - beta1) * g;
    kept.second(i) = beta2 * kept.second(i) + (1 - beta2) * g * g;
    p(i) -= lr * std::sqrt(1 - std::pow(beta2, t)) / (1 - std::pow(beta1, t)) * kept.first(i) / (std::sqrt(kept.second(i)) + eps);
  }
}

/// Loshchilov and Hutter, 2019, in PyTorch's form: decay by lr·wd, m̂/(√v̂ + eps).
void stepAdamW(Tensor &p, Kept &kept, double lr, int t) {
  constexpr double beta1 = 0.8, beta2 = 0.95, eps = 1e-3, decay = 0.5;
  for (int64_t i = 0; i < p.getNumElements(); ++i) {
    double g = kept.gradient(i);
    kept.first(i) = beta1 * kept.first(i) + (1 - beta1) * g;
    kept.second(i) = beta2 * kept.second(i) + (1 - beta2) * g * g;
    double corrected = kept.first(i) / (1 - std::pow(beta1, t)), root = std::sqrt(kept.second(i) / (1 - std::pow(beta2, t)));
    p(i) = p(i) * (1 - lr * decay) - lr * corrected / (root + eps);
  }
}

/// PyTorch's SGD with nesterov: buf = μ·buf + g, g += μ·buf, p −= lr·g; from the outer copy.
void stepSnoo(Tensor &p, Kept &kept) {
  constexpr double lr = 0.68, mu = 0.37;
  for (int64_t i = 0; i < p.getNumElements(); ++i) {
    double g = kept.outer(i) - p(i);
    kept.velocity(i) = mu * kept.velocity(i) + g;
    p(i) = kept.outer(i) -= lr * (g + mu * kept.velocity(i));
  }
}

struct OptimizerNumericsTest : testing::TestWithParam<bool> {
  void SetUp() override {
    registerDialects(registry);
    context.appendDialectRegistry(registry);
    directory = std::filesystem::temp_directory_path() / ("smelt-optimizers-" + std::to_string(getpid()) + (GetParam() ? "f" : "u"));
    OwningOpRef<ModuleOp> module = importSpecText(context, kSpec.str(), "test.json");
    ASSERT_TRUE(module);
    gradients = module->clone();
    PassManager passes(&context);
    passes.addPass(createAutodiffPass());
    ASSERT_TRUE(succeeded(passes.run(*gradients)));
    interpreter = std::make_unique<reference::Interpreter>(*gradients);
    for (llvm::StringRef phase : {"train", "kernel", "exec"}) {
      PassManager passes(&context);
      PipelineOptions options;
      options.fuse = GetParam();
      ASSERT_TRUE(buildPhasePipeline(passes, phase, options));
      ASSERT_TRUE(succeeded(passes.run(*module))) << phase.str();
    }
    runtime::Status status =
        emitBundle(*module, directory.string(), {.cache = ObjectCache::findFolder()});
    ASSERT_TRUE(status.isOk()) << status.message();
    auto opened = runtime::Session::open(directory.string(), {"auto", 2});
    ASSERT_TRUE(opened.isOk()) << opened.status().message();
    session = *std::move(opened);
    ASSERT_TRUE(session->initialise(7).isOk());
    interpreter->tensors = read(*session, {runtime::BufferKind::Parameter});
    for (auto &[name, parameter] : interpreter->tensors) {
      Tensor zero = Tensor::filled(parameter.shape, 0.0);
      loops[name] = {zero, zero, zero, parameter, zero};
      Kept &kept = loops[name];
      kept.isAdam = !llvm::StringRef(name).starts_with("layers.");
      kept.rate = !kept.isAdam ? 0.01 : llvm::StringRef(name).starts_with("embeddings.") ? 0.04 : 0.02;
    }
  }
  void TearDown() override { std::filesystem::remove_all(directory); }

  /// The runtime's step, as its Trainer takes it.
  void runCompiled(int64_t step) {
    ASSERT_TRUE(session->applySettings(step).isOk());
    for (int64_t micro = 0; micro < kMicroBatches; ++micro) {
      ASSERT_TRUE(session->applyAutomaticSettings(step, micro).isOk());
      ASSERT_TRUE(session->runOnBatch(*session->manifest().findProgram("train.T16"), makeBatch(step % 3 * kMicroBatches + micro, kTokens)).isOk());
    }
    compiledGradients = read(*session, {runtime::BufferKind::Gradient});
    for (const runtime::Update &update : session->manifest().training.updates)
      if (update.period.isDue(step))
        ASSERT_TRUE(session->run(*session->manifest().findProgram(update.program)).isOk());
  }

  void runLoops(int64_t step) {
    for (auto &[name, value] : session->settings())
      interpreter->tensors[name] = Tensor::scalar(value);
    interpreter->gradients.clear();
    for (int64_t micro = 0; micro < kMicroBatches; ++micro) {
      runtime::Batch batch = makeBatch(step % 3 * kMicroBatches + micro, kTokens);
      ASSERT_TRUE(succeeded(interpreter->run("train.T16", {toTensor(batch.tokens), toTensor(batch.targets), toTensor(batch.documentStart)})));
    }
    double lr = session->settings().at("lr");
    for (auto &[name, kept] : loops) {
      const Tensor &fresh = interpreter->gradients.at(name);
      for (int64_t i = 0; i < fresh.getNumElements(); ++i)
        kept.gradient(i) += fresh(i);
      // Before the update: what has accumulated so far, in Adam's group over two steps.
      double error = getError(compiledGradients.at("gradient." + name), kept.gradient, kFloor);
      EXPECT_TRUE(error <= 1e-3) << "gradient of " << name << ": " << error;
      Tensor &p = interpreter->tensors.at(name);
      if (kept.isAdam && step % 2 == 0)
        continue;
      kept.isAdam ? stepAdam(p, kept, lr * kept.rate, (step + 1) / 2) : stepAdamW(p, kept, lr * kept.rate, step + 1);
      kept.gradient = Tensor::filled(kept.gradient.shape, 0.0);
    }
    if (step % 3 == 0)
      for (auto &[name, kept] : loops)
        stepSnoo(interpreter->tensors.at(name), kept);
  }

  DialectRegistry registry;
  MLIRContext context;
  std::filesystem::path directory;
  OwningOpRef<ModuleOp> gradients;
  std::unique_ptr<runtime::Session> session;
  std::unique_ptr<reference::Interpreter> interpreter;
  Tensors compiledGradients;
  std::map<std::string, Kept> loops;
};

TEST_P(OptimizerNumericsTest, TwentyStepsEqualTheLoops) {
  ASSERT_EQ(session->manifest().training.updates.size(), 3u);
  EXPECT_EQ(session->manifest().training.updates.back().program, "outer.every3");
  Tensors first = interpreter->tensors;
  for (int64_t step = 0; step < kSteps; ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    runCompiled(step);
    runLoops(step);
    for (auto &[name, actual] : read(*session, {runtime::BufferKind::Parameter})) {
      // fp32 gradients and updates that feed back through 20 steps; an update moves by at most 4e-2.
      double error = getError(actual, interpreter->tensors.at(name), kFloor);
      EXPECT_TRUE(error <= 1e-4) << name << ": " << error;
    }
  }
  for (auto &[name, kept] : loops) // It went somewhere.
    EXPECT_GT(getError(first.at(name), interpreter->tensors.at(name), kFloor), 1e-3) << name;
  for (auto &[name, actual] : read(*session, {runtime::BufferKind::State})) {
    llvm::StringRef rest = name;
    const Tensor *expected = nullptr;
    if (rest.consume_front("adam.m.") || rest.consume_front("adamw.m."))
      expected = &loops.at(rest.str()).first;
    else if (rest.consume_front("adam.v.") || rest.consume_front("adamw.v."))
      expected = &loops.at(rest.str()).second;
    else if (rest.consume_front("snoo.outer."))
      expected = &loops.at(rest.str()).outer;
    else if (rest.consume_front("snoo.m."))
      expected = &loops.at(rest.str()).velocity;
    ASSERT_TRUE(expected) << name;
    double error = getError(actual, *expected, kFloor);
    EXPECT_TRUE(error <= 1e-3) << name << ": " << error;
  }
}

INSTANTIATE_TEST_SUITE_P(All, OptimizerNumericsTest, testing::Values(false, true), [](const auto &info) { return info.param ? "Fused" : "Unfused"; });

} // namespace
