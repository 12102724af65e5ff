#include "runtime/base/Log.h"
#include "tools/smelt-run/Commands.h"
#include "tools/smelt-run/UsageError.h"

#include <CLI/CLI.hpp>

namespace smelt::runtime {

int runCommandLine(CLI::App &app, int argc, char **argv, const std::function<Status()> &chosen) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success &wanted) { // --help, --version
    return app.exit(wanted);
  } catch (const CLI::ParseError &error) {
    printUsageError(app, error);
    return exitCode(StatusCode::Usage);
  }
  Status status = chosen();
  if (!status.isOk() && !status.message().empty())
    logError(status);
  return exitCode(status.code());
}

} // namespace smelt::runtime
