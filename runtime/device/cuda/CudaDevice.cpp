#include "runtime/device/cuda/CudaDevice.h"
#include "runtime/collective/StreamCollective.h"
#include "runtime/device/cuda/EntryTimer.h"
#include "runtime/device/cuda/KernelModule.h"
#include "runtime/device/cuda/Lanes.h"
#include "runtime/device/cuda/Readbacks.h"
#include "runtime/device/cuda/Staging.h"
#include "runtime/device/cuda/TimeProduct.h"
#include "runtime/device/cuda/Uploads.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>

namespace smelt::runtime {

using namespace cuda;

namespace {
class CudaDevice final : public Device {
public:
  Status open(const Driver &driver, int ordinal) {
    driver_ = &driver;
    entryTimer_ = EntryTimer(driver);
    ordinal_ = ordinal;
    DeviceHandle device = 0;
    SMELT_RETURN_IF_ERROR(
        driver.check(driver.deviceGet(&device, ordinal), concat("cuDeviceGet(", ordinal, ")")));
    char name[256] = {};
    SMELT_RETURN_IF_ERROR(
        driver.check(driver.deviceGetName(name, sizeof(name) - 1, device), "cuDeviceGetName"));
    name_ = name;
    SMELT_RETURN_IF_ERROR(context_.retain(driver, device));
    Stream stream = nullptr;
    SMELT_RETURN_IF_ERROR(
        driver.check(driver.streamCreate(&stream, kStreamNonBlocking), "cuStreamCreate"));
    stream_ = {&driver, stream};
    readbacks_.create(driver);
    SMELT_RETURN_IF_ERROR(uploads_.create(driver));
    return staging_.create(driver);
  }

  std::string description() const override { return concat("cuda:", ordinal_, ": ", name_); }

  Status allocateArena(uint64_t bytes, uint64_t largestSum) override;

  Status copyIn(uint64_t offset, std::span<const std::byte> from) override {
    DeviceWrite write = {offset, from};
    return copyInTogether({&write, 1});
  }
  Status copyInTogether(std::span<const DeviceWrite> writes) override;

  Status copyOut(uint64_t offset, std::span<std::byte> to) override {
    SMELT_RETURN_IF_ERROR(checkRange(offset, to.size()));
    SMELT_RETURN_IF_ERROR(staging_.copyOut(to, arena_ + offset, stream_.get()));
    return checkWhole();
  }

  StatusOr<DeviceRead> startRead(std::span<const DeviceRange> ranges) override {
    std::vector<Readbacks::Part> parts;
    for (const DeviceRange &range : ranges) {
      SMELT_RETURN_IF_ERROR(checkRange(range.offset, range.bytes));
      parts.push_back({arena_ + range.offset, range.bytes});
    }
    SMELT_ASSIGN_OR_RETURN(size_t index, readbacks_.start(parts, stream_.get()));
    return DeviceRead{index};
  }

  Status finishRead(DeviceRead read, std::span<std::byte> to) override {
    SMELT_RETURN_IF_ERROR(readbacks_.finish(read.index, to));
    return checkWhole();
  }

  Status loadModule(const std::string &path, const std::vector<DeviceKernel> &kernels) override {
    if (module_.isLoaded())
      return internalError("a module is loaded already");
    return module_.load(*driver_, path, kernels, name_, stream_.get());
  }
  StatusOr<DeviceProgram> addProgram(const std::vector<DeviceLaunch> &launches) override {
    return addEntries(makeEntries(launches));
  }
  Status setCollective(StreamCollective *collective) override;
  bool runsCollectives() const override { return collective_; }
  StatusOr<DeviceProgram> addEntries(const std::vector<DeviceEntry> &entries) override;

  Status run(DeviceProgram program) override {
    std::lock_guard lock(running_);
    SMELT_RETURN_IF_ERROR(checkWhole());
    if (program.index >= programs_.size())
      return internalError("the device has no program ", program.index);
    const OwnedGraphExec &graph = programs_[program.index];
    if (!graph)
      return Status::ok(); // Nothing to launch.
    return driver_->check(driver_->graphLaunch(graph.get(), stream_.get()), "cuGraphLaunch");
  }

  Status synchronize() override {
    SMELT_RETURN_IF_ERROR(
        driver_->check(driver_->streamSynchronize(stream_.get()), "cuStreamSynchronize"));
    return checkWhole();
  }
  bool isAsynchronous() const override { return true; }
  StatusOr<std::vector<LaunchTime>> runTimed(const std::vector<DeviceLaunch> &launches) override {
    return runTimedEntries(makeEntries(launches));
  }
  StatusOr<std::vector<LaunchTime>>
  runTimedEntries(const std::vector<DeviceEntry> &entries) override;

  bool usesLibrary(const DeviceLaunch &launch) const override {
    return module_.products().has(launch);
  }
  std::string libraryOfProducts() const override { return module_.products().description(); }
  StatusOr<std::vector<ProductTime>> timeProduct(const DeviceLaunch &launch,
                                                 uint64_t workspaceBytes, int rounds) override;

  Status broadcast(std::span<const DeviceRange> ranges, int root) override;
  void abandon() override;

private:
  Status checkRange(uint64_t offset, uint64_t bytes) const {
    if (!arena_ || offset > bytes_ || bytes > bytes_ - offset)
      return internalError("bytes ", offset, "+", bytes, " lie outside the arena");
    return Status::ok();
  }
  static std::vector<DeviceEntry> makeEntries(const std::vector<DeviceLaunch> &launches) {
    std::vector<DeviceEntry> entries;
    for (const DeviceLaunch &launch : launches)
      entries.push_back({launch});
    return entries;
  }
  Status checkEntries(const std::vector<DeviceEntry> &entries) const;
  Status capture(const std::vector<DeviceEntry> &entries);
  /// Nothing that was read after abandon() is to be used.
  Status checkWhole() const {
    return abandoned_ ? Status(StatusCode::RankLost, "the device's work was abandoned")
                      : Status::ok();
  }

  const Driver *driver_ = nullptr;
  int ordinal_ = 0;
  std::string name_;
  PrimaryContext context_; // Released after everything in it.
  OwnedStream stream_, communication_;
  Staging staging_;
  Uploads uploads_;
  Readbacks readbacks_;
  DevicePointer arena_ = 0;
  OwnedMemory ownArena_;              ///< Its owner,
  std::shared_ptr<void> sharedArena_; ///< or what collectives gave.
  uint64_t bytes_ = 0;
  KernelModule module_;
  std::vector<OwnedGraphExec> programs_;
  EntryTimer entryTimer_;
  StreamCollective *collective_ = nullptr;
  std::mutex running_; ///< While a graph is launched, or all are given back.
  std::atomic<bool> abandoned_ = false;
};

Status CudaDevice::allocateArena(uint64_t bytes, uint64_t largestSum) {
  if (arena_)
    return internalError("the arena is allocated already");
  uint64_t wanted = std::max<uint64_t>(bytes, 256);
  if (collective_) {
    SMELT_ASSIGN_OR_RETURN(sharedArena_, collective_->allocateArena(wanted, largestSum));
    arena_ = reinterpret_cast<uintptr_t>(sharedArena_.get());
  }
  if (!arena_) {
    Result result = driver_->memAlloc(&arena_, wanted);
    if (result == kOutOfMemory) {
      size_t free = 0, total = 0;
      (void)driver_->memGetInfo(&free, &total);
      auto mebibytes = [](uint64_t bytes) { return concat(bytes >> 20, " MiB"); };
      return usageError(name_, " has too little free memory: the bundle needs ", mebibytes(wanted),
                        ", ", mebibytes(free), " of ", mebibytes(total), " are free");
    }
    SMELT_RETURN_IF_ERROR(driver_->check(result, concat("cuMemAlloc(", wanted, " bytes)")));
    ownArena_ = {driver_, arena_};
  }
  bytes_ = bytes;
  return driver_->check(driver_->memsetD8Async(arena_, 0, wanted, stream_.get()),
                        "cuMemsetD8Async");
}

Status CudaDevice::copyInTogether(std::span<const DeviceWrite> writes) {
  std::vector<Uploads::Part> parts;
  for (const DeviceWrite &write : writes) {
    SMELT_RETURN_IF_ERROR(checkRange(write.offset, write.from.size()));
    DevicePointer to = arena_ + write.offset;
    unsigned word = 0;
    if (write.from.size() != sizeof(word) || write.offset % sizeof(word)) {
      if (!write.from.empty())
        parts.push_back({to, write.from});
      continue;
    }
    // A setting: its value is part of the command.
    std::memcpy(&word, write.from.data(), sizeof(word));
    SMELT_RETURN_IF_ERROR(
        driver_->check(driver_->memsetD32Async(to, word, 1, stream_.get()), "cuMemsetD32Async"));
  }
  if (parts.empty())
    return Status::ok();
  if (Uploads::fits(parts))
    return uploads_.copy(parts, stream_.get());
  for (const Uploads::Part &part : parts)
    SMELT_RETURN_IF_ERROR(staging_.copyIn(part.to, part.from, stream_.get()));
  return Status::ok();
}

Status CudaDevice::checkEntries(const std::vector<DeviceEntry> &entries) const {
  for (const DeviceEntry &entry : entries) {
    if (entry.collective) {
      if (!collective_)
        return internalError("a collective, but no ranks");
      for (const DeviceRange &range : entry.collective->buffers)
        SMELT_RETURN_IF_ERROR(checkRange(range.offset, range.bytes));
      continue;
    }
    if (entry.launch.kernel >= module_.size())
      return internalError("the module has no kernel ", entry.launch.kernel);
    for (uint64_t offset : entry.launch.offsets)
      SMELT_RETURN_IF_ERROR(checkRange(offset, 0));
  }
  return Status::ok();
}

Status CudaDevice::setCollective(StreamCollective *collective) {
  collective_ = collective;
  // When multiprocessors become free, a collective's blocks go first: launches get along with
  // fewer.
  constexpr int highest = -100; // The driver takes the nearest that there is.
  Stream stream = nullptr;
  SMELT_RETURN_IF_ERROR(
      driver_->check(driver_->streamCreateWithPriority(&stream, kStreamNonBlocking, highest),
                     "cuStreamCreateWithPriority"));
  communication_ = {driver_, stream};
  return Status::ok();
}

Status CudaDevice::capture(const std::vector<DeviceEntry> &entries) {
  Lanes lanes(*driver_, stream_.get(), communication_.get());
  for (const DeviceEntry &entry : entries) {
    SMELT_RETURN_IF_ERROR(lanes.wait(entry.wait));
    if (entry.collective) {
      SMELT_RETURN_IF_ERROR(lanes.startCollective(entry.onLane, [&](Stream stream) {
        return collective_->start(*entry.collective, arena_, stream);
      }));
      continue;
    }
    for (size_t i = 0; i < module_.countParts(entry.launch); ++i) {
      SMELT_ASSIGN_OR_RETURN(PreparedLaunch prepared, module_.prepare(entry.launch, i, arena_));
      SMELT_RETURN_IF_ERROR(prepared.start(*driver_, stream_.get()));
    }
  }
  return lanes.join();
}

StatusOr<DeviceProgram> CudaDevice::addEntries(const std::vector<DeviceEntry> &entries) {
  SMELT_RETURN_IF_ERROR(checkEntries(entries));
  if (entries.empty()) {
    programs_.emplace_back();
    return DeviceProgram{programs_.size() - 1};
  }
  // Parameters are copied while the launches are captured.
  SMELT_RETURN_IF_ERROR(driver_->check(
      driver_->streamBeginCapture(stream_.get(), kCaptureThreadLocal), "cuStreamBeginCapture"));
  Status captured = capture(entries);
  Graph graph = nullptr;
  Status ended =
      driver_->check(driver_->streamEndCapture(stream_.get(), &graph), "cuStreamEndCapture");
  OwnedGraph owned(driver_, graph);
  SMELT_RETURN_IF_ERROR(captured);
  SMELT_RETURN_IF_ERROR(ended);
  GraphExec executable = nullptr;
  SMELT_RETURN_IF_ERROR(driver_->check(driver_->graphInstantiate(&executable, graph, 0),
                                       "cuGraphInstantiateWithFlags"));
  programs_.emplace_back(driver_, executable);
  return DeviceProgram{programs_.size() - 1};
}

StatusOr<std::vector<LaunchTime>>
CudaDevice::runTimedEntries(const std::vector<DeviceEntry> &entries) {
  SMELT_RETURN_IF_ERROR(checkEntries(entries));
  StatusOr<std::vector<LaunchTime>> times =
      entryTimer_.run(entries, module_, arena_, collective_, stream_.get(), communication_.get());
  SMELT_RETURN_IF_ERROR(checkWhole());
  return times;
}

StatusOr<std::vector<ProductTime>> CudaDevice::timeProduct(const DeviceLaunch &launch,
                                                           uint64_t workspaceBytes, int rounds) {
  SMELT_RETURN_IF_ERROR(checkEntries({{launch}}));
  return cuda::timeProduct(*driver_, module_, launch, arena_, workspaceBytes, rounds,
                           stream_.get());
}

Status CudaDevice::broadcast(std::span<const DeviceRange> ranges, int root) {
  if (!collective_)
    return internalError("a broadcast, but no ranks");
  for (const DeviceRange &range : ranges)
    SMELT_RETURN_IF_ERROR(checkRange(range.offset, range.bytes));
  return collective_->startBroadcast(ranges, root, arena_, stream_.get());
}

void CudaDevice::abandon() {
  abandoned_ = true;
  std::lock_guard lock(running_);
  (void)context_.makeCurrent(); // In this thread.
  programs_.clear();
}
} // namespace

StatusOr<std::unique_ptr<Device>> makeCudaDevice(int ordinal) {
  SMELT_ASSIGN_OR_RETURN(const Driver *driver, openDriver());
  SMELT_ASSIGN_OR_RETURN(int count, countCudaDevices());
  if (ordinal < 0 || ordinal >= count)
    return usageError("there is no GPU ", ordinal, "; this machine has ", count);
  auto device = std::make_unique<CudaDevice>();
  SMELT_RETURN_IF_ERROR(device->open(*driver, ordinal));
  return std::unique_ptr<Device>(std::move(device));
}

} // namespace smelt::runtime
