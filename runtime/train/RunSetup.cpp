#include "runtime/train/RunSetup.h"
#include "runtime/base/Log.h"

#include <filesystem>

namespace smelt::runtime {

const Stage &stageAt(const Training &training, int64_t step) {
  for (const Stage &stage : training.stages)
    if (step <= stage.last)
      return stage;
  return training.stages.back();
}

BatchPlan planBatches(const Manifest &manifest, int64_t firstStep) {
  return [&manifest, firstStep](uint64_t batch) {
    int64_t step = firstStep;
    for (const Stage &stage : manifest.training.stages) {
      auto micro = static_cast<uint64_t>(stage.microBatches / manifest.training.ranks);
      auto steps = static_cast<uint64_t>(std::max<int64_t>(stage.last + 1 - step, 0));
      bool isLast = &stage == &manifest.training.stages.back();
      if (isLast || batch / micro < steps)
        return manifest.findProgram(stage.program)->tokens;
      batch -= steps * micro;
      step += static_cast<int64_t>(steps);
    }
    return int64_t(0); // There is a last stage.
  };
}

StatusOr<std::optional<Checkpoint>> findResumePoint(const TrainOptions &options) {
  std::string root = options.runFolder + "/checkpoints";
  if (options.resume.empty()) {
    if (listCheckpoints(root).empty())
      return std::optional<Checkpoint>();
    if (!options.overwrite)
      return usageError("the run folder ", options.runFolder,
                        " has a run already; continue it with --resume auto, replace it with "
                        "--overwrite, or name another with --run-dir");
    SMELT_RETURN_IF_ERROR(removeDirectory(root));
    return std::optional<Checkpoint>();
  }
  if (options.resume == "auto") {
    std::vector<std::string> skipped;
    auto newest = openNewestCheckpoint(root, skipped);
    for (const std::string &message : skipped)
      logWarning("skipping a damaged checkpoint: " + message);
    return newest;
  }
  SMELT_ASSIGN_OR_RETURN(Checkpoint checkpoint, openCheckpoint(options.resume));
  return std::optional<Checkpoint>(std::move(checkpoint));
}

StatusOr<RunDescription> describeRun(const TrainOptions &options, Session &session,
                                     const DataSources &data, uint64_t seed, int64_t firstStep) {
  RunDescription run;
  const Manifest &manifest = session.manifest();
  std::error_code error;
  run.model = manifest.name;
  run.compiler = manifest.compiler;
  run.bundlePath = std::filesystem::absolute(options.bundle, error).lexically_normal().string();
  run.bundleSha256 = session.bundle().manifestSha256;
  run.specText = session.bundle().specText;
  run.seed = seed;
  run.steps = options.steps.value_or(manifest.training.steps);
  run.device = session.device().description();
  run.parameters = session.countParameters();
  run.trainData = data.trainPaths;
  run.validationData = data.validationPaths;
  run.isHeldOut = data.isHeldOut;
  run.trainTokens = data.train.size();
  run.validationTokens = data.validation.size();
  run.firstStep = firstStep;
  std::vector<std::string> paths = data.train.paths();
  if (data.validation.paths() != paths) // They are the same when the end is held out.
    paths.insert(paths.end(), data.validation.paths().begin(), data.validation.paths().end());
  SMELT_ASSIGN_OR_RETURN(run.dataFiles, describeFiles(paths));
  return run;
}
} // namespace smelt::runtime
