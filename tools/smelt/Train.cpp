//===- Train.cpp - smelt train: compile, then run -------------------------===//
#include "tools/smelt/Train.h"
#include "tools/smelt/Compile.h"

#include "runtime/base/Log.h"

#include <filesystem>

namespace smelt::cli {

int trainModel(TrainOptions options) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  bool isBundle = fs::is_directory(options.compile.input, ignored);
  if (options.run.runFolder.empty())
    options.run.runFolder = "runs/" + modelName(options.compile.input);
  options.run.bundle = options.compile.input;
  if (!isBundle) {
    // The bundle stays with the run: eval and sample need it, and a run folder that is moved keeps
    // it.
    options.run.bundle = options.compile.output = options.run.runFolder + "/bundle.smelt";
    fs::create_directories(options.run.runFolder, ignored);
    if (int code = compileSpec(options.compile))
      return code;
  }
  runtime::Status status = runtime::runTrain(options.run);
  if (!status.isOk())
    runtime::logError(status);
  return runtime::exitCode(status.code());
}

} // namespace smelt::cli
