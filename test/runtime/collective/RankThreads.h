//===- RankThreads.h - Ranks as threads of one test -------------*- C++ -*-===//
#pragma once

#include "runtime/collective/Collective.h"
#include "runtime/collective/RankGroup.h"
#include "runtime/collective/Wire.h"

#include <gtest/gtest.h>
#include <thread>
#include <vector>

namespace smelt::runtime {

/// Runs `body` on `size` ranks at once, each with a group of its own connection.
inline void runOwningRanks(int size, const std::function<void(std::unique_ptr<RankGroup>)> &body,
                           RankGroupOptions options = {}) {
  auto listener = listenAt(0);
  ASSERT_TRUE(listener.isOk()) << listener.status().message();
  int port = portOf(listener->get());
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank)
    threads.emplace_back([&, rank] {
      RankEnvironment environment;
      environment.rank = environment.localRank = rank;
      environment.size = environment.localSize = size;
      environment.port = port;
      environment.listener = rank ? -1 : listener->release();
      auto group = RankGroup::join(environment, options);
      ASSERT_TRUE(group.isOk()) << group.status().message();
      body(*std::move(group));
    });
  for (std::thread &thread : threads)
    thread.join();
}

inline void runRanks(int size, const std::function<void(RankGroup &)> &body,
                     RankGroupOptions options = {}) {
  runOwningRanks(size, [&](std::unique_ptr<RankGroup> group) { body(*group); }, options);
}

} // namespace smelt::runtime
