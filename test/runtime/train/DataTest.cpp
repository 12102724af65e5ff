// Training on shards as the records' loaders take them, and from somebody else's parameters.
#include "runtime/train/InitialParameters.h"
#include "test/runtime/train/TrainingTest.h"

#include <set>

using namespace smelt::runtime;
using namespace smelt::runtime::test;

namespace {
constexpr int kStart = 7; // Begins a document.

class DataTest : public TrainingTest {
protected:
  /// Shards of a few runs each: 18 micro-batches go through all of them several times.
  void SetUp() override {
    TrainingTest::SetUp();
    for (int shard = 0; shard < 3; ++shard) {
      std::vector<uint16_t> tokens = {1, 2, 3};
      for (int i = 0; i < 150 + 40 * shard; ++i)
        tokens.push_back(static_cast<uint16_t>(i % (5 + i % 13) == 0 ? kStart : 20 + i % 200));
      ASSERT_TRUE(writeShard(folder / concat("train_", shard, ".bin"), tokens).isOk());
    }
    writeBundleWithOrder(SampleOrder::Aligned);
  }
  void writeBundleWithOrder(SampleOrder order) {
    Manifest manifest = makeFakeManifest({});
    manifest.data.order = order;
    manifest.data.sequence = 0;
    manifest.data.startToken = kStart;
    manifest.data.maxTokens = 12;
    manifest.data.ranks = 2;
    manifest.data.train = folder / "train_*.bin";
    manifest.data.validation = folder / "train_0.bin";
    manifest.training.checkpointKeep = 2;
    Status status =
        writeBundle(folder / "shards.smelt", manifest,
                    {{"spec.json", "{}"}, {"cpu.so", *readFile(folder / "m.smelt/cpu.so")}});
    ASSERT_TRUE(status.isOk()) << status.message();
  }
  TrainOptions shardOptions(const std::string &run, const std::string &resume = "") {
    TrainOptions options = optionsFor(run, resume);
    options.bundle = folder / "shards.smelt";
    options.data.clear();
    return options;
  }
};
} // namespace

// 12 steps of one micro-batch, then two: every step is a place to stop at, also within a group of
// two ranks' sequences, at a shard's end and where the stage changes.
TEST_F(DataTest, ResumesBitForBitAtEveryStep) {
  for (SampleOrder order : {SampleOrder::Aligned, SampleOrder::Documents}) {
    writeBundleWithOrder(order);
    std::string name = sampleOrderName(order);
    TrainResult whole = trainOrFail(shardOptions(name));
    std::set<uint64_t> shards;
    bool stoppedInAGroup = false;
    for (int64_t stop = 1; stop < 12; ++stop) {
      std::string run = concat(name, "-", stop);
      TrainOptions first = shardOptions(run);
      first.steps = stop;
      trainOrFail(first);
      auto checkpoint = openCheckpoint(listCheckpoints(folder / run + "/checkpoints").front());
      ASSERT_TRUE(checkpoint.isOk());
      shards.insert(checkpoint->info.position.shard);
      stoppedInAGroup |= checkpoint->info.position.run != 0;
      EXPECT_EQ(trainOrFail(shardOptions(run, "auto")).finalHash, whole.finalHash) << run;
    }
    EXPECT_GT(shards.size(), 2u) << name; // Otherwise this test would test little.
    EXPECT_TRUE(stoppedInAGroup) << name;
  }
}

TEST_F(DataTest, ADamagedShardEndsTheRunWhereItIsNeeded) {
  std::vector<uint16_t> tokens(100, 30);
  for (int i = 0; i < 100; i += 10)
    tokens[i] = kStart;
  tokens[50] = 999; // The vocabulary is 256.
  ASSERT_TRUE(writeShard(folder / "train_1.bin", tokens).isOk());
  Status status = train(shardOptions("run")).status();
  EXPECT_EQ(exitCode(status.code()), 4);
  EXPECT_NE(status.message().find("train_1.bin: byte 1124: token 999"), std::string::npos)
      << status.message();
  EXPECT_GT(readLog("run").size(), 1u); // The first shard has been trained on.
}

TEST_F(DataTest, KeepsAsManyCheckpointsAsTheSpecSays) {
  TrainOptions options = shardOptions("run");
  options.checkpointEvery = 1;
  trainOrFail(options);
  EXPECT_EQ(listCheckpoints(folder / "run/checkpoints").size(), 2u);
  options = shardOptions("more");
  options.checkpointEvery = 1;
  options.keepCheckpoints = 5;
  trainOrFail(options);
  EXPECT_EQ(listCheckpoints(folder / "more/checkpoints").size(), 5u);
}

TEST_F(DataTest, BeginsWithAnotherRunsParameters) {
  trainOrFail(shardOptions("first"));
  std::string checkpoint = listCheckpoints(folder / "first/checkpoints").front();
  std::string file = checkpoint + "/parameters.safetensors";
  auto session = Session::open(folder / "shards.smelt", {"auto", 1});
  ASSERT_TRUE(session.isOk());
  ASSERT_TRUE((*session)->initialise(77).isOk());
  Status status = loadParameters(**session, file, "");
  ASSERT_TRUE(status.isOk()) << status.message();
  auto opened = openCheckpoint(checkpoint);
  auto loaded = (*session)->snapshot({BufferKind::Parameter});
  ASSERT_TRUE(opened.isOk() && loaded.isOk());
  for (const auto &[name, tensor] : loaded->tensors()) {
    auto expected = opened->parameters.tensors().at(name).data;
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), tensor.data.begin())) << name;
  }
  // The same through `train`: the first step's loss is not that of the initial values.
  TrainOptions options = shardOptions("second");
  options.initialParameters = file;
  trainOrFail(options);
  EXPECT_LT(readLog("second")[0]["train_loss"], readLog("first")[0]["train_loss"]);
  options = shardOptions("third");
  options.initialParameters = file;
  options.initialLayout = "modded-nanogpt";
  EXPECT_EQ(exitCode(train(options).status().code()), 4); // It has other parameters.
}
