//===- ValidateTraining.cpp - Stages, updates and validation --------------===//
#include "runtime/bundle/ValidateParts.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace smelt::runtime {
namespace {

/// Every program of role update runs, by one rule.
Status checkUpdates(const Manifest &manifest) {
  std::set<std::string> names;
  for (const Update &update : manifest.training.updates) {
    const Program *program = manifest.findProgram(update.program);
    if (!program || program->role != "update")
      return corruptError("\"", update.program, "\" is not a program of role update");
    if (!names.insert(update.program).second)
      return corruptError("updates: \"", update.program, "\" appears twice");
    SMELT_RETURN_IF_ERROR(
        checkPeriod(update.period).withContext(concat("update \"", update.program, "\"")));
  }
  for (const Program &program : manifest.programs)
    if (program.role == "update" && !names.count(program.name))
      return corruptError("updates: \"", program.name, "\" never runs");
  return Status::ok();
}

Status checkValidation(const Manifest &manifest) {
  const Validation &validation = manifest.training.validation;
  const Program *program = manifest.findProgram(validation.program);
  if (!validation.program.empty() && (!program || program->role != "evaluate"))
    return corruptError("\"", validation.program, "\" is not a program of role evaluate");
  for (const auto &[name, value] : validation.finalSettings) {
    const Setting *setting = manifest.findSetting(name);
    if (!setting || setting->segments.empty())
      return corruptError("final_settings: \"", name, "\" is no setting with segments");
    if (!std::isfinite(value))
      return corruptError("final_settings: \"", name, "\" is not finite");
  }
  return Status::ok();
}

} // namespace

Status checkTraining(const Manifest &manifest) {
  const Training &training = manifest.training;
  int64_t next = 0;
  bool accumulates = false;
  for (const Stage &stage : training.stages) {
    if (stage.first != next || stage.last < stage.first)
      return corruptError("training: step ", next, " must begin a stage, but one has steps ",
                          stage.first, "..", stage.last);
    const Program *program = manifest.findProgram(stage.program);
    if (!program || program->role != "train")
      return corruptError("training: \"", stage.program, "\" is not a program of role train");
    if (stage.microBatches < 1)
      return corruptError("training: a stage has ", stage.microBatches, " micro-batches");
    if (training.ranks < 1 || stage.microBatches % training.ranks)
      return corruptError("training: ", stage.microBatches, " micro-batches do not divide among ",
                          training.ranks, " ranks");
    accumulates |= stage.microBatches > training.ranks;
    next = stage.last + 1;
  }
  if (next != training.steps)
    return corruptError("training: the stages end at step ", next - 1, " but training has ",
                        training.steps, " steps");
  bool canAccumulate =
      std::any_of(manifest.settings.begin(), manifest.settings.end(), [](const Setting &setting) {
        return automaticPeriod(setting.name, "accumulate").has_value();
      });
  if (accumulates && !canAccumulate)
    return corruptError("training: gradients accumulate but there is no setting \"accumulate\"");
  SMELT_RETURN_IF_ERROR(checkUpdates(manifest).withContext("training"));
  return checkValidation(manifest).withContext("training");
}

} // namespace smelt::runtime
