#include "runtime/base/Sha256.h"
#include "test/runtime/train/TrainingTest.h"

#include <csignal>
#include <cstdio>

using namespace smelt::runtime;
using namespace smelt::runtime::test;

class TrainerTest : public TrainingTest {};

TEST_F(TrainerTest, LearnsAndLogsEverything) {
  TrainResult result = trainOrFail(optionsFor("run"));
  EXPECT_EQ(result.step, 12);
  EXPECT_EQ(result.finalHash.size(), 64u);
  auto lines = readLog("run");
  ASSERT_EQ(lines.size(), 12u + 3 + 1); // Steps, validations at 5, 10 and 12, the last line.
  EXPECT_EQ(lines[0]["step"], 1);
  EXPECT_NEAR(lines[0]["train_loss"].get<double>(), std::log(256.0), 0.1);
  EXPECT_LT(lines[13]["train_loss"].get<double>(), 4.5); // Step 12: below the 5.5 of guessing.
  EXPECT_EQ(lines[0]["tokens"], 32);
  EXPECT_TRUE(lines[0]["data_wait_ms"].is_number());
  EXPECT_EQ(lines[13]["tokens"], 64); // Two micro-batches in the second stage.
  EXPECT_EQ(lines[0]["scalars"].size(), 1u);
  EXPECT_NE(lines[0]["scalars"]["scale"], 1.0);
  EXPECT_EQ(lines[0]["settings"]["window"], 8);
  EXPECT_EQ(lines[13]["settings"]["window"], 16);
  EXPECT_EQ(lines[5]["val_loss"].is_number(), true);
  EXPECT_EQ(lines.back()["val_loss"], *result.validationLoss);
  EXPECT_EQ(lines.back()["final_hash"], result.finalHash);
  EXPECT_EQ(listDirectory(folder / "run"),
            (std::vector<std::string>{"checkpoints", "log.jsonl", "log.txt", "report.html",
                                      "run.json", "spec.json", "tensorboard"}));
  EXPECT_EQ(listCheckpoints(folder / "run/checkpoints").size(), 3u); // 4, 8, 12
}

TEST_F(TrainerTest, TheSameSeedGivesTheSameBitsAndAnotherSeedOthers) {
  TrainResult first = trainOrFail(optionsFor("a"));
  EXPECT_EQ(trainOrFail(optionsFor("b")).finalHash, first.finalHash);
  TrainOptions other = optionsFor("c");
  other.seed = 4;
  EXPECT_NE(trainOrFail(other).finalHash, first.finalHash);
}

TEST_F(TrainerTest, AResumedRunContinuesBitForBit) {
  for (int64_t optimizerEvery : {1, 3}) { // With 3, checkpoints hold accumulated gradients.
    FakeModelOptions model;
    model.optimizerEvery = optimizerEvery;
    writeBundleWith(model);
    std::string suffix = std::to_string(optimizerEvery);
    TrainResult whole = trainOrFail(optionsFor("whole" + suffix));
    auto wholeLog = readLog("whole" + suffix);
    for (int64_t stop : {1, 5, 6, 11}) {
      std::string run = concat("part", suffix, "-", stop);
      TrainOptions first = optionsFor(run);
      first.steps = stop;
      EXPECT_NE(trainOrFail(first).finalHash, whole.finalHash);
      EXPECT_EQ(trainOrFail(optionsFor(run, "auto")).finalHash, whole.finalHash) << stop;
      // The log is that of an undisturbed run, apart from the validation at the first end.
      std::vector<nlohmann::json> steps, wholeSteps;
      for (auto [from, to] : {std::pair(readLog(run), &steps), std::pair(wholeLog, &wholeSteps)})
        for (auto &line : from)
          if (line.contains("train_loss"))
            to->push_back({line["step"], line["train_loss"], line["settings"], line["scalars"]});
      EXPECT_EQ(steps, wholeSteps);
      EXPECT_EQ(readLog(run).back()["final_hash"], whole.finalHash);
    }
  }
}

// An update every three steps, not at the end of its period, and an outer one: stopped and resumed
// after every step, the run ends where an undisturbed one does.
TEST_F(TrainerTest, ResumesAtEveryPhaseOfEveryPeriod) {
  for (int64_t offset : {0, 1, 2}) {
    FakeModelOptions model;
    model.optimizerEvery = 3;
    model.optimizerOffset = offset;
    model.outerEvery = 4;
    writeBundleWith(model);
    std::string suffix = std::to_string(offset);
    TrainResult whole = trainOrFail(optionsFor("whole" + suffix));
    for (int64_t stop = 1; stop < 12; ++stop) {
      std::string run = concat("part", suffix, "-", stop);
      TrainOptions first = optionsFor(run);
      first.steps = stop;
      trainOrFail(first);
      auto saved = openCheckpoint(listCheckpoints(folder / (run + "/checkpoints"))[0]);
      ASSERT_TRUE(saved.isOk());
      // Gradients are state exactly between updates.
      EXPECT_EQ(saved->state[0].tensors().count("gradient.w"), (stop - 1) % 3 != offset) << stop;
      EXPECT_EQ(trainOrFail(optionsFor(run, "auto")).finalHash, whole.finalHash) << stop;
    }
  }
}

TEST_F(TrainerTest, ACheckpointOfAnotherPeriodLacksTheGradients) {
  TrainOptions first = optionsFor("run");
  first.steps = 4;
  trainOrFail(first);
  FakeModelOptions model;
  model.optimizerEvery = 3;
  writeBundleWith(model);
  StatusOr<TrainResult> result = train(optionsFor("run", "auto"));
  ASSERT_FALSE(result.isOk());
  EXPECT_NE(result.status().message().find("it has no gradient \"gradient.w\""), std::string::npos)
      << result.status().message();
}

// The same 12 steps with an update after every third one are 4 updates of summed gradients; with
// the outer optimiser and without it the parameters differ from the first step on.
TEST_F(TrainerTest, UpdatesHappenWhenTheyAreDue) {
  FakeModelOptions model;
  model.optimizerEvery = 3;
  model.validateEvery = 1;
  writeBundleWith(model);
  trainOrFail(optionsFor("run"));
  std::vector<double> losses;
  for (auto &line : readLog("run"))
    if (line.contains("val_loss") && line.contains("step") && !line.contains("final_hash"))
      losses.push_back(line["val_loss"]);
  ASSERT_EQ(losses.size(), 12u);
  for (size_t i = 1; i < losses.size(); ++i)
    EXPECT_EQ(losses[i] == losses[i - 1], (i + 1) % 3 != 0) << i;
  model.outerEvery = 100;
  writeBundleWith(model);
  trainOrFail(optionsFor("outer"));
  double outerFirst = readLog("outer")[1]["val_loss"];
  EXPECT_EQ(outerFirst, losses[0]); // Nothing has been updated, so the outer gradient is 0.
}

// An outer optimiser that takes its first step before any other update finds nothing changed, so
// that --init's values stay.
TEST_F(TrainerTest, OuterCopiesBeginAsTheInitialParametersOfAFile) {
  TrainOptions first = optionsFor("first");
  first.steps = 4;
  trainOrFail(first);
  FakeModelOptions model;
  model.optimizerEvery = 100;
  model.outerEvery = 2;
  writeBundleWith(model);
  TrainOptions next = optionsFor("next");
  next.initialParameters = folder / "first/checkpoints/step-000004/parameters.safetensors";
  next.steps = 3;
  trainOrFail(next);
  auto before = openCheckpoint(folder / "first/checkpoints/step-000004");
  auto after = openCheckpoint(folder / "next/checkpoints/step-000003");
  ASSERT_TRUE(before.isOk() && after.isOk());
  auto bytesOf = [](const TensorView &view) {
    return std::vector<std::byte>(view.data.begin(), view.data.end());
  };
  auto begun = bytesOf(before->parameters.tensors().at("w"));
  EXPECT_EQ(bytesOf(after->parameters.tensors().at("w")), begun);
  EXPECT_EQ(bytesOf(after->state[0].tensors().at("outer.w")), begun);
}

TEST_F(TrainerTest, TheLastValidationAloneHasTheFinalSettings) {
  FakeModelOptions model;
  writeBundleWith(model);
  auto valuesOf = [&](const std::string &run) {
    std::vector<double> values;
    for (auto &line : readLog(run))
      if (line.contains("val_loss") && !line.contains("final_hash"))
        values.push_back(line["val_loss"]);
    return values;
  };
  trainOrFail(optionsFor("plain"));
  model.finalWindow = 1000; // The fake model adds 1 nat for it.
  writeBundleWith(model);
  trainOrFail(optionsFor("final"));
  auto plain = valuesOf("plain"), changed = valuesOf("final");
  ASSERT_EQ(plain.size(), 3u);
  ASSERT_EQ(changed.size(), 3u);
  EXPECT_EQ(changed[0], plain[0]);
  EXPECT_EQ(changed[1], plain[1]);
  EXPECT_NEAR(changed[2], plain[2] + 1, 1e-6);
}

TEST_F(TrainerTest, ResumesFromANamedCheckpointInAnotherFolder) {
  TrainResult whole = trainOrFail(optionsFor("whole"));
  TrainOptions options = optionsFor("other", folder / "whole/checkpoints/step-000004");
  EXPECT_EQ(trainOrFail(options).finalHash, whole.finalHash);
}

TEST_F(TrainerTest, AFinishedRunStaysFinished) {
  TrainResult whole = trainOrFail(optionsFor("run"));
  auto readText = [&] { return *readFile(folder / "run/log.txt"); };
  auto log = readLog("run");
  std::string text = readText();
  TrainResult again = trainOrFail(optionsFor("run", "auto"));
  EXPECT_EQ(again.finalHash, whole.finalHash);
  EXPECT_EQ(again.validationLoss, whole.validationLoss);
  // Its last validation is in the logs once.
  EXPECT_EQ(readLog("run"), log);
  EXPECT_EQ(readText(), text);
  // A checkpoint that nobody validated: the resumed run does.
  TrainOptions cut = optionsFor("run", folder / "run/checkpoints/step-000008");
  cut.steps = 8;
  trainOrFail(cut);
  auto lines = readLog("run");
  ASSERT_GE(lines.size(), 2u);
  EXPECT_EQ(lines[lines.size() - 2]["step"], 8);
  EXPECT_TRUE(lines[lines.size() - 2].contains("val_loss"));
}

TEST_F(TrainerTest, RunJsonDescribesTheDataFiles) {
  TrainOptions options = optionsFor("run");
  options.validationData = folder / "held.txt";
  std::ofstream(folder / "held.txt") << "abc";
  options.steps = 1;
  trainOrFail(options);
  auto files = nlohmann::json::parse(*readFile(folder / "run/run.json"))["data"]["files"];
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[0]["path"], folder / "text.txt");
  EXPECT_EQ(files[0]["sha256"], sha256Hex(*readFile(folder / "text.txt")));
  EXPECT_EQ(files[1]["bytes"], 3);
  // SHA-256 of "abc", from FIPS 180-4.
  EXPECT_EQ(files[1]["sha256"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_F(TrainerTest, DoesNotTouchAnEarlierRunUnasked) {
  trainOrFail(optionsFor("run"));
  StatusOr<TrainResult> refused = train(optionsFor("run"));
  EXPECT_EQ(refused.status().code(), StatusCode::Usage);
  EXPECT_NE(refused.status().message().find("--resume auto"), std::string::npos);
  TrainOptions options = optionsFor("run");
  options.overwrite = true;
  options.steps = 2;
  EXPECT_EQ(trainOrFail(options).step, 2);
  EXPECT_EQ(listCheckpoints(folder / "run/checkpoints").size(), 1u);
}

TEST_F(TrainerTest, ATerminatedRunSavesWhereItIs) {
  FakeModelOptions model;
  model.steps = 3000;
  model.checkpointEvery = 0;
  model.validateEvery = 0;
  writeBundleWith(model);
  int code = runChild(
      [&] {
        auto result = train(optionsFor("run"));
        return result.isOk() && result->interrupted ? 40 : 41;
      },
      SIGTERM, 400000);
  EXPECT_EQ(code, 40);
  ASSERT_EQ(listCheckpoints(folder / "run/checkpoints").size(), 1u);
  TrainOptions rest = optionsFor("run", "auto"), whole = optionsFor("whole");
  auto saved = openCheckpoint(listCheckpoints(folder / "run/checkpoints")[0]);
  ASSERT_TRUE(saved.isOk());
  ASSERT_GT(saved->info.step, 0);
  rest.steps = whole.steps = saved->info.step + 5;
  EXPECT_EQ(trainOrFail(rest).finalHash, trainOrFail(whole).finalHash);
}

// Killed 20 times at random instants, each after some progress, a run still ends where an
// undisturbed one does.
TEST_F(TrainerTest, KillsAtRandomInstantsChangeNothing) {
  FakeModelOptions model;
  model.steps = 400;
  model.checkpointEvery = 1;
  model.validateEvery = 150;
  model.optimizerEvery = 3; // So two kills of three fall between updates.
  model.outerEvery = 7;
  writeBundleWith(model);
  TrainOptions quick = optionsFor("whole");
  quick.checkpointEvery = 0;
  TrainResult whole = trainOrFail(quick);
  uint32_t random = 5;
  std::string newest;
  for (int round = 0; round < 20; ++round) {
    pid_t child = fork();
    if (child == 0) {
      freopen("/dev/null", "w", stderr);
      _exit(train(optionsFor("run", "auto")).isOk() ? 0 : 1);
    }
    auto newestNow = [&] {
      auto all = listCheckpoints(folder / "run/checkpoints");
      return all.empty() ? std::string() : all.front();
    };
    for (int wait = 0; wait < 5000 && newestNow() == newest; ++wait)
      usleep(1000);
    random = random * 1664525 + 1013904223;
    usleep((random >> 8) % 20000);
    kill(child, SIGKILL);
    int result = 0;
    waitpid(child, &result, 0);
    ASSERT_TRUE(WIFSIGNALED(result)) << "the run ended before it was killed, in round " << round;
    ASSERT_NE(newestNow(), newest) << "no progress in round " << round;
    newest = newestNow();
  }
  TrainOptions rest = optionsFor("run", "auto");
  rest.checkpointEvery = 0;
  EXPECT_EQ(trainOrFail(rest).finalHash, whole.finalHash);
  int64_t expected = 1;
  for (auto &line : readLog("run")) {
    if (line.contains("train_loss")) {
      EXPECT_EQ(line["step"], expected++);
    }
  }
  EXPECT_EQ(expected, 401);
}
