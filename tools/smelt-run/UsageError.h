//===- UsageError.h - What was wrong with a command line --------*- C++ -*-===//
#pragma once

namespace CLI {
class App;
class ParseError;
} // namespace CLI

namespace smelt::runtime {

/// Prints on standard error what was wrong, with a "did you mean" for a slip in a command's or an
/// option's name, and which --help tells more.
void printUsageError(const CLI::App &main, const CLI::ParseError &error);

} // namespace smelt::runtime
