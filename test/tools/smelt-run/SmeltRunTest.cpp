// The program as a user meets it: output and exit codes.
#include "runtime/base/Files.h"
#include "test/runtime/TemporaryFolder.h"
#include "test/runtime/fake/FakeModel.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include <sys/wait.h>

using namespace smelt::runtime;
using namespace smelt::runtime::test;

struct Outcome {
  int code;
  std::string output; ///< Both streams.
};

class SmeltRunTest : public ::testing::Test {
protected:
  void SetUp() override {
    std::ofstream(folder / "text.txt") << makeText(3000);
    ASSERT_TRUE(writeFakeBundle(folder / "m.smelt").isOk());
  }
  /// Runs `smelt-run ARGUMENTS` in the test's folder.
  Outcome run(const std::string &arguments) {
    std::string command = "cd " + folder.path() + " && " SMELT_RUN " " + arguments + " 2>&1";
    FILE *pipe = popen(command.c_str(), "r");
    Outcome outcome{-1, ""};
    char buffer[4096];
    while (size_t got = fread(buffer, 1, sizeof buffer, pipe))
      outcome.output.append(buffer, got);
    int status = pclose(pipe);
    outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    return outcome;
  }
  void expect(const std::string &arguments, int code, const std::string &text) {
    Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, code) << arguments << "\n" << outcome.output;
    EXPECT_NE(outcome.output.find(text), std::string::npos) << arguments << "\n" << outcome.output;
  }
  TemporaryFolder folder;
};

TEST_F(SmeltRunTest, TrainsEvaluatesAndSamples) {
  expect("train m.smelt --run-dir r --data text.txt", 0, "bigram: 65537 parameters, 12 steps");
  expect("train m.smelt --run-dir r2 --data text.txt", 0, "step:12/12 val_loss:");
  expect("train m.smelt --run-dir r --data text.txt", 2, "--resume auto");
  expect("train m.smelt --run-dir r --data text.txt --resume auto", 0, "final_hash:");
  expect("eval --run-dir r --data text.txt", 0, "step:12 val_loss:");
  // Without --data, on what the run was validated on: its last validation again.
  std::string trained = run("train m.smelt --run-dir r3 --data text.txt").output;
  size_t at = trained.rfind("val_loss:");
  ASSERT_NE(at, std::string::npos) << trained;
  std::string loss = trained.substr(at, trained.find(' ', at) - at);
  expect("eval --run-dir r3", 0, "step:12 " + loss + " targets:");
  std::ofstream(folder / "held.txt") << std::string(65, 'a');
  expect("train m.smelt --run-dir r4 --data text.txt --validation-data held.txt", 0, "held.txt");
  expect("eval --run-dir r4", 0, "targets:64");
  expect("eval m.smelt --data text.txt --json", 0, "\"targets\":200");
  expect("sample --run-dir r --prompt 'the ' --tokens 20 --top-k 5", 0, "the ");
  expect("profile m.smelt --repeat 2", 0, "fake_train");
  expect("profile m.smelt --program update --json", 0, "\"kernel\":\"fake_update\"");
  expect("profile m.smelt --program none", 2, "none");
  expect("info m.smelt", 0, "train.T32");
  expect("info r/checkpoints/step-000012 --json", 0, "\"step\":12");
}

TEST_F(SmeltRunTest, PackedShardsTrainLikeTheirText) {
  expect("data pack text.txt -o t.bin --validation-output v.bin", 0, "wrote t.bin");
  expect("info t.bin", 0, "tokens");
  expect("train m.smelt --run-dir a --data t.bin --validation-data v.bin --quiet", 0, "");
}

TEST_F(SmeltRunTest, ExitCodes) {
  expect("--help", 0, "Subcommands");
  expect("", 2, "subcommand");
  expect("train", 2, "bundle is required");
  expect("train m.smelt --nonsense", 2, "nonsense");
  expect("trian m.smelt", 2,
         "smelt-run: unknown command 'trian'; did you mean 'train'?\nSee: smelt-run --help");
  expect("train m.smelt --run-dri r", 2,
         "smelt-run train: unknown option '--run-dri'; did you mean '--run-dir'?");
  expect("data pakc a.txt", 2, "smelt-run data: unknown command 'pakc'; did you mean 'pack'?");
  expect("sample", 2, "--run-dir");
  expect("train missing.smelt", 4, "missing.smelt");
  expect("train m.smelt --data missing.txt", 4, "missing.txt");
  expect("info text.txt", 4, "magic");
  expect("data pack text.txt -o t.txt", 2, ".bin");
  expect("data pack text.txt -o /nonexistent/t.bin", 7, "/nonexistent");
  std::filesystem::resize_file(folder / "m.smelt/cpu.so", 1000);
  expect("info m.smelt", 4, "cpu.so has 1000 bytes");
  FakeModelOptions poisoned;
  poisoned.poisonStep = 5;
  ASSERT_TRUE(writeFakeBundle(folder / "m.smelt", poisoned).isOk());
  expect("train m.smelt --run-dir p --data text.txt", 5, "error: step 6, micro-batch 1");
}
