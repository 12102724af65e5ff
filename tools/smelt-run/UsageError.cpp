#include "tools/smelt-run/UsageError.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>

namespace smelt::runtime {
namespace {

/// Edit distance, for "did you mean".
size_t distance(const std::string &a, const std::string &b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j)
    row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t best = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = row[j];
      row[j] = best;
    }
  }
  return row[b.size()];
}

/// The known name closest to `word` when it is close enough to be a slip; else empty.
std::string closest(const std::string &word, const std::vector<std::string> &names) {
  std::string best;
  size_t bestDistance = std::max<size_t>(2, word.size() / 3) + 1;
  for (const std::string &name : names)
    if (size_t d = distance(word, name); d < bestDistance) {
      bestDistance = d;
      best = name;
    }
  return best;
}

/// The subcommand that the line got to, for messages.
const CLI::App &deepest(const CLI::App &app) {
  for (const CLI::App *child : app.get_subcommands())
    return deepest(*child);
  return app;
}

} // namespace

void printUsageError(const CLI::App &main, const CLI::ParseError &error) {
  const CLI::App &app = deepest(main);
  std::string path = app.get_name();
  for (const CLI::App *parent = app.get_parent(); parent; parent = parent->get_parent())
    path = parent->get_name() + " " + path;
  std::vector<std::string> names;
  for (const CLI::App *child : app.get_subcommands(nullptr))
    names.push_back(child->get_name());
  for (const CLI::Option *option : app.get_options())
    for (const std::string &name : option->get_lnames())
      names.push_back("--" + name);
  std::string unknown;
  for (const std::string &word : app.remaining())
    if (unknown.empty())
      unknown = word;
  bool wantsCommand = !app.get_subcommands(nullptr).empty();
  std::cerr << path << ": ";
  if (!unknown.empty()) {
    unknown = unknown.substr(0, unknown.find('='));
    std::cerr << (unknown[0] == '-' ? "unknown option '"
                  : wantsCommand    ? "unknown command '"
                                    : "unexpected argument '")
              << unknown << "'";
    if (std::string guess = closest(unknown, names); !guess.empty())
      std::cerr << "; did you mean '" << guess << "'?";
  } else {
    std::cerr << error.what();
  }
  std::cerr << "\nSee: " << path << " --help\n";
}

} // namespace smelt::runtime
