// What happens when something is wrong: the code, the message, and what is left on the disk.
#include "test/runtime/train/TrainingTest.h"

#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>

#include <sys/resource.h>

using namespace smelt::runtime;
using namespace smelt::runtime::test;

class FailureTest : public TrainingTest {};

TEST_F(FailureTest, ANonFiniteLossStopsBeforeTheUpdate) {
  FakeModelOptions model;
  model.poisonStep = 9;
  model.checkpointEvery = 3;
  writeBundleWith(model);
  Status status = train(optionsFor("run")).status();
  EXPECT_EQ(status.code(), StatusCode::NonFinite);
  EXPECT_EQ(exitCode(status.code()), 5);
  EXPECT_NE(status.message().find("step 10, micro-batch 1: the loss is nan"), std::string::npos)
      << status.message();
  EXPECT_NE(status.message().find("step-000009"), std::string::npos);
  EXPECT_EQ(readLog("run").back()["step"], 10);
  EXPECT_TRUE(readLog("run").back().contains("error"));
  auto newest = openCheckpoint(folder / "run/checkpoints/step-000009");
  ASSERT_TRUE(newest.isOk());
  for (const auto &[name, tensor] : newest->parameters.tensors())
    for (size_t at = 0; at < tensor.data.size(); at += 4) {
      float value;
      std::memcpy(&value, tensor.data.data() + at, 4);
      ASSERT_TRUE(std::isfinite(value)) << name;
    }
}

// Between two updates, with gradients accumulated and an outer optimiser under way.
TEST_F(FailureTest, ANonFiniteLossInsideAPeriodLeavesTheCheckpointBefore) {
  FakeModelOptions model;
  model.optimizerEvery = 3;
  model.outerEvery = 4;
  model.checkpointEvery = 1;
  model.steps = 24;
  writeBundleWith(model);
  TrainResult whole = trainOrFail(optionsFor("whole"));
  model.poisonStep = 7; // Updates come after steps 5 and 8, the outer one after 4 and 8 (0-based).
  writeBundleWith(model);
  Status status = train(optionsFor("run")).status();
  EXPECT_EQ(exitCode(status.code()), 5);
  EXPECT_NE(status.message().find("step 8, micro-batch 1: the loss is nan"), std::string::npos)
      << status.message();
  auto newest = openCheckpoint(folder / "run/checkpoints/step-000007");
  ASSERT_TRUE(newest.isOk()) << newest.status().message();
  ASSERT_EQ(newest->state[0].tensors().count("gradient.w"), 1u);
  // With what was wrong mended the run ends as if it had never been.
  model.poisonStep = -1;
  writeBundleWith(model);
  EXPECT_EQ(trainOrFail(optionsFor("run", "auto")).finalHash, whole.finalHash);
}

TEST_F(FailureTest, AFullDiskKeepsTheEarlierCheckpoint) {
  TrainOptions first = optionsFor("run");
  first.steps = 4;
  trainOrFail(first);
  int code = runChild([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit limit = {100000, 100000}; // A checkpoint's tensors have 256 kB each.
    setrlimit(RLIMIT_FSIZE, &limit);
    return exitCode(train(optionsFor("run", "auto")).status().code());
  });
  EXPECT_EQ(code, 7);
  EXPECT_EQ(listDirectory(folder / "run/checkpoints"), std::vector<std::string>{"step-000004"});
  TrainResult whole = trainOrFail(optionsFor("whole"));
  EXPECT_EQ(trainOrFail(optionsFor("run", "auto")).finalHash, whole.finalHash);
}

TEST_F(FailureTest, DamagedCheckpointsAreSkippedOrRefused) {
  TrainResult whole = trainOrFail(optionsFor("run"));
  for (const char *name : {"step-000012", "step-000008"})
    std::ofstream(folder / "run/checkpoints/" + name + "/state.safetensors", std::ios::app) << "x";
  EXPECT_EQ(trainOrFail(optionsFor("run", "auto")).finalHash, whole.finalHash);
  for (const std::string &path : listCheckpoints(folder / "run/checkpoints"))
    std::filesystem::resize_file(path + "/parameters.safetensors", 100);
  EXPECT_EQ(train(optionsFor("run", "auto")).status().code(), StatusCode::Corrupt);
}

TEST_F(FailureTest, AnotherModelsCheckpointIsRefused) {
  trainOrFail(optionsFor("run"));
  Manifest manifest = makeFakeManifest({});
  manifest.buffers[0].name = "other";
  ASSERT_TRUE(writeBundle(folder / "other.smelt", manifest,
                          {{"spec.json", "{}"}, {"cpu.so", *readFile(folder / "m.smelt/cpu.so")}})
                  .isOk());
  TrainOptions options = optionsFor("new", folder / "run/checkpoints/step-000012");
  options.bundle = folder / "other.smelt";
  Status status = train(options).status();
  EXPECT_EQ(status.code(), StatusCode::Corrupt);
  EXPECT_NE(status.message().find("no parameter \"other\""), std::string::npos) << status.message();
}

TEST_F(FailureTest, MissingInputsAreNamed) {
  TrainOptions options = optionsFor("run");
  options.data = folder / "no.txt";
  Status status = train(options).status();
  EXPECT_EQ(status.code(), StatusCode::Corrupt);
  EXPECT_NE(status.message().find("no.txt"), std::string::npos);
  options = optionsFor("run");
  options.bundle = folder / "no.smelt";
  EXPECT_EQ(train(options).status().code(), StatusCode::Corrupt);
  options = optionsFor("run", folder / "no-checkpoint");
  EXPECT_EQ(train(options).status().code(), StatusCode::Corrupt);
  options = optionsFor("run");
  options.data = "";
  EXPECT_EQ(train(options).status().code(), StatusCode::Usage);
}

TEST_F(FailureTest, CodeForAnotherProcessorIsRefused) {
  FakeModelOptions model;
  model.features = {"sse2", "xop", "fma4"}; // Only AMD processors of 2011–2015 have these.
  writeBundleWith(model);
  Status status = train(optionsFor("run")).status();
  EXPECT_EQ(status.code(), StatusCode::Corrupt);
  EXPECT_NE(status.message().find("needs xop"), std::string::npos) << status.message();
}

TEST_F(FailureTest, AnUnwritableRunFolderIsStorage) {
  std::ofstream(folder / "file") << "x";
  TrainOptions options = optionsFor("file/run");
  EXPECT_EQ(train(options).status().code(), StatusCode::Storage);
}
