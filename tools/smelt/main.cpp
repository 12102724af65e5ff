//===- main.cpp - The smelt command ---------------------------------------===//
#include "tools/smelt/CommandLine.h"
#include "tools/smelt/Compile.h"
#include "tools/smelt/Train.h"

#include "runtime/base/Log.h"

/// Prints a failure; its exit code.
static int finish(const smelt::runtime::Status &status) {
  if (!status.isOk())
    smelt::runtime::logError(status);
  return smelt::runtime::exitCode(status.code());
}

int main(int argc, char **argv) {
  using namespace smelt::cli;
  using namespace smelt::runtime;
  int exitCode = 0;
  std::optional<Options> options = parseCommandLine(argc, argv, exitCode);
  if (!options)
    return exitCode;
  switch (options->command) {
  case Command::Check:
    return checkSpec(options->check);
  case Command::Compile:
    return compileSpec(options->compile);
  case Command::Explain:
    return explainSpec(options->explain);
  case Command::Train:
    return trainModel(options->train);
  case Command::Eval:
    return finish(runEval(options->eval));
  case Command::Sample:
    return finish(runSample(options->sample));
  case Command::Export:
    return finish(runExport(options->exporting));
  case Command::DataPack:
    return finish(runPack(options->pack));
  case Command::Info:
    return finish(runInfo(options->info));
  }
  return 1;
}
