//===- RankStepOptions.h - What rank_step is told ---------------*- C++ -*-===//
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace smelt::runtime::bench {

/// rank_step.cpp says what they are.
struct RankStepOptions {
  std::string bundle, trace, json;
  std::vector<int64_t> at;
  int64_t micro = 1;
  int steps = 4, rounds = 12, meet = 100;
  double warmUp = 2, seconds = 16;
  bool sameDocuments = false;
};

/// Ends the program where they are wrong.
RankStepOptions parseRankStep(int argc, char **argv);

} // namespace smelt::runtime::bench
