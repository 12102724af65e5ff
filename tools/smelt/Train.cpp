//===- Train.cpp - smelt train: compile, then run -------------------------===//
#include "tools/smelt/Train.h"
#include "tools/smelt/Compile.h"

#include "runtime/base/Log.h"
#include "runtime/device/cuda/CudaDevice.h"

#include <filesystem>

namespace smelt::cli {

int trainModel(TrainOptions options) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  bool isBundle = fs::is_directory(options.compile.input, ignored);
  if (options.run.runFolder.empty())
    options.run.runFolder = "runs/" + modelName(options.compile.input);
  options.run.bundle = options.compile.input;
  if (!isBundle && options.run.device.device.starts_with("cuda") &&
      options.compile.target == "cpu") {
    auto capability = runtime::cudaCapability();
    if (!capability.isOk()) {
      runtime::logError(capability.status());
      return runtime::exitCode(capability.status().code());
    }
    options.compile.target = *capability == 90 ? "sm_90a" : "sm_80";
  }
  runtime::MakeBundle makeBundle;
  if (!isBundle) {
    // The bundle stays with the run: eval and sample need it, and a run folder that is moved keeps
    // it.
    options.run.bundle = options.compile.output = options.run.runFolder + "/bundle.smelt";
    makeBundle = [&](int ranks) {
      std::error_code ignored;
      fs::create_directories(options.run.runFolder, ignored);
      options.compile.ranks = ranks;
      int code = compileSpec(options.compile);
      return code ? runtime::Status(static_cast<runtime::StatusCode>(code), "")
                  : runtime::Status::ok();
    };
  }
  runtime::Status status = runtime::runTrain(options.run, makeBundle);
  if (!status.isOk() && !status.message().empty())
    runtime::logError(status);
  return runtime::exitCode(status.code());
}

} // namespace smelt::cli
