#include "runtime/base/Log.h"
#include "tools/smelt-run/Commands.h"

#include <CLI/CLI.hpp>

namespace smelt::runtime {

int runCommandLine(CLI::App &app, int argc, char **argv, const std::function<Status()> &chosen) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    // --help and --version are "errors" with code 0; all others are wrong usage.
    return app.exit(error) == 0 ? 0 : exitCode(StatusCode::Usage);
  }
  Status status = chosen();
  if (!status.isOk())
    logError(status);
  return exitCode(status.code());
}

} // namespace smelt::runtime
