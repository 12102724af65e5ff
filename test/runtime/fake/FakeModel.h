// The bundle around FakeKernels.c.
#pragma once

#include "runtime/bundle/Bundle.h"

namespace smelt::runtime::test {

struct FakeModelOptions {
  int64_t steps = 12;
  int64_t poisonStep = -1; ///< The loss is NaN from this step on (0-based).
  int64_t optimizerEvery = 1;
  int64_t optimizerOffset = -1; ///< −1: the last step of each period.
  int64_t outerEvery = 0;       ///< Period of an outer optimiser; 0: there is none.
  double finalWindow = 0;       ///< Not 0: the window at the last validation.
  int64_t checkpointEvery = 4;
  int64_t validateEvery = 5;
  uint64_t seed = 3;
  std::vector<std::string> features = {"sse2"};
};

/// Two stages (one micro-batch, then two), a window that changes halfway, a falling learning rate.
Manifest makeFakeManifest(const FakeModelOptions &options);

/// Writes the bundle with the compiled kernels.
Status writeFakeBundle(const std::string &directory, const FakeModelOptions &options = {});

/// English-like text of `words` words that a bigram model can learn.
std::string makeText(int words);

} // namespace smelt::runtime::test
