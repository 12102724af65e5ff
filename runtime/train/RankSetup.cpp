#include "runtime/train/RankSetup.h"
#include "runtime/base/Sha256.h"

namespace smelt::runtime {

Status checkRanks(const TrainOptions &options, const Manifest &manifest, int size) {
  if (manifest.training.ranks != size)
    return usageError("the bundle ", options.bundle, " was compiled for ", manifest.training.ranks,
                      manifest.training.ranks == 1 ? " rank" : " ranks", "; this job has ", size);
  if (options.fixedOrder && manifest.target != "cpu")
    return usageError("--fixed-order is for CPUs; the bundle is for ", manifest.gpu.architecture);
  return Status::ok();
}

StatusOr<std::optional<Checkpoint>> findCommonResumePoint(const TrainOptions &options,
                                                          Ranks *ranks) {
  if (!ranks)
    return findResumePoint(options);
  std::optional<Checkpoint> checkpoint;
  if (ranks->rank() == 0) {
    SMELT_ASSIGN_OR_RETURN(checkpoint, findResumePoint(options));
    SMELT_RETURN_IF_ERROR(
        ranks->group().set("resume", checkpoint ? checkpoint->path : std::string()));
    return checkpoint;
  }
  SMELT_ASSIGN_OR_RETURN(std::string path, ranks->group().get("resume"));
  if (path.empty())
    return checkpoint;
  SMELT_ASSIGN_OR_RETURN(checkpoint, openCheckpoint(path));
  return checkpoint;
}

Status checkAgreement(const TrainOptions &options, Session &session, const CheckpointInfo &start,
                      const DataSources &data, Ranks &ranks) {
  const Manifest &manifest = session.manifest();
  const std::pair<const char *, std::string> values[] = {
      {"the bundle's hash", session.bundle().manifestSha256},
      {"the spec's hash", sha256Hex(session.bundle().specText)},
      {"the compiler", manifest.compiler},
      {"the seed", std::to_string(start.seed)},
      {"the number of steps", std::to_string(options.steps.value_or(manifest.training.steps))},
      {"the first step", std::to_string(start.step)},
      {"the order of sums", options.fixedOrder ? "fixed" : "that of ranks"},
      {"the number of training tokens", std::to_string(data.train.size())},
      {"the number of validation tokens", std::to_string(data.validation.size())},
      {"the library of products", session.device().libraryOfProducts()},
      {"the runtime", concat("bundle format ", kBundleVersion, ", ", ranks.collective().version())},
  };
  for (const auto &[what, value] : values)
    SMELT_RETURN_IF_ERROR(ranks.group().agree(what, value));
  return Status::ok();
}

} // namespace smelt::runtime
