#include "runtime/train/Profile.h"
#include "tools/smelt-run/ModelChoice.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>

namespace smelt::runtime {

void addProfileOptions(CLI::App &command, ProfileOptions &options) {
  addModelChoice(command, options.model);
  command.add_option("--program", options.program, "The program to time [the first of role train]");
  command.add_option("--repeat", options.repetitions, "Repetitions; the fastest counts [3]")
      ->check(CLI::Range(1, 100000));
  command.add_flag("--json", options.json, "Print every launch as a JSON object, one a line");
}

namespace {
/// Launches with the same label, summed.
struct Row {
  std::string label;
  int launches = 0;
  double milliseconds = 0, flops = 0, bytes = 0;
};

std::vector<Row> sumByLabel(const std::vector<LaunchTiming> &timings) {
  std::vector<Row> rows;
  for (const LaunchTiming &timing : timings) {
    auto it = std::find_if(rows.begin(), rows.end(),
                           [&](const Row &row) { return row.label == timing.label; });
    Row &row = it != rows.end() ? *it : rows.emplace_back(Row{timing.label});
    ++row.launches;
    row.milliseconds += timing.milliseconds;
    row.flops += static_cast<double>(timing.flops);
    row.bytes += static_cast<double>(timing.bytes);
  }
  std::sort(rows.begin(), rows.end(),
            [](const Row &a, const Row &b) { return a.milliseconds > b.milliseconds; });
  return rows;
}

void printRow(const Row &row, double total) {
  std::printf("%9.3f ms %5.1f %% %5d x %9.1f GFLOP/s %8.1f GB/s  %s\n", row.milliseconds,
              100 * row.milliseconds / total, row.launches, row.flops / row.milliseconds / 1e6,
              row.bytes / row.milliseconds / 1e6, row.label.c_str());
}

void printLaunches(const std::vector<LaunchTiming> &timings) {
  for (const LaunchTiming &timing : timings) {
    nlohmann::ordered_json json = {{"label", timing.label},
                                   {"kernel", timing.kernel},
                                   {"ms", timing.milliseconds},
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
  SMELT_ASSIGN_OR_RETURN(auto timings,
                         profileProgram(*model.session, *program, options.repetitions));
  if (options.json) {
    printLaunches(timings);
    return Status::ok();
  }
  Row total{program->name};
  std::vector<Row> rows = sumByLabel(timings);
  for (const Row &row : rows) {
    total.launches += row.launches;
    total.milliseconds += row.milliseconds;
    total.flops += row.flops;
    total.bytes += row.bytes;
  }
  for (const Row &row : rows)
    printRow(row, total.milliseconds);
  printRow(total, total.milliseconds);
  return Status::ok();
}

} // namespace smelt::runtime
