#include "runtime/checkpoint/Checkpoint.h"
#include "runtime/base/JsonReader.h"
#include "runtime/base/Sha256.h"

#include <algorithm>
#include <cstdio>
#include <limits>

namespace smelt::runtime {

using nlohmann::json;

namespace {
constexpr const char *kParameters = "parameters.safetensors";
constexpr const char *kState = "state.safetensors";
constexpr const char *kPrefix = "step-";

std::string checkpointName(int64_t step) {
  char name[40];
  std::snprintf(name, sizeof name, "%s%06lld", kPrefix, static_cast<long long>(step));
  return name;
}

/// The step in a checkpoint's folder name; -1 for other names.
int64_t stepOfName(const std::string &name) {
  std::string digits = name.rfind(kPrefix, 0) == 0 ? name.substr(5) : "";
  if (digits.empty() || digits.size() > 18 ||
      digits.find_first_not_of("0123456789") != std::string::npos)
    return -1;
  return std::stoll(digits);
}

/// Writes one tensor file into the folder and returns its record.
StatusOr<FileRecord> writeTensors(const std::string &path,
                                  const std::map<std::string, TensorView> &tensors) {
  SMELT_RETURN_IF_ERROR(writeSafetensors(path, tensors, {{"format", "smelt"}}));
  SMELT_ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(path));
  Sha256 hash;
  hash.update(file.bytes().data(), file.bytes().size());
  return FileRecord{file.bytes().size(), hash.finish()};
}

nlohmann::ordered_json positionJson(const DataPosition &position) {
  return {{"samples", position.samples},
          {"tokens", position.tokens},
          {"shard", position.shard},
          {"document", position.document},
          {"run", position.run}};
}

DataPosition readPosition(JsonObject &info, Status &failure) {
  JsonObject object(info.value("position"), "position", failure);
  auto number = [&](const char *key) {
    return object.unsignedInteger(key, std::numeric_limits<uint64_t>::max());
  };
  DataPosition position;
  position.samples = number("samples");
  position.tokens = number("tokens");
  if (object.has("shard")) { // Checkpoints of the first smelt lack these.
    position.shard = number("shard");
    position.document = number("document");
    position.run = number("run");
  }
  object.finish();
  return position;
}

std::string manifestText(const CheckpointInfo &info,
                         const std::map<std::string, FileRecord> &files) {
  nlohmann::ordered_json document = {{"format", "smelt-checkpoint"},
                                     {"version", kCheckpointVersion},
                                     {"step", info.step},
                                     {"seed", info.seed},
                                     {"model", info.model},
                                     {"bundle_sha256", info.bundleSha256},
                                     {"position", positionJson(info.position)},
                                     {"train_milliseconds", info.trainMilliseconds}};
  for (const auto &[name, record] : files)
    document["files"][name] = {{"bytes", record.bytes}, {"sha256", record.sha256}};
  return document.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

StatusOr<CheckpointInfo> parseInfo(const std::string &text,
                                   std::map<std::string, FileRecord> &files) {
  json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  Status failure;
  JsonObject object(document, "", failure);
  if (object.text("format") != "smelt-checkpoint")
    return corruptError("this is not a Smelt checkpoint");
  if (object.integer("version", 1, 1 << 30) > kCheckpointVersion)
    return corruptError("it is newer than this smelt reads");
  constexpr uint64_t any = std::numeric_limits<uint64_t>::max();
  CheckpointInfo info;
  info.step = object.integer("step", 0, int64_t(1) << 40);
  info.seed = object.unsignedInteger("seed", any);
  info.model = object.text("model");
  info.bundleSha256 = object.text("bundle_sha256");
  info.position = readPosition(object, failure);
  info.trainMilliseconds = object.number("train_milliseconds");
  for (const auto &[name, value] : object.object("files")) {
    JsonObject record(value, concat("files[\"", name, "\"]"), failure);
    files[name] = {record.unsignedInteger("bytes", any), record.text("sha256")};
    record.finish();
  }
  object.finish();
  SMELT_RETURN_IF_ERROR(failure);
  SMELT_RETURN_IF_ERROR(checkFileRecords(files));
  for (const char *name : {kParameters, kState})
    if (!files.count(name))
      return corruptError("files: \"", name, "\" is missing");
  return info;
}

StatusOr<Checkpoint> readCheckpoint(const std::string &path) {
  SMELT_ASSIGN_OR_RETURN(SealedManifest sealed, readSealedManifest(path));
  std::map<std::string, FileRecord> files;
  StatusOr<CheckpointInfo> info = parseInfo(sealed.text, files);
  if (!info.isOk())
    return info.status().withContext("manifest.json");
  SMELT_RETURN_IF_ERROR(checkSeal(path, sealed, files));
  SMELT_ASSIGN_OR_RETURN(SafetensorsFile parameters,
                         SafetensorsFile::open(path + "/" + kParameters));
  SMELT_ASSIGN_OR_RETURN(SafetensorsFile state, SafetensorsFile::open(path + "/" + kState));
  return Checkpoint{path, *std::move(info), std::move(parameters), std::move(state)};
}
} // namespace

Status writeCheckpoint(const std::string &root, const CheckpointInfo &info,
                       const std::map<std::string, TensorView> &parameters,
                       const std::map<std::string, TensorView> &state, int keep) {
  std::string path = root + "/" + checkpointName(info.step);
  SMELT_ASSIGN_OR_RETURN(PendingDirectory pending, PendingDirectory::create(path));
  std::map<std::string, FileRecord> files;
  SMELT_ASSIGN_OR_RETURN(files[kParameters],
                         writeTensors(pending.path() + "/" + kParameters, parameters));
  SMELT_ASSIGN_OR_RETURN(files[kState], writeTensors(pending.path() + "/" + kState, state));
  SMELT_RETURN_IF_ERROR(writeSealedManifest(pending.path(), manifestText(info, files)));
  SMELT_RETURN_IF_ERROR(pending.publish());
  std::vector<std::string> all = listCheckpoints(root);
  for (size_t i = static_cast<size_t>(std::max(keep, 1)); i < all.size(); ++i)
    SMELT_RETURN_IF_ERROR(removeDirectory(all[i]));
  return Status::ok();
}

StatusOr<Checkpoint> openCheckpoint(const std::string &path) {
  if (!isDirectory(path))
    return corruptError("checkpoint ", path, ": there is no such folder");
  StatusOr<Checkpoint> checkpoint = readCheckpoint(path);
  if (!checkpoint.isOk())
    return checkpoint.status().withContext("checkpoint " + path);
  return checkpoint;
}

std::vector<std::string> listCheckpoints(const std::string &root) {
  std::vector<std::pair<int64_t, std::string>> found;
  for (const std::string &name : listDirectory(root))
    if (int64_t step = stepOfName(name); step >= 0)
      found.emplace_back(step, root + "/" + name);
  std::sort(found.rbegin(), found.rend());
  std::vector<std::string> paths;
  for (auto &[step, path] : found)
    paths.push_back(std::move(path));
  return paths;
}

StatusOr<std::optional<Checkpoint>> openNewestCheckpoint(const std::string &root,
                                                         std::vector<std::string> &skipped) {
  std::vector<std::string> paths = listCheckpoints(root);
  for (const std::string &path : paths) {
    StatusOr<Checkpoint> checkpoint = openCheckpoint(path);
    if (checkpoint.isOk())
      return std::optional<Checkpoint>(*std::move(checkpoint));
    skipped.push_back(checkpoint.status().message());
  }
  if (!paths.empty())
    return corruptError("no checkpoint in ", root, " is whole: ", skipped.front());
  return std::optional<Checkpoint>();
}

} // namespace smelt::runtime
