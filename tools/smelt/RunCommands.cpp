//===- RunCommands.cpp - The commands that need no compiler ---------------===//
#include "tools/smelt/RunCommands.h"

#include <cstdio>

namespace smelt::cli {

static int notYet(const char *command) {
  std::fprintf(stderr, "smelt %s: not part of this build\n", command);
  return 1;
}

int trainModel(const TrainOptions &) { return notYet("train"); }
int evaluateModel(const EvalOptions &) { return notYet("eval"); }
int sampleModel(const SampleOptions &) { return notYet("sample"); }
int packData(const DataOptions &) { return notYet("data pack"); }
int showData(const DataOptions &) { return notYet("data show"); }

} // namespace smelt::cli
