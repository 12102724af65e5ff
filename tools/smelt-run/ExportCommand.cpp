#include "runtime/base/Log.h"
#include "runtime/checkpoint/Checkpoint.h"
#include "runtime/checkpoint/TensorLayout.h"
#include "tools/smelt-run/Commands.h"

#include <CLI/CLI.hpp>

#include <cstdio>

namespace smelt::runtime {

void addExportOptions(CLI::App &command, ExportOptions &options) {
  command.add_option("run", options.path, "A run folder (its newest checkpoint) or a checkpoint")
      ->required();
  command.add_option("--layout", options.layout,
                     "Whose names and shapes: modded-nanogpt, or a layout's .json file; without "
                     "it Smelt's own");
  command.add_option("-o,--out", options.output, "The safetensors file to write")->required();
}

namespace {
StatusOr<Checkpoint> openAny(const std::string &path) {
  if (!isDirectory(path + "/checkpoints"))
    return openCheckpoint(path);
  std::vector<std::string> skipped;
  SMELT_ASSIGN_OR_RETURN(auto newest, openNewestCheckpoint(path + "/checkpoints", skipped));
  for (const std::string &message : skipped)
    logWarning("skipping a damaged checkpoint: " + message);
  if (!newest)
    return corruptError("the run folder ", path, " has no checkpoint");
  return *std::move(newest);
}
} // namespace

Status runExport(const ExportOptions &options) {
  SMELT_ASSIGN_OR_RETURN(Checkpoint checkpoint, openAny(options.path));
  std::map<std::string, TensorView> tensors = checkpoint.parameters.tensors();
  TensorSet laid;
  if (!options.layout.empty()) {
    SMELT_ASSIGN_OR_RETURN(std::string layout, findLayout(options.layout));
    StatusOr<TensorSet> applied = applyLayout(layout, tensors);
    if (!applied.isOk())
      return applied.status().withContext(checkpoint.path);
    laid = *std::move(applied);
    tensors = laid.views();
  }
  SMELT_RETURN_IF_ERROR(writeSafetensors(options.output, tensors,
                                         {{"format", "pt"}, // What PyTorch's users expect to read.
                                          {"model", checkpoint.info.model},
                                          {"step", std::to_string(checkpoint.info.step)}}));
  std::printf("wrote %s: %zu tensors of step %lld\n", options.output.c_str(), tensors.size(),
              static_cast<long long>(checkpoint.info.step));
  return Status::ok();
}

} // namespace smelt::runtime
