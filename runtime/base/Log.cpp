#include "runtime/base/Log.h"

#include <cstdio>

namespace smelt::runtime {

namespace {
void writeLine(const char *kind, const std::string &message) {
  std::string line = concat(kind, ": ", message, "\n");
  std::fflush(stdout); // Keep the order of the two streams on a terminal.
  std::fwrite(line.data(), 1, line.size(), stderr);
}
} // namespace

void logNote(const std::string &message) { writeLine("note", message); }
void logWarning(const std::string &message) { writeLine("warning", message); }
void logError(const Status &status) { writeLine("error", status.message()); }

} // namespace smelt::runtime
