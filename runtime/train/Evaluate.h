//===- Evaluate.h - The loss on held-out data -------------------*- C++ -*-===//
#pragma once

#include "runtime/train/Session.h"

namespace smelt::runtime {

struct Evaluation {
  double loss = 0; ///< Mean over the valid targets, in nats.
  int64_t targets = 0;
};

/// Runs `program` over the batches. The settings are those that were applied last.
StatusOr<Evaluation> evaluate(Session &session, const Program &program,
                              const ValidationBatches &batches);

} // namespace smelt::runtime
