//===- WriteManifest.cpp - Manifest → manifest.json's text ----------------===//

#include "runtime/bundle/GpuJson.h"
#include "runtime/bundle/Manifest.h"
#include "runtime/bundle/ProductJson.h"

#include <nlohmann/json.hpp>

namespace smelt::runtime {

using nlohmann::ordered_json;

namespace {
ordered_json initJson(const Init &init) {
  switch (init.kind) {
  case InitKind::Zeros:
    return {{"zeros", true}};
  case InitKind::Constant:
    return {{"constant", init.value}};
  case InitKind::Uniform:
    return {{"uniform", init.value}};
  case InitKind::Normal:
    return {{"normal", init.value}};
  case InitKind::Values:
    return {{"values", init.values}};
  case InitKind::Copy:
    return {{"copy", init.source}};
  case InitKind::Master:
    return {{"master", true}};
  }
  return {};
}

ordered_json bufferJson(const Buffer &buffer) {
  ordered_json json = {{"name", buffer.name},
                       {"kind", bufferKindName(buffer.kind)},
                       {"dtype", dtypeName(buffer.dtype)},
                       {"shape", buffer.shape},
                       {"offset", buffer.offset},
                       {"bytes", buffer.bytes}};
  if (buffer.base)
    json["base"] = *buffer.base;
  if (buffer.init)
    json["init"] = initJson(*buffer.init);
  if (buffer.rankStride)
    json["rank_stride"] = *buffer.rankStride;
  for (const PartOf &part : buffer.partOf)
    json["part_of"].push_back({{"name", part.name}, {"rows", part.rows}});
  return json;
}

ordered_json settingJson(const Setting &setting) {
  ordered_json json = {{"name", setting.name}, {"buffer", setting.buffer}};
  if (!setting.segments.empty()) {
    ordered_json segments = ordered_json::array();
    for (const Segment &segment : setting.segments)
      segments.push_back({{"first", segment.first},
                          {"last", segment.last},
                          {"value", segment.value},
                          {"slope", segment.slope}});
    json["segments"] = std::move(segments);
  }
  if (!setting.pieces.empty()) {
    ordered_json pieces = ordered_json::array();
    for (const VectorPiece &piece : setting.pieces)
      pieces.push_back({{"first", piece.first}, {"last", piece.last}, {"values", piece.values}});
    json["pieces"] = std::move(pieces);
  }
  if (const auto &power = setting.power)
    json["one_minus_power"] = {{"base", power->base},
                               {"every", power->period.every},
                               {"offset", power->period.offset}};
  return json;
}

ordered_json kernelJson(const Kernel &kernel) {
  ordered_json json = {
      {"name", kernel.name}, {"symbol", kernel.symbol}, {"arguments", kernel.arguments}};
  if (!kernel.gpu.empty()) {
    ordered_json launches = ordered_json::array();
    for (const GpuLaunch &launch : kernel.gpu)
      launches.push_back(gpuLaunchJson(launch));
    json["gpu"] = std::move(launches);
  }
  if (kernel.product)
    json["product"] = productJson(*kernel.product);
  if (kernel.library)
    json["library"] = kernelLibraryJson(*kernel.library);
  return json;
}

ordered_json launchJson(const Launch &launch) {
  ordered_json json = {
      {"kernel", launch.kernel}, {"arguments", launch.arguments}, {"label", launch.label},
      {"steps", launch.steps},   {"flops", launch.flops},         {"bytes", launch.bytes}};
  if (!launch.wait.empty())
    json["wait"] = launch.wait;
  return json;
}

ordered_json collectiveJson(const CollectiveStep &step) {
  ordered_json json = {{"kind", collectiveKindName(step.kind)},
                       {"before", step.before},
                       {"buffers", step.buffers}};
  if (step.onLane)
    json["lane"] = "communication";
  if (!step.wait.empty())
    json["wait"] = step.wait;
  return json;
}

ordered_json trainingJson(const Training &training, const Manifest &manifest) {
  ordered_json stages = ordered_json::array();
  for (const Stage &stage : training.stages) {
    const Program *program = manifest.findProgram(stage.program);
    stages.push_back({{"first", stage.first},
                      {"last", stage.last},
                      {"program", stage.program},
                      {"micro_batches", stage.microBatches},
                      {"tokens", program ? program->tokens : 0}});
  }
  ordered_json validation = {{"every", training.validation.every},
                             {"tokens", training.validation.tokens},
                             {"program", training.validation.program}};
  if (!training.validation.finalSettings.empty())
    validation["final_settings"] = training.validation.finalSettings;
  ordered_json updates = ordered_json::array();
  for (const Update &update : training.updates)
    updates.push_back({{"program", update.program},
                       {"every", update.period.every},
                       {"offset", update.period.offset}});
  ordered_json json = {{"steps", training.steps},
                       {"seed", training.seed},
                       {"stages", stages},
                       {"validation", validation},
                       {"checkpoint_every", training.checkpointEvery},
                       {"checkpoint_keep", training.checkpointKeep},
                       {"updates", updates}};
  if (training.ranks != 1)
    json["ranks"] = training.ranks;
  if (training.collectiveBlocks)
    json["collective_blocks"] = training.collectiveBlocks;
  return json;
}

ordered_json dataJson(const Data &data) {
  ordered_json json = {{"train", data.train},
                       {"validation", data.validation},
                       {"tokenizer", data.tokenizer},
                       {"vocabulary", data.vocabulary},
                       {"sequence", data.sequence},
                       {"documents",
                        {{"order", sampleOrderName(data.order)},
                         {"start_token", data.startToken},
                         {"max_tokens", data.maxTokens},
                         {"ranks", data.ranks}}}};
  if (!data.tokenizerFiles.empty())
    json["tokenizer_files"] = data.tokenizerFiles;
  return json;
}

ordered_json filesJson(const std::map<std::string, FileRecord> &files) {
  ordered_json json = ordered_json::object();
  for (const auto &[name, record] : files)
    json[name] = {{"bytes", record.bytes}, {"sha256", record.sha256}};
  return json;
}

/// Text that is not UTF-8 is replaced: a manifest must always be writable.
std::string dump(const ordered_json &json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

/// Appends `"key":VALUE,`.
void appendMember(std::string &out, const char *key, const ordered_json &value) {
  out += concat("\"", key, "\":", dump(value), ",\n");
}

/// Appends an array with one element a line, without what follows it.
template <typename Element, typename ToJson>
void appendArray(std::string &out, const char *key, const std::vector<Element> &elements,
                 ToJson toJson) {
  out += concat("\"", key, "\":[");
  const char *separator = "\n ";
  for (const Element &element : elements) {
    out += separator + dump(toJson(element));
    separator = ",\n ";
  }
  out += "]";
}

void appendProgram(std::string &out, const Program &program) {
  out +=
      concat(" {\"name\":", dump(program.name), ",\"role\":", dump(program.role),
             ",\"tokens\":", program.tokens, ",\"inputs\":",
             dump(program.inputs.empty() ? ordered_json::object() : ordered_json(program.inputs)),
             ",\"outputs\":",
             dump(program.outputs.empty() ? ordered_json::object() : ordered_json(program.outputs)),
             ",\n ");
  if (program.last)
    out += concat("\"last_of\":", dump(program.last->program), ",\"updates\":",
                  dump(program.last->updates), ",\"updates_from\":", program.last->updatesFrom, ",\n ");
  appendArray(out, "launches", program.launches, launchJson);
  if (!program.collectives.empty()) {
    out += ",\n ";
    appendArray(out, "collectives", program.collectives, collectiveJson);
  }
  out += "}";
}
} // namespace

std::string writeManifest(const Manifest &manifest) {
  std::string out = "{";
  appendMember(out, "format", "smelt-bundle");
  appendMember(out, "version", manifest.version);
  appendMember(out, "compiler", manifest.compiler);
  appendMember(out, "name", manifest.name);
  appendMember(out, "target", manifest.target);
  if (manifest.target == "cpu")
    appendMember(out, "cpu", {{"name", manifest.cpu.name}, {"features", manifest.cpu.features}});
  else
    appendMember(out, "gpu", {{"architecture", manifest.gpu.architecture}});
  appendMember(out, "files", filesJson(manifest.files));
  appendMember(out, "arena_bytes", manifest.arenaBytes);
  appendArray(out, "buffers", manifest.buffers, bufferJson);
  out += ",\n";
  appendArray(out, "settings", manifest.settings, settingJson);
  out += ",\n";
  appendArray(out, "kernels", manifest.kernels, kernelJson);
  out += ",\n\"programs\":[";
  const char *separator = "\n";
  for (const Program &program : manifest.programs) {
    out += separator;
    appendProgram(out, program);
    separator = ",\n";
  }
  out += "],\n";
  appendMember(out, "training", trainingJson(manifest.training, manifest));
  out += concat("\"data\":", dump(dataJson(manifest.data)), "}\n");
  return out;
}

} // namespace smelt::runtime
