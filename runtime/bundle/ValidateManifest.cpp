//===- ValidateManifest.cpp - Every index, offset and size ----------------===//
//
// After validateManifest the runtime indexes and copies without further checks.
//
//===----------------------------------------------------------------------===//

#include "runtime/bundle/GpuJson.h"
#include "runtime/bundle/Manifest.h"
#include "runtime/bundle/ValidateLanes.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace smelt::runtime {

namespace {
bool ownsItsBytes(BufferKind kind) {
  return kind == BufferKind::Parameter || kind == BufferKind::State ||
         kind == BufferKind::Setting || kind == BufferKind::Constant;
}

bool mayBeRange(BufferKind kind) {
  return kind == BufferKind::Workspace || kind == BufferKind::Parameter ||
         kind == BufferKind::State || kind == BufferKind::Gradient;
}

Status checkBuffer(const Manifest &manifest, const Buffer &buffer) {
  auto needed = shapeBytes(buffer.shape, buffer.dtype);
  if (!needed)
    return corruptError("the shape overflows");
  if (*needed > buffer.bytes)
    return corruptError("the shape needs ", *needed, " bytes but the buffer has ", buffer.bytes);
  // A range of another buffer begins at any of its elements.
  uint64_t alignment = buffer.base ? dtypeBytes(buffer.dtype) : kBufferAlignment;
  if (buffer.offset % alignment != 0)
    return corruptError("offset ", buffer.offset, " is not a multiple of ", alignment);
  if (buffer.offset > manifest.arenaBytes || buffer.bytes > manifest.arenaBytes - buffer.offset)
    return corruptError("bytes ", buffer.offset, "..", buffer.offset + buffer.bytes,
                        " lie outside the arena of ", manifest.arenaBytes);
  if (buffer.init && !std::isfinite(buffer.init->value))
    return corruptError("the initial value is not finite");
  if (buffer.init && buffer.init->kind == InitKind::Values &&
      buffer.init->values.size() * dtypeBytes(buffer.dtype) != *needed)
    return corruptError("the shape needs ", *needed / dtypeBytes(buffer.dtype),
                        " initial values but there are ", buffer.init->values.size());
  return Status::ok();
}

/// A state that each rank has a part of: the parts are large enough for the whole.
Status checkPartOf(const Manifest &manifest, const Buffer &buffer) {
  if (buffer.partOf.empty())
    return Status::ok();
  if (buffer.kind != BufferKind::State || buffer.shape.empty() || buffer.base)
    return corruptError("it cannot be a part of other tensors");
  int64_t rows = 0;
  for (const PartOf &part : buffer.partOf) {
    if (part.name.empty() || part.rows < 1 || part.rows > kMaxRows)
      return corruptError("it is a part of \"", part.name, "\", which has ", part.rows, " rows");
    rows += part.rows;
  }
  if (buffer.shape[0] < 1 || (rows - 1) / buffer.shape[0] >= manifest.training.ranks)
    return corruptError("the parts of ", manifest.training.ranks, " ranks are less than ", rows,
                        " rows");
  return Status::ok();
}

/// A range of another buffer: rows, or a parameter, state or gradient that lies in a bank, inside
/// one that is no range itself.
Status checkBase(const Manifest &manifest, const Buffer &buffer) {
  if (buffer.rankStride && (!buffer.base || buffer.kind != BufferKind::Workspace))
    return corruptError("a rank_stride is for ranges of another buffer");
  if (!buffer.base)
    return Status::ok();
  if (*buffer.base >= manifest.buffers.size() || manifest.buffers[*buffer.base].base ||
      !mayBeRange(buffer.kind))
    return corruptError("its base ", *buffer.base, " cannot be one");
  const Buffer &base = manifest.buffers[*buffer.base];
  if (buffer.rankStride) {
    uint64_t stride = *buffer.rankStride, at = buffer.offset - base.offset;
    bool isPart = buffer.offset >= base.offset && at <= stride && buffer.bytes <= stride - at &&
                  stride > 0 && base.bytes % stride == 0 &&
                  base.bytes / stride == static_cast<uint64_t>(manifest.training.ranks) &&
                  stride % dtypeBytes(buffer.dtype) == 0;
    return isPart ? Status::ok() : corruptError("it is not one rank's part of its base");
  }
  if (buffer.offset < base.offset || buffer.offset - base.offset > base.bytes ||
      buffer.bytes > base.bytes - (buffer.offset - base.offset))
    return corruptError("it reaches outside of its base");
  return Status::ok();
}

/// Parameters and states that lie in banks do not overlap each other.
Status checkBanks(const Manifest &manifest) {
  std::vector<const Buffer *> members;
  for (const Buffer &buffer : manifest.buffers)
    if (buffer.base && buffer.bytes && ownsItsBytes(buffer.kind))
      members.push_back(&buffer);
  std::sort(members.begin(), members.end(),
            [](const Buffer *a, const Buffer *b) { return a->offset < b->offset; });
  for (size_t i = 1; i < members.size(); ++i)
    if (members[i - 1]->offset + members[i - 1]->bytes > members[i]->offset)
      return corruptError("buffers: \"", members[i - 1]->name, "\" and \"", members[i]->name,
                          "\" overlap");
  return Status::ok();
}

/// What a state is a copy of at first: a parameter of its type with values of its own.
Status checkCopy(const Manifest &manifest, const Buffer &buffer) {
  if (!buffer.init || buffer.init->kind != InitKind::Copy)
    return Status::ok();
  uint32_t source = buffer.init->source;
  if (buffer.kind != BufferKind::State || source >= manifest.buffers.size())
    return corruptError("it cannot begin as a copy of buffer ", source);
  const Buffer &parameter = manifest.buffers[source];
  if (parameter.kind != BufferKind::Parameter || parameter.dtype != buffer.dtype ||
      parameter.shape != buffer.shape)
    return corruptError("it begins as a copy of \"", parameter.name,
                        "\", which is no parameter of its type");
  return Status::ok();
}

/// Buffers that own their bytes overlap nothing but ranges of themselves.
Status checkOverlaps(const Manifest &manifest) {
  std::vector<const Buffer *> sorted;
  for (const Buffer &buffer : manifest.buffers)
    if (buffer.bytes && !buffer.base)
      sorted.push_back(&buffer);
  std::sort(sorted.begin(), sorted.end(),
            [](const Buffer *a, const Buffer *b) { return a->offset < b->offset; });
  // In offset order, two kinds of frontier: the furthest end of all, and of the owning ones.
  const Buffer *furthest = nullptr, *furthestOwner = nullptr;
  auto end = [](const Buffer *buffer) { return buffer->offset + buffer->bytes; };
  for (const Buffer *buffer : sorted) {
    const Buffer *other = ownsItsBytes(buffer->kind) ? furthest : furthestOwner;
    if (other && end(other) > buffer->offset)
      return corruptError("buffers: \"", other->name, "\" and \"", buffer->name, "\" overlap");
    if (!furthest || end(buffer) > end(furthest))
      furthest = buffer;
    if (ownsItsBytes(buffer->kind) && (!furthestOwner || end(buffer) > end(furthestOwner)))
      furthestOwner = buffer;
  }
  return Status::ok();
}

Status checkBuffers(const Manifest &manifest) {
  std::set<std::string> names;
  for (const Buffer &buffer : manifest.buffers) {
    SMELT_RETURN_IF_ERROR(
        checkBuffer(manifest, buffer).withContext(concat("buffer \"", buffer.name, "\"")));
    SMELT_RETURN_IF_ERROR(
        checkBase(manifest, buffer).withContext(concat("buffer \"", buffer.name, "\"")));
    SMELT_RETURN_IF_ERROR(
        checkCopy(manifest, buffer).withContext(concat("buffer \"", buffer.name, "\"")));
    SMELT_RETURN_IF_ERROR(
        checkPartOf(manifest, buffer).withContext(concat("buffer \"", buffer.name, "\"")));
    bool named = buffer.kind == BufferKind::Parameter || buffer.kind == BufferKind::State;
    std::vector<std::string> own{buffer.name};
    if (!buffer.partOf.empty())
      own.clear();
    for (const PartOf &part : buffer.partOf)
      own.push_back(part.name);
    for (const std::string &name : own)
      if (named && (name.empty() || !names.insert(name).second))
        return corruptError("buffers: two parameters or states have the name \"", name, "\"");
  }
  SMELT_RETURN_IF_ERROR(checkBanks(manifest));
  return checkOverlaps(manifest);
}

/// Steps `first`..`last` come next after the step before `next`.
Status checkNext(int64_t &next, int64_t first, int64_t last) {
  if (first != next || last < first)
    return corruptError("step ", next, " must begin a segment, but one has steps ", first, "..",
                        last);
  next = last + 1;
  return Status::ok();
}

Status checkPeriod(const Period &period) {
  if (period.every < 1 || period.offset < 0 || period.offset >= period.every)
    return corruptError("offset ", period.offset, " does not lie within a period of ", period.every,
                        " steps");
  return Status::ok();
}

Status checkPower(const OneMinusPower &power) {
  if (!(power.base >= 0 && power.base < 1))
    return corruptError("the base ", power.base, " is not in [0, 1)");
  return checkPeriod(power.period);
}

/// All steps have a value.
Status checkSchedule(const Manifest &manifest, const Setting &setting, uint64_t elements) {
  int64_t next = 0;
  for (const Segment &segment : setting.segments) {
    SMELT_RETURN_IF_ERROR(checkNext(next, segment.first, segment.last));
    if (!std::isfinite(segment.value) || !std::isfinite(segment.slope))
      return corruptError("a value or slope is not finite");
  }
  for (const VectorPiece &piece : setting.pieces) {
    SMELT_RETURN_IF_ERROR(checkNext(next, piece.first, piece.last));
    if (piece.values.size() != elements)
      return corruptError("a piece has ", piece.values.size(), " values for ", elements,
                          " elements");
    for (double value : piece.values)
      if (!std::isfinite(value))
        return corruptError("a value is not finite");
  }
  if (next < manifest.training.steps)
    return corruptError("the segments end at step ", next - 1, " but training has ",
                        manifest.training.steps, " steps");
  return Status::ok();
}

Status checkSetting(const Manifest &manifest, const Setting &setting) {
  if (setting.buffer >= manifest.buffers.size())
    return corruptError("there is no buffer ", setting.buffer);
  const Buffer &buffer = manifest.buffers[setting.buffer];
  bool isVector = !setting.pieces.empty();
  auto size = shapeBytes(buffer.shape, buffer.dtype);
  if (buffer.kind != BufferKind::Setting || !size || buffer.bytes < *size ||
      (!isVector && *size != dtypeBytes(buffer.dtype)))
    return corruptError("buffer ", setting.buffer, isVector ? " is not" : " is not one element",
                        " of kind setting");
  bool automatic = automaticPeriod(setting.name, "accumulate") || automaticPeriod(setting.name, "step");
  int given = !setting.segments.empty() + isVector + setting.power.has_value();
  if (automatic && given)
    return corruptError("the runtime sets it, so it has no segments");
  if (!automatic && given != 1)
    return corruptError(given ? "it has segments, pieces or a power, but not one of them"
                              : "it has no segments");
  if (automatic)
    return Status::ok();
  if (setting.power)
    return checkPower(*setting.power);
  return checkSchedule(manifest, setting, *size / dtypeBytes(buffer.dtype));
}

Status checkSettings(const Manifest &manifest) {
  std::set<std::string> names;
  for (const Setting &setting : manifest.settings) {
    SMELT_RETURN_IF_ERROR(
        checkSetting(manifest, setting).withContext(concat("setting \"", setting.name, "\"")));
    if (!names.insert(setting.name).second)
      return corruptError("settings: \"", setting.name, "\" appears twice");
  }
  return Status::ok();
}

Status checkKernels(const Manifest &manifest) {
  for (const Kernel &kernel : manifest.kernels)
    if (kernel.symbol.empty() || kernel.symbol.find('\0') != std::string::npos)
      return corruptError("kernel \"", kernel.name, "\" has no symbol");
  return checkGpuKernels(manifest);
}

Status checkLaunch(const Manifest &manifest, const Launch &launch) {
  if (launch.kernel >= manifest.kernels.size())
    return corruptError("there is no kernel ", launch.kernel);
  const Kernel &kernel = manifest.kernels[launch.kernel];
  if (launch.arguments.size() != kernel.arguments)
    return corruptError("kernel \"", kernel.name, "\" takes ", kernel.arguments,
                        " arguments but gets ", launch.arguments.size());
  for (uint32_t argument : launch.arguments)
    if (argument >= manifest.buffers.size())
      return corruptError("there is no buffer ", argument);
  return checkGpuLaunch(manifest, kernel, launch);
}

/// An input of `tokens` i32 elements.
Status checkTokenInput(const Manifest &manifest, const Program &program, const char *name) {
  auto it = program.inputs.find(name);
  if (it == program.inputs.end())
    return corruptError("input \"", name, "\" is missing");
  const Buffer &buffer = manifest.buffers[it->second];
  if (buffer.dtype != DType::I32 || buffer.shape != std::vector<int64_t>{program.tokens})
    return corruptError("input \"", name, "\" must be i32 [", program.tokens, "]");
  return Status::ok();
}

Status checkScalarOutput(const Manifest &manifest, const Program &program, const char *name) {
  auto it = program.outputs.find(name);
  if (it == program.outputs.end())
    return corruptError("output \"", name, "\" is missing");
  const Buffer &buffer = manifest.buffers[it->second];
  if (!isFloat(buffer.dtype) || !buffer.shape.empty())
    return corruptError("output \"", name, "\" must be one floating-point number");
  return Status::ok();
}

Status checkLogits(const Manifest &manifest, const Program &program) {
  auto it = program.outputs.find("logits");
  if (it == program.outputs.end())
    return corruptError("output \"logits\" is missing");
  const Buffer &buffer = manifest.buffers[it->second];
  if (!isFloat(buffer.dtype) || buffer.shape.size() != 2 || buffer.shape[0] != program.tokens ||
      buffer.shape[1] < manifest.data.vocabulary)
    return corruptError("output \"logits\" must be floating-point [", program.tokens, ", at least ",
                        manifest.data.vocabulary, "]");
  return Status::ok();
}

Status checkRole(const Manifest &manifest, const Program &program) {
  if (program.role == "setup" || program.role == "update")
    return Status::ok();
  bool trains = program.role == "train" || program.role == "evaluate";
  if (!trains && program.role != "generate")
    return corruptError("unknown role \"", program.role, "\"");
  if (program.tokens < 1)
    return corruptError("tokens must be positive");
  SMELT_RETURN_IF_ERROR(checkTokenInput(manifest, program, "tokens"));
  SMELT_RETURN_IF_ERROR(checkTokenInput(manifest, program, "document_start"));
  if (!trains)
    return checkLogits(manifest, program);
  SMELT_RETURN_IF_ERROR(checkTokenInput(manifest, program, "targets"));
  SMELT_RETURN_IF_ERROR(checkScalarOutput(manifest, program, "objective"));
  return checkScalarOutput(manifest, program, "loss_sum");
}

/// A buffer of its own that is one part per rank.
Status checkParts(const Manifest &manifest, uint32_t index) {
  const Buffer &buffer = manifest.buffers[index];
  auto ranks = static_cast<uint64_t>(manifest.training.ranks);
  if (buffer.base || buffer.bytes % (ranks * kPartAlignment))
    return corruptError("collectives: buffer ", index, " of ", buffer.bytes,
                        " bytes is not one part for each of ", ranks, " ranks");
  return Status::ok();
}

Status checkCollectives(const Manifest &manifest, const Program &program) {
  if (!program.collectives.empty() && manifest.training.ranks < 2)
    return corruptError("there are collectives, but one rank");
  uint32_t last = 0;
  for (const CollectiveStep &step : program.collectives) {
    if (step.before < last || step.before > program.launches.size())
      return corruptError("collectives: there is no place before launch ", step.before);
    last = step.before;
    if (step.buffers.empty())
      return corruptError("collectives: one has no buffers");
    for (uint32_t index : step.buffers) {
      if (index >= manifest.buffers.size())
        return corruptError("collectives: there is no buffer ", index);
      DType type = manifest.buffers[index].dtype;
      bool isSum = step.kind != CollectiveKind::AllGather;
      if (step.kind != CollectiveKind::AllReduce)
        SMELT_RETURN_IF_ERROR(checkParts(manifest, index));
      if ((isSum && type != DType::F32 && type != DType::BF16) ||
          type != manifest.buffers[step.buffers[0]].dtype)
        return corruptError("collectives: buffer ", index, " is ", dtypeName(type));
    }
  }
  return Status::ok();
}

Status checkProgram(const Manifest &manifest, const Program &program) {
  for (const auto *named : {&program.inputs, &program.outputs})
    for (const auto &[name, buffer] : *named)
      if (buffer >= manifest.buffers.size())
        return corruptError("\"", name, "\": there is no buffer ", buffer);
  for (size_t i = 0; i < program.launches.size(); ++i)
    SMELT_RETURN_IF_ERROR(
        checkLaunch(manifest, program.launches[i]).withContext(concat("launch ", i)));
  SMELT_RETURN_IF_ERROR(checkCollectives(manifest, program));
  SMELT_RETURN_IF_ERROR(checkLanes(manifest, program));
  SMELT_RETURN_IF_ERROR(checkLastOfStep(manifest, program));
  return checkRole(manifest, program);
}

Status checkPrograms(const Manifest &manifest) {
  std::set<std::string> names;
  for (const Program &program : manifest.programs) {
    SMELT_RETURN_IF_ERROR(
        checkProgram(manifest, program).withContext(concat("program \"", program.name, "\"")));
    if (!names.insert(program.name).second)
      return corruptError("programs: \"", program.name, "\" appears twice");
  }
  return Status::ok();
}

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
  bool canAccumulate = std::any_of(
      manifest.settings.begin(), manifest.settings.end(), [](const Setting &setting) {
        return automaticPeriod(setting.name, "accumulate").has_value();
      });
  if (accumulates && !canAccumulate)
    return corruptError("training: gradients accumulate but there is no setting \"accumulate\"");
  SMELT_RETURN_IF_ERROR(checkUpdates(manifest).withContext("training"));
  return checkValidation(manifest).withContext("training");
}

Status checkData(const Data &data) {
  if (data.vocabulary < 1 || data.sequence < 0 || data.startToken >= data.vocabulary)
    return corruptError("data: vocabulary, sequence or start_token is out of range");
  bool byToken = data.order == SampleOrder::Documents || data.order == SampleOrder::Aligned;
  if (byToken && data.startToken < 0)
    return corruptError("data: order ", sampleOrderName(data.order), " needs a start_token");
  if (data.order == SampleOrder::Aligned && data.ranks < 1)
    return corruptError("data: order aligned needs ranks");
  if (data.maxTokens < 0 || data.ranks < 0 || (data.order == SampleOrder::Random && data.ranks))
    return corruptError("data: max_tokens or ranks is out of range");
  return Status::ok();
}
} // namespace

Status validateManifest(const Manifest &manifest) {
  SMELT_RETURN_IF_ERROR(checkFileRecords(manifest.files));
  SMELT_RETURN_IF_ERROR(checkBuffers(manifest));
  SMELT_RETURN_IF_ERROR(checkSettings(manifest));
  SMELT_RETURN_IF_ERROR(checkKernels(manifest));
  SMELT_RETURN_IF_ERROR(checkPrograms(manifest));
  SMELT_RETURN_IF_ERROR(checkTraining(manifest));
  return checkData(manifest.data);
}

} // namespace smelt::runtime
