// Collectives by copies between GPUs, without GPUs: ranks are threads that map each other's memory
// (FakeCuda.c), beside an NCCL that is none either (FakeNccl.cpp).
#include "runtime/collective/nccl/NcclCollective.h"
#include "runtime/device/cuda/CudaDevice.h"
#include "test/runtime/collective/RankData.h"
#include "test/runtime/collective/RankThreads.h"

#include <cstdlib>
#include <dlfcn.h>

using namespace smelt::runtime;
using std::chrono::milliseconds;

namespace {

/// How many copies the fake has made into other ranks' memory.
int countCopies() {
  static void *library = ::dlopen(SMELT_FAKE_CUDA, RTLD_NOW);
  static auto *copies = reinterpret_cast<int (*)()>(::dlsym(library, "fakeCudaPeerCopies"));
  return copies();
}

/// What the fakes and the ranks of a test find in their environment.
void setFakes(const char *fake, const char *use) {
  ::setenv("FAKE_NCCL", "", 1);
  ::setenv("FAKE_CUDA", fake, 1);
  ::setenv("SMELT_COPIES", use, 1);
}

/// A rank's device, which has collectives.
struct Rank {
  std::unique_ptr<Device> device;
  std::unique_ptr<StreamCollective> collective;

  explicit Rank(RankGroup &group, milliseconds patience = milliseconds(20000)) {
    auto madeDevice = makeCudaDevice();
    auto madeCollective = makeNcclCollective(group, patience);
    if (!madeDevice.isOk() || !madeCollective.isOk()) {
      ADD_FAILURE() << madeDevice.status().message() << madeCollective.status().message();
      return;
    }
    device = *std::move(madeDevice);
    collective = *std::move(madeCollective);
    EXPECT_TRUE(device->setCollective(collective.get()).isOk());
  }
  bool isWhole() const { return collective != nullptr; }
  void end(RankGroup &group) {
    device->abandon();
    collective.reset(); // Meets the others.
    group.leave();
  }
};

struct Copies {
  const char *use = "1", *fake = "";
  int ranks = 2;
  uint64_t bytes = 256; ///< Of each rank's part.
  uint64_t more = 0;    ///< Of the arena, for each rank before.
  uint64_t largestSum = 0;
};

/// A program's collectives in an arena that the collectives have given; what it is, the notes say.
std::string runCopies(Copies how) {
  setFakes(how.fake, how.use);
  testing::internal::CaptureStderr();
  runRanks(how.ranks, [&](RankGroup &group) {
    Rank own(group);
    ASSERT_TRUE(own.isWhole());
    uint64_t whole = how.bytes * static_cast<uint64_t>(how.ranks);
    auto rank = static_cast<uint64_t>(group.rank());
    Status allocated = own.device->allocateArena((4 << 20) + how.more * rank,
                                                 how.largestSum ? how.largestSum : 2 * whole);
    ASSERT_TRUE(allocated.isOk()) << allocated.message();
    std::vector<std::byte> zeros(whole), all(whole);
    ASSERT_TRUE(own.device->copyOut(0, all).isOk());
    EXPECT_EQ(all, zeros);
    // Sums of two buffers at 0 and 1, in f32; of one at 2 in f32 and one at 3 in f64.
    auto at = [](uint64_t index) { return index << 20; };
    auto data = makeData(DType::F32, group.rank(), whole / 4);
    for (uint64_t index : {0, 1, 2})
      ASSERT_TRUE(own.device->copyIn(at(index), data).isOk());
    ASSERT_TRUE(own.device->copyIn(at(3), makeData(DType::F64, group.rank(), whole / 8)).isOk());
    auto entry = [&](CollectiveKind kind, DType type, std::vector<uint64_t> indices) {
      std::vector<DeviceRange> ranges;
      for (uint64_t index : indices)
        ranges.push_back({at(index), whole});
      return DeviceEntry{{}, DeviceCollective{kind, type, std::move(ranges)}};
    };
    auto program = own.device->addEntries({entry(CollectiveKind::ReduceScatter, DType::F32, {0, 1}),
                                           entry(CollectiveKind::AllReduce, DType::F32, {2}),
                                           entry(CollectiveKind::ReduceScatter, DType::F64, {3}),
                                           entry(CollectiveKind::AllGather, DType::F64, {3}),
                                           entry(CollectiveKind::AllGather, DType::F32, {0, 1})});
    ASSERT_TRUE(program.isOk()) << program.status().message();
    ASSERT_TRUE(own.device->run(*program).isOk());
    for (uint64_t index : {0, 1, 2, 3}) {
      ASSERT_TRUE(own.device->copyOut(at(index), all).isOk());
      DType type = index == 3 ? DType::F64 : DType::F32;
      for (size_t i = 0; i < whole / dtypeBytes(type); ++i)
        ASSERT_EQ(loadElement(type, all.data() + i * dtypeBytes(type)), sumOf(how.ranks, i)) << i;
    }
    EXPECT_TRUE(own.collective->check().isOk());
    EXPECT_TRUE(own.collective->barrier().isOk()); // From memory outside.
    own.end(group);
  });
  return testing::internal::GetCapturedStderr();
}

TEST(PeerCopies, WhatGoesByThem) {
  struct Case {
    const char *use;
    uint64_t bytes; ///< Of a rank's part.
    int copies;     ///< To each peer: four to try, two buffers' sum, their gather, another gather,
                    ///< and an all-reduce where it is not too large.
  };
  for (Case each : {Case{"0", 256, 0}, {"1", 256, 10}, {"1", 160 << 10, 9}})
    for (int ranks : {1, 2, 3}) {
      int before = countCopies();
      std::string notes = runCopies({.use = each.use, .ranks = ranks, .bytes = each.bytes});
      EXPECT_EQ(countCopies() - before, each.copies * ranks * (ranks - 1))
          << each.use << " " << ranks;
      EXPECT_EQ(notes.find("copies: all ranks map the arena (4 MiB)") != notes.npos,
                ranks > 1 && each.copies)
          << notes;
    }
  // Unless something is said, two ranks use them.
  for (int ranks : {2, 3}) {
    int before = countCopies();
    runCopies({.use = "", .ranks = ranks});
    EXPECT_EQ(countCopies() - before, ranks == 2 ? 10 * 2 : 0);
  }
  // A sum for which there is no room beside the arena does not.
  int before = countCopies();
  runCopies({.ranks = 3, .bytes = 256 << 10, .largestSum = 256});
  EXPECT_EQ(countCopies() - before, 7 * 6);
}

/// Graphs with the same words again and again, each time of other numbers, while ranks are late in
/// turns; between them one collective outside of any graph. The fake refuses a word that is written
/// before the last one was taken.
TEST(PeerCopies, Replays) {
  setFakes("", "1");
  constexpr int rounds = 60;
  for (int ranks : {2, 3, 4, 8}) {
    int before = countCopies();
    runRanks(ranks, [&](RankGroup &group) {
      Rank own(group);
      ASSERT_TRUE(own.isWhole());
      uint64_t whole = 12 * 16 * 20, other = 1 << 16;
      ASSERT_TRUE(own.device->allocateArena(1 << 20, 2 * whole).isOk());
      auto entry = [&](CollectiveKind kind, std::vector<DeviceRange> ranges, bool onLane,
                       std::vector<uint32_t> wait) {
        return DeviceEntry{
            {}, DeviceCollective{kind, DType::F32, std::move(ranges)}, onLane, std::move(wait)};
      };
      DeviceRange one{0, whole}, two{other, whole}, three{2 * other, 16}, four{3 * other, 48};
      std::vector<DeviceEntry> single = {entry(CollectiveKind::AllGather, {two}, false, {})};
      auto program =
          own.device->addEntries({entry(CollectiveKind::ReduceScatter, {one, two}, true, {}),
                                  entry(CollectiveKind::AllReduce, {three, four}, true, {}),
                                  entry(CollectiveKind::AllGather, {one}, false, {0})});
      ASSERT_TRUE(program.isOk()) << program.status().message();
      std::vector<std::byte> all(whole);
      for (int round = 0; round < rounds; ++round) {
        auto data = makeData(DType::F32, group.rank() + round, whole / 4);
        for (DeviceRange range : {one, two, three, four})
          ASSERT_TRUE(own.device->copyIn(range.offset, std::span(data).first(range.bytes)).isOk());
        if (round % ranks == group.rank())
          std::this_thread::sleep_for(std::chrono::microseconds(round * 37 % 500));
        ASSERT_TRUE(own.device->run(*program).isOk());
        ASSERT_TRUE(own.device->runTimedEntries(single).isOk());
        for (DeviceRange range : {one, two, three, four}) {
          ASSERT_TRUE(own.device->copyOut(range.offset, std::span(all).first(range.bytes)).isOk());
          for (size_t i = 0; i < range.bytes / 4; ++i) {
            double sum = 0;
            for (int rank = 0; rank < ranks; ++rank)
              sum += double((i * 7 + (rank + round) * 3) % 11);
            ASSERT_EQ(loadElement(DType::F32, all.data() + 4 * i), sum) << round << " " << i;
          }
        }
      }
      own.end(group);
    });
    // To each peer: four to try, then six buffers a round.
    EXPECT_EQ(countCopies() - before, (4 + 6 * rounds) * ranks * (ranks - 1)) << ranks;
  }
}

/// Then the arena is memory as usual, everywhere, and everything works.
TEST(PeerCopies, Refused) {
  auto noteOf = [](Copies how) {
    how.ranks = 3;
    int before = countCopies();
    std::string notes = runCopies(how);
    EXPECT_EQ(countCopies() - before, std::string(how.fake) == "wrong peers" ? 6 : 0);
    return notes;
  };
  std::string notes = noteOf({.fake = "no peers"});
  EXPECT_NE(notes.find("no copies between GPUs (rank "), std::string::npos) << notes;
  EXPECT_NE(notes.find("cuIpcOpenMemHandle(rank "), std::string::npos) << notes;
  notes = noteOf({.fake = "far"});
  EXPECT_NE(notes.find("(rank 0: its GPU cannot reach rank 1's memory); NCCL does all"),
            std::string::npos)
      << notes;
  notes = noteOf({.fake = "wrong peers"});
  EXPECT_NE(notes.find("no copies between GPUs (rank 0: the first gather is wrong); NCCL does all"),
            std::string::npos)
      << notes;
  notes = noteOf({.more = 4096});
  EXPECT_NE(notes.find("rank 1 has another host or another arena than rank 0"), std::string::npos)
      << notes;
  notes = noteOf({.use = "some"});
  EXPECT_NE(notes.find("SMELT_COPIES=some does nothing: 0 or 1"), std::string::npos) << notes;
}

/// What does not end is not waited for longer than the ranks' patience.
TEST(PeerCopies, Stuck) {
  setFakes("stuck", "1");
  runRanks(2, [](RankGroup &group) {
    Rank own(group, milliseconds(500));
    ASSERT_TRUE(own.isWhole());
    Status status = own.device->allocateArena(1 << 20, 1 << 20);
    EXPECT_NE(status.message().find("copies between GPUs do not end on rank"), std::string::npos)
        << status.message();
    (void)group.meet("stuck");
    own.end(group);
  });
  ::setenv("FAKE_CUDA", "", 1);
}

/// A rank that ends alone does not wait for ever for the others, and leaves them its memory.
TEST(PeerCopies, EndAlone) {
  setFakes("", "1");
  runRanks(2, [](RankGroup &group) {
    Rank own(group);
    ASSERT_TRUE(own.isWhole());
    ASSERT_TRUE(own.device->allocateArena(1 << 20, 1 << 20).isOk());
    if (group.rank() == 1)
      ASSERT_TRUE(group.meet("alone").isOk());
    auto begin = std::chrono::steady_clock::now();
    own.device->abandon();
    own.collective.reset();
    own.device.reset(); // The fake refuses to free what another rank maps.
    auto took = std::chrono::steady_clock::now() - begin;
    EXPECT_LT(took, milliseconds(9000));
    EXPECT_EQ(took > milliseconds(4900), group.rank() == 0);
    if (group.rank() == 0)
      ASSERT_TRUE(group.meet("alone").isOk());
    group.leave();
  });
}

} // namespace
