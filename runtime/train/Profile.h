//===- Profile.h - Where a program's time goes ------------------*- C++ -*-===//
#pragma once

#include "runtime/train/Session.h"

namespace smelt::runtime {

/// A part of a launch: a GPU's kernel may be several functions.
struct PartTiming {
  std::string role; ///< Empty where the launch has one part.
  double start = 0; ///< Milliseconds after the program's first launch began.
  double milliseconds = 0;
};

/// One launch of a program, timed by itself.
struct LaunchTiming {
  std::string label;
  std::string kernel;
  std::vector<std::string> steps; ///< The spec's steps that ended here.
  uint64_t flops = 0;             ///< What the compiler predicts.
  uint64_t bytes = 0;
  std::vector<PartTiming> parts;

  double milliseconds() const;
};

/// One collective of a program.
struct CollectiveTiming {
  std::string label;
  bool onLane = false;
  uint64_t bytes = 0;
  double start = 0; ///< As a launch's; negative: it began in the portion before.
  double milliseconds = 0;
  double exposed = 0; ///< How long the main lane waited for it.
  double queued = 0;  ///< How long it waited on its lane: what it needs was there before `start`.
};

/// One run of a program, launch by launch.
struct ProgramTiming {
  std::string program;
  double start = 0; ///< Milliseconds after whatever the profile begins with.
  std::vector<LaunchTiming> launches;
  std::vector<CollectiveTiming> collectives = {};
};

/// Runs the program once, its launches one by one.
StatusOr<ProgramTiming> timeProgram(Session &session, const Program &program,
                                    Portion portion = Portion::Whole);

/// Fills a program's inputs: random tokens, one document.
Status fillRandomInputs(Session &session, const Program &program);

/// Runs the program on the inputs it has, `repetitions` times after first runs that do not count;
/// of each part the median counts. Parameters and states change as the program changes them.
StatusOr<ProgramTiming> profileProgram(Session &session, const Program &program, int repetitions);

/// The profile as a text in Chrome's trace format (chrome://tracing, Perfetto): a slice for each
/// run of a program and in it one for each part of each launch; collectives have a row of their own.
std::string writeChromeTrace(const std::vector<ProgramTiming> &runs, const std::string &device);

/// The largest rates of a device, for the least time that a launch could take.
struct DeviceRates {
  double teraflops = 0; ///< 0: unknown.
  double gigabytes = 0; ///< A second.
};
DeviceRates ratesOf(const std::string &device);

/// A table of the collectives of all runs: how long they took, and how long the main lane waited;
/// empty without any.
std::string writeExposureTable(const std::vector<ProgramTiming> &runs);

/// A table for each program: launches that differ only in the layer are one row; the largest
/// `rows`.
std::string writeProfileTable(const std::vector<ProgramTiming> &runs, const DeviceRates &rates,
                              size_t rows);

} // namespace smelt::runtime
