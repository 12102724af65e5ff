#include "runtime/report/RunFolder.h"
#include "test/runtime/TemporaryFolder.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>

using namespace smelt::runtime;
using smelt::runtime::test::TemporaryFolder;

static StepRecord stepRecord(int64_t step) {
  StepRecord record;
  record.step = step;
  record.trainLoss = 5.0 / static_cast<double>(step);
  record.trainMilliseconds = 10.0 * static_cast<double>(step);
  record.averageMilliseconds = 10;
  record.tokens = 64;
  record.settings = {{"lr", 0.25}};
  record.scalars = {{"scalars.<x0>", 1.5}};
  return record;
}

TEST(RunFolderTest, FamiliarLines) {
  EXPECT_EQ(formatStepLine(stepRecord(10), 600),
            "step:10/600 train_loss:0.5000 train_time:100ms step_avg:10.00ms");
}

TEST(RunFolderTest, TheBarFitsTheTerminal) {
  for (int columns = 1; columns < 200; ++columns)
    for (int64_t step : {0, 1, 299, 600, 900})
      EXPECT_LT(renderBar(step, 600, 2.5, 12345, 61, columns).size(), std::max(columns, 1) + 0u)
          << columns;
  EXPECT_NE(renderBar(300, 600, 2.5, 12345, 61, 120).find("300/600"), std::string::npos);
  EXPECT_NE(renderBar(300, 600, 2.5, 12345, 61, 120).find("1:01 left"), std::string::npos);
}

TEST(RunFolderTest, TrimsWhatCameAfterACheckpoint) {
  std::string json = "{\"step\":1,\"train_loss\":3}\n{\"step\":2,\"train_loss\":2}\n"
                     "{\"step\":2,\"val_loss\":2}\n{\"step\":3,\"train_loss\":1}\n{\"step\":4,\"tr";
  EXPECT_EQ(trimJsonLog(json, 2), json.substr(0, json.find("{\"step\":3")));
  EXPECT_EQ(trimJsonLog("{\"step\":2,\"val_loss\":2,\"final_hash\":\"a\"}\n", 2), "");
  EXPECT_EQ(trimJsonLog("garbage\n{\"step\":\"x\"}\n", 2), "");
  EXPECT_EQ(trimTextLog("step:2/9 a\nstep:3/9 b\nfinal_hash:x\nstep:2/9 c", 2), "step:2/9 a\n");
}

TEST(RunFolderTest, FindsTheLastValidation) {
  EXPECT_EQ(findLastValidation(""), -1);
  EXPECT_EQ(findLastValidation("{\"step\":1,\"train_loss\":3}\n"), -1);
  EXPECT_EQ(findLastValidation("{\"step\":2,\"val_loss\":2}\n{\"step\":3,\"train_loss\":3}\n"), 2);
  EXPECT_EQ(findLastValidation("{\"step\":2,\"val_loss\":2}\n{\"step\":4,\"val_loss\":2}\n"), 4);
  EXPECT_EQ(findLastValidation("{\"val_loss\":2}\n"), -1);
}

TEST(RunFolderTest, LeavesLogsAndAReport) {
  TemporaryFolder folder;
  RunDescription description;
  description.model = "a<b";
  description.specText = "{}";
  description.steps = 3;
  description.seed = 18446744073709551615u;
  auto run = RunFolder::open(folder / "run", description, Console::Mode::Quiet);
  ASSERT_TRUE(run.isOk()) << run.status().message();
  for (int64_t step = 1; step <= 3; ++step)
    ASSERT_TRUE(run->logStep(stepRecord(step)).isOk());
  ASSERT_TRUE(run->logValidation({3, 2.25, 30, 10}).isOk());
  ASSERT_TRUE(run->logFinish({3, 2.25, 30, 10}, "cafe").isOk());
  ASSERT_TRUE(run->writeReport().isOk());

  std::istringstream log(*readFile(folder / "run/log.jsonl"));
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(log, line);)
    lines.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[1]["scalars"]["scalars.<x0>"], 1.5);
  EXPECT_EQ(lines[1]["settings"]["lr"], 0.25);
  EXPECT_EQ(lines.back()["val_loss"], 2.25);
  EXPECT_EQ(lines.back()["final_hash"], "cafe");
  EXPECT_EQ(nlohmann::json::parse(*readFile(folder / "run/run.json"))["seed"],
            18446744073709551615u);
  EXPECT_NE(readFile(folder / "run/log.txt")->find("val_loss:2.2500"), std::string::npos);

  std::string html = *readFile(folder / "run/report.html");
  EXPECT_NE(html.find("<svg"), std::string::npos);
  EXPECT_NE(html.find("a&lt;b"), std::string::npos);
  EXPECT_EQ(html.find("a<b"), std::string::npos);
  EXPECT_NE(html.find("scalars.&lt;x0&gt;"), std::string::npos);
  EXPECT_EQ(html.find("http"), std::string::npos); // Self-contained.
}

TEST(RunFolderTest, NonFiniteNumbersStayValidJson) {
  TemporaryFolder folder;
  auto run = RunFolder::open(folder / "run", {}, Console::Mode::Quiet);
  ASSERT_TRUE(run.isOk());
  StepRecord record = stepRecord(1);
  record.trainLoss = std::nan("");
  ASSERT_TRUE(run->logStep(record).isOk());
  auto json = nlohmann::json::parse(*readFile(folder / "run/log.jsonl"));
  EXPECT_TRUE(json["train_loss"].is_null());
}
