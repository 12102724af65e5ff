//===- TrainStep.cpp - One step: micro-batches, losses, updates -----------===//
#include "runtime/train/Nvtx.h"
#include "runtime/train/TrainLoop.h"

#include <cmath>

namespace smelt::runtime {

Status TrainLoop::startMicroBatch(const Program &program, int64_t step, int64_t micro,
                                  StartedStep &started) {
  Clock::time_point asked = Clock::now();
  SMELT_ASSIGN_OR_RETURN(Batch batch, loader_.next());
  started.record.waitMilliseconds += millisecondsSince(asked);
  SMELT_RETURN_IF_ERROR(session_.applyAutomaticSettings(step, micro));
  SMELT_RETURN_IF_ERROR(session_.writeBatch(program, batch));
  // A device that works beside the host is given the updates before the loss is known.
  bool isLastWhole = session_.device().isAsynchronous();
  SMELT_RETURN_IF_ERROR(runProgram(
      program, step, program.last && !isLastWhole ? Portion::BeforeUpdates : Portion::Whole));
  SMELT_ASSIGN_OR_RETURN(DeviceRead losses, session_.startScalars(started.lossPlan));
  started.losses.push_back(losses);
  started.targets += batch.validTargets;
  return Status::ok();
}

Status TrainLoop::takeLosses(StartedStep &step) {
  for (; step.checked < step.losses.size(); ++step.checked) {
    SMELT_ASSIGN_OR_RETURN(std::vector<double> values,
                           session_.finishScalars(step.lossPlan, step.losses[step.checked]));
    double objective = values[0], lossSum = values[1];
    if (fixedOrder_) {
      SMELT_RETURN_IF_ERROR(
          fixedOrder_->add(std::isfinite(objective) ? lossSum : objective, step.lossSum));
      continue;
    }
    step.lossSum += std::isfinite(objective) ? lossSum : objective; // All ranks will see it.
    if (ranks_)
      continue;
    if (!std::isfinite(objective) || !std::isfinite(lossSum))
      return reportNonFinite(step.record.step, step.checked,
                             std::isfinite(objective) ? lossSum : objective);
  }
  return Status::ok();
}

/// The step's sums over all ranks, and whether any of them was asked to stop.
Status TrainLoop::shareLosses(StartedStep &step) {
  if (!ranks_)
    return Status::ok();
  SMELT_RETURN_IF_ERROR(ranks_->check());
  double values[] = {step.lossSum, static_cast<double>(step.targets),
                     InterruptScope::requested() ? 1.0 : 0.0};
  SMELT_RETURN_IF_ERROR(ranks_->sum(values));
  if (!fixedOrder_) // There every rank has the sum already.
    step.lossSum = values[0];
  step.targets = static_cast<int64_t>(values[1]);
  stop_ = values[2] > 0;
  if (std::isfinite(step.lossSum))
    return Status::ok();
  // All ranks stop here, with the same collectives under way.
  SMELT_RETURN_IF_ERROR(session_.finishCommunication());
  std::string message =
      concat("step ", step.record.step, ": the loss is ", step.lossSum,
             session_.device().isAsynchronous() ? "; stopped, nothing of this step is kept"
                                                : "; stopped before the update");
  if (folder_)
    SMELT_RETURN_IF_ERROR(folder_->logFailure(step.record.step, message));
  return Status(StatusCode::NonFinite, message);
}

Status TrainLoop::reportNonFinite(int64_t step, size_t micro, double loss) {
  // A device that works beside the host has begun the update and the next step by now; neither is
  // kept.
  std::string message =
      concat("step ", step, ", micro-batch ", micro + 1, ": the loss is ", loss,
             session_.device().isAsynchronous() ? "; stopped, nothing of this step is kept"
                                                : "; stopped before the update");
  std::vector<std::string> checkpoints = listCheckpoints(folder_->checkpointsPath());
  message += checkpoints.empty() ? "; there is no checkpoint yet"
                                 : "; the newest checkpoint is " + checkpoints.front();
  SMELT_RETURN_IF_ERROR(folder_->logFailure(step, message));
  return Status(StatusCode::NonFinite, message);
}

StatusOr<TrainLoop::StartedStep> TrainLoop::startStep(int64_t step) {
  NvtxRange range(concat("step ", step + 1));
  StartedStep started;
  started.start = Clock::now();
  const Stage &stage = stageAt(training_, step);
  const Program &program = *session_.manifest().findProgram(stage.program);
  started.record.step = step + 1;
  started.record.tokens = program.tokens * stage.microBatches;
  started.lossPlan =
      session_.planScalars({program.outputs.at("objective"), program.outputs.at("loss_sum")});
  enter("forward");
  SMELT_RETURN_IF_ERROR(session_.applySettings(step));
  // A lane of the host would not wait for a device that works beside it.
  bool hasLane = !session_.device().isAsynchronous() || session_.device().runsCollectives();
  const Program *last = ranks_ && options_.overlap && hasLane && !fixedOrder_
                            ? session_.manifest().findLastOfStep(program, step)
                            : nullptr;
  int64_t own = stage.microBatches / size();
  for (int64_t micro = 0; micro < own; ++micro) {
    bool isLast = micro == own - 1;
    SMELT_RETURN_IF_ERROR(startMicroBatch(last && isLast ? *last : program, step, micro, started));
    if (!session_.device().isAsynchronous())
      SMELT_RETURN_IF_ERROR(takeLosses(started));
    if (fixedOrder_)
      SMELT_RETURN_IF_ERROR(fixedOrder_->add(step, micro));
  }
  if (!session_.device().isAsynchronous())
    SMELT_RETURN_IF_ERROR(shareLosses(started));
  enter("update");
  if (fixedOrder_)
    SMELT_RETURN_IF_ERROR(fixedOrder_->writeSums());
  SMELT_RETURN_IF_ERROR(runUpdates(last, step));
  started.record.settings = session_.settings();
  SMELT_ASSIGN_OR_RETURN(started.scalars, session_.startScalars(scalarPlan_));
  started.record.hostMilliseconds =
      millisecondsSince(started.start) - started.record.waitMilliseconds;
  return started;
}

/// Those that are due after `step`; `last`: the program that has run its other portion, or all.
Status TrainLoop::runUpdates(const Program *last, int64_t step) {
  if (last)
    return session_.device().isAsynchronous() ? Status::ok()
                                              : runProgram(*last, step, Portion::Updates);
  for (const Update &update : training_.updates)
    if (update.period.isDue(step))
      SMELT_RETURN_IF_ERROR(runProgram(*session_.manifest().findProgram(update.program), step));
  return Status::ok();
}

Status TrainLoop::finishStep(StartedStep step) {
  StepRecord &record = step.record;
  SMELT_RETURN_IF_ERROR(takeLosses(step));
  if (session_.device().isAsynchronous()) // The ranks' host threads meet a step behind.
    SMELT_RETURN_IF_ERROR(shareLosses(step));
  SMELT_ASSIGN_OR_RETURN(std::vector<double> values,
                         session_.finishScalars(scalarPlan_, step.scalars));
  for (size_t i = 0; i < scalars_.size(); ++i)
    record.scalars[session_.manifest().buffers[scalars_[i]].name] = values[i];
  record.trainLoss = step.targets ? step.lossSum / static_cast<double>(step.targets) : 0;
  // A step that was started while the one before ran begins when that one ends.
  record.stepMilliseconds = millisecondsSince(std::max(step.start, lastFinish_));
  lastFinish_ = Clock::now();
  stepMilliseconds_ += record.stepMilliseconds;
  record.trainMilliseconds = earlierMilliseconds_ + stepMilliseconds_;
  record.averageMilliseconds = averageMilliseconds(record.step);
  return folder_ ? folder_->logStep(record) : Status::ok();
}

Status TrainLoop::catchUp() {
  if (!started_)
    return Status::ok();
  StartedStep step = *std::move(started_);
  started_.reset();
  return finishStep(std::move(step));
}

Status TrainLoop::runStep(int64_t step) {
  SMELT_ASSIGN_OR_RETURN(StartedStep started, startStep(step));
  SMELT_RETURN_IF_ERROR(catchUp());
  started_ = std::move(started);
  return session_.device().isAsynchronous() ? Status::ok() : catchUp();
}

} // namespace smelt::runtime
