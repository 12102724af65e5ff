//===- ReadManifest.cpp - manifest.json's text → Manifest -----------------===//

#include "runtime/base/JsonReader.h"
#include "runtime/bundle/GpuJson.h"
#include "runtime/bundle/Manifest.h"
#include "runtime/bundle/ProductJson.h"

#include <limits>

namespace smelt::runtime {

using nlohmann::json;

namespace {
constexpr int64_t kMaxSteps = int64_t(1) << 40;
constexpr int64_t kMaxTokens = int64_t(1) << 40;
constexpr uint64_t kMaxBytes = uint64_t(1) << 46;
constexpr uint64_t kAny = std::numeric_limits<uint64_t>::max();
constexpr uint64_t kMaxIndex = std::numeric_limits<uint32_t>::max();

/// Reads each element of `owner[key]` as an object.
template <typename Result, typename ReadOne>
std::vector<Result> readArray(JsonObject &owner, const char *key, Status &failure,
                              ReadOne readOne) {
  std::vector<Result> result;
  const json::array_t &elements = owner.array(key);
  result.reserve(elements.size());
  for (const json &element : elements) {
    JsonObject object(element, concat(owner.pathOf(key), "[", result.size(), "]"), failure);
    result.push_back(readOne(object));
    object.finish();
    if (!failure.isOk())
      return {};
  }
  return result;
}

std::optional<Init> readInit(JsonObject &buffer, Status &failure) {
  if (!buffer.has("init"))
    return std::nullopt;
  JsonObject object(buffer.value("init"), buffer.pathOf("init"), failure);
  Init init;
  if (object.has("zeros")) {
    if (!object.boolean("zeros"))
      object.fail("\"zeros\" must be true");
  } else if (object.has("constant")) {
    init = {InitKind::Constant, object.number("constant")};
  } else if (object.has("uniform")) {
    init = {InitKind::Uniform, object.number("uniform")};
  } else if (object.has("normal")) {
    init = {InitKind::Normal, object.number("normal")};
  } else if (object.has("values")) {
    init = {InitKind::Values, 0, object.numbers("values")};
  } else if (object.has("copy")) {
    init.kind = InitKind::Copy;
    init.source = static_cast<uint32_t>(object.unsignedInteger("copy", kMaxIndex));
  } else if (object.has("master")) {
    init.kind = InitKind::Master;
    if (!object.boolean("master"))
      object.fail("\"master\" must be true");
  } else {
    object.fail("expected one of zeros, constant, uniform, normal, values, copy, master");
  }
  object.finish();
  return init;
}

Buffer readBuffer(JsonObject &object, Status &failure) {
  Buffer buffer;
  buffer.name = object.text("name");
  std::string kind = object.text("kind");
  if (auto parsed = parseBufferKind(kind))
    buffer.kind = *parsed;
  else
    object.fail(concat("unknown buffer kind \"", kind, "\""));
  std::string dtype = object.text("dtype");
  if (auto parsed = parseDType(dtype))
    buffer.dtype = *parsed;
  else
    object.fail(concat("unknown dtype \"", dtype, "\""));
  buffer.shape = object.integers("shape", 0, std::numeric_limits<int64_t>::max());
  buffer.offset = object.unsignedInteger("offset", kMaxBytes);
  buffer.bytes = object.unsignedInteger("bytes", kMaxBytes);
  if (object.has("base"))
    buffer.base = static_cast<uint32_t>(object.unsignedInteger("base", kMaxIndex));
  buffer.init = readInit(object, failure);
  if (object.has("rank_stride"))
    buffer.rankStride = object.unsignedInteger("rank_stride", kMaxBytes);
  if (object.has("part_of"))
    buffer.partOf = readArray<PartOf>(object, "part_of", failure, [](JsonObject &part) {
      return PartOf{part.text("name"), part.integer("rows", 1, kMaxRows)};
    });
  return buffer;
}

Segment readSegment(JsonObject &object) {
  Segment segment;
  segment.first = object.integer("first", 0, kMaxSteps);
  segment.last = object.integer("last", 0, kMaxSteps);
  segment.value = object.number("value");
  segment.slope = object.number("slope");
  return segment;
}

VectorPiece readPiece(JsonObject &object) {
  VectorPiece piece;
  piece.first = object.integer("first", 0, kMaxSteps);
  piece.last = object.integer("last", 0, kMaxSteps);
  piece.values = object.numbers("values");
  return piece;
}

Period readPeriod(JsonObject &object) {
  Period period;
  period.every = object.integer("every", 1, kMaxSteps);
  period.offset = object.integer("offset", 0, kMaxSteps);
  return period;
}

Setting readSetting(JsonObject &object, Status &failure) {
  Setting setting;
  setting.name = object.text("name");
  setting.buffer = static_cast<uint32_t>(object.unsignedInteger("buffer", kMaxIndex));
  if (object.has("segments"))
    setting.segments = readArray<Segment>(object, "segments", failure, readSegment);
  if (object.has("pieces"))
    setting.pieces = readArray<VectorPiece>(object, "pieces", failure, readPiece);
  if (object.has("one_minus_power")) {
    JsonObject power(object.value("one_minus_power"), object.pathOf("one_minus_power"), failure);
    setting.power = {power.number("base"), readPeriod(power)};
    power.finish();
  }
  return setting;
}

Kernel readKernel(JsonObject &object, Status &failure) {
  Kernel kernel;
  kernel.name = object.text("name");
  kernel.symbol = object.text("symbol");
  kernel.arguments = static_cast<uint32_t>(object.unsignedInteger("arguments", 1 << 20));
  if (object.has("gpu"))
    kernel.gpu = readArray<GpuLaunch>(object, "gpu", failure, [&](JsonObject &element) {
      return readGpuLaunch(element, failure);
    });
  if (object.has("product")) {
    JsonObject product(object.value("product"), object.pathOf("product"), failure);
    kernel.product = readProduct(product, failure);
  }
  if (object.has("library")) {
    JsonObject library(object.value("library"), object.pathOf("library"), failure);
    kernel.library = readKernelLibrary(library, failure);
  }
  return kernel;
}

/// The list of indices called `key`; none if it is not there.
std::vector<uint32_t> readIndices(JsonObject &object, const char *key) {
  std::vector<uint32_t> result;
  if (object.has(key))
    for (int64_t index : object.integers(key, 0, static_cast<int64_t>(kMaxIndex)))
      result.push_back(static_cast<uint32_t>(index));
  return result;
}

Launch readLaunch(JsonObject &object) {
  Launch launch;
  launch.kernel = static_cast<uint32_t>(object.unsignedInteger("kernel", kMaxIndex));
  for (int64_t argument : object.integers("arguments", 0, static_cast<int64_t>(kMaxIndex)))
    launch.arguments.push_back(static_cast<uint32_t>(argument));
  launch.label = object.text("label", "");
  if (object.has("steps"))
    launch.steps = object.texts("steps");
  if (object.has("flops"))
    launch.flops = object.unsignedInteger("flops", kAny);
  if (object.has("bytes"))
    launch.bytes = object.unsignedInteger("bytes", kAny);
  launch.wait = readIndices(object, "wait");
  return launch;
}

CollectiveStep readCollective(JsonObject &object) {
  CollectiveStep step;
  std::string kind = object.text("kind");
  if (auto parsed = parseCollectiveKind(kind))
    step.kind = *parsed;
  else
    object.fail(concat("unknown kind \"", kind, "\""));
  step.before = static_cast<uint32_t>(object.unsignedInteger("before", kMaxIndex));
  for (int64_t buffer : object.integers("buffers", 0, static_cast<int64_t>(kMaxIndex)))
    step.buffers.push_back(static_cast<uint32_t>(buffer));
  if (object.has("lane")) {
    if (std::string lane = object.text("lane"); lane != "communication")
      object.fail(concat("unknown lane \"", lane, "\""));
    step.onLane = true;
  }
  step.wait = readIndices(object, "wait");
  return step;
}

std::map<std::string, uint32_t> readNamedBuffers(JsonObject &program, const char *key) {
  std::map<std::string, uint32_t> result;
  if (!program.has(key))
    return result;
  for (const auto &[name, index] : program.object(key)) {
    if (!isIntegerWithin(index, 0, static_cast<int64_t>(kMaxIndex))) {
      program.fail(concat("\"", key, ".", name, "\" must be a buffer index"));
      return {};
    }
    result[name] = index.get<uint32_t>();
  }
  return result;
}

Program readProgram(JsonObject &object, Status &failure) {
  Program program;
  program.name = object.text("name");
  program.role = object.text("role");
  program.tokens = object.integer("tokens", 0, kMaxTokens, 0);
  program.inputs = readNamedBuffers(object, "inputs");
  program.outputs = readNamedBuffers(object, "outputs");
  program.launches = readArray<Launch>(object, "launches", failure, readLaunch);
  if (object.has("collectives"))
    program.collectives =
        readArray<CollectiveStep>(object, "collectives", failure, readCollective);
  if (object.has("last_of"))
    program.last = {object.text("last_of"), object.texts("updates"),
                    static_cast<uint32_t>(object.unsignedInteger("updates_from", kMaxIndex))};
  return program;
}

Stage readStage(JsonObject &object) {
  Stage stage;
  stage.first = object.integer("first", 0, kMaxSteps);
  stage.last = object.integer("last", 0, kMaxSteps);
  stage.program = object.text("program");
  stage.microBatches = object.integer("micro_batches", 1, 1 << 20);
  object.ignore("tokens"); // For people: the program's tokens.
  return stage;
}

Training readTraining(const json &value, Status &failure) {
  JsonObject object(value, "training", failure);
  Training training;
  training.steps = object.integer("steps", 0, kMaxSteps);
  training.seed = object.unsignedInteger("seed", kAny);
  training.ranks = object.integer("ranks", 1, 1 << 20, 1);
  training.collectiveBlocks = object.integer("collective_blocks", 0, 64, 0);
  training.stages = readArray<Stage>(object, "stages", failure, readStage);
  if (object.has("validation")) {
    JsonObject validation(object.value("validation"), "training.validation", failure);
    training.validation.every = validation.integer("every", 0, kMaxSteps);
    training.validation.tokens = validation.integer("tokens", 0, kMaxTokens);
    training.validation.program = validation.text("program");
    if (validation.has("final_settings"))
      for (const auto &[name, value] : validation.object("final_settings")) {
        if (!value.is_number())
          validation.fail(concat("final_settings: \"", name, "\" must be a number"));
        else
          training.validation.finalSettings[name] = value.get<double>();
      }
    validation.finish();
  }
  training.checkpointEvery = object.integer("checkpoint_every", 0, kMaxSteps, 0);
  training.checkpointKeep = object.integer("checkpoint_keep", 0, 1 << 20, 0);
  training.updates = readArray<Update>(object, "updates", failure, [](JsonObject &element) {
    std::string program = element.text("program");
    return Update{std::move(program), readPeriod(element)};
  });
  object.finish();
  return training;
}

Data readData(const json &value, Status &failure) {
  JsonObject object(value, "data", failure);
  Data data;
  data.train = object.text("train", "");
  data.validation = object.text("validation", "");
  data.tokenizer = object.text("tokenizer", "bytes");
  if (object.has("tokenizer_files"))
    for (const auto &[role, path] : object.object("tokenizer_files"))
      data.tokenizerFiles[role] = path.is_string() ? path.get<std::string>() : "";
  data.vocabulary = object.integer("vocabulary", 1, 1 << 30, 256);
  data.sequence = object.integer("sequence", 0, kMaxTokens, 0);
  if (object.has("documents")) {
    JsonObject documents(object.value("documents"), "data.documents", failure);
    std::string order = documents.text("order");
    if (auto parsed = parseSampleOrder(order))
      data.order = *parsed;
    else
      documents.fail(concat("unknown order \"", order, "\""));
    data.startToken = documents.integer("start_token", -1, 1 << 30, -1);
    data.maxTokens = documents.integer("max_tokens", 0, kMaxTokens, 0);
    data.ranks = documents.integer("ranks", 0, 1 << 20, 0);
    documents.finish();
  }
  object.finish();
  return data;
}

void readFiles(JsonObject &manifest, Status &failure, std::map<std::string, FileRecord> &files) {
  for (const auto &[name, value] : manifest.object("files")) {
    JsonObject object(value, concat("files[\"", name, "\"]"), failure);
    files[name] = {object.unsignedInteger("bytes", kMaxBytes), object.text("sha256")};
    object.finish();
  }
}

CpuTarget readCpu(JsonObject &manifest, Status &failure) {
  JsonObject object(manifest.value("cpu"), "cpu", failure);
  CpuTarget cpu;
  cpu.name = object.text("name");
  cpu.features = object.texts("features");
  object.finish();
  return cpu;
}

/// The format and the version come first: a newer manifest may differ in everything else.
Status checkFormat(const json &document) {
  if (!document.is_object() || !document.contains("format") ||
      document.at("format") != json("smelt-bundle"))
    return corruptError("this is not a Smelt bundle (\"format\" is not \"smelt-bundle\")");
  if (!document.contains("version") || !isIntegerWithin(document.at("version"), 1, 1 << 30))
    return corruptError("\"version\" must be a positive integer");
  if (int version = document.at("version").get<int>(); version > kBundleVersion)
    return corruptError("the bundle has version ", version, ", newer than ", kBundleVersion,
                        ", the newest that this smelt reads; use the smelt that wrote it");
  return Status::ok();
}
} // namespace

StatusOr<Manifest> parseManifest(std::string_view text) {
  json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded())
    return corruptError("not valid JSON");
  SMELT_RETURN_IF_ERROR(checkFormat(document));
  Status failure;
  JsonObject object(document, "", failure);
  object.ignore("format");
  Manifest manifest;
  manifest.version = static_cast<int>(object.integer("version", 1, kBundleVersion));
  manifest.compiler = object.text("compiler");
  manifest.name = object.text("name");
  manifest.target = object.text("target");
  if (object.has("cpu"))
    manifest.cpu = readCpu(object, failure);
  if (object.has("gpu")) {
    JsonObject gpu(object.value("gpu"), "gpu", failure);
    manifest.gpu.architecture = gpu.text("architecture");
    gpu.finish();
  }
  readFiles(object, failure, manifest.files);
  manifest.arenaBytes = object.unsignedInteger("arena_bytes", kMaxBytes);
  manifest.buffers = readArray<Buffer>(object, "buffers", failure, [&](JsonObject &element) {
    return readBuffer(element, failure);
  });
  manifest.settings = readArray<Setting>(object, "settings", failure, [&](JsonObject &element) {
    return readSetting(element, failure);
  });
  manifest.kernels = readArray<Kernel>(object, "kernels", failure, [&](JsonObject &element) {
    return readKernel(element, failure);
  });
  manifest.programs = readArray<Program>(object, "programs", failure, [&](JsonObject &element) {
    return readProgram(element, failure);
  });
  manifest.training = readTraining(object.value("training"), failure);
  manifest.data = readData(object.value("data"), failure);
  object.finish();
  SMELT_RETURN_IF_ERROR(failure);
  SMELT_RETURN_IF_ERROR(validateManifest(manifest));
  return manifest;
}

} // namespace smelt::runtime
