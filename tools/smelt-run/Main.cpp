//===- Main.cpp - smelt-run: train and use compiled models ----------------===//

#include "tools/smelt-run/Commands.h"

#include <CLI/CLI.hpp>

using namespace smelt::runtime;

int main(int argc, char **argv) {
  CLI::App app("Trains, evaluates and samples models that smelt has compiled into bundles.",
               "smelt-run");
  app.require_subcommand(1);
  app.set_version_flag("--version", "smelt-run 0.1.0");
  app.footer("Exit codes: 0 done, 2 wrong usage, 4 missing or damaged input, 5 the loss is not "
             "finite,\n6 a rank is lost, 7 storage (full disk).\n\n"
             "Example:\n  smelt-run train tiny.smelt --run-dir runs/tiny --data text.txt\n"
             "  smelt-run sample --run-dir runs/tiny --prompt \"The \"");
  std::function<Status()> chosen;

  TrainOptions trainOptions;
  CLI::App *train = app.add_subcommand("train", "Train a bundle, or continue a run");
  train->add_option("bundle", trainOptions.bundle, "Bundle folder (NAME.smelt)")->required();
  addTrainOptions(*train, trainOptions);
  train->callback([&] { chosen = [&] { return runTrain(trainOptions); }; });

  EvalOptions evalOptions;
  CLI::App *eval = app.add_subcommand("eval", "Print the loss of a trained model on held-out data");
  addEvalOptions(*eval, evalOptions);
  eval->callback([&] { chosen = [&] { return runEval(evalOptions); }; });

  SampleCommandOptions sampleOptions;
  CLI::App *sample = app.add_subcommand("sample", "Let a trained model continue a text");
  addSampleOptions(*sample, sampleOptions);
  sample->callback([&] { chosen = [&] { return runSample(sampleOptions); }; });

  ProfileOptions profileOptions;
  CLI::App *profile = app.add_subcommand("profile", "Time the launches of a program one by one");
  addProfileOptions(*profile, profileOptions);
  profile->callback([&] { chosen = [&] { return runProfile(profileOptions); }; });

  TuneOptions tuneOptions;
  CLI::App *tune = app.add_subcommand(
      "tune", "Let cuBLASLt compute what it computes faster, by times on this GPU");
  addTuneOptions(*tune, tuneOptions);
  tune->callback([&] { chosen = [&] { return runTune(tuneOptions); }; });

  ExportOptions exportOptions;
  CLI::App *exportApp = app.add_subcommand("export", "Write a checkpoint's parameters to one file");
  addExportOptions(*exportApp, exportOptions);
  exportApp->callback([&] { chosen = [&] { return runExport(exportOptions); }; });

  InfoOptions infoOptions;
  CLI::App *info = app.add_subcommand("info", "Check and describe a bundle, checkpoint or shard");
  addInfoOptions(*info, infoOptions);
  info->callback([&] { chosen = [&] { return runInfo(infoOptions); }; });

  PackOptions packOptions;
  CLI::App *data = app.add_subcommand("data", "Prepare training data");
  data->require_subcommand(1);
  CLI::App *pack = data->add_subcommand("pack", "Turn text files into token shards");
  addPackOptions(*pack, packOptions);
  pack->callback([&] { chosen = [&] { return runPack(packOptions); }; });

  return runCommandLine(app, argc, argv, [&] { return chosen(); });
}
