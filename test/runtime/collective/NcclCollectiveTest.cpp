// GPU ranks' collectives without GPUs: on a NCCL and a driver whose ranks are threads and whose
// memory is the host's (FakeNccl.cpp, FakeCuda.c).
#include "runtime/collective/nccl/NcclCollective.h"
#include "runtime/device/cuda/CudaDevice.h"
#include "test/runtime/collective/RankThreads.h"

#include <atomic>
#include <cstdlib>
#include <dlfcn.h>

using namespace smelt::runtime;
using std::chrono::milliseconds;

namespace {

/// Small whole numbers: sums are exact in bf16 too.
std::vector<std::byte> makeData(DType type, int rank, size_t count) {
  std::vector<std::byte> data(count * dtypeBytes(type));
  for (size_t i = 0; i < count; ++i)
    storeElement(type, double((i * 7 + rank * 3) % 11), data.data() + i * dtypeBytes(type));
  return data;
}
double sumOf(int size, size_t index) {
  double sum = 0;
  for (int rank = 0; rank < size; ++rank)
    sum += double((index * 7 + rank * 3) % 11);
  return sum;
}

class NcclTest : public testing::TestWithParam<int> {
protected:
  void SetUp() override {
    ::setenv("FAKE_NCCL", "", 1);
    ::setenv("SMELT_NCCL_WINDOWS", "0", 1);
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

/// A program's collectives work in place in the arena; the fake does them when they are captured.
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

/// How many calls the fake has done by copy engines, and by kernels in windows.
std::pair<int, int> callsInWindows() {
  static void *library = ::dlopen(SMELT_FAKE_NCCL, RTLD_NOW);
  static auto *calls = reinterpret_cast<int (*)(int)>(::dlsym(library, "fakeNcclCalls"));
  return {calls(1), calls(0)};
}

/// A program's collectives in an arena that the collectives have given; what it is, the notes say.
std::string runInWindows(const char *use, const char *fake, int size, uint64_t more = 0) {
  ::setenv("FAKE_NCCL", fake, 1);
  ::setenv("SMELT_NCCL_WINDOWS", use, 1);
  testing::internal::CaptureStderr();
  runRanks(size, [&](RankGroup &group) {
    auto device = makeCudaDevice();
    auto collective = makeNcclCollective(group, milliseconds(20000));
    ASSERT_TRUE(collective.isOk()) << collective.status().message();
    ASSERT_TRUE((*device)->setCollective(collective->get()).isOk());
    uint64_t whole = 256 * static_cast<uint64_t>(size), rank = static_cast<uint64_t>(group.rank());
    Status allocated = (*device)->allocateArena((1 << 20) + more * rank, whole);
    ASSERT_TRUE(allocated.isOk()) << allocated.message();
    std::vector<std::byte> zeros(whole), all(whole);
    ASSERT_TRUE((*device)->copyOut(0, all).isOk());
    EXPECT_EQ(all, zeros);
    auto data = makeData(DType::F32, group.rank(), whole / 4);
    for (uint64_t offset : {0, 4096})
      ASSERT_TRUE((*device)->copyIn(offset, data).isOk());
    ASSERT_TRUE((*device)->copyIn(8192, makeData(DType::F64, group.rank(), whole / 8)).isOk());
    auto entry = [&](CollectiveKind kind, DType type, uint64_t offset) {
      return DeviceEntry{{}, DeviceCollective{kind, type, {{offset, whole}}}};
    };
    auto program = (*device)->addEntries({entry(CollectiveKind::ReduceScatter, DType::F32, 0),
                                          entry(CollectiveKind::AllReduce, DType::F32, 4096),
                                          entry(CollectiveKind::AllReduce, DType::F64, 8192),
                                          entry(CollectiveKind::AllGather, DType::F32, 0)});
    ASSERT_TRUE(program.isOk()) << program.status().message();
    ASSERT_TRUE((*device)->run(*program).isOk());
    for (uint64_t offset : {0, 4096, 8192}) {
      ASSERT_TRUE((*device)->copyOut(offset, all).isOk());
      DType type = offset == 8192 ? DType::F64 : DType::F32;
      for (size_t i = 0; i < whole / dtypeBytes(type); ++i)
        ASSERT_EQ(loadElement(type, all.data() + i * dtypeBytes(type)), sumOf(size, i)) << i;
    }
    EXPECT_TRUE((*collective)->check().isOk());
    EXPECT_TRUE((*collective)->barrier().isOk()); // From memory outside.
    (*device)->abandon();
    group.leave();
  });
  return testing::internal::GetCapturedStderr();
}

TEST(NcclWindows, WhatGoesByThem) {
  struct Case {
    const char *use;
    int engine, kernel; ///< Calls of a rank: two or four to try, and a program's three.
  };
  for (Case each :
       {Case{"0", 0, 0}, {"gathers", 3, 0}, {"copies", 5, 0}, {"kernels", 0, 7}, {"all", 3, 4}})
    for (int size : {1, 2, 3}) {
      auto before = callsInWindows();
      std::string notes = runInWindows(each.use, "", size);
      auto after = callsInWindows();
      int ranks = size == 1 ? 0 : size;
      EXPECT_EQ(after.first - before.first, each.engine * ranks) << each.use << " " << size;
      EXPECT_EQ(after.second - before.second, each.kernel * ranks) << each.use << " " << size;
      bool isWindow = ranks && each.engine + each.kernel;
      EXPECT_EQ(notes.find("NCCL: the arena (1 MiB) is a window of all ranks") != notes.npos,
                isWindow)
          << notes;
    }
  // Unless something is said, two ranks use copies.
  for (int size : {2, 3}) {
    auto before = callsInWindows();
    runInWindows("", "", size);
    EXPECT_EQ(callsInWindows().first - before.first, size == 2 ? 5 * size : 0);
  }
}

/// Then the arena is memory as usual, everywhere, and everything works.
TEST(NcclWindows, Refused) {
  auto noteOf = [](const char *use, const char *fake, uint64_t more = 0) {
    auto before = callsInWindows();
    std::string notes = runInWindows(use, fake, 3, more);
    if (std::string(fake) != "wrong windows")
      EXPECT_EQ(callsInWindows(), before);
    return notes;
  };
  EXPECT_NE(noteOf("all", "no windows").find("NCCL: no windows (rank "), std::string::npos);
  EXPECT_NE(noteOf("all", "empty windows")
                .find("rank 0: ncclCommWindowRegister: NCCL has no windows here"),
            std::string::npos);
  EXPECT_NE(
      noteOf("gathers", "wrong windows").find("rank 0: the first gather in a window is wrong"),
      std::string::npos);
  EXPECT_NE(noteOf("all", "", 4096).find("rank 1 has another host or another arena than rank 0"),
            std::string::npos);
  EXPECT_NE(noteOf("some", "")
                .find("SMELT_NCCL_WINDOWS=some does nothing: 0, gathers, copies, kernels or all"),
            std::string::npos);
}

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
