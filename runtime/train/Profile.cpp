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

StatusOr<ProgramTiming> timeProgram(Session &session, const Program &program) {
  SMELT_ASSIGN_OR_RETURN(std::vector<LaunchTime> times,
                         session.device().runTimed(session.resolve(program)));
  ProgramTiming result;
  result.program = program.name;
  for (const Launch &launch : program.launches)
    result.launches.push_back({launch.label,
                               session.manifest().kernels[launch.kernel].name,
                               launch.steps,
                               launch.flops,
                               launch.bytes,
                               {}});
  for (const LaunchTime &time : times) {
    const Kernel &kernel = session.manifest().kernels[program.launches[time.launch].kernel];
    std::string role = kernel.gpu.size() > 1 ? kernel.gpu[time.part].role : "";
    result.launches[time.launch].parts.push_back({role, time.start, time.milliseconds});
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
  auto slice = [&](const std::string &name, double start, double length, ordered_json arguments) {
    events.push_back({{"name", name},
                      {"ph", "X"},
                      {"pid", 1},
                      {"tid", 1},
                      {"ts", 1000 * start}, // Microseconds.
                      {"dur", 1000 * length},
                      {"args", std::move(arguments)}});
  };
  for (const ProgramTiming &run : runs) {
    double end = 0;
    for (const LaunchTiming &launch : run.launches)
      for (const PartTiming &part : launch.parts)
        end = std::max(end, part.start + part.milliseconds);
    slice(run.program, run.start, end, {{"launches", run.launches.size()}});
    for (const LaunchTiming &launch : run.launches)
      for (const PartTiming &part : launch.parts)
        slice(launch.label, run.start + part.start, part.milliseconds,
              {{"part", part.role},
               {"kernel", launch.kernel},
               {"steps", launch.steps},
               {"flops of the launch", launch.flops},
               {"bytes of the launch", launch.bytes}});
  }
  return ordered_json{{"traceEvents", std::move(events)}, {"displayTimeUnit", "ms"}}.dump(
      -1, ' ', false, nlohmann::json::error_handler_t::replace);
}

} // namespace smelt::runtime
