#include "runtime/train/Evaluate.h"
#include "tools/smelt-run/ModelChoice.h"

#include <CLI/CLI.hpp>

#include <cmath>
#include <cstdio>

namespace smelt::runtime {

void addEvalOptions(CLI::App &command, EvalOptions &options) {
  addModelChoice(command, options.model);
  command.add_option("--data", options.data,
                     "Files to evaluate on; without them the run's validation data, or the spec's");
  command.add_option("--tokens", options.tokens, "At most so many tokens; 0 = what the spec says");
  command.add_flag("--json", options.json, "Print one JSON object");
}

Status runEval(const EvalOptions &options) {
  SMELT_ASSIGN_OR_RETURN(LoadedModel model, loadModel(options.model));
  const Manifest &manifest = model.session->manifest();
  const Program *program = manifest.findProgram(manifest.training.validation.program);
  if (!program)
    program = manifest.findProgramByRole("evaluate");
  if (!program)
    return usageError("the bundle has no program of role evaluate");
  RunData paths{options.data, options.data};
  if (options.data.empty() && !options.model.runFolder.empty()) {
    SMELT_ASSIGN_OR_RETURN(paths, readRunData(options.model.runFolder));
  }
  SMELT_ASSIGN_OR_RETURN(
      DataSources data,
      openDataSources(manifest.data, paths.train, paths.validation, manifest.training.seed));
  int64_t tokens = options.tokens ? options.tokens : manifest.training.validation.tokens;
  ValidationBatches batches(data.validation, data.options, tokens);
  SMELT_ASSIGN_OR_RETURN(Evaluation result, evaluate(*model.session, *program, batches));
  if (!std::isfinite(result.loss()))
    return Status(StatusCode::NonFinite, concat("the loss is ", result.loss()));
  std::printf(options.json ? "{\"step\":%lld,\"val_loss\":%.9g,\"targets\":%lld}\n"
                           : "step:%lld val_loss:%.4f targets:%lld\n",
              static_cast<long long>(model.step), result.loss(),
              static_cast<long long>(result.targets));
  return Status::ok();
}

} // namespace smelt::runtime
