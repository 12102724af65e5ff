#include "runtime/train/Profile.h"

#include <algorithm>
#include <cstdio>

namespace smelt::runtime {

DeviceRates ratesOf(const std::string &device) {
  // Measured with a large copy and PyTorch's bf16 product of 8192³ (tools/bench/RESULTS.md).
  if (device.find("H200") != std::string::npos)
    return {805, 4258};
  return {};
}

namespace {
struct Row {
  std::string label;
  int launches = 0;
  double milliseconds = 0, flops = 0, bytes = 0;
  double least = 0; ///< What the launches would take at the device's rates, in milliseconds.
  std::vector<PartTiming> parts; ///< Sums by role, where the launches have parts.
};

/// "layers.3.mlp.up" as "layers.*.mlp.up".
std::string generalise(const std::string &label) {
  std::string result;
  for (size_t i = 0; i < label.size(); ++i) {
    result += label[i];
    if (!result.ends_with("layers."))
      continue;
    size_t end = label.find_first_not_of("0123456789", i + 1);
    if (end != i + 1)
      result += '*';
    i = std::min(end, label.size()) - 1;
  }
  return result;
}

void add(Row &row, const LaunchTiming &launch, const DeviceRates &rates) {
  ++row.launches;
  row.milliseconds += launch.milliseconds();
  auto flops = static_cast<double>(launch.flops), bytes = static_cast<double>(launch.bytes);
  row.flops += flops;
  row.bytes += bytes;
  if (rates.teraflops > 0)
    row.least += std::max(flops / rates.teraflops / 1e9, bytes / rates.gigabytes / 1e6);
  for (const PartTiming &part : launch.parts) {
    if (part.role.empty())
      continue;
    auto it = std::find_if(row.parts.begin(), row.parts.end(),
                           [&](const PartTiming &other) { return other.role == part.role; });
    if (it == row.parts.end())
      row.parts.push_back({part.role, 0, part.milliseconds});
    else
      it->milliseconds += part.milliseconds;
  }
}

std::string format(const Row &row, double total, int runs) {
  char line[200], least[20] = "";
  if (row.least > 0)
    std::snprintf(least, sizeof least, "%9.3f", row.least / runs);
  double seconds = row.milliseconds / 1000;
  std::snprintf(line, sizeof line, "%9.3f %5.1f %% %5d %9s %9.2f %9.1f %8.2f %8.1f  ",
                row.milliseconds / runs, 100 * row.milliseconds / total, row.launches / runs, least,
                row.flops / 1e9 / runs, row.bytes / 1e6 / runs, row.flops / 1e12 / seconds,
                row.bytes / 1e9 / seconds);
  std::string text = line + row.label;
  if (!row.parts.empty()) { // Several functions, or a library.
    text += " (";
    for (const PartTiming &part : row.parts) {
      std::snprintf(line, sizeof line, "%.3f", part.milliseconds / runs);
      text += (&part == row.parts.data() ? "" : ", ") + part.role + " " + line;
    }
    text += ")";
  }
  return text + "\n";
}

std::string writeTable(const std::vector<const ProgramTiming *> &runs, const DeviceRates &rates,
                       size_t limit) {
  std::vector<Row> rows;
  Row total;
  for (const ProgramTiming *run : runs)
    for (const LaunchTiming &launch : run->launches) {
      std::string label = generalise(launch.label);
      auto it = std::find_if(rows.begin(), rows.end(),
                             [&](const Row &row) { return row.label == label; });
      if (it == rows.end()) {
        it = rows.emplace(rows.end());
        it->label = label;
      }
      add(*it, launch, rates);
      add(total, launch, rates);
    }
  std::sort(rows.begin(), rows.end(),
            [](const Row &a, const Row &b) { return a.milliseconds > b.milliseconds; });
  total.label = concat("all of ", runs[0]->program);
  total.parts.clear();
  auto count = static_cast<int>(runs.size());
  std::string text =
      "       ms   share count  least ms    GFLOP        MB  TFLOP/s     GB/s  kernel\n";
  for (size_t i = 0; i < std::min(limit, rows.size()); ++i)
    text += format(rows[i], total.milliseconds, count);
  if (rows.size() > limit)
    text += concat("          … ", rows.size() - limit, " more\n");
  return text + format(total, total.milliseconds, count);
}
} // namespace

std::string writeExposureTable(const std::vector<ProgramTiming> &runs) {
  std::string text;
  double all = 0, exposed = 0;
  char line[120];
  for (const ProgramTiming &run : runs)
    for (const CollectiveTiming &each : run.collectives) {
      std::snprintf(line, sizeof line, "%9.3f %9.3f %9.2f  ", each.exposed, each.milliseconds,
                    static_cast<double>(each.bytes) / 1e6);
      text += concat(line, each.label, " in ", run.program, each.onLane ? "" : " (in order)", "\n");
      all += each.milliseconds;
      exposed += each.exposed;
    }
  if (text.empty())
    return text;
  std::snprintf(line, sizeof line, "%9.3f %9.3f            all collectives\n", exposed, all);
  return "exposed communication\n  exposed ms    ms        MB  collective\n" + text + line;
}

std::string writeProfileTable(const std::vector<ProgramTiming> &runs, const DeviceRates &rates,
                              size_t rows) {
  std::vector<std::string> programs; // In their order.
  std::string text;
  for (const ProgramTiming &run : runs) {
    if (run.launches.empty() ||
        std::find(programs.begin(), programs.end(), run.program) != programs.end())
      continue;
    programs.push_back(run.program);
    std::vector<const ProgramTiming *> same;
    for (const ProgramTiming &other : runs)
      if (other.program == run.program)
        same.push_back(&other);
    text += (programs.size() > 1 ? "\n" : "") + writeTable(same, rates, rows);
  }
  return text;
}

} // namespace smelt::runtime
