//===- CommandLine.h - From argv to Options ---------------------*- C++ -*-===//
#pragma once

#include "tools/smelt/Options.h"

#include <optional>

namespace smelt::cli {

/// Parses the command line. Without a value the program is done: help, a version or a completion
/// script was printed, or the line was wrong and the reason is on standard error; `exitCode` then
/// says which (0, or 2 = usage).
std::optional<Options> parseCommandLine(int argc, char **argv, int &exitCode);

} // namespace smelt::cli
