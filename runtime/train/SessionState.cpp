//===- SessionState.cpp - Parameters and states, in and out ---------------===//
//
// Snapshots, hashes and what a checkpoint brings back. A state that each rank has a part of
// (Buffer::partOf) goes under the names of the whole tensors, piece by piece.
//
//===----------------------------------------------------------------------===//
#include "runtime/base/Sha256.h"
#include "runtime/train/Session.h"

#include <algorithm>

namespace smelt::runtime {

void Snapshot::add(const Buffer &buffer, std::vector<std::byte> data) {
  add(buffer.name, buffer.dtype, buffer.shape, std::move(data));
}

void Snapshot::add(const std::string &name, DType dtype, std::vector<int64_t> shape,
                   std::vector<std::byte> data) {
  std::vector<std::byte> &stored = data_[name] = std::move(data);
  tensors_[name] = {dtype, std::move(shape), stored};
}

namespace {
uint64_t usedBytes(const Buffer &buffer) { return *shapeBytes(buffer.shape, buffer.dtype); }

std::vector<int64_t> shapeWithRows(const Buffer &buffer, int64_t rows) {
  std::vector<int64_t> shape = buffer.shape;
  shape[0] = rows;
  return shape;
}

/// What `rank` has summed up of a gradient between two updates. Rank 0's has the gradient's name,
/// so that one rank's checkpoint is as it was.
std::string accumulatingName(const std::string &name, int rank) {
  return rank == 0 ? name : concat("rank", rank, "/", name);
}
} // namespace

Status Session::forEachPiece(const Buffer &buffer, std::span<std::byte> data,
                             const std::function<Status(const RowsOf &)> &act) const {
  int64_t begin = rank() * buffer.shape[0], end = begin + buffer.shape[0], row = 0;
  uint64_t rowBytes = usedBytes(buffer) / static_cast<uint64_t>(buffer.shape[0]);
  for (const PartOf &part : buffer.partOf) {
    int64_t first = std::max(begin, row), last = std::min(end, row + part.rows);
    if (first < last) {
      uint64_t at = static_cast<uint64_t>(first - begin) * rowBytes;
      SMELT_RETURN_IF_ERROR(
          act({&part, first - row, last - row, at, rowBytes,
               data.subspan(at, static_cast<uint64_t>(last - first) * rowBytes)}));
    }
    row += part.rows;
  }
  return Status::ok();
}

StatusOr<std::vector<std::byte>> Session::readBuffer(const Buffer &buffer) {
  std::vector<std::byte> data(usedBytes(buffer));
  SMELT_RETURN_IF_ERROR(device_->copyOut(buffer.offset, data));
  return data;
}

StatusOr<Snapshot> Session::snapshot(const std::vector<BufferKind> &kinds) {
  Snapshot snapshot;
  for (const Buffer &buffer : manifest().buffers) {
    if (std::find(kinds.begin(), kinds.end(), buffer.kind) == kinds.end())
      continue;
    SMELT_ASSIGN_OR_RETURN(std::vector<std::byte> data, readBuffer(buffer));
    snapshot.add(buffer, std::move(data));
  }
  return snapshot;
}

StatusOr<Snapshot> Session::snapshotState(int64_t completed) {
  Snapshot result;
  for (const Buffer &buffer : manifest().buffers) {
    if (buffer.kind != BufferKind::State || (buffer.partOf.empty() && rank() != 0) ||
        buffer.isMaster())
      continue; // What all ranks have, rank 0 keeps; masters are among the parameters.
    SMELT_ASSIGN_OR_RETURN(std::vector<std::byte> data, readBuffer(buffer));
    if (buffer.partOf.empty()) {
      result.add(buffer, std::move(data));
      continue;
    }
    SMELT_RETURN_IF_ERROR(forEachPiece(buffer, data, [&](const RowsOf &piece) {
      int64_t rows = piece.last - piece.first;
      bool isWhole = rows == piece.whole->rows;
      result.add(
          isWhole ? piece.whole->name : nameOfRows(piece.whole->name, piece.first, piece.last),
          buffer.dtype, shapeWithRows(buffer, rows), {piece.bytes.begin(), piece.bytes.end()});
      return Status::ok();
    }));
  }
  for (uint32_t index : findAccumulating(completed)) {
    if (fixedOrder_ && rank() != 0)
      break; // All ranks have the sum.
    const Buffer &buffer = manifest().buffers[index];
    SMELT_ASSIGN_OR_RETURN(std::vector<std::byte> data, readBuffer(buffer));
    result.add(accumulatingName(buffer.name, rank()), buffer.dtype, buffer.shape, std::move(data));
  }
  return result;
}

/// All ranks' parts, one below the other.
StatusOr<std::vector<std::byte>> Session::gatherState(const Buffer &buffer) {
  SMELT_ASSIGN_OR_RETURN(std::vector<std::byte> data, readBuffer(buffer));
  if (buffer.partOf.empty() || !ranks_)
    return data;
  std::vector<std::byte> all(data.size() * static_cast<size_t>(ranks_->size()));
  SMELT_RETURN_IF_ERROR(ranks_->allGather(data, all));
  return all;
}

StatusOr<Snapshot> Session::snapshotParameters() {
  Snapshot result;
  for (const Buffer &buffer : manifest().buffers) {
    if (rank() == 0 && buffer.kind == BufferKind::Parameter && !masters_.count(buffer.name)) {
      SMELT_ASSIGN_OR_RETURN(std::vector<std::byte> data, readBuffer(buffer));
      result.add(buffer, std::move(data));
    }
    if (!buffer.isMaster())
      continue;
    SMELT_ASSIGN_OR_RETURN(std::vector<std::byte> all, gatherState(buffer));
    uint64_t rowBytes = usedBytes(buffer) / static_cast<uint64_t>(buffer.shape[0]);
    auto next = all.begin();
    for (const PartOf &part : buffer.partOf) {
      auto bytes = static_cast<std::ptrdiff_t>(static_cast<uint64_t>(part.rows) * rowBytes);
      if (all.end() - next < bytes)
        return usageError("parameter \"", part.name, "\" is spread over ",
                          manifest().training.ranks, " ranks; this process is one");
      if (rank() == 0)
        result.add(part.name, buffer.dtype, shapeWithRows(buffer, part.rows), {next, next + bytes});
      next += bytes;
    }
  }
  return result;
}

StatusOr<std::string> Session::hashState() {
  // By the names of whole tensors: the hash does not say how many ranks there were.
  struct Entry {
    const Buffer *buffer;
    int64_t rows, first;
  };
  std::map<std::string, Entry> entries;
  for (const Buffer &buffer : manifest().buffers)
    if (buffer.kind == BufferKind::State ||
        (buffer.kind == BufferKind::Parameter && !masters_.count(buffer.name))) {
      int64_t first = 0;
      for (const PartOf &part : buffer.partOf) {
        entries[part.name] = {&buffer, part.rows, first};
        first += part.rows;
      }
      if (buffer.partOf.empty())
        entries[buffer.name] = {&buffer, 0, 0};
    }
  Sha256 hash;
  std::map<const Buffer *, std::vector<std::byte>> gathered;
  for (const auto &[name, entry] : entries) {
    const Buffer &buffer = *entry.buffer;
    bool isPart = !buffer.partOf.empty();
    std::vector<int64_t> shape = isPart ? shapeWithRows(buffer, entry.rows) : buffer.shape;
    std::string header = concat(name, " ", dtypeName(buffer.dtype));
    for (int64_t dim : shape)
      header += concat(" ", dim);
    hash.update(header + "\n");
    std::vector<std::byte> &data = gathered[&buffer];
    if (data.empty()) {
      SMELT_ASSIGN_OR_RETURN(data, gatherState(buffer));
    }
    uint64_t bytes = *shapeBytes(shape, buffer.dtype);
    uint64_t at = isPart ? static_cast<uint64_t>(entry.first) * (bytes / static_cast<uint64_t>(entry.rows)) : 0;
    if (at + bytes > data.size())
      return usageError("state \"", name, "\" is spread over ", manifest().training.ranks,
                        " ranks; this process is one");
    hash.update(data.data() + at, bytes);
    if (buffer.partOf.size() < 2)
      gathered.erase(&buffer);
  }
  return hash.finish();
}

//===- A checkpoint -----------------------------------------------------------===//

Status Session::writeParameter(const Buffer &parameter, const TensorView &tensor) {
  auto found = masters_.find(parameter.name);
  if (found == masters_.end())
    return device_->copyIn(parameter.offset, tensor.data);
  const Buffer &master = *found->second;
  std::vector<std::byte> rounded(usedBytes(parameter));
  uint64_t from = dtypeBytes(tensor.dtype), to = dtypeBytes(parameter.dtype);
  for (uint64_t i = 0; i * to < rounded.size(); ++i)
    storeElement(parameter.dtype, loadElement(tensor.dtype, tensor.data.data() + i * from),
                 rounded.data() + i * to);
  SMELT_RETURN_IF_ERROR(device_->copyIn(parameter.offset, rounded));
  std::vector<std::byte> part(usedBytes(master));
  return forEachPiece(master, part, [&](const RowsOf &rows) {
    return rows.whole->name != parameter.name
               ? Status::ok()
               : device_->copyIn(
                     master.offset + rows.at,
                     tensor.data.subspan(static_cast<uint64_t>(rows.first) * rows.rowBytes,
                                         rows.bytes.size()));
  });
}

Status Session::restoreParameter(const Buffer &buffer, const TensorIndex &tensors) {
  auto master = masters_.find(buffer.name);
  if (master == masters_.end())
    return restoreBuffer(buffer, buffer.name, tensors);
  const TensorView *tensor = tensors.find(buffer.name);
  if (!tensor || tensor->dtype != master->second->dtype || tensor->shape != buffer.shape)
    return corruptError("parameter \"", buffer.name,
                        "\" is not there or has another type or shape "
                        "than in the bundle; it belongs to another model");
  return writeParameter(buffer, *tensor);
}

Status Session::restoreBuffer(const Buffer &buffer, const std::string &name,
                              const TensorIndex &tensors) {
  const TensorView *tensor = tensors.find(name);
  if (!tensor && !buffer.shape.empty()) { // Perhaps in pieces.
    std::vector<std::byte> data(usedBytes(buffer));
    SMELT_RETURN_IF_ERROR(restoreRows(buffer, name, buffer.shape[0], {0, buffer.shape[0]}, tensors,
                                      data));
    return device_->copyIn(buffer.offset, data);
  }
  if (!tensor)
    return corruptError("it has no ", bufferKindName(buffer.kind), " \"", name,
                        "\"; it belongs to another model");
  if (tensor->dtype != buffer.dtype || tensor->shape != buffer.shape)
    return corruptError(bufferKindName(buffer.kind), " \"", name,
                        "\" has another type or shape than in the bundle; it belongs to another "
                        "model");
  return device_->copyIn(buffer.offset, tensor->data);
}

/// Fills `to` with rows of the tensor `name`, which has `rows` of them, from the pieces that the
/// checkpoint has; `like` is a buffer with rows of that size.
Status Session::restoreRows(const Buffer &like, const std::string &name, int64_t rows,
                            std::pair<int64_t, int64_t> wanted, const TensorIndex &tensors,
                            std::span<std::byte> to) {
  int64_t next = wanted.first;
  uint64_t rowBytes = usedBytes(like) / static_cast<uint64_t>(like.shape[0]);
  for (const TensorIndex::Rows &piece : tensors.findRows(name)) {
    if (piece.tensor->dtype != like.dtype || piece.last > rows ||
        piece.tensor->shape != shapeWithRows(like, piece.last - piece.first))
      return corruptError(bufferKindName(like.kind), " \"", name,
                          "\" has another type or shape than in the bundle; it belongs to another "
                          "model");
    if (piece.first > next || piece.last <= next || next >= wanted.second)
      continue;
    int64_t last = std::min(piece.last, wanted.second);
    auto from = piece.tensor->data.subspan((next - piece.first) * rowBytes, (last - next) * rowBytes);
    std::copy(from.begin(), from.end(), to.begin() + static_cast<std::ptrdiff_t>((next - wanted.first) * rowBytes));
    next = last;
  }
  if (next < wanted.second)
    return corruptError("it has no ", bufferKindName(like.kind), " \"", name, "\"",
                        next > wanted.first ? concat(" from row ", next, " on") : "",
                        "; it belongs to another model");
  return Status::ok();
}

Status Session::restoreParts(const Buffer &buffer, const TensorIndex &tensors) {
  std::vector<std::byte> data(usedBytes(buffer));
  SMELT_RETURN_IF_ERROR(forEachPiece(buffer, data, [&](const RowsOf &piece) {
    return restoreRows(buffer, piece.whole->name, piece.whole->rows, {piece.first, piece.last},
                       tensors, piece.bytes);
  }));
  return device_->copyIn(buffer.offset, data);
}

/// As many ranks as wrote the checkpoint: each its own part. Another number: rank 0 takes the sum; in
/// a fixed order all do.
Status Session::restoreAccumulating(const Buffer &buffer, const TensorIndex &tensors) {
  int size = ranks_ ? ranks_->size() : 1, written = 1;
  while (tensors.find(accumulatingName(buffer.name, written)))
    ++written;
  bool isOwn = written == size && !fixedOrder_;
  SMELT_RETURN_IF_ERROR(
      restoreBuffer(buffer, accumulatingName(buffer.name, isOwn ? rank() : 0), tensors));
  if (isOwn)
    return Status::ok();
  std::vector<std::byte> sum(usedBytes(buffer));
  uint64_t element = dtypeBytes(buffer.dtype);
  for (int other = 0; other < written && (rank() == 0 || fixedOrder_); ++other) {
    const TensorView &tensor = *tensors.find(accumulatingName(buffer.name, other));
    if (tensor.dtype != buffer.dtype || tensor.data.size() != sum.size())
      return corruptError("\"", accumulatingName(buffer.name, other),
                          "\" has another type or shape");
    for (size_t at = 0; at < sum.size(); at += element)
      storeElement(buffer.dtype,
                   loadElement(buffer.dtype, sum.data() + at) +
                       loadElement(buffer.dtype, tensor.data.data() + at),
                   sum.data() + at);
  }
  return device_->copyIn(buffer.offset, sum);
}

Status Session::restoreFrom(const Checkpoint &checkpoint, bool withState) {
  TensorIndex parameters({&checkpoint.parameters});
  size_t restored = 0;
  for (const Buffer &buffer : manifest().buffers)
    if (buffer.kind == BufferKind::Parameter) {
      SMELT_RETURN_IF_ERROR(restoreParameter(buffer, parameters));
      ++restored;
    }
  if (restored != checkpoint.parameters.tensors().size())
    return corruptError("it has parameters that the bundle lacks; it belongs to another model");
  if (!withState)
    return Status::ok();
  TensorIndex state(checkpoint.state);
  for (const Buffer &buffer : manifest().buffers)
    if (buffer.kind == BufferKind::State && !buffer.isMaster())
      SMELT_RETURN_IF_ERROR(buffer.partOf.empty() ? restoreBuffer(buffer, buffer.name, state)
                                                  : restoreParts(buffer, state));
  for (uint32_t index : findAccumulating(checkpoint.info.step))
    SMELT_RETURN_IF_ERROR(restoreAccumulating(manifest().buffers[index], state));
  return Status::ok();
}

Status Session::restore(const Checkpoint &checkpoint, bool withState) {
  return restoreFrom(checkpoint, withState).withContext("checkpoint " + checkpoint.path);
}

/// The gradient buffers that hold sums which an update is still to read: those that lie in a buffer
/// of its launches (rows of a gradient, a bank of several).
std::set<uint32_t> Session::findAccumulating(int64_t completed) const {
  const std::vector<Buffer> &buffers = manifest().buffers;
  auto rootOf = [&](uint32_t index) { return buffers[index].base.value_or(index); };
  std::set<uint32_t> roots, result;
  for (const Update &update : manifest().training.updates)
    if (!update.period.isFresh(completed))
      for (const Launch &launch : manifest().findProgram(update.program)->launches)
        for (uint32_t argument : launch.arguments)
          roots.insert(rootOf(argument));
  for (uint32_t index = 0; index < buffers.size(); ++index)
    if (buffers[index].kind == BufferKind::Gradient && roots.count(rootOf(index)))
      result.insert(index);
  return result;
}

} // namespace smelt::runtime
