#include "tools/smelt-run/Commands.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <cstdio>

namespace smelt::runtime {

void addInfoOptions(CLI::App &command, InfoOptions &options) {
  command.add_option("path", options.path, "A bundle, a checkpoint, a run folder or a .bin shard")
      ->required();
  command.add_flag("--json", options.json, "Print one JSON object");
}

namespace {
using nlohmann::ordered_json;

StatusOr<ordered_json> describeBundle(const std::string &path) {
  SMELT_ASSIGN_OR_RETURN(Bundle bundle, openBundle(path));
  const Manifest &manifest = bundle.manifest;
  uint64_t parameters = 0;
  for (const Buffer &buffer : manifest.buffers)
    if (buffer.kind == BufferKind::Parameter)
      parameters += *shapeBytes(buffer.shape, buffer.dtype) / dtypeBytes(buffer.dtype);
  ordered_json programs = ordered_json::array();
  for (const Program &program : manifest.programs) {
    uint64_t flops = 0, bytes = 0;
    for (const Launch &launch : program.launches)
      flops += launch.flops, bytes += launch.bytes;
    programs.push_back({{"name", program.name},
                        {"role", program.role},
                        {"launches", program.launches.size()},
                        {"flops", flops},
                        {"bytes", bytes}});
  }
  return ordered_json{{"kind", "bundle"},
                      {"name", manifest.name},
                      {"compiler", manifest.compiler},
                      {"target", manifest.target},
                      {"cpu", manifest.cpu.name},
                      {"sha256", bundle.manifestSha256},
                      {"parameters", parameters},
                      {"arena_bytes", manifest.arenaBytes},
                      {"buffers", manifest.buffers.size()},
                      {"kernels", manifest.kernels.size()},
                      {"steps", manifest.training.steps},
                      {"programs", programs}};
}

StatusOr<ordered_json> describeCheckpoint(const std::string &path) {
  SMELT_ASSIGN_OR_RETURN(Checkpoint checkpoint, openCheckpoint(path));
  ordered_json tensors = ordered_json::object();
  for (const auto &[name, tensor] : checkpoint.parameters.tensors())
    tensors[name] = concat(dtypeName(tensor.dtype), " ", ordered_json(tensor.shape).dump());
  return ordered_json{{"kind", "checkpoint"},
                      {"model", checkpoint.info.model},
                      {"step", checkpoint.info.step},
                      {"seed", checkpoint.info.seed},
                      {"bundle_sha256", checkpoint.info.bundleSha256},
                      {"train_ms", checkpoint.info.trainMilliseconds},
                      {"parameters", tensors}};
}

StatusOr<ordered_json> describe(const std::string &path) {
  if (isFile(path)) {
    // Every token that two bytes can hold: the shard does not know its vocabulary.
    SMELT_ASSIGN_OR_RETURN(Shard shard, Shard::openBin(path, 65536));
    return ordered_json{{"kind", "shard"}, {"tokens", shard.size()}};
  }
  if (!isDirectory(path))
    return corruptError(path, ": there is no such file or folder");
  if (isDirectory(path + "/checkpoints")) {
    std::vector<std::string> paths = listCheckpoints(path + "/checkpoints");
    ordered_json checkpoints = ordered_json::array();
    for (const std::string &checkpoint : paths)
      checkpoints.push_back(checkpoint);
    return ordered_json{{"kind", "run"}, {"checkpoints", checkpoints}};
  }
  return isFile(path + "/spec.json") ? describeBundle(path) : describeCheckpoint(path);
}
} // namespace

Status runInfo(const InfoOptions &options) {
  SMELT_ASSIGN_OR_RETURN(ordered_json json, describe(options.path));
  auto replace = ordered_json::error_handler_t::replace;
  if (options.json) {
    std::puts(json.dump(-1, ' ', false, replace).c_str());
    return Status::ok();
  }
  for (const auto &[key, value] : json.items()) {
    if (!value.is_structured()) {
      std::string text = value.is_string() ? value.get<std::string>() : value.dump();
      std::printf("%-14s %s\n", (key + ":").c_str(), text.c_str());
      continue;
    }
    std::printf("%s:\n", key.c_str());
    for (const auto &[name, element] : value.items())
      std::printf("  %s%s\n", value.is_object() ? (name + ": ").c_str() : "",
                  element.dump(-1, ' ', false, replace).c_str());
  }
  return Status::ok();
}

} // namespace smelt::runtime
