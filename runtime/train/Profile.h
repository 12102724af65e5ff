//===- Profile.h - Where a program's time goes ------------------*- C++ -*-===//
#pragma once

#include "runtime/train/Session.h"

namespace smelt::runtime {

/// One launch of a program, timed by itself.
struct LaunchTiming {
  std::string label;
  std::string kernel;
  double milliseconds = 0; ///< The least of the repetitions.
  uint64_t flops = 0;
  uint64_t bytes = 0;
};

/// Runs the program's launches one by one, `repetitions` times after a first run that does not
/// count. The inputs are random tokens; parameters and states change as the program changes them.
StatusOr<std::vector<LaunchTiming>> profileProgram(Session &session, const Program &program,
                                                   int repetitions);

} // namespace smelt::runtime
