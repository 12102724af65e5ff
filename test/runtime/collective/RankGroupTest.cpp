#include "test/runtime/collective/RankThreads.h"

#include <atomic>
#include <mutex>

using namespace smelt::runtime;
using std::chrono::milliseconds;

namespace {

TEST(RankGroup, WordsReachEveryRank) {
  runRanks(3, [](RankGroup &group) {
    ASSERT_TRUE(group.set("word/" + std::to_string(group.rank()), std::string(1000, char('a' + group.rank()))).isOk());
    for (int other = 0; other < 3; ++other) {
      auto word = group.get("word/" + std::to_string(other));
      ASSERT_TRUE(word.isOk());
      EXPECT_EQ(*word, std::string(1000, char('a' + other)));
    }
    EXPECT_TRUE(group.agree("seed", "7").isOk());
    EXPECT_TRUE(group.meet("end").isOk());
    group.leave();
  });
}

TEST(RankGroup, DisagreementNamesBothValuesEverywhere) {
  runRanks(3, [](RankGroup &group) {
    Status status = group.agree("seed", group.rank() == 2 ? "8" : "7");
    EXPECT_EQ(status.code(), StatusCode::Usage);
    EXPECT_EQ(status.message(), "the ranks do not agree: seed is \"7\" on rank 0 and \"8\" on rank 2");
  });
}

TEST(RankGroup, SumsAreThoseOfAllRanksInOrder) {
  runRanks(3, [](RankGroup &group) {
    for (int again = 1; again <= 50; ++again) {
      // (1e16 + 1) + -1e16 is 0 in this order alone.
      double values[] = {group.rank() == 0   ? 1e16
                         : group.rank() == 1 ? 1.0
                                             : -1e16,
                         double(again * (group.rank() + 1))};
      ASSERT_TRUE(group.sum(values).isOk());
      EXPECT_EQ(values[0], 0.0);
      EXPECT_EQ(values[1], again * 6.0);
    }
    group.leave();
  });
}

/// A rank's main thread stands still while its heartbeat goes on: it is the one that is behind.
TEST(RankGroup, ARankWithoutProgressIsNamed) {
  std::mutex mutex;
  std::vector<LostRank> told;
  RankGroupOptions options;
  options.stallTimeout = milliseconds(700);
  options.onLost = [&](const LostRank &rank) {
    std::lock_guard lock(mutex);
    told.push_back(rank);
  };
  runRanks(
      3,
      [&](RankGroup &group) {
        group.progress();
        ASSERT_TRUE(group.meet("begun").isOk());
        // Longer than the stall, but all the time something happens.
        for (int step = 0; step < 30; ++step) {
          group.progress();
          std::this_thread::sleep_for(milliseconds(50));
        }
        ASSERT_FALSE(group.anyLost(milliseconds(0)));
        group.enter("forward");
        if (group.rank() != 1)
          group.enter("collective");
        double value[] = {1.0};
        Status status = group.rank() == 1 ? group.get("never set").status() : group.sum(value);
        EXPECT_EQ(status.message(), "rank 1 is lost in phase forward: it lives, but has made no "
                                    "progress for 0.7 s");
      },
      options);
  EXPECT_EQ(told.size(), size_t(3));
}

/// A rank goes without a word: the others learn which, and in which phase it was.
void expectLoss(int lost) {
  std::mutex mutex;
  std::vector<LostRank> told;
  RankGroupOptions options;
  options.onLost = [&](const LostRank &rank) {
    std::lock_guard lock(mutex);
    told.push_back(rank);
  };
  runRanks(
      3,
      [&](RankGroup &group) {
        group.enter(group.rank() == lost ? "validation" : "forward");
        ASSERT_TRUE(group.meet("phases").isOk());
        if (group.rank() == lost) // A rank 0 first tells its phase by a heartbeat.
          return std::this_thread::sleep_for(milliseconds(1500));
        auto word = group.get("never set");
        ASSERT_FALSE(word.isOk());
        EXPECT_EQ(word.status().code(), StatusCode::RankLost);
        EXPECT_EQ(word.status().message(), "rank " + std::to_string(lost) + " is lost in phase validation: its process ended");
      },
      options);
  EXPECT_GE(told.size(), size_t(2));
  EXPECT_EQ(told[0].rank, lost);
}

TEST(RankGroup, ALostRankIsNamed) { expectLoss(2); }
TEST(RankGroup, ALostRankZeroIsNamed) { expectLoss(0); }

TEST(RankGroup, ARankThatNeverComesIsNamed) {
  auto listener = listenAt(0);
  ASSERT_TRUE(listener.isOk());
  RankGroupOptions options;
  options.startTimeout = milliseconds(500);
  options.onLost = [](const LostRank &) {};
  RankEnvironment environment;
  environment.size = 2;
  environment.port = portOf(listener->get());
  environment.listener = listener->release();
  auto group = RankGroup::join(environment, options);
  ASSERT_FALSE(group.isOk());
  EXPECT_EQ(group.status().code(), StatusCode::RankLost);
  EXPECT_EQ(group.status().message(), "rank 1 is lost in phase start-up: it never came");
}

} // namespace
