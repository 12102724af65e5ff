#include "runtime/base/Log.h"
#include "runtime/collective/Launcher.h"
#include "tools/smelt-run/Commands.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <thread>

namespace smelt::runtime {

void addTrainOptions(CLI::App &command, TrainOptions &options) {
  command.add_option("--run-dir", options.runFolder,
                     "Folder for logs, checkpoints and the report [runs/run]");
  command.add_option("--data", options.data,
                     "Training data instead of the spec's: .bin shards or text; a path, a quoted "
                     "pattern, or several with commas");
  command.add_option("--validation-data", options.validationData,
                     "Validation data instead of the spec's; without any, the last 5 % of the "
                     "training data are held out");
  command.add_option("--steps", options.steps, "Stop after this many steps instead of the spec's");
  command.add_option("--seed", options.seed, "Seed of the initial values and of the data's order");
  command.add_option("--resume", options.resume,
                     "Continue: \"auto\" takes the newest whole checkpoint of the run folder (or "
                     "starts, if there is none), else a checkpoint's path");
  command.add_option("--init", options.initialParameters,
                     "A safetensors file with the parameters to begin with; resuming ignores it");
  command.add_option("--layout", options.initialLayout,
                     "Whose names that file has: modded-nanogpt, or a layout's .json file; without "
                     "it Smelt's own");
  command.add_option("--profile", options.profile,
                     "Time the launches of the third and fourth step one by one; write a Chrome "
                     "trace here and print a table");
  command
      .add_option(
          "--ranks", options.ranks,
          "Processes on this machine that share each step; they deal out its micro-batches. "
          "Without it, and under torchrun, srun or mpirun, the environment says")
      ->check(CLI::Range(1, 1024));
  command.add_flag_callback(
      "--no-overlap", [&options] { options.overlap = false; },
      "Ranks communicate between programs, not beside launches; for comparisons: the result is the "
      "same");
  command.add_flag("--fixed-order", options.fixedOrder,
                   "Add gradients in the order of micro-batches, whoever computes them: the same "
                   "bits for any number of ranks (CPU, one thread each unless --threads says more; slow)");
  command
      .add_option("--rank-timeout", options.rankTimeout,
                  "Seconds without a sign of life after which a rank is lost [30]")
      ->check(CLI::Range(1.0, 86400.0));
  command
      .add_option("--stall-timeout", options.stallTimeout,
                  "Seconds without progress after which a rank that lives is lost; 0: never [20 "
                  "times --rank-timeout]")
      ->check(CLI::Range(0.0, 86400.0));
  command
      .add_option("--collectives", options.device.collectives,
                  "Who adds up what ranks have: nccl between GPUs, gloo through host memory (ranks "
                  "may share a GPU), or auto [auto]")
      ->check(CLI::IsMember({"auto", "nccl", "gloo"}));
  command.add_flag("--overwrite", options.overwrite, "Start anew in a folder that has a run");
  addDeviceChoice(command, options.device);
  command.add_option("--checkpoint-every", options.checkpointEvery,
                     "Steps between checkpoints; 0 = only at the end");
  command.add_option("--validate-every", options.validateEvery,
                     "Steps between validations; 0 = only at the end");
  command
      .add_option(
          "--keep", options.keepCheckpoints,
          "How many checkpoints to keep instead of what the spec says (3 if it says nothing)")
      ->check(CLI::Range(1, 1000000));
  command.add_flag_callback(
      "--quiet", [&options] { options.console = Console::Mode::Quiet; },
      "No progress on standard output");
  command.add_flag_callback(
      "--plain", [&options] { options.console = Console::Mode::Lines; },
      "Plain lines even on a terminal");
}

namespace {

Status trainAlone(const TrainOptions &options, Ranks *ranks) {
  SMELT_ASSIGN_OR_RETURN(TrainResult result, train(options, ranks));
  if (options.console != Console::Mode::Quiet)
    std::printf("run folder: %s\n", options.runFolder.c_str());
  return Status::ok();
}

/// This process as one rank of several; rank 0 makes the bundle.
Status trainAsRank(TrainOptions options, const RankEnvironment &environment,
                   const MakeBundle &makeBundle) {
  RankGroupOptions groupOptions;
  groupOptions.timeout = std::chrono::milliseconds(static_cast<int64_t>(options.rankTimeout * 1000));
  groupOptions.stallTimeout = std::chrono::milliseconds(
      static_cast<int64_t>(options.stallTimeout.value_or(20 * options.rankTimeout) * 1000));
  SMELT_ASSIGN_OR_RETURN(auto group, RankGroup::join(environment, groupOptions));
  if (makeBundle && environment.rank == 0)
    SMELT_RETURN_IF_ERROR(makeBundle(environment.size));
  SMELT_RETURN_IF_ERROR(group->meet("bundle"));
  if (environment.rank > 0)
    options.console = Console::Mode::Quiet;
  if (options.device.threads == 0 && !options.fixedOrder) {
    int cores = static_cast<int>(std::thread::hardware_concurrency());
    options.device.threads = std::max(1, cores / environment.localSize);
  }
  options.device.localRank = environment.localRank;
  options.device.localSize = environment.localSize;
  Ranks ranks(std::move(group));
  Status status = trainAlone(options, &ranks);
  // The group's thread has said it and ends the process, once this rank's GPU has let go.
  if (status.code() == StatusCode::RankLost && ranks.group().anyLost(std::chrono::seconds(0)))
    std::this_thread::sleep_for(std::chrono::seconds(5));
  // All ranks come to the same end together; after any other the rest are told of a lost rank.
  if (status.isOk() || status.code() == StatusCode::NonFinite)
    ranks.group().leave();
  return status;
}

} // namespace

Status runTrain(const TrainOptions &options, const MakeBundle &makeBundle) {
  SMELT_ASSIGN_OR_RETURN(std::optional<RankEnvironment> environment, readRankEnvironment());
  if (environment && environment->size > 1) {
    if (options.ranks > 0)
      return usageError(environment->source, " has started this process as rank ",
                        environment->rank, " of ", environment->size,
                        "; --ranks is for a machine without it");
    return trainAsRank(options, *environment, makeBundle);
  }
  if (makeBundle)
    SMELT_RETURN_IF_ERROR(makeBundle(std::max(options.ranks, 1)));
  if (options.ranks <= 1)
    return trainAlone(options, nullptr);
  constexpr std::chrono::milliseconds grace(5000); // All hear of a loss at once.
  SMELT_ASSIGN_OR_RETURN(
      int code, launchRanks(options.ranks, grace, [&](const RankEnvironment &rank) {
        Status status = trainAsRank(options, rank, {});
        if (!status.isOk() && !status.message().empty())
          logError(status);
        return exitCode(status.code());
      }));
  // The ranks have said what happened.
  return code ? Status(static_cast<StatusCode>(code), "") : Status::ok();
}

} // namespace smelt::runtime
