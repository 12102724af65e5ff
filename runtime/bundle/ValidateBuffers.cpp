//===- ValidateBuffers.cpp - Where buffers lie and what they share --------===//
#include "runtime/bundle/ValidateParts.h"

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

/// A state that has the wider values of the parameters that it is a part of.
Status checkMaster(const Manifest &manifest, const Buffer &buffer,
                   const std::map<std::string, const Buffer *> &masters) {
  if (!buffer.isMaster())
    return Status::ok();
  if (buffer.partOf.empty())
    return corruptError("it is a master of nothing");
  for (const PartOf &part : buffer.partOf) {
    auto isParameter = [&](const Buffer &other) {
      return other.kind == BufferKind::Parameter && other.name == part.name;
    };
    auto parameter = std::find_if(manifest.buffers.begin(), manifest.buffers.end(), isParameter);
    std::vector<int64_t> shape = buffer.shape;
    shape[0] = part.rows;
    if (parameter == manifest.buffers.end() || parameter->shape != shape ||
        dtypeBytes(parameter->dtype) >= dtypeBytes(buffer.dtype) ||
        masters.at(part.name) != &buffer)
      return corruptError("it cannot be the master of \"", part.name, "\"");
  }
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

/// What a state is a copy of at first: a parameter of its type with values of its own; a part of
/// one, the part of a master.
Status checkCopy(const Manifest &manifest, const Buffer &buffer) {
  if (!buffer.init || buffer.init->kind != InitKind::Copy)
    return Status::ok();
  uint32_t source = buffer.init->source;
  if (buffer.kind != BufferKind::State || source >= manifest.buffers.size())
    return corruptError("it cannot begin as a copy of buffer ", source);
  const Buffer &parameter = manifest.buffers[source];
  bool isFit =
      buffer.partOf.empty() ? parameter.kind == BufferKind::Parameter : parameter.isMaster();
  if (!isFit || parameter.dtype != buffer.dtype || parameter.shape != buffer.shape)
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

} // namespace

Status checkBuffers(const Manifest &manifest) {
  std::set<std::string> names;
  std::map<std::string, const Buffer *> masters = manifest.findMasters();
  for (const Buffer &buffer : manifest.buffers) {
    SMELT_RETURN_IF_ERROR(
        checkBuffer(manifest, buffer).withContext(concat("buffer \"", buffer.name, "\"")));
    SMELT_RETURN_IF_ERROR(
        checkBase(manifest, buffer).withContext(concat("buffer \"", buffer.name, "\"")));
    SMELT_RETURN_IF_ERROR(
        checkCopy(manifest, buffer).withContext(concat("buffer \"", buffer.name, "\"")));
    SMELT_RETURN_IF_ERROR(
        checkPartOf(manifest, buffer).withContext(concat("buffer \"", buffer.name, "\"")));
    SMELT_RETURN_IF_ERROR(
        checkMaster(manifest, buffer, masters).withContext(concat("buffer \"", buffer.name, "\"")));
    bool named = buffer.kind == BufferKind::Parameter || buffer.kind == BufferKind::State;
    std::vector<std::string> own{buffer.name};
    if (!buffer.partOf.empty())
      own.clear();
    for (const PartOf &part : buffer.partOf)
      if (!buffer.isMaster()) // Else the parameter has the name.
        own.push_back(part.name);
    for (const std::string &name : own)
      if (named && (name.empty() || !names.insert(name).second))
        return corruptError("buffers: two parameters or states have the name \"", name, "\"");
  }
  SMELT_RETURN_IF_ERROR(checkBanks(manifest));
  return checkOverlaps(manifest);
}

} // namespace smelt::runtime
