//===- ImportModelTest.cpp - What the importer makes of a right spec ------===//
#include "dialects/LM/LMOps.h"
#include "dialects/Train/TrainOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "test/compiler/Import/SpecText.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace mlir;

namespace {

class ImportModel : public ::testing::Test {
protected:
  OwningOpRef<ModuleOp> import(const std::string &text,
                               const std::vector<std::string> &overrides = {}) {
    ScopedDiagnosticHandler handler(&context, [](Diagnostic &diagnostic) {
      ADD_FAILURE() << diagnostic.str();
      return success();
    });
    smelt::ImportOptions options;
    options.overrides = overrides;
    OwningOpRef<ModuleOp> module = smelt::importSpecText(context, text, "a.json", options);
    EXPECT_TRUE(module);
    return module;
  }

  static std::string print(ModuleOp module) {
    std::string text;
    llvm::raw_string_ostream os(text);
    module.print(os, OpPrintingFlags().enableDebugInfo());
    return text;
  }

  static std::string path(Operation *op) { return cast<NameLoc>(op->getLoc()).getName().str(); }
  static FileLineColLoc place(Operation *op) {
    return cast<FileLineColLoc>(cast<NameLoc>(op->getLoc()).getChildLoc());
  }

  static std::vector<double> segments(ModuleOp module, llvm::StringRef name) {
    auto schedule = module.lookupSymbol<train::ScheduleOp>(name);
    if (!schedule)
      return {};
    return schedule.getSegments().vec();
  }

  /// The schedule's value as the runtime computes it.
  static double evaluate(llvm::ArrayRef<double> segments, int64_t step) {
    for (size_t i = 0; i < segments.size(); i += 4)
      if (segments[i] <= step && step <= segments[i + 1])
        return segments[i + 2] + segments[i + 3] * (step - segments[i]);
    return NAN;
  }

  template <typename Op> static std::vector<Op> collect(Operation *root) {
    std::vector<Op> ops;
    root->walk([&](Op op) { ops.push_back(op); });
    return ops;
  }

  MLIRContext context;
};

TEST_F(ImportModel, ParametersHaveNamesShapesAndInits) {
  OwningOpRef<ModuleOp> module = import(readInput("base.json"));
  std::map<std::string, std::string> seen;
  for (auto parameter : collect<lm::ParameterOp>(*module)) {
    std::string text;
    llvm::raw_string_ostream os(text);
    os << parameter.getType() << " " << stringifyInitKind(parameter.getInit());
    seen[parameter.getSymName().str()] = text;
  }
  std::map<std::string, std::string> expected = {
      {"embeddings.token", "tensor<256x8xf32> normal"},
      {"embeddings.value.0", "tensor<256x8xf32> constant"},
      {"embeddings.value.1", "tensor<256x8xf32> constant"},
      {"scalars.resid.0", "tensor<f32> constant"},
      {"scalars.resid.1", "tensor<f32> constant"},
      {"scalars.final", "tensor<f32> constant"},
      {"head", "tensor<256x8xf32> constant"}};
  for (std::string layer : {"layers.0.", "layers.1."}) {
    expected[layer + "attention.qkv"] = "tensor<24x8xf32> uniform";
    expected[layer + "attention.out"] = "tensor<8x8xf32> constant";
    expected[layer + "mlp.up"] = "tensor<16x8xf32> uniform";
    expected[layer + "mlp.down"] = "tensor<8x16xf32> constant";
  }
  EXPECT_EQ(seen, expected);
  auto up = module->lookupSymbol<lm::ParameterOp>("layers.0.mlp.up");
  // uniform_std 0.5 with 8 inputs: the bound is √3 · 0.5 / √8.
  EXPECT_DOUBLE_EQ(up.getInitValue().convertToDouble(), std::sqrt(3.0) * 0.5 / std::sqrt(8.0));
  EXPECT_DOUBLE_EQ(
      module->lookupSymbol<lm::ParameterOp>("scalars.final").getInitValue().convertToDouble(), 0.5);
}

TEST_F(ImportModel, ProgramsHaveTheirRolesAndTypes) {
  OwningOpRef<ModuleOp> module = import(readInput("base.json"));
  std::map<std::string, std::string> seen;
  for (auto function : collect<func::FuncOp>(*module)) {
    std::string text;
    llvm::raw_string_ostream os(text);
    os << cast<StringAttr>(function->getAttr("smelt.role")).getValue() << " "
       << cast<IntegerAttr>(function->getAttr("smelt.tokens")).getInt() << " "
       << function.getFunctionType();
    seen[function.getName().str()] = text;
  }
  std::string loss =
      " (tensor<16xi32>, tensor<16xi32>, tensor<16xi32>) -> (tensor<f32>, tensor<f32>)";
  EXPECT_EQ(seen, (std::map<std::string, std::string>{
                      {"train.T16", "train 16" + loss},
                      {"evaluate.T16", "evaluate 16" + loss},
                      {"generate.T8",
                       "generate 8 (tensor<8xi32>, tensor<8xi32>) -> tensor<8x256xf32>"}}));
}

TEST_F(ImportModel, OpsStandAtTheirKeys) {
  OwningOpRef<ModuleOp> module = import(readInput("base.json"));
  auto train = module->lookupSymbol<func::FuncOp>("train.T16");
  auto shifts = collect<lm::TokenShiftOp>(train);
  ASSERT_EQ(shifts.size(), 1u); // "only": [1]
  EXPECT_EQ(path(shifts[0]), "forward[3].layers[1].attention.k[1].token_shift");
  EXPECT_EQ(place(shifts[0]).getFilename(), "a.json");
  EXPECT_EQ(place(shifts[0]).getLine(), 23u);
  EXPECT_EQ(place(shifts[0]).getColumn(), 30u);
  auto mixes = collect<lm::MixOp>(train);
  ASSERT_EQ(mixes.size(), 3u);
  EXPECT_EQ(path(mixes[0]), "forward[3].layers[0].mix");
  EXPECT_EQ(path(mixes[2]), "forward[4].mix");
  auto caps = collect<lm::SoftcapOp>(train);
  ASSERT_EQ(caps.size(), 1u);
  EXPECT_EQ(path(caps[0]), "forward[5].head.softcap");
}

TEST_F(ImportModel, OnlyAndByLayerSelect) {
  OwningOpRef<ModuleOp> module = import(readInput("base.json"));
  auto train = module->lookupSymbol<func::FuncOp>("train.T16");
  // Layer 0 takes table 1 and layer 1 table 0; the order of reads shows it.
  std::vector<std::string> tables;
  for (auto embedding : collect<lm::EmbeddingOp>(train))
    tables.push_back(embedding.getTable().getDefiningOp<lm::ReadOp>().getSymbol().str());
  EXPECT_EQ(tables, (std::vector<std::string>{"embeddings.token", "embeddings.value.1",
                                              "embeddings.value.0"}));
  // Windows: layer 0 short, layer 1 long.
  std::vector<std::string> windows;
  for (auto range : collect<lm::AttentionRangeOp>(train))
    windows.push_back(range.getWindow().getDefiningOp<lm::SettingOp>().getSymbol().str());
  EXPECT_EQ(windows, (std::vector<std::string>{"window.short", "window.long"}));
}

TEST_F(ImportModel, StagesBecomeExactSteps) {
  OwningOpRef<ModuleOp> module = import(readInput("base.json"));
  EXPECT_EQ(segments(*module, "window.short"), (std::vector<double>{0, 89, 4, 0}));
  EXPECT_EQ(segments(*module, "window.long"), (std::vector<double>{0, 29, 8, 0, 30, 89, 12, 0}));
  // A third of 2070 steps is step 690, not 689 or 691 (0.33 of them would be 683).
  module =
      import(readInput("base.json"), {"training.steps={\"scheduled\": 2070, \"extension\": 40}"});
  EXPECT_EQ(segments(*module, "window.long"),
            (std::vector<double>{0, 689, 8, 0, 690, 2109, 12, 0}));
  auto run = collect<train::RunOp>(*module).front();
  auto training = cast<DictionaryAttr>(run.getConfig().get("training"));
  EXPECT_EQ(cast<IntegerAttr>(training.get("steps")).getInt(), 2110);
  auto stage = cast<DictionaryAttr>(cast<ArrayAttr>(training.get("stages"))[1]);
  EXPECT_EQ(cast<IntegerAttr>(stage.get("first")).getInt(), 690);
  EXPECT_EQ(cast<IntegerAttr>(stage.get("micro_batches")).getInt(), 2);
  EXPECT_EQ(cast<StringAttr>(stage.get("program")).getValue(), "train.T16");
}

TEST_F(ImportModel, LearningRateFollowsItsFormula) {
  for (int64_t steps : {90, 91, 7, 1000}) {
    OwningOpRef<ModuleOp> module =
        import(readInput("base.json"),
               {"training.steps={\"scheduled\": " + std::to_string(steps) + ", \"extension\": 5}",
                "training.stages.1.lr=1.5"});
    std::vector<double> pieces = segments(*module, "lr");
    for (int64_t step = 0; step < steps + 5; ++step) {
      double level = 3 * step < steps ? 1.0 : 1.5, expected = level;
      double w = (1.0 - double(step) / steps) / 0.5;
      if (step < 3)
        expected = level * (step + 1) / 3;
      else if (step >= steps)
        expected = 0.1;
      else if (2 * step >= steps)
        expected = level * w + 0.1 * (1 - w);
      // Two roundings of numbers near 1 apart.
      EXPECT_NEAR(evaluate(pieces, step), expected, 1e-12) << "step " << step << " of " << steps;
    }
  }
}

TEST_F(ImportModel, MicroBatchesShareTheMean) {
  std::string base = readInput("base.json");
  // 32 tokens in micro-batches of 16: each objective is half its mean.
  auto constantScales = [&](ModuleOp module, llvm::StringRef name) {
    std::vector<double> values;
    module.lookupSymbol<func::FuncOp>(name).walk([&](lm::ScaleOp scale) {
      if (auto constant = scale.getS().getDefiningOp<lm::ConstantOp>())
        values.push_back(cast<DenseElementsAttr>(constant.getValue())
                             .getSplatValue<APFloat>()
                             .convertToDouble());
    });
    return values;
  };
  OwningOpRef<ModuleOp> module = import(base);
  EXPECT_EQ(constantScales(*module, "train.T16"), (std::vector<double>{0.5}));
  EXPECT_EQ(constantScales(*module, "evaluate.T16"), (std::vector<double>{}));
  // Stages of different size make it a setting.
  module = import(base, {"training.stages.1.tokens=64"});
  EXPECT_EQ(segments(*module, "micro_batch_share"),
            (std::vector<double>{0, 29, 0.5, 0, 30, 89, 0.25, 0}));
}

TEST_F(ImportModel, OptimizersHoldEveryParameterOnce) {
  OwningOpRef<ModuleOp> module = import(readInput("base.json"));
  auto optimizers = collect<train::OptimizerOp>(*module);
  ASSERT_EQ(optimizers.size(), 2u);
  std::vector<std::string> names;
  for (auto optimizer : optimizers)
    for (Attribute parameter : optimizer.getParameters())
      names.push_back(cast<FlatSymbolRefAttr>(parameter).getValue().str());
  EXPECT_EQ(names.size(), collect<lm::ParameterOp>(*module).size());
  llvm::sort(names);
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
  EXPECT_EQ(optimizers[0].getLrScales()[0], 2.0); // embeddings.token
  EXPECT_EQ(optimizers[1].getKind(), train::OptimizerKind::muon);
  EXPECT_DOUBLE_EQ(optimizers[1].getLr().convertToDouble(), 0.02);
  // qkv is three matrices, unless the spec says otherwise.
  EXPECT_EQ(optimizers[1].getSplits()[0], 3);
  EXPECT_EQ(optimizers[1].getSplits()[1], 1);
}

TEST_F(ImportModel, EveryStepIsEmitted) {
  OwningOpRef<ModuleOp> module = import(readInput("accept/every-step.json"));
  // Two attentions in layer 1; two mlps in each.
  for (const char *name :
       {"layers.1.attention.qkv", "layers.1.attention_2.qkv", "layers.2.mlp_2.up",
        "forward.6.attention.out", "forward.1.gate", "forward.5.save.2.gate",
        "layers.2.attention.k.2.gate", "layers.0.attention.output.1.gate", "embeddings.late",
        "scalars.resid.2"})
    EXPECT_TRUE(module->lookupSymbol<lm::ParameterOp>(name)) << name;
  EXPECT_FALSE(
      module->lookupSymbol<lm::ParameterOp>("layers.0.attention.k.2.gate")); // "except": [0]
  // Stages of 16 and 32 tokens without micro-batches: a program for each.
  EXPECT_TRUE(module->lookupSymbol<func::FuncOp>("train.T16"));
  EXPECT_TRUE(module->lookupSymbol<func::FuncOp>("train.T32"));
  auto train = module->lookupSymbol<func::FuncOp>("train.T16");
  for (auto shift : collect<lm::TokenShiftOp>(train))
    EXPECT_EQ(shift.getDocuments() == lm::DocumentRule::mask,
              static_cast<bool>(shift.getDocumentStart()));
  for (auto rope : collect<lm::RopeOp>(train))
    EXPECT_TRUE(rope.getDocumentStart()); // "positions": "document"
  std::set<std::string> paths;
  for (auto mix : collect<lm::MixOp>(train))
    paths.insert(path(mix));
  EXPECT_TRUE(paths.count("forward[7].layers[2].mix#2"));
}

TEST_F(ImportModel, EveryKeyOfTrainingIsEmitted) {
  OwningOpRef<ModuleOp> module = import(readInput("accept/every-step.json"));
  auto integer = [](DictionaryAttr dictionary, llvm::StringRef key) {
    auto value = dictionary.getAs<IntegerAttr>(key);
    return value ? value.getInt() : -1;
  };
  auto text = [](DictionaryAttr dictionary, llvm::StringRef key) {
    auto value = dictionary.getAs<StringAttr>(key);
    return value ? value.str() : "";
  };
  auto optimizers = collect<train::OptimizerOp>(*module);
  ASSERT_EQ(optimizers.size(), 5u);
  EXPECT_EQ(integer(optimizers[0].getConfig(), "every"), 3);
  EXPECT_EQ(integer(optimizers[0].getConfig(), "offset"), 1);
  EXPECT_EQ(text(optimizers[0].getConfig(), "state"), "bf16");
  EXPECT_EQ(optimizers[1].getConfig().getAs<BoolAttr>("nesterov").getValue(), false);
  EXPECT_EQ(optimizers[2].getKind(), train::OptimizerKind::normuon);
  // up [24, 8] over its columns by its shape, down [8, 24] over its rows as the spec says too.
  auto axes = optimizers[2].getConfig().getAs<DenseI64ArrayAttr>("variance_axes").asArrayRef();
  ASSERT_EQ(axes.size(), 6u);
  EXPECT_EQ(axes[0], 1);
  EXPECT_EQ(axes[1], 0);
  EXPECT_EQ(text(optimizers[3].getConfig(), "master"), "bf16_plus_16");
  EXPECT_EQ(optimizers[4].getKind(), train::OptimizerKind::snoo);
  EXPECT_EQ(integer(optimizers[4].getConfig(), "offset"), 9);
  auto config = collect<train::RunOp>(*module).front().getConfig();
  auto training = config.getAs<DictionaryAttr>("training"),
       data = config.getAs<DictionaryAttr>("data");
  EXPECT_EQ(integer(training, "checkpoint_keep"), 2);
  EXPECT_EQ(integer(training, "ranks"), 2);
  auto validation = training.getAs<DictionaryAttr>("validation");
  EXPECT_EQ(integer(validation.getAs<DictionaryAttr>("final_settings"), "window.short"), 20);
  EXPECT_EQ(text(data, "tokenizer"), "gpt2");
  EXPECT_EQ(text(data.getAs<DictionaryAttr>("tokenizer_files"), "merges"), "vocab.bpe");
  auto documents = data.getAs<DictionaryAttr>("documents");
  EXPECT_EQ(text(documents, "order"), "aligned");
  EXPECT_EQ(integer(documents, "max_tokens"), 8);
  EXPECT_EQ(integer(documents, "ranks"), 2);
  // The level 3/2 begins after a third of 100 steps: 34 is the first step past it in both senses.
  EXPECT_NEAR(evaluate(segments(*module, "lr"), 33), 1.0, 1e-12);
  EXPECT_NEAR(evaluate(segments(*module, "lr"), 34), 1.5, 1e-12);
}

TEST_F(ImportModel, StorageIsCastWhereItIsUsed) {
  OwningOpRef<ModuleOp> module = import(readInput("accept/every-step.json"));
  auto train = module->lookupSymbol<func::FuncOp>("train.T16");
  // [hidden, model] and bf16.
  auto down = module->lookupSymbol<lm::ParameterOp>("layers.0.mlp_2.down");
  auto type = cast<RankedTensorType>(down.getType());
  EXPECT_EQ(type.getShape(), (llvm::ArrayRef<int64_t>{12, 8}));
  EXPECT_TRUE(type.getElementType().isBF16());
  for (auto product : collect<lm::MatmulOp>(train)) {
    EXPECT_TRUE(cast<RankedTensorType>(product.getA().getType()).getElementType().isF32());
    EXPECT_TRUE(cast<RankedTensorType>(product.getB().getType()).getElementType().isF32());
    // Each weight is read, perhaps rounded, and f32 again.
    auto cast = product.getB().getDefiningOp<lm::CastOp>();
    if (!cast)
      continue;
    Value from = cast.getX();
    if (auto rounded = from.getDefiningOp<lm::CastOp>())
      from = rounded.getX();
    EXPECT_TRUE(from.getDefiningOp<lm::ReadOp>());
    bool transposed = from.getDefiningOp<lm::ReadOp>().getSymbol().ends_with("mlp_2.down");
    EXPECT_EQ(product.getTransposeB(), !transposed);
  }
  // Of tables the rows are cast.
  for (auto embedding : collect<lm::EmbeddingOp>(train))
    EXPECT_TRUE(embedding.getTable().getDefiningOp<lm::ReadOp>());
  auto head = collect<lm::QuantizedMatmulOp>(train);
  ASSERT_EQ(head.size(), 1u);
  EXPECT_DOUBLE_EQ(head[0].getXScale().convertToDouble(), std::sqrt(8.0) * 2 / 448);
  EXPECT_TRUE(
      collect<lm::QuantizedMatmulOp>(module->lookupSymbol<func::FuncOp>("evaluate.T32")).empty());
}

TEST_F(ImportModel, RopeFrequencies) {
  OwningOpRef<ModuleOp> module =
      import(readInput("base.json"), {"dims.head=16", "dims.model=32", "rope.rotate=\"1/2\""});
  auto table = collect<lm::RopeTableOp>(*module).front();
  auto values =
      cast<DenseElementsAttr>(table.getFrequencies().getDefiningOp<lm::ConstantOp>().getValue())
          .getValues<float>();
  ASSERT_EQ(values.size(), 8u);
  // Four rotating pairs: 1024^-(0, 1/3, 2/3, 1); the rest stand still.
  for (int j = 0; j < 8; ++j)
    EXPECT_FLOAT_EQ(values[j], j < 4 ? std::pow(1024.0, -j / 3.0) : 0.0) << j;
}

TEST_F(ImportModel, TextRoundTripsAndSpecIsIdempotent) {
  for (const char *name : {"base.json", "accept/every-step.json"}) {
    OwningOpRef<ModuleOp> module = import(readInput(name), {"training.seed=5"});
    std::string text = print(*module);
    OwningOpRef<ModuleOp> again = parseSourceString<ModuleOp>(text, ParserConfig(&context));
    ASSERT_TRUE(again);
    EXPECT_EQ(print(*again), text);
    // The resolved text, imported without the override, is the same model.
    std::string resolved = cast<StringAttr>(module->getOperation()->getAttr("smelt.spec")).str();
    OwningOpRef<ModuleOp> fromResolved = import(resolved);
    std::string first, second;
    llvm::raw_string_ostream(first) << *module;
    llvm::raw_string_ostream(second) << *fromResolved;
    EXPECT_EQ(first, second);
    EXPECT_NE(first.find("seed = 5"), std::string::npos);
  }
}

TEST_F(ImportModel, OverridesReachListsAndNewKeys) {
  OwningOpRef<ModuleOp> module = import(
      readInput("base.json"), {"forward.5.head.softcap.tanh.amplitude=20", "data.train=my text.txt",
                               "training.optimizers.1.parameters.layers.*.lr=3", "dims.wide=24",
                               "forward.3.layers.2.mlp.hidden=wide"});
  EXPECT_DOUBLE_EQ(collect<lm::SoftcapOp>(*module).front().getAmplitude().convertToDouble(), 20.0);
  auto run = collect<train::RunOp>(*module).front();
  EXPECT_EQ(
      cast<StringAttr>(cast<DictionaryAttr>(run.getConfig().get("data")).get("train")).getValue(),
      "my text.txt");
  EXPECT_EQ(collect<train::OptimizerOp>(*module)[1].getLrScales()[0], 3.0);
  EXPECT_EQ(
      cast<RankedTensorType>(module->lookupSymbol<lm::ParameterOp>("layers.0.mlp.up").getType())
          .getDimSize(0),
      24);
}

} // namespace
