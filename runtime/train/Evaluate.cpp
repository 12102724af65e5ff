#include "runtime/train/Evaluate.h"

namespace smelt::runtime {

StatusOr<Evaluation> evaluate(Session &session, const Program &program,
                              const ValidationBatches &batches) {
  Evaluation result;
  for (uint64_t index = 0;; ++index) {
    SMELT_ASSIGN_OR_RETURN(std::optional<Batch> batch, batches.load(index, program.tokens));
    if (!batch)
      return result;
    SMELT_RETURN_IF_ERROR(session.runOnBatch(program, *batch));
    SMELT_ASSIGN_OR_RETURN(double lossSum, session.readOutput(program, "loss_sum"));
    result.lossSum += lossSum;
    result.targets += batch->validTargets;
  }
}

} // namespace smelt::runtime
