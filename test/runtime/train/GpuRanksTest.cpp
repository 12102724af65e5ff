// Which GPU a rank gets, who refuses to share one, and what happens when a rank is lost: on a
// driver and an NCCL that are fakes.
#include "runtime/device/cuda/CudaDevice.h"
#include "runtime/train/ChooseDevice.h"
#include "runtime/train/Ranks.h"
#include "test/runtime/collective/RankThreads.h"

#include <atomic>
#include <cstdlib>

using namespace smelt::runtime;
using std::chrono::milliseconds;

namespace {

class GpuRanksTest : public testing::Test {
protected:
  void SetUp() override {
    ::setenv("FAKE_NCCL", "", 1);
    ::setenv("FAKE_CUDA_GPUS", "4", 1);
  }
  static StatusOr<ChosenDevice> choose(DeviceChoice choice) {
    Manifest manifest;
    manifest.target = "cuda";
    return chooseDevice(manifest, choice);
  }
};

TEST_F(GpuRanksTest, ARankGetsTheGpuOfItsLocalNumber) {
  for (int rank = 0; rank < 4; ++rank) {
    auto chosen = choose({"auto", 0, rank, 4});
    ASSERT_TRUE(chosen.isOk()) << chosen.status().message();
    EXPECT_EQ(chosen->gpu, rank);
  }
  EXPECT_EQ(choose({"cuda:3", 0, 1, 4})->gpu, 3);
  EXPECT_EQ(choose({"cuda", 0, 5, 8}).status().message(),
            "this machine has 4 GPUs for its 8 ranks; ranks share one with --device cuda:0 "
            "--collectives gloo");
  ::setenv("FAKE_CUDA_GPUS", "1", 1); // srun shows a rank its own.
  EXPECT_EQ(choose({"cuda", 0, 5, 8})->gpu, 0);
}

/// Each rank with the GPU that `gpuOf` gives it, connected as `collectives` says.
void runGpuRanks(int size, int (*gpuOf)(int), const std::string &collectives,
                 const std::function<void(Ranks &, Device &, const Status &)> &body) {
  runOwningRanks(size, [&](std::unique_ptr<RankGroup> group) {
    int gpu = gpuOf(group->rank());
    auto device = makeCudaDevice(gpu);
    ASSERT_TRUE(device.isOk()) << device.status().message();
    Ranks ranks(std::move(group));
    Status status = ranks.connect(**device, gpu, collectives);
    body(ranks, **device, status);
    ranks.disconnect(**device);
  });
}

TEST_F(GpuRanksTest, RanksThatShareAGpuAreRefusedOnAll) {
  std::atomic<int> told = 0;
  runGpuRanks(
      3, [](int rank) { return rank == 2 ? 1 : rank; }, "auto",
      [&](Ranks &, Device &, const Status &status) {
        EXPECT_EQ(status.message(), "ranks 1 and 2 have the same GPU (1 on their machine), which "
                                    "NCCL refuses; --collectives gloo lets them share it");
        told += status.code() == StatusCode::Usage;
      });
  EXPECT_EQ(told, 3);
}

TEST_F(GpuRanksTest, TheDeviceRunsCollectivesWithNcclAlone) {
  for (std::string collectives : {"auto", "nccl", "gloo"})
    runGpuRanks(
        2, [](int rank) { return rank; }, collectives,
        [&](Ranks &ranks, Device &device, const Status &status) {
          ASSERT_TRUE(status.isOk()) << status.message();
          bool isNccl = collectives != "gloo";
          EXPECT_EQ(device.runsCollectives(), isNccl);
          EXPECT_EQ(ranks.collective().version().substr(0, 4), isNccl ? "NCCL" : "Gloo");
          double values[] = {1.0 + ranks.rank(), 0.5};
          ASSERT_TRUE(ranks.sum(values).isOk());
          EXPECT_EQ(values[0], 3.0);
          EXPECT_EQ(values[1], 1.0);
          EXPECT_TRUE(ranks.check().isOk());
          ranks.group().leave();
        });
}

/// The process ends with code 6, and before that NCCL is aborted; in a process of its own.
TEST(GpuRanksDeathTest, ALostRankAbortsNcclAndEndsTheProcess) {
  auto loseRankOne = [] {
    runGpuRanks(
        2, [](int rank) { return rank; }, "nccl",
        [&](Ranks &ranks, Device &, const Status &status) {
          if (!status.isOk() || ranks.rank() == 1)
            return;
          std::this_thread::sleep_for(std::chrono::seconds(20)); // As if the GPU hung.
          std::exit(0);
        });
  };
  ::setenv("FAKE_CUDA_GPUS", "2", 1);
  ::setenv("FAKE_NCCL", "", 1);
  EXPECT_EXIT(loseRankOne(), testing::ExitedWithCode(6),
              "rank 1 is lost in phase start-up: its process ended(.|\n)*ncclCommAbort of rank 0");
}

} // namespace
