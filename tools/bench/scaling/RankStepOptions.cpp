//===- RankStepOptions.cpp - rank_step's command line ---------------------===//
#include "tools/bench/scaling/RankStepOptions.h"
#include "tools/bench/gpu_step/Inputs.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

namespace smelt::runtime::bench {

RankStepOptions parseRankStep(int argc, char **argv) {
  RankStepOptions options;
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    bool hasValue = i + 1 < argc;
    if (word == "--at" && hasValue) {
      std::stringstream list(argv[++i]);
      for (std::string step; std::getline(list, step, ',');)
        options.at.push_back(std::max(std::atoll(step.c_str()), 0LL));
    } else if (word == "--micro" && hasValue)
      options.micro = std::max(std::atoi(argv[++i]), 1);
    else if (word == "--steps" && hasValue)
      options.steps = std::max(std::atoi(argv[++i]) / 2 * 2, 2);
    else if (word == "--rounds" && hasValue)
      options.rounds = std::max(std::atoi(argv[++i]) / 2 * 2, 2);
    else if (word == "--warm-up" && hasValue)
      options.warmUp = std::atof(argv[++i]);
    else if (word == "--seconds" && hasValue)
      options.seconds = std::atof(argv[++i]);
    else if (word == "--meet" && hasValue)
      options.meet = std::clamp(std::atoi(argv[++i]), 0, 100);
    else if (word == "--same-documents")
      options.sameDocuments = true;
    else if (word == "--trace" && hasValue)
      options.trace = argv[++i];
    else if (word == "--json" && hasValue)
      options.json = argv[++i];
    else if (options.bundle.empty() && !word.starts_with("-"))
      options.bundle = word;
    else
      fail("rank_step", "usage: rank_step BUNDLE [--at 10,700] [--micro M] [--steps N] "
                        "[--rounds N] [--warm-up SECONDS] [--seconds N] [--meet PERCENT] "
                        "[--same-documents] [--trace FILE] [--json FILE]");
  }
  if (options.bundle.empty())
    fail("rank_step", "no bundle");
  return options;
}

} // namespace smelt::runtime::bench
