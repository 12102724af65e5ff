#include "runtime/train/Session.h"
#include "runtime/base/Random.h"
#include "runtime/base/Sha256.h"
#include "runtime/train/ChooseDevice.h"

#include <algorithm>
#include <cmath>

namespace smelt::runtime {

void Snapshot::add(const Buffer &buffer, std::vector<std::byte> data) {
  std::vector<std::byte> &stored = data_[buffer.name] = std::move(data);
  tensors_[buffer.name] = {buffer.dtype, buffer.shape, stored};
}

namespace {
/// The one of `pieces`, which are contiguous from step 0, that `step` lies in, or the last.
template <typename Piece> const Piece &pieceAt(const std::vector<Piece> &pieces, int64_t step) {
  for (const Piece &piece : pieces)
    if (step <= piece.last)
      return piece;
  return pieces.back();
}
} // namespace

std::vector<double> settingValuesAt(const Setting &setting, int64_t step) {
  step = std::max<int64_t>(step, 0);
  if (setting.power)
    return {1 - std::pow(setting.power->base,
                         static_cast<double>(setting.power->period.updateCount(step)))};
  if (!setting.pieces.empty())
    return pieceAt(setting.pieces, step).values;
  if (setting.segments.empty())
    return {0};
  const Segment &segment = pieceAt(setting.segments, step);
  step = std::min(step, segment.last);
  return {segment.value + segment.slope * static_cast<double>(step - segment.first)};
}

namespace {
uint64_t usedBytes(const Buffer &buffer) { return *shapeBytes(buffer.shape, buffer.dtype); }

bool isNamedState(const Buffer &buffer) {
  return buffer.kind == BufferKind::Parameter || buffer.kind == BufferKind::State;
}

/// The values of `init` as the buffer's elements.
std::vector<std::byte> initialValues(const Buffer &buffer, uint64_t seed) {
  std::vector<std::byte> data(usedBytes(buffer));
  Init init = buffer.init.value_or(Init{});
  uint64_t size = dtypeBytes(buffer.dtype), count = data.size() / size;
  RandomStream random(seed, buffer.name);
  auto fill = [&](auto value) {
    for (uint64_t i = 0; i < count; ++i)
      storeElement(buffer.dtype, value(i), data.data() + i * size);
  };
  switch (init.kind) {
  case InitKind::Zeros:
    break;
  case InitKind::Constant:
    fill([&](uint64_t) { return init.value; });
    break;
  case InitKind::Uniform:
    fill([&](uint64_t i) { return (2 * random.uniform(i) - 1) * init.value; });
    break;
  case InitKind::Normal:
    fill([&](uint64_t i) { return random.normal(i) * init.value; });
    break;
  case InitKind::Values:
    fill([&](uint64_t i) { return init.values[i]; });
    break;
  case InitKind::Copy: // The caller passes the source instead.
    break;
  }
  return data;
}
} // namespace

StatusOr<std::unique_ptr<Session>> Session::open(const std::string &bundlePath,
                                                 const DeviceChoice &choice, Ranks *ranks) {
  std::unique_ptr<Session> session(new Session);
  SMELT_ASSIGN_OR_RETURN(session->bundle_, openBundle(bundlePath));
  StatusOr<ChosenDevice> chosen = chooseDevice(session->manifest(), choice);
  if (!chosen.isOk())
    return chosen.status().withContext("bundle " + bundlePath);
  session->device_ = std::move(chosen->device);
  // A job of another number of ranks is refused later (checkRanks).
  if (ranks && ranks->size() == session->manifest().training.ranks) {
    session->ranks_ = ranks;
    SMELT_RETURN_IF_ERROR(ranks->connect(*session->device_, chosen->gpu, choice.collectives));
  }
  SMELT_RETURN_IF_ERROR(session->prepare());
  return session;
}

Session::~Session() {
  lane_.reset(); // It uses both.
  if (ranks_)
    ranks_->disconnect(*device_);
}

Status Session::prepare() {
  SMELT_RETURN_IF_ERROR(device_->allocateArena(manifest().arenaBytes));
  std::vector<DeviceKernel> kernels;
  for (const Kernel &kernel : manifest().kernels)
    kernels.push_back({kernel.symbol, kernel.gpu});
  const char *code = manifest().target == "cpu"                ? "cpu.so"
                     : manifest().files.count("kernels.cubin") ? "kernels.cubin"
                                                               : "kernels.ptx";
  SMELT_RETURN_IF_ERROR(device_->loadModule(bundle_.filePath(code), kernels));
  for (const Program &program : manifest().programs) {
    SMELT_RETURN_IF_ERROR(addProgram(program));
    if (program.role != "setup")
      continue;
    for (const Launch &launch : program.launches)
      for (uint32_t argument : launch.arguments)
        if (manifest().buffers[argument].kind == BufferKind::Setting)
          setupSettings_[argument] = {};
  }
  return Status::ok();
}

/// The buffers go as one message, in host memory.
Status Session::runCollective(const CollectiveStep &step) {
  if (!ranks_)
    return internalError("a collective without ranks");
  std::vector<std::byte> bucket;
  for (uint32_t index : step.buffers) {
    SMELT_ASSIGN_OR_RETURN(std::vector<std::byte> data, readBuffer(manifest().buffers[index]));
    bucket.insert(bucket.end(), data.begin(), data.end());
  }
  SMELT_RETURN_IF_ERROR(ranks_->sum(bucket, manifest().buffers[step.buffers[0]].dtype));
  size_t at = 0;
  for (uint32_t index : step.buffers) {
    size_t bytes = usedBytes(manifest().buffers[index]);
    SMELT_RETURN_IF_ERROR(writeBuffer(index, std::span(bucket).subspan(at, bytes)));
    at += bytes;
  }
  return Status::ok();
}

std::vector<DeviceLaunch> Session::resolve(const Program &program) const {
  std::vector<DeviceLaunch> launches;
  for (const Launch &launch : program.launches) {
    DeviceLaunch resolved = {launch.kernel, {}, launch.sms};
    for (uint32_t argument : launch.arguments)
      resolved.offsets.push_back(manifest().buffers[argument].offset);
    launches.push_back(std::move(resolved));
  }
  return launches;
}

Status Session::writeBuffer(uint32_t index, std::span<const std::byte> data) {
  return device_->copyIn(manifest().buffers[index].offset, data);
}

Status Session::initialise(uint64_t seed) {
  for (const Buffer &buffer : manifest().buffers)
    if (isNamedState(buffer) || buffer.kind == BufferKind::Constant) {
      bool copies = buffer.init && buffer.init->kind == InitKind::Copy;
      const Buffer &source = copies ? manifest().buffers[buffer.init->source] : buffer;
      SMELT_RETURN_IF_ERROR(device_->copyIn(buffer.offset, initialValues(source, seed)));
    }
  return Status::ok();
}

Status Session::shareParameters() {
  if (!device_->runsCollectives())
    return Status::ok();
  std::vector<DeviceRange> ranges;
  for (const Buffer &buffer : manifest().buffers)
    if (buffer.kind == BufferKind::Parameter)
      ranges.push_back({buffer.offset, usedBytes(buffer)});
  SMELT_RETURN_IF_ERROR(device_->broadcast(ranges, 0));
  return device_->synchronize();
}

Status Session::restoreBuffer(const Buffer &buffer, const SafetensorsFile &file) {
  auto it = file.tensors().find(buffer.name);
  if (it == file.tensors().end())
    return corruptError("it has no ", bufferKindName(buffer.kind), " \"", buffer.name,
                        "\"; it belongs to another model");
  const TensorView &tensor = it->second;
  if (tensor.dtype != buffer.dtype || tensor.shape != buffer.shape)
    return corruptError(bufferKindName(buffer.kind), " \"", buffer.name,
                        "\" has another type or shape than in the bundle; it belongs to another "
                        "model");
  return device_->copyIn(buffer.offset, tensor.data);
}

Status Session::restoreKind(BufferKind kind, const SafetensorsFile &file) {
  size_t restored = 0;
  for (const Buffer &buffer : manifest().buffers)
    if (buffer.kind == kind) {
      SMELT_RETURN_IF_ERROR(restoreBuffer(buffer, file));
      ++restored;
    }
  if (kind == BufferKind::Parameter && restored != file.tensors().size())
    return corruptError("it has parameters that the bundle lacks; it belongs to another model");
  return Status::ok();
}

/// What `rank` has summed up of a gradient between two updates. Rank 0's has the gradient's name,
/// so that one rank's checkpoint is as it was.
static std::string accumulatingName(const std::string &name, int rank) {
  return rank == 0 ? name : concat("rank", rank, "/", name);
}

/// As many ranks as wrote the checkpoint: each its own part. Another number: rank 0 takes the sum.
Status Session::restoreAccumulating(const Buffer &buffer, const SafetensorsFile &file) {
  int size = ranks_ ? ranks_->size() : 1, rank = ranks_ ? ranks_->rank() : 0, written = 1;
  while (file.tensors().count(accumulatingName(buffer.name, written)))
    ++written;
  Buffer part = buffer;
  part.name = accumulatingName(buffer.name, written == size ? rank : 0);
  SMELT_RETURN_IF_ERROR(restoreBuffer(part, file));
  if (written == size)
    return Status::ok();
  std::vector<std::byte> sum(usedBytes(buffer));
  uint64_t element = dtypeBytes(buffer.dtype);
  for (int other = 0; other < written && rank == 0; ++other) {
    const TensorView &tensor = file.tensors().at(accumulatingName(buffer.name, other));
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

Status Session::restore(const Checkpoint &checkpoint, bool withState) {
  Status status = restoreKind(BufferKind::Parameter, checkpoint.parameters);
  if (status.isOk() && withState)
    status = restoreKind(BufferKind::State, checkpoint.state);
  if (status.isOk() && withState)
    for (uint32_t index : findAccumulating(checkpoint.info.step))
      if (status.isOk())
        status = restoreAccumulating(manifest().buffers[index], checkpoint.state);
  return status.withContext("checkpoint " + checkpoint.path);
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

Status Session::writeSetting(const Setting &setting, const std::vector<double> &values) {
  const Buffer &buffer = manifest().buffers[setting.buffer];
  uint64_t size = dtypeBytes(buffer.dtype);
  std::vector<std::byte> data(values.size() * size);
  for (size_t i = 0; i < values.size(); ++i)
    storeElement(buffer.dtype, values[i], data.data() + i * size);
  if (buffer.shape.empty() && (setting.power || !setting.segments.empty()))
    settingValues_[setting.name] = loadElement(buffer.dtype, data.data());
  std::vector<std::byte> &written = written_[setting.buffer];
  if (written == data)
    return Status::ok();
  SMELT_RETURN_IF_ERROR(writeBuffer(setting.buffer, data));
  written = std::move(data);
  return Status::ok();
}

Status Session::applySettings(int64_t step) {
  bool changed = !setupDone_;
  for (const Setting &setting : manifest().settings) {
    if (setting.segments.empty() && setting.pieces.empty() && !setting.power)
      continue;
    SMELT_RETURN_IF_ERROR(writeSetting(setting, settingValuesAt(setting, step)));
    auto seen = setupSettings_.find(setting.buffer);
    if (seen == setupSettings_.end())
      continue;
    const std::vector<std::byte> &now = written_[setting.buffer];
    changed |= seen->second != now;
    seen->second = now;
  }
  return changed ? runSetup() : Status::ok();
}

Status Session::overrideSettings(const std::map<std::string, double> &values) {
  for (const auto &[name, value] : values)
    SMELT_RETURN_IF_ERROR(writeSetting(*manifest().findSetting(name), {value}));
  return Status::ok();
}

Status Session::applyValidationSettings(int64_t completed) {
  SMELT_RETURN_IF_ERROR(applySettings(completed));
  const Training &training = manifest().training;
  return completed < training.steps ? Status::ok()
                                    : overrideSettings(training.validation.finalSettings);
}

Status Session::applyAutomaticSettings(int64_t step, int64_t micro) {
  for (const Setting &setting : manifest().settings) {
    if (auto period = automaticPeriod(setting.name, "accumulate"))
      SMELT_RETURN_IF_ERROR(
          writeSetting(setting, {micro == 0 && period->isFresh(step) ? 0.0 : 1.0}));
    if (auto period = automaticPeriod(setting.name, "step"))
      SMELT_RETURN_IF_ERROR(
          writeSetting(setting, {static_cast<double>(period->updateCount(step))}));
  }
  return Status::ok();
}

Status Session::runSetup() {
  setupDone_ = true;
  for (const Program &program : manifest().programs)
    if (program.role == "setup")
      SMELT_RETURN_IF_ERROR(run(program));
  return Status::ok();
}

Status Session::setAutomaticSetting(const std::string &name, double value) {
  const Setting *setting = manifest().findSetting(name);
  return setting ? writeSetting(*setting, {value}) : Status::ok();
}

Status Session::writeInput(const Program &program, const char *name,
                           std::span<const int32_t> values) {
  uint32_t buffer = program.inputs.at(name);
  if (std::as_bytes(values).size() > manifest().buffers[buffer].bytes)
    return internalError("input \"", name, "\" gets ", values.size(), " values");
  return writeBuffer(buffer, std::as_bytes(values));
}

Status Session::runOnBatch(const Program &program, const Batch &batch) {
  SMELT_RETURN_IF_ERROR(writeBatch(program, batch));
  return run(program);
}

Status Session::writeBatch(const Program &program, const Batch &batch) {
  if (ranks_)
    ranks_->group().progress();
  std::vector<DeviceWrite> writes;
  for (const auto &[name, values] :
       {std::pair("tokens", &batch.tokens), std::pair("targets", &batch.targets),
        std::pair("document_start", &batch.documentStart)}) {
    const Buffer &buffer = manifest().buffers[program.inputs.at(name)];
    std::span<const std::byte> bytes = std::as_bytes(std::span(*values));
    if (bytes.size() > buffer.bytes)
      return internalError("input \"", name, "\" gets ", values->size(), " values");
    writes.push_back({buffer.offset, bytes});
  }
  return device_->copyInTogether(writes);
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
  SMELT_ASSIGN_OR_RETURN(Snapshot result, snapshot({BufferKind::State}));
  for (uint32_t index : findAccumulating(completed)) {
    const Buffer &buffer = manifest().buffers[index];
    SMELT_ASSIGN_OR_RETURN(std::vector<std::byte> data, readBuffer(buffer));
    for (int rank = 1; ranks_ && rank < ranks_->size(); ++rank) {
      std::vector<std::byte> theirs = data;
      SMELT_RETURN_IF_ERROR(ranks_->broadcast(theirs, rank));
      Buffer part = buffer;
      part.name = accumulatingName(buffer.name, rank);
      result.add(part, std::move(theirs));
    }
    result.add(buffer, std::move(data));
  }
  return result;
}

StatusOr<std::string> Session::hashState() {
  SMELT_ASSIGN_OR_RETURN(Snapshot all, snapshot({BufferKind::Parameter, BufferKind::State}));
  Sha256 hash;
  for (const auto &[name, tensor] : all.tensors()) {
    std::string header = concat(name, " ", dtypeName(tensor.dtype));
    for (int64_t dim : tensor.shape)
      header += concat(" ", dim);
    hash.update(header + "\n");
    hash.update(tensor.data.data(), tensor.data.size());
  }
  return hash.finish();
}

uint64_t Session::countParameters() const {
  uint64_t count = 0;
  for (const Buffer &buffer : manifest().buffers)
    if (buffer.kind == BufferKind::Parameter)
      count += usedBytes(buffer) / dtypeBytes(buffer.dtype);
  return count;
}

} // namespace smelt::runtime
