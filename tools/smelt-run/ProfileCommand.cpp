#include "runtime/base/Files.h"
#include "runtime/train/Profile.h"
#include "tools/smelt-run/ModelChoice.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <cstdio>

namespace smelt::runtime {

void addProfileOptions(CLI::App &command, ProfileOptions &options) {
  addModelChoice(command, options.model);
  command.add_option("--program", options.program, "The program to time [the first of role train]");
  command.add_option("--repeat", options.repetitions, "Repetitions; the median counts [3]")
      ->check(CLI::Range(1, 100000));
  command.add_option("--rows", options.rows, "Rows of the table [40]");
  command.add_option("--trace", options.trace, "Also write a Chrome trace here");
  command.add_flag("--json", options.json, "Print every launch as a JSON object, one a line");
}

namespace {
void printLaunches(const ProgramTiming &run) {
  for (const LaunchTiming &timing : run.launches) {
    nlohmann::ordered_json json = {{"label", timing.label},
                                   {"kernel", timing.kernel},
                                   {"ms", timing.milliseconds()},
                                   {"flops", timing.flops},
                                   {"bytes", timing.bytes}};
    std::puts(json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  }
}
} // namespace

Status runProfile(const ProfileOptions &options) {
  SMELT_ASSIGN_OR_RETURN(LoadedModel model, loadModel(options.model));
  const Manifest &manifest = model.session->manifest();
  const Program *program = options.program.empty() ? manifest.findProgramByRole("train")
                                                   : manifest.findProgram(options.program);
  if (!program)
    return usageError("the bundle has no program \"", options.program, "\"");
  SMELT_RETURN_IF_ERROR(fillRandomInputs(*model.session, *program));
  SMELT_ASSIGN_OR_RETURN(ProgramTiming run,
                         profileProgram(*model.session, *program, options.repetitions));
  std::string device = model.session->device().description();
  if (!options.trace.empty())
    SMELT_RETURN_IF_ERROR(writeFileAtomically(options.trace, writeChromeTrace({run}, device)));
  if (options.json)
    printLaunches(run);
  else
    std::fputs(writeProfileTable({run}, ratesOf(device), options.rows).c_str(), stdout);
  return Status::ok();
}

} // namespace smelt::runtime
