//===- ImportRecordsTest.cpp - The record specs become what the records are ===//
//
// Every expected number comes from the records' pages and programs, not from what the importer
// printed.
//
//===----------------------------------------------------------------------===//
#include "dialects/LM/LMOps.h"
#include "dialects/Train/TrainOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "test/compiler/Import/SpecText.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace mlir;

namespace {

class ImportRecords : public ::testing::Test {
protected:
  OwningOpRef<ModuleOp> import(const std::string &name,
                               const std::vector<std::string> &overrides = {}) {
    ScopedDiagnosticHandler handler(&context, [](Diagnostic &diagnostic) {
      ADD_FAILURE() << diagnostic.str();
      return success();
    });
    smelt::ImportOptions options;
    options.overrides = overrides;
    OwningOpRef<ModuleOp> module =
        smelt::importSpec(context, std::string(SMELT_MODELS) + "/" + name, options);
    EXPECT_TRUE(module);
    return module;
  }

  static std::vector<double> segments(ModuleOp module, llvm::StringRef name) {
    auto schedule = module.lookupSymbol<train::ScheduleOp>(name);
    EXPECT_TRUE(schedule) << name.str();
    return schedule ? schedule.getSegments().vec() : std::vector<double>();
  }

  static double at(llvm::ArrayRef<double> segments, int64_t step) {
    for (size_t i = 0; i < segments.size(); i += 4)
      if (segments[i] <= step && step <= segments[i + 1])
        return segments[i + 2] + segments[i + 3] * (step - segments[i]);
    return NAN;
  }

  static std::string typeOf(ModuleOp module, llvm::StringRef name) {
    auto parameter = module.lookupSymbol<lm::ParameterOp>(name);
    std::string text;
    llvm::raw_string_ostream os(text);
    if (parameter)
      os << parameter.getType();
    return text;
  }

  static train::OptimizerOp optimizerOf(ModuleOp module, llvm::StringRef name, size_t &index) {
    for (auto optimizer : module.getOps<train::OptimizerOp>())
      for (auto [i, symbol] : llvm::enumerate(optimizer.getParameters()))
        if (cast<FlatSymbolRefAttr>(symbol).getValue() == name) {
          index = i;
          return optimizer;
        }
    return nullptr;
  }

  static double number(DictionaryAttr config, llvm::StringRef key) {
    return config.getAs<FloatAttr>(key).getValueAsDouble();
  }
  static int64_t integer(DictionaryAttr config, llvm::StringRef key) {
    return config.getAs<IntegerAttr>(key).getInt();
  }
  static std::string text(DictionaryAttr config, llvm::StringRef key) {
    return config.getAs<StringAttr>(key).str();
  }
  static DictionaryAttr run(ModuleOp module, llvm::StringRef part) {
    return (*module.getOps<train::RunOp>().begin()).getConfig().getAs<DictionaryAttr>(part);
  }

  MLIRContext context;
};

TEST_F(ImportRecords, ShortParameters) {
  OwningOpRef<ModuleOp> module = import("short-partial-key-offset.json");
  EXPECT_EQ(typeOf(*module, "embeddings.token"), "tensor<50304x768xbf16>");
  EXPECT_EQ(typeOf(*module, "embeddings.value.2"), "tensor<50304x768xbf16>");
  EXPECT_EQ(typeOf(*module, "head"), "tensor<50304x768xbf16>");
  EXPECT_EQ(typeOf(*module, "forward.1.gate"), "tensor<1x12xbf16>");
  EXPECT_EQ(typeOf(*module, "layers.5.attention.output.0.gate"), "tensor<6x12xbf16>");
  EXPECT_EQ(typeOf(*module, "layers.0.attention.qkv"), "tensor<2304x768xf32>");
  EXPECT_EQ(typeOf(*module, "layers.6.mlp.down"), "tensor<3072x768xf32>");
  EXPECT_EQ(typeOf(*module, "layers.6.attention.qkv"), ""); // no attention there
  int64_t matrices = 0, scalars = 0, total = 0;
  for (auto parameter : module->getOps<lm::ParameterOp>()) {
    auto type = cast<RankedTensorType>(parameter.getType());
    (type.getRank() == 0 ? scalars : matrices) += 1;
    total += type.getNumElements();
  }
  // 47, less layer 6's two that no attention there uses.
  EXPECT_EQ(scalars, 45);
  // 5 tables, 1 + 10 gates, 10 × (qkv, out), 11 × (up, down).
  EXPECT_EQ(matrices, 5 + 11 + 20 + 22);
  int64_t d = 768;
  EXPECT_EQ(total, 5 * 50304 * d + 12 + 10 * 6 * 12 + 10 * 4 * d * d + 11 * 8 * d * d + 45);
  // Query, key and value: uniform in ±√3 · 0.5 / √D.
  EXPECT_DOUBLE_EQ(module->lookupSymbol<lm::ParameterOp>("layers.9.attention.qkv")
                       .getInitValue()
                       .convertToDouble(),
                   std::sqrt(3.0) * 0.5 / std::sqrt(768.0));
}

TEST_F(ImportRecords, ShortSchedules) {
  OwningOpRef<ModuleOp> module = import("short-partial-key-offset.json");
  EXPECT_EQ(segments(*module, "window.long"),
            (std::vector<double>{0, 689, 384, 0, 690, 1379, 896, 0, 1380, 2069, 1408, 0, 2070, 2109,
                                 1664, 0}));
  EXPECT_EQ(segments(*module, "window.short"),
            (std::vector<double>{0, 689, 128, 0, 690, 1379, 384, 0, 1380, 2069, 640, 0, 2070, 2109,
                                 768, 0}));
  // The program's get_lr and get_muon_momentum.
  std::vector<double> lr = segments(*module, "lr"), momentum = segments(*module, "momentum.1");
  for (int64_t step = 0; step < 2110; ++step) {
    double x = step / 2070.0, level = 1.0, expected;
    if (x > 1.0 / 3)
      level = 1.51;
    if (x > 2.0 / 3)
      level = 1.93;
    expected = level;
    if (step > 2070) {
      expected = 0.1;
    } else if (x >= 1 - 0.55) {
      double w = (1 - x) / 0.55;
      expected = level * w + (1 - w) * 0.1;
    }
    // Two roundings of numbers near 1 apart.
    EXPECT_NEAR(at(lr, step), expected, 1e-12) << step;
    double m = 0.95;
    if (step < 300)
      m = 0.85 + step / 300.0 * (0.95 - 0.85);
    else if (step > 2060)
      m = 0.95 - (step - 2060) / 50.0 * (0.95 - 0.85);
    EXPECT_NEAR(at(momentum, step), m, 1e-12) << step;
  }
}

TEST_F(ImportRecords, ShortYarn) {
  OwningOpRef<ModuleOp> module = import("short-partial-key-offset.json");
  std::vector<double> rows = segments(*module, "rope.frequencies");
  ASSERT_EQ(rows.size(), 4u * 66);
  std::vector<double> f(64, 0.0);
  for (int j = 0; j < 32; ++j)
    f[j] = std::pow(1.0 / 1024, j / 31.0);
  int blocks[] = {3, 7, 11, 13};
  double scale = 0.1, firsts[] = {0, 690, 1380, 2070};
  std::vector<double> scales = segments(*module, "attention_scale");
  for (int stage = 0; stage < 4; ++stage) {
    if (stage) {
      double old = blocks[stage - 1], now = blocks[stage], s = old / now;
      for (double &one : f) {
        double rotations = 128 * old * one / (2 * M_PI);
        double w = std::min(std::max((rotations - 1) / 31, 0.0), 1.0);
        one *= s + w * (1 - s);
      }
      scale *= 0.2 * std::log(now / old) + 1;
    }
    const double *row = rows.data() + stage * 66;
    EXPECT_EQ(row[0], firsts[stage]);
    for (int j = 0; j < 64; ++j)
      EXPECT_NEAR(row[2 + j], f[j], 1e-14) << stage << " " << j;
    EXPECT_NEAR(at(scales, static_cast<int64_t>(firsts[stage])), scale, 1e-14);
  }
  // The programs read them; cos and sin are stored in bf16.
  int64_t tables = 0;
  module->walk([&](lm::RopeTableOp table) {
    ++tables;
    EXPECT_TRUE(table.getFrequencies().getDefiningOp<lm::SettingOp>());
    EXPECT_TRUE(cast<RankedTensorType>(table.getTable().getType()).getElementType().isBF16());
  });
  EXPECT_EQ(tables, 5); // three train programs, evaluate, generate
}

TEST_F(ImportRecords, ShortOptimizers) {
  OwningOpRef<ModuleOp> module = import("short-partial-key-offset.json");
  size_t i = 0;
  auto check = [&](llvm::StringRef name, double rate) {
    auto optimizer = optimizerOf(*module, name, i);
    ASSERT_TRUE(optimizer) << name.str();
    EXPECT_NEAR(optimizer.getLr().convertToDouble() * optimizer.getLrScales()[i], rate, 1e-12)
        << name.str();
  };
  check("embeddings.token", 0.008 * 75);
  check("embeddings.value.1", 0.008 * 75);
  check("head", 0.008);
  check("scalars.resid.4", 0.008 * 5);
  // NorMuon's own factor is √max(1, rows / columns) of each matrix: 1 for the four of qkvo, which
  // the record stores as one of 4D rows (2); 2 for the MLP's, and twice that for the second.
  check("layers.3.attention.qkv", 0.023 * 2);
  auto normuon = optimizerOf(*module, "layers.3.attention.qkv", i);
  EXPECT_EQ(normuon.getSplits()[i], 3);
  check("layers.3.attention.out", 0.023 * 2);
  check("layers.3.mlp.up", 0.023);
  check("layers.3.mlp.down", 0.023 * 2);
  check("forward.1.gate", 0.023);
  EXPECT_EQ(normuon.getKind(), train::OptimizerKind::normuon);
  DictionaryAttr config = normuon.getConfig();
  EXPECT_EQ(number(config, "beta2"), 0.95);
  EXPECT_EQ(number(config, "weight_decay"), 1.2);
  EXPECT_TRUE(config.getAs<BoolAttr>("cautious").getValue());
  EXPECT_EQ(number(config, "norm_scale"), 1.02);
  EXPECT_EQ(number(config, "norm_eps"), 1e-6);
  EXPECT_EQ(config.getAs<lm::NumbersAttr>("coefficients").size(), 15);
  for (int64_t axis : config.getAs<DenseI64ArrayAttr>("variance_axes").asArrayRef())
    EXPECT_EQ(axis, 1); // along the input axis, gates too
  auto adam = optimizerOf(*module, "head", i);
  EXPECT_EQ(adam.getKind(), train::OptimizerKind::adam);
  EXPECT_EQ(integer(adam.getConfig(), "every"), 2);
  EXPECT_EQ(integer(adam.getConfig(), "offset"), 1); // odd steps
  EXPECT_EQ(text(adam.getConfig(), "state"), "bf16");
}

TEST_F(ImportRecords, ShortProgramsAndData) {
  OwningOpRef<ModuleOp> module = import("short-partial-key-offset.json");
  // A rank's share of 8 · 2048 · 8, 16 · 2048 · 8 and 24 · 2048 · 8 tokens.
  int64_t trained = 0;
  for (auto function : module->getOps<func::FuncOp>()) {
    bool trains = cast<StringAttr>(function->getAttr("smelt.role")).getValue() == "train";
    trained += trains;
    int64_t quantized = 0;
    function.walk([&](lm::QuantizedMatmulOp product) {
      ++quantized;
      EXPECT_DOUBLE_EQ(product.getXScale().convertToDouble(), std::sqrt(768.0) / 448);
      EXPECT_EQ(product.getWScale().convertToDouble(), 1.0 / 512);
      EXPECT_EQ(product.getGradientScale().convertToDouble(), 1.0 / 448);
    });
    EXPECT_EQ(quantized, trains) << function.getName().str();
    // The objective: the sum over a rank's tokens, of which eight ranks take the mean.
    auto ret = cast<func::ReturnOp>(function.getBody().front().getTerminator());
    auto scale = ret.getOperand(0).getDefiningOp<lm::ScaleOp>();
    if (trains) {
      ASSERT_TRUE(scale);
      EXPECT_EQ(scale.getX(), ret.getOperand(1));
      auto factor = scale.getS().getDefiningOp<lm::ConstantOp>();
      EXPECT_EQ(
          cast<DenseElementsAttr>(factor.getValue()).getSplatValue<APFloat>().convertToDouble(),
          0.125);
    }
  }
  EXPECT_EQ(trained, 3);
  auto stages = run(*module, "training").getAs<ArrayAttr>("stages");
  ASSERT_EQ(stages.size(), 4u);
  int64_t firsts[] = {0, 690, 1380, 2070}, tokens[] = {16384, 32768, 49152, 49152};
  for (int i = 0; i < 4; ++i) {
    auto stage = cast<DictionaryAttr>(stages[i]);
    EXPECT_EQ(integer(stage, "first"), firsts[i]);
    EXPECT_EQ(integer(stage, "tokens"), tokens[i]);
    EXPECT_EQ(integer(stage, "micro_batches"), 8);
  }
  auto validation = run(*module, "training").getAs<DictionaryAttr>("validation");
  EXPECT_EQ(text(validation, "program"), "evaluate.T262144");
  EXPECT_EQ(integer(validation, "every"), 250);
  EXPECT_EQ(integer(validation.getAs<DictionaryAttr>("final_settings"), "window.long"), 2560);
  auto documents = run(*module, "data").getAs<DictionaryAttr>("documents");
  EXPECT_EQ(text(documents, "order"), "aligned");
  EXPECT_EQ(integer(documents, "ranks"), 8);
  EXPECT_EQ(integer(documents, "max_tokens"), 2048);
  EXPECT_EQ(integer(documents, "start_token"), 50256);
}

TEST_F(ImportRecords, MediumParametersAndOptimizers) {
  OwningOpRef<ModuleOp> module = import("medium-smear-mtp.json");
  EXPECT_EQ(typeOf(*module, "embeddings.first"), "tensor<50257x1024xbf16>");
  EXPECT_EQ(typeOf(*module, "embeddings.value.4"), "tensor<50257x1024xbf16>");
  EXPECT_EQ(typeOf(*module, "head"), "tensor<50304x1024xf32>");
  EXPECT_EQ(typeOf(*module, "layers.15.mlp.down"), "tensor<1024x4096xbf16>");
  int64_t total = 0, scalars = 0, d = 1024;
  for (auto parameter : module->getOps<lm::ParameterOp>()) {
    auto type = cast<RankedTensorType>(parameter.getType());
    scalars += type.getRank() == 0;
    total += type.getNumElements();
  }
  // Of 16 skips three are used, of 16 × 2 attention lambdas layer 7's two and the second ones of
  // the five other layers without a value embedding are not.
  EXPECT_EQ(scalars, 3 + 16 * 3 + (15 + 10) + 1 + 2);
  EXPECT_EQ(total, 7 * 50257 * d + 50304 * d + 15 * 4 * d * d + 16 * 8 * d * d + scalars);
  size_t i = 0;
  auto check = [&](llvm::StringRef name, train::OptimizerKind kind, double rate, double decay) {
    auto optimizer = optimizerOf(*module, name, i);
    ASSERT_TRUE(optimizer) << name.str();
    EXPECT_EQ(optimizer.getKind(), kind);
    EXPECT_NEAR(optimizer.getLr().convertToDouble() * optimizer.getLrScales()[i], rate, 1e-15);
    EXPECT_NEAR(number(optimizer.getConfig(), "weight_decay") * optimizer.getWeightDecayScales()[i],
                decay, 1e-15);
  };
  check("head", train::OptimizerKind::adamw, 1.0 / 320, 0);
  check("embeddings.second", train::OptimizerKind::adamw, 0.3, 0);
  check("scalars.smear_mtp", train::OptimizerKind::adamw, 0.015, 0);
  check("layers.2.attention.out", train::OptimizerKind::muon, 0.03, 0.01);
  check("layers.2.mlp.up", train::OptimizerKind::muon, 0.03, 0.02);
  auto muon = optimizerOf(*module, "layers.2.mlp.up", i).getConfig();
  EXPECT_EQ(number(muon, "update_smoothing"), 0.2);
  EXPECT_EQ(text(muon, "master"), "bf16_plus_16");
  EXPECT_EQ(number(muon, "norm_scale"), 1.0);
  EXPECT_EQ(number(muon, "norm_eps"), 1e-7);
  EXPECT_EQ(muon.getAs<lm::NumbersAttr>("coefficients").asArrayRef()[3], 3.9505);
  // torch.optim.AdamW keeps its moments in the parameter's type.
  EXPECT_EQ(text(optimizerOf(*module, "embeddings.first", i).getConfig(), "state"), "bf16");
  EXPECT_EQ(text(optimizerOf(*module, "head", i).getConfig(), "state"), "f32");
  train::OptimizerOp outer;
  for (auto optimizer : module->getOps<train::OptimizerOp>())
    if (optimizer.getKind() == train::OptimizerKind::snoo)
      outer = optimizer;
  ASSERT_TRUE(outer);
  auto parameters = module->getOps<lm::ParameterOp>();
  EXPECT_EQ(outer.getParameters().size(),
            static_cast<size_t>(std::distance(parameters.begin(), parameters.end())));
  EXPECT_EQ(outer.getLr().convertToDouble(), 0.68);
  EXPECT_EQ(number(outer.getConfig(), "momentum"), 0.37);
  EXPECT_EQ(integer(outer.getConfig(), "every"), 28);
  EXPECT_EQ(integer(outer.getConfig(), "offset"), 0); // after step 0 too
}

TEST_F(ImportRecords, MediumSchedules) {
  OwningOpRef<ModuleOp> module = import("medium-smear-mtp.json");
  std::vector<double> longs = segments(*module, "window.long"),
                      shorts = segments(*module, "window.short"), lr = segments(*module, "lr"),
                      momentum = segments(*module, "momentum.2");
  for (int64_t step = 0; step < 5535; ++step) {
    double x = step / 5535.0, window = 3456 * (4 * std::pow(x, 3) - 6 * std::pow(x, 2) + 3 * x);
    int64_t rounded = 128;
    while (rounded < window)
      rounded += 128;
    EXPECT_EQ(at(longs, step), rounded) << step;
    EXPECT_EQ(at(shorts, step), rounded / 128 / 2 * 128) << step;
    double rate = x < 1 - 0.7 ? 1.0 : (1 - x) / 0.7 * (1 - 0.01) + 0.01;
    EXPECT_NEAR(at(lr, step), rate, 1e-12) << step;
    double part = std::min(step / 300.0, 1.0);
    EXPECT_NEAR(at(momentum, step), (1 - part) * 0.85 + part * 0.95, 1e-12) << step;
  }
  auto stage = cast<DictionaryAttr>(run(*module, "training").getAs<ArrayAttr>("stages")[0]);
  EXPECT_EQ(integer(stage, "micro_batches"), 8);
  EXPECT_EQ(text(stage, "program"), "train.T65536");
  int64_t ranges = 0;
  module->lookupSymbol<func::FuncOp>("train.T65536").walk([&](lm::AttentionRangeOp range) {
    EXPECT_EQ(range.getBlocks(), 128u);
    ++ranges;
  });
  EXPECT_EQ(ranges, 2); // long and short, shared by the layers
}

TEST_F(ImportRecords, FullPrecisionHasNoNarrowTypes) {
  for (const char *name : {"short-partial-key-offset.json", "medium-smear-mtp.json"}) {
    OwningOpRef<ModuleOp> module = import(name, {"precision=f32"});
    std::string text;
    llvm::raw_string_ostream(text) << *module;
    // The spec's own text, which stays as it is, is an attribute.
    module->getOperation()->removeAttr("smelt.spec");
    text.clear();
    llvm::raw_string_ostream(text) << *module;
    EXPECT_EQ(text.find("bf16"), std::string::npos) << name;
    EXPECT_EQ(text.find("lm.cast"), std::string::npos) << name;
    EXPECT_EQ(text.find("quantized"), std::string::npos) << name;
  }
}

TEST_F(ImportRecords, SpecsFitOnAPage) {
  for (const char *name : {"short-partial-key-offset.json", "medium-smear-mtp.json"}) {
    std::ifstream file(std::string(SMELT_MODELS) + "/" + name);
    std::string line;
    int lines = 0;
    while (std::getline(file, line))
      ++lines;
    EXPECT_GT(lines, 50);
    EXPECT_LE(lines, 200) << name;
  }
}

} // namespace
