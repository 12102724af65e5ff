#include "runtime/train/Trainer.h"
#include "runtime/base/Log.h"
#include "runtime/train/InitialParameters.h"
#include "runtime/train/RankSetup.h"
#include "runtime/train/TrainLoop.h"

namespace smelt::runtime {

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
    return TrainLoop(options, *session, std::move(data), seed, std::nullopt, start, ranks).run();
  SMELT_ASSIGN_OR_RETURN(RunDescription run,
                         describeRun(options, *session, data, start.seed, start.step));
  SMELT_ASSIGN_OR_RETURN(RunFolder folder,
                         RunFolder::open(options.runFolder, run, options.console));
  folder.printLine(concat(run.model, ": ", run.parameters, " parameters, ", run.steps, " steps on ",
                          run.device));
  folder.printLine(concat("data: ", run.trainTokens, " training tokens of ", run.trainData, ", ",
                          run.validationTokens, " validation tokens of ", run.validationData));
  TrainLoop loop(options, *session, std::move(data), seed, std::move(folder), start, ranks);
  return loop.run();
}

} // namespace smelt::runtime
