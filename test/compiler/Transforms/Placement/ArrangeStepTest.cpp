//===- ArrangeStepTest.cpp - Two lanes by hand ----------------------------===//
#include "compiler/Transforms/Placement/ArrangeStep.h"
#include <gtest/gtest.h>

using namespace smelt;

namespace {

StepEntry launch(double microseconds, std::initializer_list<unsigned> after = {}) {
  return {false, microseconds, llvm::SmallVector<unsigned>(after)};
}
StepEntry collective(double microseconds, std::initializer_list<unsigned> after) {
  return {true, microseconds, llvm::SmallVector<unsigned>(after)};
}

/// Every entry once, none before what it needs, neither lane doing two things at once.
void expectRight(const llvm::SmallVector<StepEntry> &entries, const Arrangement &arrangement) {
  ASSERT_EQ(arrangement.order.size(), entries.size());
  std::vector<bool> issued(entries.size(), false);
  double ends[2] = {0, 0};
  for (unsigned entry : arrangement.order) {
    EXPECT_FALSE(issued[entry]);
    issued[entry] = true;
    for (unsigned earlier : entries[entry].after) {
      EXPECT_TRUE(issued[earlier]);
      EXPECT_GE(arrangement.begin[entry], arrangement.end[earlier]);
    }
    double &end = ends[entries[entry].isCollective];
    EXPECT_GE(arrangement.begin[entry], end);
    end = arrangement.end[entry];
  }
  EXPECT_EQ(arrangement.microseconds, std::max(ends[0], ends[1]));
}

TEST(ArrangeStepTest, WhatMostComesAfterGoesFirst) {
  // One micro-batch, two updates of 10 µs; the second one's weights take 50 to gather, the first
  // one's 5.
  llvm::SmallVector<StepEntry> entries = {launch(100), launch(10, {0}), collective(5, {1}),
                                          launch(10, {0}), collective(50, {3})};
  Arrangement arrangement = arrangeStep(entries, 1, false);
  expectRight(entries, arrangement);
  EXPECT_EQ(arrangement.order[1], 3u);
  EXPECT_EQ(arrangement.microseconds, 165); // 170 the other way round.
}

TEST(ArrangeStepTest, CollectivesAfterOneLaunchCountTogether) {
  // The first update's weights are gathered in three pieces of 20, the second one's in one of 40.
  llvm::SmallVector<StepEntry> entries = {
      launch(100),         launch(10, {0}),     collective(40, {1}), launch(10, {0}),
      collective(20, {3}), collective(20, {3}), collective(20, {3})};
  Arrangement arrangement = arrangeStep(entries, 1, false);
  expectRight(entries, arrangement);
  EXPECT_EQ(arrangement.microseconds, 210);
}

TEST(ArrangeStepTest, TheLastGatherIsTheShortest) {
  // Three updates of 30, 20 and 2 µs; their weights take 1, 15 and 8 µs to gather. By what must
  // come after each the second goes first and the third last: 160. By Johnson's rule the third,
  // whose gather takes longer than its update, goes first and the first last: only its gather is
  // left.
  llvm::SmallVector<StepEntry> entries = {
      launch(100),         launch(30, {0}), collective(1, {1}), launch(20, {0}),
      collective(15, {3}), launch(2, {0}),  collective(8, {5})};
  Arrangement arrangement = arrangeStep(entries, 1, false);
  expectRight(entries, arrangement);
  EXPECT_EQ(arrangement.begin[5], 100);
  EXPECT_EQ(arrangement.begin[3], 102);
  EXPECT_EQ(arrangement.begin[1], 122);
  EXPECT_EQ(arrangement.microseconds, 153);
}

TEST(ArrangeStepTest, AllLaunchesOfAGatherTakeItsTurn) {
  // Two launches one after the other and a gather of 9; a launch of 20 and a gather of 2, which the
  // order of the list and what comes after would begin first.
  llvm::SmallVector<StepEntry> entries = {launch(100),    launch(20, {0}), collective(2, {1}),
                                          launch(3, {0}), launch(3, {3}),  collective(9, {4})};
  Arrangement arrangement = arrangeStep(entries, 1, false);
  expectRight(entries, arrangement);
  EXPECT_EQ(arrangement.begin[1], 106);
  EXPECT_EQ(arrangement.microseconds, 128);
}

TEST(ArrangeStepTest, UpdatesComeBetweenFixedLaunchesOnlyIfAllowed) {
  // A sum of 20 after the first launch, then 8,000 of other launches; the update's weights take 800
  // to gather.
  llvm::SmallVector<StepEntry> entries = {launch(10),        launch(4000, {0}),
                                          launch(4000, {1}), collective(20, {0}),
                                          launch(5, {3}),    collective(800, {4})};
  Arrangement late = arrangeStep(entries, 3, false), early = arrangeStep(entries, 3, true);
  expectRight(entries, late);
  expectRight(entries, early);
  EXPECT_EQ(late.microseconds, 8815);
  EXPECT_EQ(early.microseconds, 8015);
  EXPECT_EQ(late.exposed[5], 800);
  EXPECT_EQ(early.exposed[5], 0);
  EXPECT_EQ(early.begin[4], 4010); // The sum ends at 30 by the model, 3,000 later for certain.
}

TEST(ArrangeStepTest, AnUpdateWaitsForASumThatMayBeLate) {
  // The sum ends at 60 by the model; at 2,010 it may still run, and the micro-batch must not wait.
  llvm::SmallVector<StepEntry> entries = {launch(10),      launch(2000, {0}),
                                          launch(10, {1}), collective(50, {0}),
                                          launch(5, {3}),  collective(80, {4})};
  Arrangement arrangement = arrangeStep(entries, 3, true);
  expectRight(entries, arrangement);
  EXPECT_EQ(arrangement.begin[4], 2020);
}

TEST(ArrangeStepTest, WhatNoCollectiveWaitsForStaysBehind) {
  llvm::SmallVector<StepEntry> entries = {launch(10), launch(100, {0}), launch(5, {0})};
  Arrangement arrangement = arrangeStep(entries, 2, true);
  expectRight(entries, arrangement);
  EXPECT_EQ(arrangement.begin[2], 110);
}

/// A sum that may begin after 10 of 200 ms, another after 180; both are waited for at the end.
llvm::SmallVector<StepEntry> sumFarFromTheNext(double scale) {
  return {launch(10e3 * scale), collective(1e3, {0}), launch(170e3 * scale), launch(20e3 * scale),
          collective(1e3, {2}), launch(100, {1}),     launch(100, {4})};
}

TEST(ArrangeStepTest, WhatWouldWakeLinksWaitsForTheNext) {
  llvm::SmallVector<StepEntry> entries = sumFarFromTheNext(1);
  SleepingLinks links{50e3, 0.018};
  Arrangement soon = arrangeStep(entries, 3, false);
  expectRight(entries, soon);
  EXPECT_EQ(soon.begin[1], 10e3);
  // 10 to 61 ms, 180 to 231, of which 30.8 are the next step's, until it wakes them at 10.
  EXPECT_DOUBLE_EQ(findAwake(entries, soon, links), 51e3 + 51e3 - 20.8e3);
  Arrangement held = arrangeStep(entries, 3, false, links);
  expectRight(entries, held);
  EXPECT_EQ(held.begin[1], 180e3);
  EXPECT_EQ(held.microseconds, soon.microseconds);
  EXPECT_DOUBLE_EQ(findAwake(entries, held, links), 52e3);
}

TEST(ArrangeStepTest, LinksOfShortStepsNeverSleep) {
  llvm::SmallVector<StepEntry> entries = sumFarFromTheNext(0.2);
  SleepingLinks links{50e3, 0.018};
  Arrangement arrangement = arrangeStep(entries, 3, false, links);
  EXPECT_EQ(arrangement.begin[1], 2e3);
  EXPECT_EQ(findAwake(entries, arrangement, links), arrangement.microseconds);
  EXPECT_EQ(findAwake({launch(100)}, arrangeStep({launch(100)}, 1, false), links), 0);
}

TEST(ArrangeStepTest, WhatCannotWaitWakesLinks) {
  // The first sum is most of the step's end if it begins with the second.
  llvm::SmallVector<StepEntry> entries = sumFarFromTheNext(1);
  entries[1].microseconds = 30e3;
  Arrangement arrangement = arrangeStep(entries, 3, false, {50e3, 0.018});
  expectRight(entries, arrangement);
  EXPECT_EQ(arrangement.begin[1], 10e3);
}

} // namespace
