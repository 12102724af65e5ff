#include "runtime/train/Sample.h"
#include "test/runtime/train/TrainingTest.h"

#include <limits>

using namespace smelt::runtime;
using namespace smelt::runtime::test;

TEST(ChooseTokenTest, FollowsTheDistribution) {
  std::vector<double> logits = {std::log(0.2), std::log(0.5), std::log(0.3)};
  EXPECT_EQ(chooseToken(logits, 0, 0, 0.99), 1);
  EXPECT_EQ(chooseToken(logits, 1, 0, 0.0), 1);
  EXPECT_EQ(chooseToken(logits, 1, 0, 0.49), 1);
  EXPECT_EQ(chooseToken(logits, 1, 0, 0.51), 2);
  EXPECT_EQ(chooseToken(logits, 1, 0, 0.79), 2);
  EXPECT_EQ(chooseToken(logits, 1, 0, 0.81), 0);
  EXPECT_EQ(chooseToken(logits, 1, 2, 0.99), 2); // The third is cut off.
  EXPECT_EQ(chooseToken(logits, 1, 1, 0.99), 1);
  EXPECT_EQ(chooseToken(logits, 0.01, 0, 0.99), 1); // Nearly the likeliest alone.
  EXPECT_EQ(chooseToken({0, std::nan("")}, 1, 0, 0.5), std::nullopt);
  EXPECT_EQ(chooseToken({0, std::numeric_limits<double>::infinity()}, 1, 0, 0.5), std::nullopt);
}

class SampleTest : public TrainingTest {
protected:
  std::string generate(Session &session, const SampleOptions &options) {
    std::string text;
    auto tokenizer = makeTokenizer("bytes");
    Status status =
        sample(session, options, **tokenizer, [&](const std::string &token) { text += token; });
    EXPECT_TRUE(status.isOk()) << status.message();
    return text;
  }
};

TEST_F(SampleTest, ATrainedModelContinuesWithWhatItSaw) {
  FakeModelOptions model;
  model.steps = 200;
  model.validateEvery = model.checkpointEvery = 0;
  writeBundleWith(model);
  trainOrFail(optionsFor("run"));
  auto session = *Session::open(folder / "m.smelt", {"auto", 1});
  ASSERT_TRUE(session->initialise(1).isOk());
  auto checkpoint = openCheckpoint(folder / "run/checkpoints/step-000200");
  ASSERT_TRUE(checkpoint.isOk());
  ASSERT_TRUE(session->restore(*checkpoint, false).isOk());
  SampleOptions options;
  options.prompt = "the cat sat on the mat. and the cat sat"; // Longer than the window of 32.
  options.tokens = 60;
  std::string text = generate(*session, options);
  EXPECT_EQ(text.size(), 60u);
  // After training, nearly all characters are of the text's alphabet.
  size_t known = 0;
  for (char c : text)
    known += std::string("thecasonmd. \n").find(c) != std::string::npos;
  EXPECT_GE(known, 55u) << text;
  EXPECT_EQ(generate(*session, options), text);
  options.seed = 2;
  EXPECT_NE(generate(*session, options), text);
  options.prompt = "";
  options.tokens = 3;
  EXPECT_EQ(generate(*session, options).size(), 3u);
}
