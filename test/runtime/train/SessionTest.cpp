#include "runtime/train/Session.h"
#include "runtime/train/Evaluate.h"
#include "test/runtime/train/TrainingTest.h"

#include <cmath>

using namespace smelt::runtime;
using namespace smelt::runtime::test;

class SessionTest : public TrainingTest {
protected:
  std::unique_ptr<Session> open() {
    auto session = Session::open(folder / "m.smelt", {"auto", 1});
    EXPECT_TRUE(session.isOk()) << session.status().message();
    return *std::move(session);
  }
  float readFloat(Session &session, const char *name, size_t index) {
    float value = -99;
    auto bytes = std::as_writable_bytes(std::span(&value, 1));
    for (const Buffer &buffer : session.manifest().buffers) {
      if (buffer.name == name) {
        EXPECT_TRUE(session.device().copyOut(buffer.offset + 4 * index, bytes).isOk());
      }
    }
    return value;
  }
};

TEST(SettingTest, ValuesFollowTheSegments) {
  Setting setting{"lr", 0, {{0, 9, 1, 0.5}, {10, 19, 7, -0.25}}};
  auto at = [&](int64_t step) { return settingValuesAt(setting, step).at(0); };
  EXPECT_EQ(at(0), 1);
  EXPECT_EQ(at(9), 5.5);
  EXPECT_EQ(at(10), 7);
  EXPECT_EQ(at(19), 4.75);
  EXPECT_EQ(at(1000), 4.75); // Held.
  EXPECT_EQ(at(-1), 1);
}

TEST(SettingTest, VectorsAreConstantWithinAPiece) {
  Setting setting{"frequencies", 0, {}, {{0, 4, {1, 0.5}}, {5, 9, {0.75, 0.25}}}};
  EXPECT_EQ(settingValuesAt(setting, 4), (std::vector<double>{1, 0.5}));
  EXPECT_EQ(settingValuesAt(setting, 5), (std::vector<double>{0.75, 0.25}));
  EXPECT_EQ(settingValuesAt(setting, 100), (std::vector<double>{0.75, 0.25}));
}

TEST(SettingTest, PowersCountTheUpdatesOfTheirPeriod) {
  Setting setting{"correction", 0, {}, {}, OneMinusPower{0.95, {2, 1}}};
  auto at = [&](int64_t step) { return settingValuesAt(setting, step).at(0); };
  EXPECT_EQ(at(0), 1 - std::pow(0.95, 1)); // The first update comes after step 1.
  EXPECT_EQ(at(1), 1 - std::pow(0.95, 1));
  EXPECT_EQ(at(2), 1 - std::pow(0.95, 2));
  EXPECT_EQ(at(2107), 1 - std::pow(0.95, 1054));
  setting.power->period = {28, 0};
  EXPECT_EQ(at(0), 1 - std::pow(0.95, 1)); // After step 0, then after step 28.
  EXPECT_EQ(at(1), 1 - std::pow(0.95, 2));
  EXPECT_EQ(at(28), 1 - std::pow(0.95, 2));
  EXPECT_EQ(at(29), 1 - std::pow(0.95, 3));
}

TEST(SettingTest, NamesOfAutomaticSettingsTellThePeriod) {
  auto is = [](const char *name, int64_t every, int64_t offset) {
    auto period = automaticPeriod(name, "step");
    return period && period->every == every && period->offset == offset;
  };
  EXPECT_TRUE(is("step", 1, 0));
  EXPECT_TRUE(is("step.2", 2, 1));
  EXPECT_TRUE(is("step.28.0", 28, 0));
  for (const char *name : {"", "steps", "step.", "step.1", "step.-2", "step.2x", "step.2.2", "step.2.", "accumulate"})
    EXPECT_FALSE(automaticPeriod(name, "step")) << name;
}

TEST_F(SessionTest, SetupRunsOnceAndWhenItsSettingsChange) {
  auto session = open();
  for (int64_t step = 0; step < 6; ++step)
    ASSERT_TRUE(session->applySettings(step).isOk());
  EXPECT_EQ(readFloat(*session, "table", 0), 8);
  EXPECT_EQ(readFloat(*session, "table", 1), 1); // The learning rate changed, the window did not.
  for (int64_t step = 6; step < 12; ++step)
    ASSERT_TRUE(session->applySettings(step).isOk());
  EXPECT_EQ(readFloat(*session, "table", 0), 16);
  EXPECT_EQ(readFloat(*session, "table", 1), 2);
}

TEST_F(SessionTest, OverriddenSettingsReachTheBufferButNotSetup) {
  auto session = open();
  ASSERT_TRUE(session->applySettings(0).isOk());
  ASSERT_TRUE(session->overrideSettings({{"lr", 0.125}, {"window", 99}}).isOk());
  EXPECT_EQ(readFloat(*session, "lr", 0), 0.125);
  EXPECT_EQ(readFloat(*session, "table", 0), 8);
  EXPECT_EQ(readFloat(*session, "table", 1), 1);
  ASSERT_TRUE(session->applySettings(1).isOk());
  EXPECT_EQ(readFloat(*session, "table", 1), 1); // The window is back before setup looks.
}

TEST_F(SessionTest, AStateBeginsAsACopyOfItsParameter) {
  FakeModelOptions options;
  options.outerEvery = 4;
  writeBundleWith(options);
  auto session = open();
  ASSERT_TRUE(session->initialise(7).isOk());
  EXPECT_NE(readFloat(*session, "w", 1000), 0);
  EXPECT_EQ(readFloat(*session, "outer.w", 1000), readFloat(*session, "w", 1000));
  EXPECT_EQ(readFloat(*session, "outer.m.w", 1000), 0);
}

TEST_F(SessionTest, InitialValuesDependOnSeedAndNameAlone) {
  auto session = open();
  ASSERT_TRUE(session->initialise(7).isOk());
  std::string hash = *session->hashState();
  float value = readFloat(*session, "w", 1000);
  EXPECT_TRUE(std::fabs(value) <= 0.1f && value != 0);
  EXPECT_EQ(readFloat(*session, "scale", 0), 1);
  EXPECT_EQ(session->countParameters(), 65537u);

  // The same parameters in another order and place.
  Manifest manifest = makeFakeManifest({});
  manifest.buffers[0].offset = manifest.arenaBytes;
  manifest.arenaBytes += manifest.buffers[0].bytes;
  ASSERT_TRUE(writeBundle(folder / "moved.smelt", manifest,
                          {{"spec.json", "{}"}, {"cpu.so", *readFile(folder / "m.smelt/cpu.so")}})
                  .isOk());
  auto moved = *Session::open(folder / "moved.smelt", {"auto", 1});
  ASSERT_TRUE(moved->initialise(7).isOk());
  EXPECT_EQ(*moved->hashState(), hash);
  ASSERT_TRUE(moved->initialise(8).isOk());
  EXPECT_NE(*moved->hashState(), hash);
}

TEST_F(SessionTest, EvaluationIsTheMeanOverValidTargets) {
  auto session = open();
  ASSERT_TRUE(session->initialise(7).isOk());
  // With W = 0, every target costs log(256), padding costs nothing.
  std::vector<float> zeros(256 * 256, 0);
  ASSERT_TRUE(session->device().copyIn(0, std::as_bytes(std::span(zeros))).isOk());
  auto stream = TokenStream::open(folder / "text.txt", "bytes", 256);
  LoaderOptions options;
  options.sequence = 16;
  ValidationBatches batches(stream->slice(0, 102), options, 0);
  auto result = evaluate(*session, *session->manifest().findProgram("evaluate.T32"), batches);
  ASSERT_TRUE(result.isOk());
  EXPECT_EQ(result->targets, 101);
  // The sums are single precision: 32 terms of 5.5 keep six digits.
  EXPECT_TRUE(std::fabs(result->loss() - std::log(256.0)) <= 1e-5) << result->loss();
}

TEST_F(SessionTest, MissingSymbolsAreRefused) {
  Manifest manifest = makeFakeManifest({});
  manifest.kernels[1].symbol = "no_such_symbol";
  ASSERT_TRUE(writeBundle(folder / "bad.smelt", manifest,
                          {{"spec.json", "{}"}, {"cpu.so", *readFile(folder / "m.smelt/cpu.so")}})
                  .isOk());
  EXPECT_EQ(Session::open(folder / "bad.smelt", {"auto", 1}).status().code(), StatusCode::Corrupt);
}
