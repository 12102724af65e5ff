//===- ModelCostTest.cpp - Counts against numbers derived from the records ===//
#include "compiler/Analysis/ModelCost.h"
#include "compiler/Analysis/Windows.h"
#include "compiler/Import/Import.h"
#include "mlir/IR/MLIRContext.h"
#include <gtest/gtest.h>

namespace {

smelt::ModelCost count(const std::string &name) {
  mlir::MLIRContext context;
  auto module = smelt::importSpec(context, std::string(SMELT_MODELS) + "/" + name);
  EXPECT_TRUE(module);
  return module ? smelt::countModel(*module) : smelt::ModelCost();
}

TEST(ModelCost, AverageKeys) {
  // Queries 0 … 3 with a window of 1: 1, 2, 2, 2 keys.
  EXPECT_DOUBLE_EQ(smelt::averageKeys(4, 1, 0), 7.0 / 4);
  EXPECT_DOUBLE_EQ(smelt::averageKeys(4, 100, 0), 10.0 / 4);
  // Blocks of 2, a window of two blocks: 1, 2, 3, 4, 3, 4.
  EXPECT_DOUBLE_EQ(smelt::averageKeys(6, 4, 2), 17.0 / 6);
  // A window below a block is the block itself.
  EXPECT_DOUBLE_EQ(smelt::averageKeys(6, 0, 2), 9.0 / 6);
}

TEST(ModelCost, ShortRecord) {
  smelt::ModelCost cost = count("short-partial-key-offset.json");
  int64_t d = 768, v = 50304, scalars = 45, gates = 12 + 10 * 6 * 12;
  // Ten attentions (layer 6 has none) of four D × D, eleven MLPs of two 4D × D.
  int64_t matrices = 10 * 4 * d * d + 11 * 8 * d * d;
  EXPECT_EQ(cost.parametersByPart["embeddings"], 4 * v * d);
  EXPECT_EQ(cost.parametersByPart["head"], v * d);
  EXPECT_EQ(cost.parametersByPart["layers"], matrices + gates - 12);
  EXPECT_EQ(cost.parametersByPart["forward"], 12);
  EXPECT_EQ(cost.parametersByPart["scalars"], scalars);
  EXPECT_EQ(cost.parameters, 5 * v * d + matrices + gates + scalars);
  // Tables, head and gates in bf16, matrices and scalars in f32.
  EXPECT_EQ(cost.parameterBytes, 2 * (5 * v * d + gates) + 4 * (matrices + scalars));
  EXPECT_EQ(cost.productWeights, matrices + v * d);
  ASSERT_EQ(cost.stages.size(), 4u);
  int64_t tokens[] = {131072, 262144, 393216, 393216}, firsts[] = {0, 690, 1380, 2070},
          longs[] = {384, 896, 1408, 1664}, shorts[] = {128, 384, 640, 768};
  for (int i = 0; i < 4; ++i) {
    const smelt::StageCost &stage = cost.stages[i];
    EXPECT_EQ(stage.tokens, tokens[i]);
    EXPECT_EQ(stage.microTokens, tokens[i] / 8);
    EXPECT_EQ(stage.microBatches, 8);
    EXPECT_EQ(stage.firstStep, firsts[i]);
    // Layers 3 and 10 long, eight short. A query sees w + 1 keys, the first ones of a sequence of
    // T tokens fewer: w·(w+1)/2 in all.
    auto keys = [&](double w) { return w + 1 - w * (w + 1) / 2 / (tokens[i] / 8); };
    double sum = 2 * keys(longs[i]) + 8 * keys(shorts[i]);
    EXPECT_NEAR(stage.attentionKeys, sum, 1e-6);
    EXPECT_NEAR(stage.flopsPerToken, 6.0 * (matrices + v * d) + 14 * sum * d, 1.0);
  }
  EXPECT_EQ(cost.stages[3].lastStep, 2109);
}

TEST(ModelCost, MediumRecord) {
  smelt::ModelCost cost = count("medium-smear-mtp.json");
  int64_t d = 1024;
  // Fifteen attentions (layer 7 has none), sixteen MLPs.
  int64_t matrices = 15 * 4 * d * d + 16 * 8 * d * d;
  EXPECT_EQ(cost.parametersByPart["embeddings"], 7 * 50257 * d);
  EXPECT_EQ(cost.parametersByPart["layers"], matrices);
  EXPECT_EQ(cost.parametersByPart["head"], 50304 * d);
  EXPECT_EQ(cost.productWeights, matrices + 50304 * d);
  ASSERT_EQ(cost.stages.size(), 1u);
  const smelt::StageCost &stage = cost.stages[0];
  EXPECT_EQ(stage.tokens, 524288);
  EXPECT_EQ(stage.microTokens, 65536);
  EXPECT_EQ(stage.lastStep, 5534);
  // At the end 27 blocks of 128 in layers 0, 4, 11, 15 and 13 in the eleven others: a query sees
  // (w − 1)·128 + 64.5 keys on average, its own block half; the first w blocks of the sequence see
  // less, by w·(w−1)/2 blocks in all.
  auto keys = [](double w) { return (w - 1) * 128 + 64.5 - w * (w - 1) / 2 * 128 * 128 / 65536; };
  double sum = 4 * keys(27) + 11 * keys(13);
  EXPECT_NEAR(stage.attentionKeys, sum, 1e-6);
  EXPECT_NEAR(stage.flopsPerToken, 6.0 * (matrices + 50304 * d) + 14 * sum * d, 1.0);
}

TEST(ModelCost, PlainModelIsAboutABillion) {
  smelt::ModelCost cost = count("plain-1b-smear-mtp.json");
  EXPECT_GT(cost.parameters, 1'000'000'000);
  EXPECT_LT(cost.parameters, 1'200'000'000);
  double tokens = 0;
  for (const smelt::StageCost &stage : cost.stages)
    tokens += double(stage.lastStep - stage.firstStep + 1) * stage.tokens;
  EXPECT_NEAR(tokens, 10e9, 0.01e9);
}

} // namespace
