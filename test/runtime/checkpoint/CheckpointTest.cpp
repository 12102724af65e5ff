#include "runtime/checkpoint/Checkpoint.h"
#include "runtime/checkpoint/TensorIndex.h"
#include "test/runtime/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace smelt::runtime;
using smelt::runtime::test::TemporaryFolder;

class CheckpointTest : public ::testing::Test {
protected:
  /// A checkpoint whose 100 kB of parameters all are `step`.
  Status write(int64_t step, int keep = 3) {
    values.assign(25000, static_cast<float>(step));
    CheckpointInfo info;
    info.step = step;
    info.seed = ~uint64_t(0);
    info.model = "m";
    info.bundleSha256 = "b";
    info.position = {static_cast<uint64_t>(step) * 10, 7, 3, 9, 2};
    info.trainMilliseconds = 1.5;
    TensorView view = {DType::F32, {25000}, std::as_bytes(std::span(values))};
    return writeCheckpoint(root, info, {{"w", view}}, {{"m.w", view}}, keep);
  }
  void damage(const std::string &path) {
    std::string bytes = *readFile(path);
    bytes[bytes.size() / 2] ^= 4;
    std::ofstream(path, std::ios::binary) << bytes;
  }
  /// Runs `work` in a child process; the result is its exit code, or −signal.
  template <typename Work> int runChild(Work work, int killAfterMicroseconds = 0) {
    pid_t child = fork();
    if (child == 0)
      _exit(work());
    if (killAfterMicroseconds) {
      usleep(static_cast<useconds_t>(killAfterMicroseconds));
      kill(child, SIGKILL);
    }
    int result = 0;
    waitpid(child, &result, 0);
    return WIFEXITED(result) ? WEXITSTATUS(result) : -WTERMSIG(result);
  }
  TemporaryFolder folder;
  std::string root = folder / "checkpoints";
  std::vector<float> values;
};

TEST_F(CheckpointTest, RoundTrips) {
  Status status = write(12);
  ASSERT_TRUE(status.isOk()) << status.message();
  auto opened = openCheckpoint(root + "/step-000012");
  ASSERT_TRUE(opened.isOk()) << opened.status().message();
  EXPECT_EQ(opened->info.step, 12);
  EXPECT_EQ(opened->info.seed, ~uint64_t(0));
  EXPECT_EQ(opened->info.position, (DataPosition{120, 7, 3, 9, 2}));
  EXPECT_EQ(opened->info.trainMilliseconds, 1.5);
  EXPECT_EQ(opened->parameters.tensors().at("w").data.size(), 100000u);
  ASSERT_EQ(opened->state.size(), 1u);
  EXPECT_EQ(opened->state[0].tensors().count("m.w"), 1u);
  // What one rank writes, an older smelt reads.
  EXPECT_NE(readFile(root + "/step-000012/manifest.json")->find("\"version\": 1"), std::string::npos);
}

TEST_F(CheckpointTest, TakesThePartsOfSeveralRanks) {
  values = {0, 1, 2, 3, 4, 5};
  auto rows = [&](int64_t first, int64_t last) {
    auto part = std::span(values).subspan(size_t(first) * 2, size_t(last - first) * 2);
    return TensorView{DType::F32, {last - first, 2}, std::as_bytes(part)};
  };
  {
    auto pending = PendingCheckpoint::create(root, 3);
    ASSERT_TRUE(pending.isOk());
    ASSERT_TRUE(pending->addParameters({{"w", rows(0, 3)}}).isOk());
    pending->addState(1, *writeStateFile(pending->path(), 1, {{nameOfRows("m.w", 2, 3), rows(2, 3)}}));
    EXPECT_TRUE(listCheckpoints(root).empty()); // Not there before all of it is.
    pending->addState(0, *writeStateFile(pending->path(), 0, {{nameOfRows("m.w", 0, 2), rows(0, 2)}, {"m.v", rows(0, 3)}}));
    ASSERT_TRUE(pending->publish({3}, 3).isOk());
  }
  auto opened = openCheckpoint(root + "/step-000003");
  ASSERT_TRUE(opened.isOk()) << opened.status().message();
  TensorIndex index(opened->state);
  ASSERT_EQ(index.findRows("m.w").size(), 2u);
  EXPECT_EQ(index.findRows("m.w")[1].first, 2);
  EXPECT_EQ(index.findRows("m.w")[1].last, 3);
  EXPECT_EQ(loadElement(DType::F32, index.findRows("m.w")[1].tensor->data.data()), 4.0);
  EXPECT_EQ(index.findRows("m.v").size(), 1u);
  EXPECT_EQ(index.find("m.w"), nullptr);
  EXPECT_NE(index.find("m.v"), nullptr);
  EXPECT_TRUE(index.findRows("m").empty());
  damage(root + "/step-000003/state.rank1.safetensors");
  EXPECT_EQ(openCheckpoint(root + "/step-000003").status().code(), StatusCode::Corrupt);
}

TEST_F(CheckpointTest, NamesThatAreNoRowsAreWholeTensors) {
  for (const char *name : {"a[1:]", "a[:2]", "a[2:1]", "a[0:1", "a[0:1]b", "a[-1:2]", "a[x:2]"}) {
    std::string path = folder / "odd.safetensors";
    values = {1};
    TensorView view = {DType::F32, {1}, std::as_bytes(std::span(values))};
    ASSERT_TRUE(writeSafetensors(path, {{name, view}}, {}).isOk());
    auto file = SafetensorsFile::open(path);
    ASSERT_TRUE(file.isOk());
    TensorIndex index({&*file});
    EXPECT_EQ(index.findRows(name).size(), 1u) << name;
    EXPECT_TRUE(index.findRows("a").empty()) << name;
  }
}

TEST_F(CheckpointTest, KeepsTheNewest) {
  for (int64_t step : {999998, 999999, 1000000, 1000001})
    ASSERT_TRUE(write(step, 2).isOk());
  EXPECT_EQ(listDirectory(root), (std::vector<std::string>{"step-1000000", "step-1000001"}));
}

TEST_F(CheckpointTest, RefusesEveryDamagedFile) {
  ASSERT_TRUE(write(1).isOk());
  std::string path = root + "/step-000001";
  for (const std::string &name : listDirectory(path)) {
    std::string whole = *readFile(path + "/" + name);
    for (size_t i = 0; i < whole.size(); i += 1 + whole.size() / 50) {
      std::string changed = whole;
      changed[i] = static_cast<char>(changed[i] ^ (1 << (i % 8)));
      std::ofstream(path + "/" + name, std::ios::binary) << changed;
      EXPECT_EQ(openCheckpoint(path).status().code(), StatusCode::Corrupt) << name << " byte " << i;
      std::ofstream(path + "/" + name, std::ios::binary) << whole.substr(0, i);
      EXPECT_EQ(openCheckpoint(path).status().code(), StatusCode::Corrupt) << name << " cut " << i;
    }
    std::filesystem::remove(path + "/" + name);
    EXPECT_EQ(openCheckpoint(path).status().code(), StatusCode::Corrupt) << name;
    std::ofstream(path + "/" + name, std::ios::binary) << whole;
  }
  EXPECT_TRUE(openCheckpoint(path).isOk());
}

TEST_F(CheckpointTest, TheNewestWholeOneIsFound) {
  std::vector<std::string> skipped;
  auto none = openNewestCheckpoint(root, skipped);
  ASSERT_TRUE(none.isOk());
  EXPECT_FALSE(*none);
  for (int64_t step : {1, 2, 3})
    ASSERT_TRUE(write(step).isOk());
  damage(root + "/step-000003/state.safetensors");
  auto found = openNewestCheckpoint(root, skipped);
  ASSERT_TRUE(found.isOk());
  EXPECT_EQ((*found)->info.step, 2);
  ASSERT_EQ(skipped.size(), 1u);
  EXPECT_NE(skipped[0].find("step-000003"), std::string::npos);
  damage(root + "/step-000002/manifest.json");
  damage(root + "/step-000001/manifest.sha256");
  skipped.clear();
  EXPECT_EQ(openNewestCheckpoint(root, skipped).status().code(), StatusCode::Corrupt);
}

TEST_F(CheckpointTest, AFullDiskLeavesTheOlderOne) {
  ASSERT_TRUE(write(1).isOk());
  // A file size limit: write(2) fails after the first bytes, as on a full disk.
  int code = runChild([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit limit = {50000, 50000};
    setrlimit(RLIMIT_FSIZE, &limit);
    return exitCode(write(2).code());
  });
  EXPECT_EQ(code, 7);
  EXPECT_EQ(listDirectory(root), std::vector<std::string>{"step-000001"});
  EXPECT_TRUE(openCheckpoint(root + "/step-000001").isOk());
}

// 40 writers are killed at random instants; whatever is there under its final name is whole.
TEST_F(CheckpointTest, AKillAtAnyInstantLeavesWholeCheckpoints) {
  ASSERT_TRUE(write(1, 2).isOk());
  int64_t next = 2;
  uint32_t random = 7;
  int killed = 0;
  for (int round = 0; round < 40; ++round) {
    random = random * 1664525 + 1013904223;
    int code = runChild(
        [&] {
          for (int64_t step = next; step < next + 500; ++step)
            if (Status status = write(step, 2); !status.isOk())
              return exitCode(status.code());
          return 0;
        },
        static_cast<int>(500 + (random >> 8) % 30000));
    killed += code == -SIGKILL;
    removeLeftovers(root);
    std::vector<std::string> skipped;
    auto found = openNewestCheckpoint(root, skipped);
    ASSERT_TRUE(found.isOk()) << found.status().message();
    ASSERT_TRUE(*found);
    EXPECT_TRUE(skipped.empty()) << skipped.front();
    EXPECT_GE((*found)->info.step, next - 1);
    next = (*found)->info.step + 1;
  }
  EXPECT_GT(killed, 30);
}
