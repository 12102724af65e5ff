// What the tests of training share: the fake bundle, its data, a run.
#pragma once

#include "runtime/train/Trainer.h"
#include "test/runtime/TemporaryFolder.h"
#include "test/runtime/fake/FakeModel.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>

#include <sys/wait.h>
#include <unistd.h>

namespace smelt::runtime::test {

class TrainingTest : public ::testing::Test {
protected:
  void SetUp() override {
    std::ofstream(folder / "text.txt") << makeText(3000);
    writeBundleWith({});
  }
  void writeBundleWith(const FakeModelOptions &options) {
    Status status = writeFakeBundle(folder / "m.smelt", options);
    ASSERT_TRUE(status.isOk()) << status.message();
  }
  TrainOptions optionsFor(const std::string &run, const std::string &resume = "") {
    TrainOptions options;
    options.bundle = folder / "m.smelt";
    options.runFolder = folder / run;
    options.data = folder / "text.txt";
    options.resume = resume;
    options.console = Console::Mode::Quiet;
    return options;
  }
  TrainResult trainOrFail(const TrainOptions &options) {
    StatusOr<TrainResult> result = train(options);
    EXPECT_TRUE(result.isOk()) << result.status().message();
    return result.isOk() ? *result : TrainResult();
  }
  std::vector<nlohmann::json> readLog(const std::string &run) {
    std::ifstream file(folder / run + "/log.jsonl");
    std::vector<nlohmann::json> lines;
    for (std::string line; std::getline(file, line);)
      lines.push_back(nlohmann::json::parse(line));
    return lines;
  }
  /// Runs `work` in a child process that gets `signal` after a while (0: none); its exit code, or
  /// −signal.
  template <typename Work> int runChild(Work work, int signal = 0, int microseconds = 0) {
    pid_t child = fork();
    if (child == 0)
      _exit(work());
    if (signal) {
      usleep(static_cast<useconds_t>(microseconds));
      kill(child, signal);
    }
    int result = 0;
    waitpid(child, &result, 0);
    return WIFEXITED(result) ? WEXITSTATUS(result) : -WTERMSIG(result);
  }
  TemporaryFolder folder;
};

} // namespace smelt::runtime::test
