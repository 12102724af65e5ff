//===- Launcher.h - Ranks on this machine -----------------------*- C++ -*-===//
#pragma once

#include "runtime/collective/RankEnvironment.h"

#include <chrono>
#include <functional>

namespace smelt::runtime {

/// Runs `body` in `ranks` processes of their own; its result is each one's exit code. SIGINT and
/// SIGTERM go on to all of them, their lines of text get "[rank N] " put in front (not rank 0's
/// standard output, which is the terminal's). When one fails, the others have `grace` to find out
/// before they are ended. The result is the exit code of the first that failed; 6 if a signal
/// ended it. To be called before this process has threads.
StatusOr<int> launchRanks(int ranks, std::chrono::milliseconds grace,
                          const std::function<int(const RankEnvironment &)> &body);

} // namespace smelt::runtime
