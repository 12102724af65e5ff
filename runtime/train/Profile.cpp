#include "runtime/train/Profile.h"
#include "runtime/base/Random.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>

namespace smelt::runtime {

Status fillRandomInputs(Session &session, const Program &program) {
  RandomStream random(1, "profile");
  auto vocabulary = static_cast<uint64_t>(session.manifest().data.vocabulary);
  std::vector<int32_t> tokens, starts(static_cast<size_t>(program.tokens), 0);
  for (int64_t i = 0; i < program.tokens; ++i)
    tokens.push_back(static_cast<int32_t>(random.below(static_cast<uint64_t>(i), vocabulary)));
  for (const auto &[name, buffer] : program.inputs)
    SMELT_RETURN_IF_ERROR(
        session.writeInput(program, name.c_str(), name == "document_start" ? starts : tokens));
  return Status::ok();
}

namespace {
/// Keeps a device that works beside the host busy for a few milliseconds, so that the launches that
/// are timed next are in its queue before it comes to them.
Status runAhead(Session &session, const Program &program) {
  using Clock = std::chrono::steady_clock;
  if (!session.device().isAsynchronous())
    return Status::ok();
  Clock::time_point start = Clock::now();
  SMELT_RETURN_IF_ERROR(session.run(program));
  SMELT_RETURN_IF_ERROR(session.device().synchronize());
  double once = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  constexpr double kAhead = 5;
  for (int i = 0; i < std::clamp(static_cast<int>(kAhead / once), 1, 50); ++i)
    SMELT_RETURN_IF_ERROR(session.run(program));
  return Status::ok();
}
} // namespace

double LaunchTiming::milliseconds() const {
  double sum = 0;
  for (const PartTiming &part : parts)
    sum += part.milliseconds;
  return sum;
}

namespace {
/// "all_reduce gradient.head + 3"
std::string labelOf(const CollectiveStep &step, const Manifest &manifest) {
  std::string label = concat(collectiveKindName(step.kind), " ",
                             manifest.buffers[step.buffers[0]].name);
  return step.buffers.size() > 1 ? concat(label, " + ", step.buffers.size() - 1) : label;
}
} // namespace

StatusOr<ProgramTiming> timeProgram(Session &session, const Program &program, Portion portion) {
  const Manifest &manifest = session.manifest();
  SMELT_ASSIGN_OR_RETURN(std::vector<EntryTime> times, session.runTimed(program, portion));
  ProgramTiming result;
  result.program = portion == Portion::Updates ? program.name + " (updates)" : program.name;
  size_t updates = program.last ? program.last->updatesFrom : program.launches.size();
  size_t first = portion == Portion::Updates ? updates : 0,
         last = portion == Portion::BeforeUpdates ? updates : program.launches.size();
  for (size_t i = first; i < last; ++i) {
    const Launch &launch = program.launches[i];
    result.launches.push_back({launch.label,
                               manifest.kernels[launch.kernel].name,
                               launch.steps,
                               launch.flops,
                               launch.bytes,
                               {}});
  }
  for (const EntryTime &time : times) {
    if (time.isCollective) {
      const CollectiveStep &step = program.collectives[time.number];
      uint64_t bytes = 0;
      for (uint32_t index : step.buffers)
        bytes += manifest.buffers[index].bytes;
      result.collectives.push_back({labelOf(step, manifest), step.onLane, bytes, time.start,
                                    time.milliseconds, time.exposed, time.queued});
      continue;
    }
    const Kernel &kernel = manifest.kernels[program.launches[time.number].kernel];
    std::string role = session.usesLibrary(program.launches[time.number]) ? "cuBLASLt"
                       : kernel.gpu.size() > 1 ? kernel.gpu[time.part].role
                                               : "";
    result.launches[time.number - first].parts.push_back({role, time.start, time.milliseconds});
  }
  return result;
}

StatusOr<ProgramTiming> profileProgram(Session &session, const Program &program, int repetitions) {
  SMELT_RETURN_IF_ERROR(session.run(program));
  std::vector<ProgramTiming> runs;
  for (int repetition = 0; repetition < repetitions; ++repetition) {
    SMELT_RETURN_IF_ERROR(runAhead(session, program));
    SMELT_ASSIGN_OR_RETURN(ProgramTiming run, timeProgram(session, program));
    runs.push_back(std::move(run));
  }
  ProgramTiming result = runs.back(); // Its starts are those of one run.
  for (size_t i = 0; i < result.launches.size(); ++i)
    for (size_t part = 0; part < result.launches[i].parts.size(); ++part) {
      std::vector<double> values;
      for (const ProgramTiming &run : runs)
        values.push_back(run.launches[i].parts[part].milliseconds);
      std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
      result.launches[i].parts[part].milliseconds = values[values.size() / 2];
    }
  return result;
}

std::string writeChromeTrace(const std::vector<ProgramTiming> &runs, const std::string &device) {
  using nlohmann::ordered_json;
  ordered_json events = ordered_json::array();
  events.push_back(
      {{"name", "process_name"}, {"ph", "M"}, {"pid", 1}, {"args", {{"name", device}}}});
  constexpr int kMain = 1, kCommunication = 2;
  for (auto [lane, name] : {std::pair(kMain, "launches"), std::pair(kCommunication, "communication")})
    events.push_back({{"name", "thread_name"},
                      {"ph", "M"},
                      {"pid", 1},
                      {"tid", lane},
                      {"args", {{"name", name}}}});
  auto slice = [&](int lane, const std::string &name, double start, double length,
                   ordered_json arguments) {
    events.push_back({{"name", name},
                      {"ph", "X"},
                      {"pid", 1},
                      {"tid", lane},
                      {"ts", 1000 * start}, // Microseconds.
                      {"dur", 1000 * length},
                      {"args", std::move(arguments)}});
  };
  for (const ProgramTiming &run : runs) {
    double end = 0;
    for (const LaunchTiming &launch : run.launches)
      for (const PartTiming &part : launch.parts)
        end = std::max(end, part.start + part.milliseconds);
    slice(kMain, run.program, run.start, end, {{"launches", run.launches.size()}});
    for (const LaunchTiming &launch : run.launches)
      for (const PartTiming &part : launch.parts)
        slice(kMain, launch.label, run.start + part.start, part.milliseconds,
              {{"part", part.role},
               {"kernel", launch.kernel},
               {"steps", launch.steps},
               {"flops of the launch", launch.flops},
               {"bytes of the launch", launch.bytes}});
    for (const CollectiveTiming &each : run.collectives)
      slice(each.onLane ? kCommunication : kMain, each.label, run.start + each.start,
            each.milliseconds,
            {{"bytes", each.bytes}, {"exposed ms", each.exposed}, {"queued ms", each.queued}});
  }
  return ordered_json{{"traceEvents", std::move(events)}, {"displayTimeUnit", "ms"}}.dump(
      -1, ' ', false, nlohmann::json::error_handler_t::replace);
}

} // namespace smelt::runtime
