//===- TrainLoop.cpp - Steps, validation and checkpoints in turn ----------===//
#include "runtime/train/TrainLoop.h"
#include "runtime/train/Evaluate.h"
#include "runtime/train/SaveCheckpoint.h"

namespace smelt::runtime {
namespace {

/// This rank takes every size-th micro-batch of a step.
LoaderOptions shareOf(LoaderOptions options, const Ranks *ranks) {
  options.rank = ranks ? ranks->rank() : 0;
  options.world = ranks ? ranks->size() : 1;
  return options;
}

} // namespace

TrainLoop::TrainLoop(const TrainOptions &options, Session &session, DataSources data, uint64_t seed,
                     std::optional<RunFolder> folder, const CheckpointInfo &start, Ranks *ranks)
    : options_(options), session_(session), ranks_(ranks), training_(session.manifest().training),
      validation_(data.validation, data.options, training_.validation.tokens),
      loader_(makeBatchSource(data.train, shareOf(data.options, ranks)), start.position,
              planBatches(session.manifest(), start.step)),
      folder_(std::move(folder)), steps_(options.steps.value_or(training_.steps)), seed_(seed),
      first_(start.step), earlierMilliseconds_(start.trainMilliseconds),
      scalars_(session.scalarParameters()), scalarPlan_(session.planScalars(scalars_)) {
  if (options.fixedOrder)
    fixedOrder_.emplace(session, ranks);
}

Status TrainLoop::validate(int64_t completed) {
  const Program *program = session_.manifest().findProgram(training_.validation.program);
  if (!program || validatedStep_ == completed)
    return Status::ok();
  SMELT_RETURN_IF_ERROR(catchUp());
  enter("validation");
  SMELT_RETURN_IF_ERROR(session_.applyValidationSettings(completed));
  SMELT_ASSIGN_OR_RETURN(Evaluation result,
                         fixedOrder_ ? evaluate(session_, *program, validation_, 0, 1)
                                     : evaluate(session_, *program, validation_, rank(), size()));
  if (ranks_ && !fixedOrder_) {
    double values[] = {result.lossSum, static_cast<double>(result.targets)};
    SMELT_RETURN_IF_ERROR(ranks_->sum(values));
    result = {values[0], static_cast<int64_t>(values[1])};
  }
  validationLoss_ = result.loss();
  validatedStep_ = completed;
  if (!folder_)
    return Status::ok();
  return folder_->logValidation({completed, result.loss(), earlierMilliseconds_ + stepMilliseconds_,
                                 averageMilliseconds(completed)});
}

Status TrainLoop::saveCheckpoint(int64_t completed) {
  // What a step that ended badly made of the parameters is not saved.
  SMELT_RETURN_IF_ERROR(catchUp());
  if (savedStep_ == completed)
    return Status::ok();
  enter("checkpoint");
  CheckpointInfo info;
  info.step = completed;
  info.seed = seed_;
  info.model = session_.manifest().name;
  info.bundleSha256 = session_.bundle().manifestSha256;
  info.position = loader_.position();
  info.trainMilliseconds = earlierMilliseconds_ + stepMilliseconds_;
  if (fixedOrder_)
    SMELT_RETURN_IF_ERROR(fixedOrder_->writeSums());
  if (folder_)
    SMELT_RETURN_IF_ERROR(folder_->sync());
  savedStep_ = completed;
  return saveTogether(session_, info, folder_ ? folder_->checkpointsPath() : std::string(),
                      checkpointsToKeep(), ranks_);
}

Status TrainLoop::finish(TrainResult &result) {
  SMELT_RETURN_IF_ERROR(writeProfile());
  SMELT_ASSIGN_OR_RETURN(result.finalHash, session_.hashState());
  if (ranks_)
    SMELT_RETURN_IF_ERROR(ranks_->group().agree("the final state", result.finalHash));
  if (!folder_)
    return Status::ok();
  if (result.interrupted) {
    folder_->printLine(concat("interrupted at step ", result.step, " of ", steps_,
                              "; continue with --resume auto"));
    SMELT_RETURN_IF_ERROR(folder_->sync());
  } else {
    result.validationLoss = validationLoss_;
    SMELT_RETURN_IF_ERROR(
        folder_->logFinish({result.step, validationLoss_, earlierMilliseconds_ + stepMilliseconds_,
                            averageMilliseconds(result.step)},
                           result.finalHash));
  }
  return folder_->writeReport();
}

StatusOr<TrainResult> TrainLoop::run() {
  InterruptScope interrupts;
  int64_t checkpointEvery = options_.checkpointEvery.value_or(training_.checkpointEvery);
  int64_t validateEvery = options_.validateEvery.value_or(training_.validation.every);
  TrainResult result;
  int64_t step = first_;
  if (fixedOrder_)
    SMELT_RETURN_IF_ERROR(fixedOrder_->begin(step));
  savedStep_ = first_ > 0 ? first_ : -1;
  while (step < steps_ && !shouldStop()) {
    SMELT_RETURN_IF_ERROR(runStep(step));
    ++step;
    if (!isProfiled(step))
      SMELT_RETURN_IF_ERROR(writeProfile());
    if (isDue(step, validateEvery) || step == steps_)
      SMELT_RETURN_IF_ERROR(validate(step));
    if (isDue(step, checkpointEvery) || step == steps_)
      SMELT_RETURN_IF_ERROR(saveCheckpoint(step));
  }
  result.step = step;
  result.interrupted = step < steps_;
  if (!result.interrupted)
    SMELT_RETURN_IF_ERROR(validate(step));
  SMELT_RETURN_IF_ERROR(saveCheckpoint(step));
  SMELT_RETURN_IF_ERROR(finish(result));
  return result;
}

} // namespace smelt::runtime
