#include "runtime/train/Profile.h"
#include "runtime/base/Random.h"

#include <algorithm>
#include <chrono>
#include <limits>

namespace smelt::runtime {

namespace {
using Clock = std::chrono::steady_clock;

/// Random tokens and targets, one document.
Status fillInputs(Session &session, const Program &program) {
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
} // namespace

StatusOr<std::vector<LaunchTiming>> profileProgram(Session &session, const Program &program,
                                                   int repetitions) {
  SMELT_RETURN_IF_ERROR(fillInputs(session, program));
  std::vector<DeviceProgram> parts;
  std::vector<LaunchTiming> timings;
  for (const Launch &launch : program.launches) {
    DeviceLaunch resolved = {launch.kernel, {}};
    for (uint32_t argument : launch.arguments)
      resolved.offsets.push_back(session.manifest().buffers[argument].offset);
    SMELT_ASSIGN_OR_RETURN(DeviceProgram part, session.device().addProgram({resolved}));
    parts.push_back(part);
    timings.push_back({launch.label, session.manifest().kernels[launch.kernel].name,
                       std::numeric_limits<double>::infinity(), launch.flops, launch.bytes});
  }
  for (int repetition = 0; repetition <= repetitions; ++repetition)
    for (size_t i = 0; i < parts.size(); ++i) {
      Clock::time_point start = Clock::now();
      SMELT_RETURN_IF_ERROR(session.device().run(parts[i]));
      SMELT_RETURN_IF_ERROR(session.device().synchronize());
      double elapsed = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
      if (repetition > 0)
        timings[i].milliseconds = std::min(timings[i].milliseconds, elapsed);
    }
  return timings;
}

} // namespace smelt::runtime
