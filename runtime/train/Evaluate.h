//===- Evaluate.h - The loss on held-out data -------------------*- C++ -*-===//
#pragma once

#include "runtime/data/ValidationBatches.h"
#include "runtime/train/Session.h"

namespace smelt::runtime {

struct Evaluation {
  double lossSum = 0; ///< Over the valid targets, in nats.
  int64_t targets = 0;
  double loss() const { return lossSum / static_cast<double>(targets); }
};

/// Runs `program` over this rank's share of the batches, those whose number is `rank` modulo `size`;
/// ranks' sums add up. The settings are those that were applied last.
StatusOr<Evaluation> evaluate(Session &session, const Program &program,
                              const ValidationBatches &batches, int rank = 0, int size = 1);

} // namespace smelt::runtime
