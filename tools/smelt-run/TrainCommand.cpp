#include "tools/smelt-run/Commands.h"

#include <CLI/CLI.hpp>

#include <cstdio>

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

Status runTrain(const TrainOptions &options) {
  SMELT_ASSIGN_OR_RETURN(TrainResult result, train(options));
  if (options.console != Console::Mode::Quiet)
    std::printf("run folder: %s\n", options.runFolder.c_str());
  return Status::ok();
}

} // namespace smelt::runtime
