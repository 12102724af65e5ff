//===- TrainLoop.h - Steps, validation and checkpoints in turn --*- C++ -*-===//
#pragma once

#include "runtime/base/Interrupt.h"
#include "runtime/data/ValidationBatches.h"
#include "runtime/data/PrefetchingLoader.h"
#include "runtime/train/FixedOrder.h"
#include "runtime/train/Profile.h"
#include "runtime/train/RunSetup.h"
#include "runtime/train/Trainer.h"

#include <chrono>

namespace smelt::runtime {

/// One rank's training, from where a checkpoint or the initial parameters left the session.
class TrainLoop {
public:
  TrainLoop(const TrainOptions &options, Session &session, DataSources data, uint64_t seed,
            std::optional<RunFolder> folder, const CheckpointInfo &start, Ranks *ranks);

  StatusOr<TrainResult> run();

private:
  using Clock = std::chrono::steady_clock;

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

  static double millisecondsSince(Clock::time_point start) {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
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

} // namespace smelt::runtime
