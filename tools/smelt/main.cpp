//===- main.cpp - The smelt command ---------------------------------------===//
#include "tools/smelt/CommandLine.h"
#include "tools/smelt/Compile.h"
#include "tools/smelt/RunCommands.h"

int main(int argc, char **argv) {
  using namespace smelt::cli;
  int exitCode = 0;
  std::optional<Options> options = parseCommandLine(argc, argv, exitCode);
  if (!options)
    return exitCode;
  switch (options->command) {
  case Command::Check:
    return checkSpec(options->compile);
  case Command::Compile:
    return compileSpec(options->compile);
  case Command::Explain:
    return explainSpec(options->explain);
  case Command::Train:
    return trainModel(options->train);
  case Command::Eval:
    return evaluateModel(options->eval);
  case Command::Sample:
    return sampleModel(options->sample);
  case Command::DataPack:
    return packData(options->data);
  case Command::DataShow:
    return showData(options->data);
  }
  return 1;
}
