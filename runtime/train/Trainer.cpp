#include "runtime/train/Trainer.h"
#include "runtime/base/Interrupt.h"
#include "runtime/base/Log.h"
#include "runtime/train/Evaluate.h"
#include "runtime/train/FixedOrder.h"
#include "runtime/train/InitialParameters.h"
#include "runtime/train/Nvtx.h"
#include "runtime/train/Profile.h"
#include "runtime/train/RankSetup.h"
#include "runtime/train/RunSetup.h"
#include "runtime/train/SaveCheckpoint.h"

#include <chrono>
#include <cmath>

namespace smelt::runtime {

namespace {
using Clock = std::chrono::steady_clock;

/// This rank takes every size-th micro-batch of a step.
LoaderOptions shareOf(LoaderOptions options, const Ranks *ranks) {
  options.rank = ranks ? ranks->rank() : 0;
  options.world = ranks ? ranks->size() : 1;
  return options;
}

double millisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

class Trainer {
public:
  Trainer(const TrainOptions &options, Session &session, DataSources data, uint64_t seed,
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

  StatusOr<TrainResult> run();

private:
  /// A step that was started: everything it does is in the device's queue, and its numbers will
  /// come.
  struct StartedStep {
    StepRecord record; ///< What is known at once.
    Clock::time_point start;
    int64_t targets = 0;
    double lossSum = 0;
    ScalarPlan lossPlan;            ///< Objective and loss of a micro-batch.
    std::vector<DeviceRead> losses; ///< One per micro-batch.
    size_t checked = 0;             ///< How many of them have been taken.
    DeviceRead scalars;
  };

  StatusOr<StartedStep> startStep(int64_t step);
  Status startMicroBatch(const Program &program, int64_t step, int64_t micro, StartedStep &started);
  Status runProgram(const Program &program, int64_t step, Portion portion = Portion::Whole);
  Status runUpdates(const Program *last, int64_t step);
  bool isProfiled(int64_t step) const;
  Status writeProfile();
  Status takeLosses(StartedStep &step);
  Status shareLosses(StartedStep &step);
  /// Waits for the step and logs it.
  Status finishStep(StartedStep step);
  /// Waits for everything that was started.
  Status catchUp();
  Status runStep(int64_t step);
  Status reportNonFinite(int64_t step, size_t micro, double loss);
  Status validate(int64_t completed);
  Status saveCheckpoint(int64_t completed);
  Status finish(TrainResult &result);
  double averageMilliseconds(int64_t completed) const {
    return completed > first_ ? stepMilliseconds_ / static_cast<double>(completed - first_) : 0;
  }
  int checkpointsToKeep() const {
    constexpr int otherwise = 3;
    auto spec = static_cast<int>(training_.checkpointKeep);
    return options_.keepCheckpoints.value_or(spec ? spec : otherwise);
  }
  static bool isDue(int64_t completed, int64_t every) {
    return every > 0 && completed % every == 0;
  }

  int rank() const { return ranks_ ? ranks_->rank() : 0; }
  int size() const { return ranks_ ? ranks_->size() : 1; }
  /// Tells the other ranks what this one does.
  void enter(const char *phase) const {
    if (ranks_)
      ranks_->group().enter(phase);
  }
  bool shouldStop() const { return ranks_ ? stop_ : InterruptScope::requested() != 0; }

  const TrainOptions &options_;
  Session &session_;
  Ranks *ranks_;
  const Training &training_;
  ValidationBatches validation_;
  PrefetchingLoader loader_;
  std::optional<FixedOrder> fixedOrder_;
  std::optional<RunFolder> folder_; ///< Rank 0's.
  int64_t steps_;
  uint64_t seed_;
  int64_t first_;              ///< Steps that a checkpoint brought.
  double earlierMilliseconds_; ///< Training time before this process.
  double stepMilliseconds_ = 0;
  bool stop_ = false;             ///< Some rank was asked to stop.
  std::vector<uint32_t> scalars_; ///< The learned scalars.
  ScalarPlan scalarPlan_;
  /// A device that works beside the host is always one step ahead of the log.
  std::optional<StartedStep> started_;
  Clock::time_point lastFinish_ = Clock::now();
  std::vector<ProgramTiming> profile_;
  Clock::time_point profileStart_;
  int64_t savedStep_ = -1, validatedStep_ = -1;
  std::optional<double> validationLoss_;
};

Status Trainer::startMicroBatch(const Program &program, int64_t step, int64_t micro,
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

/// Two steps after the first two, so that updates of every second step are among them.
bool Trainer::isProfiled(int64_t step) const {
  constexpr int64_t kBefore = 2, kSteps = 2;
  int64_t first = std::max(std::min(first_ + kBefore, steps_ - kSteps), first_);
  return !options_.profile.empty() && step >= first && step < first + kSteps;
}

Status Trainer::runProgram(const Program &program, int64_t step, Portion portion) {
  if (!isProfiled(step))
    return session_.run(program, portion);
  SMELT_RETURN_IF_ERROR(session_.device().synchronize());
  if (profile_.empty())
    profileStart_ = Clock::now();
  double start = millisecondsSince(profileStart_);
  SMELT_ASSIGN_OR_RETURN(ProgramTiming timing, timeProgram(session_, program, portion));
  timing.start = start;
  profile_.push_back(std::move(timing));
  return Status::ok();
}

Status Trainer::writeProfile() {
  if (profile_.empty())
    return Status::ok();
  if (!folder_) { // Rank 0's shows what its lane did; the others have taken part.
    profile_.clear();
    return Status::ok();
  }
  std::string device = session_.device().description();
  SMELT_RETURN_IF_ERROR(writeFileAtomically(options_.profile, writeChromeTrace(profile_, device)));
  constexpr size_t kRows = 30;
  folder_->printLine(writeProfileTable(profile_, ratesOf(device), kRows) +
                     writeExposureTable(profile_) + "trace: " + options_.profile);
  profile_.clear();
  return Status::ok();
}

Status Trainer::takeLosses(StartedStep &step) {
  for (; step.checked < step.losses.size(); ++step.checked) {
    SMELT_ASSIGN_OR_RETURN(std::vector<double> values,
                           session_.finishScalars(step.lossPlan, step.losses[step.checked]));
    double objective = values[0], lossSum = values[1];
    if (fixedOrder_) {
      SMELT_RETURN_IF_ERROR(fixedOrder_->add(std::isfinite(objective) ? lossSum : objective, step.lossSum));
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
Status Trainer::shareLosses(StartedStep &step) {
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

Status Trainer::reportNonFinite(int64_t step, size_t micro, double loss) {
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

StatusOr<Trainer::StartedStep> Trainer::startStep(int64_t step) {
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
Status Trainer::runUpdates(const Program *last, int64_t step) {
  if (last)
    return session_.device().isAsynchronous() ? Status::ok()
                                              : runProgram(*last, step, Portion::Updates);
  for (const Update &update : training_.updates)
    if (update.period.isDue(step))
      SMELT_RETURN_IF_ERROR(runProgram(*session_.manifest().findProgram(update.program), step));
  return Status::ok();
}

Status Trainer::finishStep(StartedStep step) {
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

Status Trainer::catchUp() {
  if (!started_)
    return Status::ok();
  StartedStep step = *std::move(started_);
  started_.reset();
  return finishStep(std::move(step));
}

Status Trainer::runStep(int64_t step) {
  SMELT_ASSIGN_OR_RETURN(StartedStep started, startStep(step));
  SMELT_RETURN_IF_ERROR(catchUp());
  started_ = std::move(started);
  return session_.device().isAsynchronous() ? Status::ok() : catchUp();
}

Status Trainer::validate(int64_t completed) {
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

Status Trainer::saveCheckpoint(int64_t completed) {
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

Status Trainer::finish(TrainResult &result) {
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

StatusOr<TrainResult> Trainer::run() {
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

} // namespace

StatusOr<TrainResult> train(const TrainOptions &options, Ranks *ranks) {
  bool isFirst = !ranks || ranks->rank() == 0;
  if (ranks)
    ranks->group().enter("start-up");
  DeviceChoice device = options.device;
  if (options.fixedOrder && device.threads == 0)
    device.threads = 1; // A kernel's sums depend on its threads.
  SMELT_ASSIGN_OR_RETURN(auto session, Session::open(options.bundle, device, ranks));
  const Manifest &manifest = session->manifest();
  if (manifest.training.stages.empty())
    return usageError("the bundle ", options.bundle, " has no training stages");
  if (options.steps && *options.steps < 1)
    return usageError("the number of steps must be positive");
  SMELT_RETURN_IF_ERROR(checkRanks(options, manifest, ranks ? ranks->size() : 1));
  session->setFixedOrder(options.fixedOrder);
  SMELT_ASSIGN_OR_RETURN(std::optional<Checkpoint> checkpoint,
                         findCommonResumePoint(options, ranks));
  CheckpointInfo start;
  start.seed = options.seed.value_or(manifest.training.seed);
  if (checkpoint) {
    start = checkpoint->info;
    if (isFirst)
      logNote(concat("resuming from ", checkpoint->path, " at step ", start.step));
    if (isFirst && start.bundleSha256 != session->bundle().manifestSha256)
      logWarning("the checkpoint was written by another bundle; the run continues with this one");
    if (options.seed && *options.seed != start.seed)
      return usageError("the run was started with seed ", start.seed, "; --seed cannot change it");
  } else if (isFirst && options.resume == "auto") {
    logNote(concat("no checkpoint in ", options.runFolder, " yet; starting at step 0"));
  }
  SMELT_RETURN_IF_ERROR(session->initialise(start.seed));
  if (checkpoint)
    SMELT_RETURN_IF_ERROR(session->restore(*checkpoint));
  else if (!options.initialParameters.empty())
    SMELT_RETURN_IF_ERROR(
        loadParameters(*session, options.initialParameters, options.initialLayout));
  SMELT_RETURN_IF_ERROR(session->shareParameters());
  SMELT_ASSIGN_OR_RETURN(DataSources data, openDataSources(manifest.data, options.data,
                                                           options.validationData, start.seed));
  if (ranks)
    SMELT_RETURN_IF_ERROR(checkAgreement(options, *session, start, data, *ranks));
  uint64_t seed = start.seed;
  if (!isFirst)
    return Trainer(options, *session, std::move(data), seed, std::nullopt, start, ranks).run();
  SMELT_ASSIGN_OR_RETURN(RunDescription run,
                         describeRun(options, *session, data, start.seed, start.step));
  SMELT_ASSIGN_OR_RETURN(RunFolder folder,
                         RunFolder::open(options.runFolder, run, options.console));
  folder.printLine(concat(run.model, ": ", run.parameters, " parameters, ", run.steps, " steps on ",
                          run.device));
  folder.printLine(concat("data: ", run.trainTokens, " training tokens of ", run.trainData, ", ",
                          run.validationTokens, " validation tokens of ", run.validationData));
  Trainer trainer(options, *session, std::move(data), seed, std::move(folder), start, ranks);
  return trainer.run();
}

} // namespace smelt::runtime
