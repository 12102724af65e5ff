#include "runtime/train/Evaluate.h"

namespace smelt::runtime {

StatusOr<Evaluation> evaluate(Session &session, const Program &program,
                              const ValidationBatches &batches) {
  Evaluation result;
  double sum = 0;
  for (uint64_t first = 0;; first += static_cast<uint64_t>(program.tokens)) {
    std::optional<Batch> batch = batches.load(first, program.tokens);
    if (!batch)
      break;
    SMELT_RETURN_IF_ERROR(session.runOnBatch(program, *batch));
    SMELT_ASSIGN_OR_RETURN(double lossSum, session.readOutput(program, "loss_sum"));
    sum += lossSum;
    result.targets += batch->validTargets;
  }
  result.loss = sum / static_cast<double>(result.targets);
  return result;
}

} // namespace smelt::runtime
