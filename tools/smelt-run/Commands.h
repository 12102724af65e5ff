//===- Commands.h - The commands that need no compiler ----------*- C++ -*-===//
//
// `smelt-run` is these commands and nothing else; `smelt` has them too, beside those that compile.
// A command is a struct of options, a function that adds it to a CLI11 app, and one that runs it.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/base/Status.h"
#include "runtime/data/PackText.h"
#include "runtime/train/Sample.h"
#include "runtime/train/Trainer.h"

#include <functional>

namespace CLI {
class App;
}

namespace smelt::runtime {

/// Adds --device and --threads.
void addDeviceChoice(CLI::App &command, DeviceChoice &choice);

/// Adds the options of training to `command`, all but the bundle. `smelt train SPEC` uses it too.
void addTrainOptions(CLI::App &command, TrainOptions &options);
/// Makes the bundle that is trained, for a number of ranks. What went wrong is printed already; the
/// result has no message then.
using MakeBundle = std::function<Status(int ranks)>;
/// Trains, on as many ranks as the options or the environment say, and prints where the results are.
Status runTrain(const TrainOptions &options, const MakeBundle &makeBundle = {});

/// What evaluation and sampling need: which model and which of its checkpoints.
struct ModelChoice {
  std::string bundle;     ///< A bundle; empty = the run folder's.
  std::string runFolder;  ///< Gives the bundle and the newest checkpoint.
  std::string checkpoint; ///< A checkpoint; empty = the run folder's newest.
  DeviceChoice device;
};
void addModelChoice(CLI::App &command, ModelChoice &choice);

struct EvalOptions {
  ModelChoice model;
  std::string data;   ///< Files to evaluate on; empty = the spec's validation data.
  int64_t tokens = 0; ///< 0 = what the spec says.
  bool json = false;
};
void addEvalOptions(CLI::App &command, EvalOptions &options);
Status runEval(const EvalOptions &options);

struct SampleCommandOptions {
  ModelChoice model;
  SampleOptions sample;
  std::string tokenizerFiles; ///< Instead of the spec's; see findTokenizerFiles.
};
void addSampleOptions(CLI::App &command, SampleCommandOptions &options);
Status runSample(const SampleCommandOptions &options);

struct ProfileOptions {
  ModelChoice model;
  std::string program; ///< Empty: the first of role train.
  int repetitions = 3;
  size_t rows = 40;
  std::string trace; ///< A file for a Chrome trace; empty: none.
  bool json = false;
};
void addProfileOptions(CLI::App &command, ProfileOptions &options);
/// Prints where a program's time goes, launch by launch.
Status runProfile(const ProfileOptions &options);

struct TuneOptions {
  std::string bundle;
  std::string output;    ///< A bundle; empty: the bundle itself is replaced.
  std::string table;     ///< Measured elsewhere; empty: measured here.
  std::string saveTable; ///< A file for what was measured; empty: none.
  int rounds = 10;
  uint64_t workspaceMebibytes = 32; ///< The most that an algorithm may use.
  DeviceChoice device;
};
void addTuneOptions(CLI::App &command, TuneOptions &options);
/// Chooses between the generated kernels and cuBLASLt for each plain product of a bundle, by their
/// times on a GPU.
Status runTune(const TuneOptions &options);

struct ExportOptions {
  std::string path;   ///< A run folder or a checkpoint.
  std::string layout; ///< Empty: Smelt's own names.
  std::string output;
};
void addExportOptions(CLI::App &command, ExportOptions &options);
/// Writes a checkpoint's parameters as one safetensors file.
Status runExport(const ExportOptions &options);

struct InfoOptions {
  std::string path; ///< A bundle, a checkpoint or a .bin shard.
  bool json = false;
};
void addInfoOptions(CLI::App &command, InfoOptions &options);
Status runInfo(const InfoOptions &options);

void addPackOptions(CLI::App &command, PackOptions &options);
Status runPack(const PackOptions &options);

/// Parses the command line and runs `chosen`, which the subcommands' callbacks set. Prints errors;
/// the result is the exit code.
int runCommandLine(CLI::App &app, int argc, char **argv, const std::function<Status()> &chosen);

} // namespace smelt::runtime
