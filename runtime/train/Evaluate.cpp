#include "runtime/train/Evaluate.h"

namespace smelt::runtime {

StatusOr<Evaluation> evaluate(Session &session, const Program &program,
                              const ValidationBatches &batches, int rank, int size) {
  Evaluation result;
  ScalarPlan plan = session.planScalars({program.outputs.at("loss_sum")});
  std::optional<DeviceRead> before; // While one batch runs the next is read and sent.
  auto takeLoss = [&]() -> Status {
    if (!before)
      return Status::ok();
    SMELT_ASSIGN_OR_RETURN(std::vector<double> loss, session.finishScalars(plan, *before));
    before.reset();
    result.lossSum += loss[0];
    return Status::ok();
  };
  for (auto index = static_cast<uint64_t>(rank);; index += static_cast<uint64_t>(size)) {
    SMELT_ASSIGN_OR_RETURN(std::optional<Batch> batch, batches.load(index, program.tokens));
    if (!batch)
      break;
    SMELT_RETURN_IF_ERROR(session.runOnBatch(program, *batch));
    SMELT_ASSIGN_OR_RETURN(DeviceRead read, session.startScalars(plan));
    SMELT_RETURN_IF_ERROR(takeLoss());
    before = read;
    result.targets += batch->validTargets;
  }
  SMELT_RETURN_IF_ERROR(takeLoss());
  return result;
}

} // namespace smelt::runtime
