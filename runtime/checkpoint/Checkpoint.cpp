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

/// Rank 0's file has the name that one rank's has.
std::string stateFileName(int rank) {
  return rank == 0 ? kState : concat("state.rank", rank, ".safetensors");
}

bool isStateFile(const std::string &name) {
  return name.starts_with("state.") && name.ends_with(".safetensors");
}

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
  int version = files.size() > 2 ? 2 : 1; // Parameters and the state in one file: as it always was.
  nlohmann::ordered_json document = {{"format", "smelt-checkpoint"},
                                     {"version", version},
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
  std::vector<SafetensorsFile> states;
  for (const auto &[name, record] : files)
    if (isStateFile(name)) {
      SMELT_ASSIGN_OR_RETURN(SafetensorsFile state, SafetensorsFile::open(path + "/" + name));
      states.push_back(std::move(state));
    }
  return Checkpoint{path, *std::move(info), std::move(parameters), std::move(states)};
}
} // namespace

StatusOr<PendingCheckpoint> PendingCheckpoint::create(const std::string &root, int64_t step) {
  SMELT_ASSIGN_OR_RETURN(PendingDirectory folder,
                         PendingDirectory::create(root + "/" + checkpointName(step)));
  return PendingCheckpoint(std::move(folder), root);
}

Status PendingCheckpoint::addParameters(const std::map<std::string, TensorView> &parameters) {
  SMELT_ASSIGN_OR_RETURN(files_[kParameters],
                         writeTensors(path() + "/" + kParameters, parameters));
  return Status::ok();
}

void PendingCheckpoint::addState(int rank, const FileRecord &record) {
  files_[stateFileName(rank)] = record;
}

Status PendingCheckpoint::publish(const CheckpointInfo &info, int keep) {
  SMELT_RETURN_IF_ERROR(writeSealedManifest(path(), manifestText(info, files_)));
  SMELT_RETURN_IF_ERROR(folder_.publish());
  std::vector<std::string> all = listCheckpoints(root_);
  for (size_t i = static_cast<size_t>(std::max(keep, 1)); i < all.size(); ++i)
    SMELT_RETURN_IF_ERROR(removeDirectory(all[i]));
  return Status::ok();
}

StatusOr<FileRecord> writeStateFile(const std::string &folder, int rank,
                                    const std::map<std::string, TensorView> &state) {
  return writeTensors(folder + "/" + stateFileName(rank), state);
}

Status writeCheckpoint(const std::string &root, const CheckpointInfo &info,
                       const std::map<std::string, TensorView> &parameters,
                       const std::map<std::string, TensorView> &state, int keep) {
  SMELT_ASSIGN_OR_RETURN(PendingCheckpoint pending, PendingCheckpoint::create(root, info.step));
  SMELT_RETURN_IF_ERROR(pending.addParameters(parameters));
  SMELT_ASSIGN_OR_RETURN(FileRecord record, writeStateFile(pending.path(), 0, state));
  pending.addState(0, record);
  return pending.publish(info, keep);
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
