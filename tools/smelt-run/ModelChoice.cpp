#include "tools/smelt-run/ModelChoice.h"
#include "runtime/base/JsonReader.h"
#include "runtime/base/Log.h"

#include <CLI/CLI.hpp>


namespace smelt::runtime {

void addModelChoice(CLI::App &command, ModelChoice &choice) {
  command.add_option("bundle", choice.bundle,
                     "Bundle folder (NAME.smelt); not needed with --run-dir");
  command.add_option("--run-dir", choice.runFolder,
                     "A training run: its bundle and its newest checkpoint");
  command.add_option("--checkpoint", choice.checkpoint, "A checkpoint's folder");
  addDeviceChoice(command, choice.device);
}

void addDeviceChoice(CLI::App &command, DeviceChoice &choice) {
  command.add_option("--device", choice.device,
                     "Where it runs: cpu, cuda, cuda:N, or auto, what the bundle is for [auto]")
      ->check([](const std::string &text) {
        bool known = text == "auto" || text == "cpu" || text == "cuda" ||
                     (text.starts_with("cuda:") && text.size() > 5 &&
                      text.find_first_not_of("0123456789", 5) == std::string::npos);
        return known ? std::string() : "there is no device \"" + text + "\"";
      });
  command.add_option("--threads", choice.threads, "CPU threads; 0 = all cores")
      ->check(CLI::Range(0, 4096));
}

namespace {
StatusOr<nlohmann::json> readRunJson(const std::string &runFolder) {
  SMELT_ASSIGN_OR_RETURN(std::string text, readFile(runFolder + "/run.json", 1 << 20));
  auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object())
    return corruptError(runFolder, "/run.json is no JSON object");
  return json;
}

/// run.json says which bundle was trained.
StatusOr<std::string> bundleOfRun(const std::string &runFolder) {
  SMELT_ASSIGN_OR_RETURN(nlohmann::json json, readRunJson(runFolder));
  if (!json.contains("bundle") || !json["bundle"].is_string())
    return corruptError(runFolder, "/run.json does not name a bundle");
  return json["bundle"].get<std::string>();
}

StatusOr<std::optional<Checkpoint>> chooseCheckpoint(const ModelChoice &choice) {
  if (!choice.checkpoint.empty()) {
    SMELT_ASSIGN_OR_RETURN(Checkpoint checkpoint, openCheckpoint(choice.checkpoint));
    return std::optional<Checkpoint>(std::move(checkpoint));
  }
  if (choice.runFolder.empty())
    return std::optional<Checkpoint>();
  std::vector<std::string> skipped;
  auto newest = openNewestCheckpoint(choice.runFolder + "/checkpoints", skipped);
  for (const std::string &message : skipped)
    logWarning("skipping a damaged checkpoint: " + message);
  if (newest.isOk() && !*newest)
    return corruptError("the run folder ", choice.runFolder, " has no checkpoint");
  return newest;
}
} // namespace

StatusOr<RunData> readRunData(const std::string &runFolder) {
  SMELT_ASSIGN_OR_RETURN(nlohmann::json json, readRunJson(runFolder));
  RunData data;
  auto found = json.find("data");
  if (found == json.end() || !found->is_object() || !found->contains("held_out"))
    return data;
  auto get = [&](const char *key) {
    auto value = found->find(key);
    return value != found->end() && value->is_string() ? value->get<std::string>() : std::string();
  };
  data.train = get("train");
  if ((*found)["held_out"] == false)
    data.validation = get("validation");
  return data;
}

StatusOr<LoadedModel> loadModel(const ModelChoice &choice) {
  std::string bundle = choice.bundle;
  if (bundle.empty() && choice.runFolder.empty())
    return usageError("name a bundle, or a run with --run-dir");
  SMELT_ASSIGN_OR_RETURN(std::optional<Checkpoint> checkpoint, chooseCheckpoint(choice));
  if (bundle.empty()) {
    SMELT_ASSIGN_OR_RETURN(bundle, bundleOfRun(choice.runFolder));
  }
  LoadedModel model;
  SMELT_ASSIGN_OR_RETURN(model.session, Session::open(bundle, choice.device));
  SMELT_RETURN_IF_ERROR(model.session->initialise(model.session->manifest().training.seed));
  if (checkpoint) {
    SMELT_RETURN_IF_ERROR(model.session->restore(*checkpoint, /*withState=*/false));
    model.checkpointPath = checkpoint->path;
    model.step = checkpoint->info.step;
  } else {
    logWarning("no checkpoint is named; the model has its initial values");
  }
  SMELT_RETURN_IF_ERROR(model.session->applyValidationSettings(model.step));
  return model;
}

} // namespace smelt::runtime
