//===- LaunchOrderTest.cpp - Random programs: dependences hold, memory does not grow ===//
#include "compiler/Transforms/Memory/LaunchOrder.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Sequence.h"
#include <gtest/gtest.h>
#include <random>

using namespace smelt;

namespace {

llvm::SmallVector<unsigned> programOrder(const LaunchGraph &graph) {
  return llvm::to_vector(llvm::seq<unsigned>(graph.launches.size()));
}

/// Every launch makes one buffer from up to three that earlier ones made.
LaunchGraph makeRandomGraph(unsigned seed, unsigned launches) {
  std::mt19937 random(seed);
  LaunchGraph graph;
  for (unsigned i = 0; i < launches; ++i) {
    LaunchGraph::Launch launch;
    for (unsigned operand = 0; i > 0 && operand < random() % 4; ++operand)
      if (unsigned from = random() % i; !llvm::is_contained(launch.after, from)) {
        launch.after.push_back(from);
        launch.buffers.push_back(from);
      }
    launch.buffers.push_back(i);
    graph.launches.push_back(launch);
    graph.bytes.push_back(64 * (1 + random() % 100));
  }
  return graph;
}

/// Every launch once, after what it waits for.
bool isLegal(const LaunchGraph &graph, llvm::ArrayRef<unsigned> order) {
  llvm::SmallVector<bool> done(graph.launches.size(), false);
  for (unsigned launch : order) {
    if (launch >= done.size() || done[launch])
      return false;
    for (unsigned earlier : graph.launches[launch].after)
      if (!done[earlier])
        return false;
    done[launch] = true;
  }
  return order.size() == done.size();
}

TEST(LaunchOrderTest, DependencesHold) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    LaunchGraph graph = makeRandomGraph(seed, 1 + seed);
    EXPECT_TRUE(isLegal(graph, orderGreedily(graph))) << "seed " << seed;
    EXPECT_TRUE(isLegal(graph, orderGreedilyFromEnd(graph))) << "seed " << seed;
    EXPECT_TRUE(isLegal(graph, orderLaunches(graph))) << "seed " << seed;
  }
}

TEST(LaunchOrderTest, NeverNeedsMoreAndOftenNeedsLess) {
  unsigned better = 0;
  for (unsigned seed = 0; seed < 200; ++seed) {
    LaunchGraph graph = makeRandomGraph(seed, 40);
    int64_t before = getPlannedBytes(graph, programOrder(graph));
    int64_t after = getPlannedBytes(graph, orderLaunches(graph));
    EXPECT_LE(after, before) << "seed " << seed;
    better += after < before;
  }
  EXPECT_GT(better, 150u);
}

TEST(LaunchOrderTest, SameInputSameOrder) {
  for (unsigned seed = 0; seed < 20; ++seed)
    EXPECT_EQ(orderLaunches(makeRandomGraph(seed, 60)), orderLaunches(makeRandomGraph(seed, 60)));
}

TEST(LaunchOrderTest, ReadersComeRightAfterMakers) {
  // Four buffers are made, then each is read; one after the other needs one of them at a time.
  LaunchGraph graph;
  for (unsigned i = 0; i < 4; ++i) {
    graph.launches.push_back({{}, {i}});
    graph.bytes.push_back(1024);
  }
  for (unsigned i = 0; i < 4; ++i)
    graph.launches.push_back({{i}, {i}});
  llvm::SmallVector<unsigned> order = orderLaunches(graph);
  EXPECT_EQ(order, (llvm::SmallVector<unsigned>{0, 4, 1, 5, 2, 6, 3, 7}));
  EXPECT_EQ(getPlannedBytes(graph, order), 1024);
  EXPECT_EQ(getPlannedBytes(graph, programOrder(graph)), 4 * 1024);
}

TEST(LaunchOrderTest, ProgramOrderStaysWhereNothingIsGained) {
  // Independent launches with buffers of their own: every order needs the same.
  LaunchGraph graph;
  for (unsigned i = 0; i < 5; ++i) {
    graph.launches.push_back({{}, {i}});
    graph.bytes.push_back(64 * (5 - i));
  }
  EXPECT_EQ(orderLaunches(graph), programOrder(graph));
}

TEST(LaunchOrderTest, OfEqualPlansWhatIsAwaitedComesSooner) {
  // One large buffer decides; the last launch of what follows may run before the others.
  LaunchGraph graph;
  graph.bytes = {4096, 64, 64};
  graph.launches = {{{}, {0}}, {{0}, {0, 1}}, {{0}, {2}}, {{2}, {2}}, {{1}, {1}}};
  EXPECT_EQ(orderLaunches(graph), programOrder(graph));
  graph.launches[4].awaited = true;
  llvm::SmallVector<unsigned> order = orderLaunches(graph);
  EXPECT_EQ(order, (llvm::SmallVector<unsigned>{0, 1, 4, 2, 3}));
  EXPECT_EQ(getPlannedBytes(graph, order), getPlannedBytes(graph, programOrder(graph)));
}

TEST(LaunchOrderTest, TheSmallestPlanIsTaken) {
  unsigned programWins = 0, startWins = 0, endWins = 0;
  for (unsigned seed = 0; seed < 200; ++seed) {
    LaunchGraph graph = makeRandomGraph(seed, 12);
    int64_t program = getPlannedBytes(graph, programOrder(graph));
    int64_t start = getPlannedBytes(graph, orderGreedily(graph));
    int64_t end = getPlannedBytes(graph, orderGreedilyFromEnd(graph));
    EXPECT_EQ(getPlannedBytes(graph, orderLaunches(graph)), std::min({program, start, end}));
    programWins += program < std::min(start, end);
    startWins += start < std::min(program, end);
    endWins += end < std::min(program, start);
  }
  // Each is wanted for something.
  EXPECT_GT(programWins, 0u);
  EXPECT_GT(startWins, 0u);
  EXPECT_GT(endWins, 0u);
}

TEST(LaunchOrderTest, EmptyProgram) {
  LaunchGraph graph;
  EXPECT_TRUE(orderLaunches(graph).empty());
  EXPECT_EQ(getPlannedBytes(graph, {}), 0);
}

} // namespace
