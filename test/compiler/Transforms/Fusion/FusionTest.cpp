//===- FusionTest.cpp - Specs for the fusion tests ------------------------===//
#include "FusionTest.h"

#include "compiler/Import/Import.h"
#include "compiler/Transforms/Autodiff/Passes.h"
#include "compiler/Transforms/Fusion/Passes.h"
#include "compiler/Transforms/Optimizers/Passes.h"
#include "dialects/Train/TrainOps.h"
#include "mlir/Transforms/Passes.h"
#include <gtest/gtest.h>

using namespace mlir;

MLIRContext &smelt::test::getContext() {
  static MLIRContext *context = [] {
    auto *context = new MLIRContext(MLIRContext::Threading::DISABLED);
    context->loadDialect<lm::LMDialect, train::TrainDialect, kernel::KernelDialect,
                         func::FuncDialect>();
    return context;
  }();
  return *context;
}

std::string smelt::test::makeSpec(const Steps &steps) {
  return R"({
  "smelt": 1, "name": "fusion",
  "dims": {"layers": 2, "model": 16, "heads": 2, "head": 8, "mlp": 24, "vocab": 20},
  "scalars": {"resid": {"per": "layer", "init": 1.0}, "x0": {"per": "layer", "init": 0.1}, "skip": {"init": -1.5},
              "smear": {"init": 0.3}, "shift": {"init": 0.7}},
  "embeddings": {"token": {"init": {"normal": 1.0}}, "value": {"tables": 2, "init": {"normal": 1.0}}},
  "rope": {"base": 1024, "rotate": "1/2"},
  "forward": [
    {"embed": "token"}, )" +
         steps.afterEmbedding + R"(
    {"rms_norm": {}}, {"save": "x0"},
    {"layers": [)" +
         steps.layerStart + R"(
      {"mix": {"x": "resid", "x0": "x0"}},
      {"attention": {)" +
         steps.attention + R"(
        "input": [{"rms_norm": {}}],
        "q": [)" +
         steps.q + R"(],
        "k": [)" +
         steps.k + R"(],
        "v": [)" +
         steps.v + R"(],
        "output": [{"gate": {"features": 4, "per": "head"}}],
        "window": {"default": "short", "1": "long"}
      }},
      {"mlp": {"input": [)" +
         steps.mlpInput + R"(], "hidden": "mlp", "activation": "relu_squared"}})" + steps.layerEnd +
         R"(
    ]},
    {"mix": {"x": 1, "x0": {"sigmoid": "skip"}}},
    )" + steps.beforeHead +
         R"(
    {"head": {"softcap": {"tanh": {"amplitude": 15}}, "loss": {"cross_entropy": {"reduction": "mean"}}}}
  ],
  "training": {
    "steps": 4, "seed": 1, "micro_batch": 24,
    "stages": [{"until": 1, "tokens": )" +
         std::to_string(24 * steps.microBatches) + R"(, "windows": {"short": 4, "long": 8}}],
    "lr": {"warmup": 1, "cooldown": "1/2", "floor": 0.05},
    "optimizers": [
      {"adamw": {"lr": 0.004, "betas": [0.8, 0.95], "eps": 1e-8},
       "parameters": {"embeddings.*": {"lr": 10}, "head": {}, "scalars.*": {"lr": 2}, "*.gate": {}}},
      {"muon": {"lr": 0.03, "momentum": {"from": 0.85, "to": 0.95, "warmup": 100}},
       "parameters": {"layers.*.attention.qkv": {"split": 3}, "layers.*.attention.out": {}, "layers.*.mlp.up": {}, "layers.*.mlp.down": {}}}]
  },
  "data": {"train": "none.txt", "tokenizer": "gpt2", "sequence": 8, "validation": {"tokens": 24, "every": 4}}
})";
}

OwningOpRef<ModuleOp> smelt::test::importAndDifferentiate(MLIRContext &context,
                                                          const std::string &spec) {
  OwningOpRef<ModuleOp> module = importSpecText(context, spec, "fusion.json");
  EXPECT_TRUE(module);
  if (!module)
    return module;
  PassManager passes(&context);
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
  passes.addPass(createAutodiffPass());
  passes.addPass(createAccumulateGradientsPass());
  passes.addPass(createApplyOptimizersPass());
  passes.addPass(createExpandMuonPass());
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
  EXPECT_TRUE(succeeded(passes.run(*module)));
  return module;
}

void smelt::test::makeKernels(ModuleOp module, const std::function<void(OpPassManager &)> &fuse,
                              bool outline) {
  PassManager passes(module.getContext());
  OpPassManager &functions = passes.nest<func::FuncOp>();
  functions.addPass(createFormKernelsPass());
  fuse(functions);
  if (outline)
    passes.addPass(createOutlineKernelsPass());
  EXPECT_TRUE(succeeded(passes.run(module)));
}
