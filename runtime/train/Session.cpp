#include "runtime/train/Session.h"
#include "runtime/base/Random.h"
#include "runtime/train/ChooseDevice.h"

#include <algorithm>
#include <cmath>
#include <thread>

namespace smelt::runtime {

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

/// Calls work(begin, end) for parts of 0 … count − 1 on all cores: each value depends on its index
/// alone, and a record has hundreds of millions.
template <typename Work> void inParallel(uint64_t count, const Work &work) {
  uint64_t threads = std::clamp<uint64_t>(std::thread::hardware_concurrency(), 1, 32);
  if (count < (uint64_t(1) << 18))
    return work(0, count);
  std::vector<std::thread> others;
  for (uint64_t i = 1; i < threads; ++i)
    others.emplace_back(
        [&, i] { work(count * i / threads, count * (i + 1) / threads); });
  work(0, count / threads);
  for (std::thread &other : others)
    other.join();
}

/// The values of the buffer's `init`, from element `first` on, as elements of `dtype`.
void fillInitial(const Buffer &buffer, uint64_t seed, DType dtype, uint64_t first,
                 std::span<std::byte> data) {
  Init init = buffer.init.value_or(Init{});
  uint64_t size = dtypeBytes(dtype), count = data.size() / size;
  RandomStream random(seed, buffer.name);
  auto fill = [&](auto value) {
    inParallel(count, [&](uint64_t begin, uint64_t end) {
      for (uint64_t i = begin; i < end; ++i)
        storeElement(dtype, value(first + i), data.data() + i * size);
    });
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
  case InitKind::Copy: // The caller passes the sources instead.
  case InitKind::Master:
    break;
  }
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
    SMELT_RETURN_IF_ERROR(ranks->connect(*session->device_, chosen->gpu, choice.collectives,
                                         session->manifest().training.collectiveBlocks));
  }
  SMELT_RETURN_IF_ERROR(session->prepare());
  return session;
}

Session::~Session() {
  lane_.reset(); // It uses both.
  if (ranks_)
    ranks_->disconnect(*device_);
}

std::optional<DeviceLibrary> Session::libraryOf(const Kernel &kernel) const {
  if (!kernel.library)
    return std::nullopt;
  std::optional<uint32_t> workspace = kernel.library->workspace;
  return DeviceLibrary{kernel.library->algorithm,
                       workspace ? manifest().buffers[*workspace].offset : 0};
}

/// Bytes of the largest reduce-scatter of any program.
static uint64_t largestSum(const Manifest &manifest) {
  uint64_t most = 0;
  for (const Program &program : manifest.programs)
    for (const CollectiveStep &step : program.collectives) {
      uint64_t bytes = 0;
      for (uint32_t buffer : step.buffers)
        bytes += manifest.buffers[buffer].bytes;
      if (step.kind == CollectiveKind::ReduceScatter)
        most = std::max(most, bytes);
    }
  return most;
}

Status Session::prepare() {
  masters_ = manifest().findMasters();
  SMELT_RETURN_IF_ERROR(device_->allocateArena(manifest().arenaBytes, largestSum(manifest())));
  std::vector<DeviceKernel> kernels;
  for (const Kernel &kernel : manifest().kernels)
    kernels.push_back({kernel.symbol, kernel.gpu, kernel.product, libraryOf(kernel)});
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

std::vector<DeviceLaunch> Session::resolve(const Program &program) const {
  std::vector<DeviceLaunch> launches;
  for (const Launch &launch : program.launches) {
    DeviceLaunch resolved = {launch.kernel, {}};
    for (uint32_t argument : launch.arguments)
      resolved.offsets.push_back(addressOf(manifest().buffers[argument]));
    launches.push_back(std::move(resolved));
  }
  return launches;
}

Status Session::writeBuffer(uint32_t index, std::span<const std::byte> data) {
  return device_->copyIn(manifest().buffers[index].offset, data);
}

Status Session::initialise(uint64_t seed) {
  SMELT_RETURN_IF_ERROR(clearPadding());
  std::map<std::string, const Buffer *> parameters;
  for (const Buffer &buffer : manifest().buffers)
    if (buffer.kind == BufferKind::Parameter)
      parameters[buffer.name] = &buffer;
  for (const Buffer &buffer : manifest().buffers)
    if (isNamedState(buffer) || buffer.kind == BufferKind::Constant) {
      bool copies = buffer.init && buffer.init->kind == InitKind::Copy;
      const Buffer &source = copies ? manifest().buffers[buffer.init->source] : buffer;
      std::vector<std::byte> data(usedBytes(buffer));
      if (source.isMaster())
        SMELT_RETURN_IF_ERROR(forEachPiece(source, data, [&](const RowsOf &rows) {
          fillInitial(*parameters.at(rows.whole->name), seed, buffer.dtype,
                      static_cast<uint64_t>(rows.first) * rows.rowBytes / dtypeBytes(buffer.dtype),
                      rows.bytes);
          return Status::ok();
        }));
      else
        fillInitial(source, seed, buffer.dtype, 0, data);
      SMELT_RETURN_IF_ERROR(device_->copyIn(buffer.offset, data));
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
          writeSetting(setting, {fixedOrder_ || (micro == 0 && period->isFresh(step)) ? 0.0 : 1.0}));
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

uint64_t Session::countParameters() const {
  uint64_t count = 0;
  for (const Buffer &buffer : manifest().buffers)
    if (buffer.kind == BufferKind::Parameter)
      count += usedBytes(buffer) / dtypeBytes(buffer.dtype);
  return count;
}

} // namespace smelt::runtime
