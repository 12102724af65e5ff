// GPU ranks' collectives without GPUs: on a NCCL and a driver whose ranks are threads and whose
// memory is the host's (FakeNccl.cpp, FakeCuda.c).
#include "runtime/collective/nccl/NcclCollective.h"
#include "runtime/device/cuda/CudaDevice.h"
#include "test/runtime/collective/RankData.h"
#include "test/runtime/collective/RankThreads.h"

#include <atomic>
#include <cstdlib>

using namespace smelt::runtime;
using std::chrono::milliseconds;

namespace {

class NcclTest : public testing::TestWithParam<int> {
protected:
  void SetUp() override {
    ::setenv("FAKE_NCCL", "", 1);
    ::setenv("FAKE_CUDA", "", 1);
    ::setenv("SMELT_COPIES", "0", 1);
  }

  void run(const std::function<void(StreamCollective &, Device &, RankGroup &)> &body) {
    runRanks(GetParam(), [&](RankGroup &group) {
      auto device = makeCudaDevice();
      ASSERT_TRUE(device.isOk()) << device.status().message();
      auto collective = makeNcclCollective(group, milliseconds(20000));
      ASSERT_TRUE(collective.isOk()) << collective.status().message();
      ASSERT_EQ((*collective)->version(), "NCCL 2.28.9");
      body(**collective, **device, group);
      group.leave();
    });
  }
};

TEST_P(NcclTest, HostBuffersOfAnySize) {
  run([](StreamCollective &collective, Device &, RankGroup &) {
    int size = collective.size(), rank = collective.rank();
    for (DType type : {DType::F32, DType::BF16, DType::F64})
      for (size_t part : {size_t(0), size_t(1), size_t(1000), size_t(1500000)}) {
        if (part > 1000 && (type != DType::F32 || size != 2)) // Several pieces: once is enough.
          continue;
        auto data = makeData(type, rank, part * size), whole = data;
        ASSERT_TRUE(collective.allReduce(whole, type).isOk());
        std::vector<std::byte> mine(part * dtypeBytes(type)), all(data.size());
        ASSERT_TRUE(collective.reduceScatter(data, mine, type).isOk());
        ASSERT_TRUE(collective.allGather(mine, all).isOk());
        EXPECT_EQ(all, whole);
        for (size_t i = 0; i < part * size; i += 1 + part / 100)
          ASSERT_EQ(loadElement(type, all.data() + i * dtypeBytes(type)), sumOf(size, i)) << i;
        auto root = makeData(type, rank, part);
        ASSERT_TRUE(collective.broadcast(root, size - 1).isOk());
        EXPECT_EQ(root, makeData(type, size - 1, part));
      }
    EXPECT_TRUE(collective.barrier().isOk());
    EXPECT_TRUE(collective.check().isOk());
    EXPECT_FALSE(
        collective.allReduce(std::span<std::byte>(), DType::I32).isOk() &&
        collective.start({CollectiveKind::AllReduce, DType::I32, {{0, 4}}}, 0, nullptr).isOk());
  });
}

/// A program's collectives work in place in the arena; the fake NCCL does them when they are
/// captured.
TEST_P(NcclTest, ProgramsCollectivesWorkInPlace) {
  run([](StreamCollective &collective, Device &device, RankGroup &group) {
    constexpr uint64_t kPart = 256, kSecond = 1 << 16;
    auto size = static_cast<uint64_t>(collective.size()), whole = kPart * size;
    auto rank = static_cast<uint64_t>(collective.rank());
    ASSERT_TRUE(device.allocateArena(1 << 20).isOk());
    EXPECT_FALSE(device.runsCollectives());
    EXPECT_FALSE(device.addEntries({{{}, DeviceCollective{}}}).isOk());
    ASSERT_TRUE(device.setCollective(&collective).isOk());
    EXPECT_TRUE(device.runsCollectives());
    auto data = makeData(DType::F32, static_cast<int>(rank), whole / 4);
    ASSERT_TRUE(device.copyIn(0, data).isOk());
    ASSERT_TRUE(device.copyIn(kSecond, data).isOk());
    auto entry = [](CollectiveKind kind, std::vector<DeviceRange> ranges, bool onLane,
                    std::vector<uint32_t> wait) {
      return DeviceEntry{{}, DeviceCollective{kind, DType::F32, std::move(ranges)}, onLane, wait};
    };
    auto program =
        device.addEntries({entry(CollectiveKind::ReduceScatter, {{0, whole}}, true, {}),
                           entry(CollectiveKind::AllReduce, {{kSecond, whole}}, false, {}),
                           entry(CollectiveKind::AllGather, {{0, whole}}, false, {0})});
    ASSERT_TRUE(program.isOk()) << program.status().message();
    EXPECT_TRUE(device.run(*program).isOk());
    for (uint64_t offset : {uint64_t(0), kSecond}) {
      std::vector<std::byte> sum(whole);
      ASSERT_TRUE(device.copyOut(offset, sum).isOk());
      for (size_t i = 0; i < whole / 4; ++i)
        ASSERT_EQ(loadElement(DType::F32, sum.data() + 4 * i), sumOf(collective.size(), i)) << i;
    }
    // What does not divide, lies outside or waits for what comes later is refused.
    EXPECT_EQ(
        size > 1,
        !device.addEntries({entry(CollectiveKind::AllGather, {{0, whole + 4}}, false, {})}).isOk());
    EXPECT_FALSE(
        device.addEntries({entry(CollectiveKind::AllReduce, {{1 << 20, 4}}, false, {})}).isOk());
    EXPECT_FALSE(
        device.addEntries({entry(CollectiveKind::AllReduce, {{0, 4}}, false, {0})}).isOk());
    ASSERT_TRUE(group.meet("programs").isOk());

    std::vector<std::byte> root = makeData(DType::F32, static_cast<int>(rank), 64);
    ASSERT_TRUE(device.copyIn(0, root).isOk());
    DeviceRange range{0, root.size()};
    ASSERT_TRUE(device.broadcast({&range, 1}, 0).isOk());
    ASSERT_TRUE(device.copyOut(0, root).isOk());
    EXPECT_EQ(root, makeData(DType::F32, 0, 64));
  });
}

/// After an abort, from another thread, nothing is used any more.
TEST_P(NcclTest, AfterAnAbortEverythingFails) {
  run([](StreamCollective &collective, Device &device, RankGroup &group) {
    ASSERT_TRUE(device.allocateArena(1 << 12).isOk());
    ASSERT_TRUE(device.setCollective(&collective).isOk());
    auto program = device.addEntries(
        {{{}, DeviceCollective{CollectiveKind::AllReduce, DType::F32, {{0, 4}}}}});
    ASSERT_TRUE(program.isOk());
    ASSERT_TRUE(group.meet("before the abort").isOk());
    std::thread([&] {
      device.abandon();
      collective.abort();
      collective.abort(); // Once more does nothing.
    }).join();
    std::vector<std::byte> data(4);
    for (const Status &status :
         {device.run(*program), device.copyOut(0, data), device.synchronize(), collective.check(),
          collective.allReduce(data, DType::F32)})
      EXPECT_EQ(status.code(), StatusCode::RankLost);
  });
}

TEST_P(NcclTest, AnotherThreadIsRefused) {
  run([](StreamCollective &collective, Device &, RankGroup &) {
    Status status;
    std::thread([&] { status = collective.check(); }).join();
    EXPECT_EQ(status.message(), "a communicator is used by a thread that does not own it");
  });
}

INSTANTIATE_TEST_SUITE_P(Ranks, NcclTest, testing::Values(1, 2, 3));

/// What two ranks say with a library in which `what` is wrong.
std::string failureWith(const char *what, milliseconds patience) {
  ::setenv("FAKE_NCCL", what, 1);
  std::string text;
  runRanks(2,
           [&](RankGroup &group) {
             auto device = makeCudaDevice();
             auto collective = makeNcclCollective(group, patience);
             Status status = collective.isOk() ? Status::ok() : collective.status();
             for (int again = 0; status.isOk() && again < 3; ++again)
               status = (*collective)->barrier();
             (void)group.meet("failed");
             if (group.rank() == 0)
               text = status.message();
             group.leave();
           },
           {milliseconds(500)});
  return text;
}

TEST(NcclCollective, HowManyBlocksItMayTake) {
  for (int blocks : {24, 0}) {
    ::setenv("FAKE_NCCL", "24 blocks", 1);
    runRanks(2, [&](RankGroup &group) {
      auto device = makeCudaDevice();
      EXPECT_EQ(makeNcclCollective(group, milliseconds(5000), blocks).isOk(), blocks == 24);
      (void)group.meet("asked");
      group.leave();
    });
  }
}

TEST(NcclErrors, RanksThatDoNotFindEachOther) {
  EXPECT_EQ(failureWith("lone", milliseconds(300)),
            "ncclCommInitRankConfig is not done after 0.3 s on rank 0; with NCCL_DEBUG=INFO NCCL "
            "says what it does");
}
TEST(NcclErrors, ErrorsThatTurnUpByThemselves) {
  EXPECT_NE(failureWith("remote", milliseconds(5000)).find("remote error: as the test wants"),
            std::string::npos);
}
TEST(NcclErrors, CallsThatFail) {
  EXPECT_NE(failureWith("refuses", milliseconds(5000)).find("invalid usage: as the test wants"),
            std::string::npos);
}
TEST(NcclErrors, SumsThatAreWrong) {
  EXPECT_EQ(failureWith("wrong", milliseconds(5000)),
            "NCCL's first sum of 2 ones is wrong on rank 0");
}

/// A rank goes while others wait for it: they say which, and do not wait for NCCL's patience.
TEST(NcclErrors, ALostRankIsNamed) {
  ::setenv("FAKE_NCCL", "", 1);
  RankGroupOptions options;
  options.onLost = [](const LostRank &) {};
  std::atomic<int> told = 0;
  runRanks(
      3,
      [&](RankGroup &group) {
        auto device = makeCudaDevice();
        auto collective = makeNcclCollective(group, milliseconds(60000));
        ASSERT_TRUE(collective.isOk()) << collective.status().message();
        group.enter("forward");
        ASSERT_TRUE(group.meet("forward").isOk());
        if (group.rank() == 2)
          return;
        Status status = (*collective)->barrier();
        EXPECT_EQ(status.message(), "rank 2 is lost in phase forward: its process ended");
        told += status.code() == StatusCode::RankLost;
      },
      options);
  EXPECT_EQ(told, 2);
}

/// In a process of its own: the library is looked for once.
void expectNoNccl(const char *file, const char *mode, const std::string &message) {
  auto tryIt = [&] {
    ::setenv("SMELT_NCCL", file, 1);
    ::setenv("FAKE_NCCL", mode, 1);
    Status status = ncclVersion().status();
    std::fprintf(stderr, "code %d: %s\n", static_cast<int>(status.code()),
                 status.message().c_str());
    std::exit(0);
  };
  EXPECT_EXIT(tryIt(), testing::ExitedWithCode(0), message);
}

TEST(NcclLibraryDeathTest, ItIsMissing) {
  expectNoNccl("/nonexistent/libnccl.so.2", "",
               "code 2: several GPUs need NCCL, and there is no libnccl.so.2: looked for "
               "/nonexistent/libnccl.so.2, and in Python's packages");
}
TEST(NcclLibraryDeathTest, ItIsTooOld) {
  expectNoNccl(SMELT_FAKE_NCCL, "old", "is too old: it is 2.10.0; 2.18 or newer is needed");
}
TEST(NcclLibraryDeathTest, ItIsSomethingElse) {
  expectNoNccl(SMELT_NO_PLUGIN, "", "is too old: it has no ncclBroadcast; 2.18 or newer is needed");
}

} // namespace
