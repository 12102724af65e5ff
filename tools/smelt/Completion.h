//===- Completion.h - Shell completion from the command tree ----*- C++ -*-===//
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace smelt::cli {

/// A bash completion script that knows every subcommand and option of `app`. It is generated from
/// the same tree that parses, so it cannot fall behind.
std::string bashCompletion(const CLI::App &app);

} // namespace smelt::cli
