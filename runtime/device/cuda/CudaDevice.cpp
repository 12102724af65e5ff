#include "runtime/device/cuda/CudaDevice.h"
#include "runtime/device/cuda/KernelModule.h"
#include "runtime/device/cuda/Readbacks.h"
#include "runtime/device/cuda/Staging.h"
#include "runtime/device/cuda/Uploads.h"

#include <algorithm>
#include <cstring>
#include <map>

namespace smelt::runtime {

using namespace cuda;

namespace {
class CudaDevice final : public Device {
public:
  Status open(const Driver &driver, int ordinal) {
    driver_ = &driver;
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

  Status allocateArena(uint64_t bytes) override {
    if (arena_)
      return internalError("the arena is allocated already");
    DevicePointer pointer = 0;
    uint64_t wanted = std::max<uint64_t>(bytes, 256);
    Result result = driver_->memAlloc(&pointer, wanted);
    if (result != kSuccess) {
      size_t free = 0, total = 0;
      (void)driver_->memGetInfo(&free, &total);
      auto mebibytes = [](uint64_t bytes) { return concat(bytes >> 20, " MiB"); };
      if (result == kOutOfMemory)
        return usageError(name_, " has too little free memory: the bundle needs ",
                          mebibytes(wanted), ", ", mebibytes(free), " of ", mebibytes(total),
                          " are free");
      return internalError(driver_->describe(concat("cuMemAlloc(", wanted, " bytes)"), result));
    }
    arena_ = {driver_, pointer};
    bytes_ = bytes;
    return driver_->check(driver_->memsetD8Async(pointer, 0, wanted, stream_.get()),
                          "cuMemsetD8Async");
  }

  Status copyIn(uint64_t offset, std::span<const std::byte> from) override {
    DeviceWrite write = {offset, from};
    return copyInTogether({&write, 1});
  }
  Status copyInTogether(std::span<const DeviceWrite> writes) override;

  Status copyOut(uint64_t offset, std::span<std::byte> to) override {
    SMELT_RETURN_IF_ERROR(checkRange(offset, to.size()));
    return staging_.copyOut(to, arena_.get() + offset, stream_.get());
  }

  StatusOr<DeviceRead> startRead(std::span<const DeviceRange> ranges) override {
    std::vector<Readbacks::Part> parts;
    for (const DeviceRange &range : ranges) {
      SMELT_RETURN_IF_ERROR(checkRange(range.offset, range.bytes));
      parts.push_back({arena_.get() + range.offset, range.bytes});
    }
    SMELT_ASSIGN_OR_RETURN(size_t index, readbacks_.start(parts, stream_.get()));
    return DeviceRead{index};
  }

  Status finishRead(DeviceRead read, std::span<std::byte> to) override {
    return readbacks_.finish(read.index, to);
  }

  Status loadModule(const std::string &path, const std::vector<DeviceKernel> &kernels) override {
    if (module_.isLoaded())
      return internalError("a module is loaded already");
    return module_.load(*driver_, path, kernels, name_);
  }
  StatusOr<DeviceProgram> addProgram(const std::vector<DeviceLaunch> &launches) override;

  Status run(DeviceProgram program) override {
    if (program.index >= programs_.size())
      return internalError("the device has no program ", program.index);
    const OwnedGraphExec &graph = programs_[program.index];
    if (!graph)
      return Status::ok(); // Nothing to launch.
    return driver_->check(driver_->graphLaunch(graph.get(), stream_.get()), "cuGraphLaunch");
  }

  Status synchronize() override {
    return driver_->check(driver_->streamSynchronize(stream_.get()), "cuStreamSynchronize");
  }
  bool isAsynchronous() const override { return true; }
  StatusOr<std::vector<LaunchTime>> runTimed(const std::vector<DeviceLaunch> &launches) override;

private:
  Status checkRange(uint64_t offset, uint64_t bytes) const {
    if (!arena_ || offset > bytes_ || bytes > bytes_ - offset)
      return internalError("bytes ", offset, "+", bytes, " lie outside the arena");
    return Status::ok();
  }
  Status checkLaunches(const std::vector<DeviceLaunch> &launches) const;

  const Driver *driver_ = nullptr;
  int ordinal_ = 0;
  std::string name_;
  PrimaryContext context_; // Released after everything in it.
  OwnedStream stream_;
  Staging staging_;
  Uploads uploads_;
  Readbacks readbacks_;
  OwnedMemory arena_;
  uint64_t bytes_ = 0;
  KernelModule module_;
  std::vector<OwnedGraphExec> programs_;
  std::vector<OwnedEvent> timers_; ///< Of runTimed.
};

Status CudaDevice::copyInTogether(std::span<const DeviceWrite> writes) {
  std::vector<Uploads::Part> parts;
  for (const DeviceWrite &write : writes) {
    SMELT_RETURN_IF_ERROR(checkRange(write.offset, write.from.size()));
    DevicePointer to = arena_.get() + write.offset;
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

Status CudaDevice::checkLaunches(const std::vector<DeviceLaunch> &launches) const {
  for (const DeviceLaunch &each : launches) {
    if (each.kernel >= module_.size())
      return internalError("the module has no kernel ", each.kernel);
    for (uint64_t offset : each.offsets)
      SMELT_RETURN_IF_ERROR(checkRange(offset, 0));
  }
  return Status::ok();
}

StatusOr<DeviceProgram> CudaDevice::addProgram(const std::vector<DeviceLaunch> &launches) {
  SMELT_RETURN_IF_ERROR(checkLaunches(launches));
  if (launches.empty()) {
    programs_.emplace_back();
    return DeviceProgram{programs_.size() - 1};
  }
  // Parameters are copied while the launches are captured.
  SMELT_RETURN_IF_ERROR(driver_->check(
      driver_->streamBeginCapture(stream_.get(), kCaptureThreadLocal), "cuStreamBeginCapture"));
  Status captured;
  for (const DeviceLaunch &each : launches)
    for (size_t i = 0; captured.isOk() && i < module_.kernel(each.kernel).gpu.size(); ++i) {
      auto prepared = module_.prepare(each, i, arena_.get());
      captured = prepared.isOk() ? prepared->start(*driver_, stream_.get()) : prepared.status();
    }
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

StatusOr<std::vector<LaunchTime>> CudaDevice::runTimed(const std::vector<DeviceLaunch> &launches) {
  SMELT_RETURN_IF_ERROR(checkLaunches(launches));
  // Everything is prepared first, so that the host keeps ahead of the GPU.
  std::vector<PreparedLaunch> prepared;
  std::vector<LaunchTime> times;
  for (size_t i = 0; i < launches.size(); ++i)
    for (size_t part = 0; part < module_.kernel(launches[i].kernel).gpu.size(); ++part) {
      SMELT_ASSIGN_OR_RETURN(PreparedLaunch each, module_.prepare(launches[i], part, arena_.get()));
      prepared.push_back(std::move(each));
      times.push_back({i, part, 0, 0});
    }
  while (timers_.size() < 2 * prepared.size()) {
    Event event = nullptr;
    SMELT_RETURN_IF_ERROR(driver_->check(driver_->eventCreate(&event, 0), "cuEventCreate"));
    timers_.emplace_back(driver_, event);
  }
  auto record = [&](size_t timer) {
    return driver_->check(driver_->eventRecord(timers_[timer].get(), stream_.get()),
                          "cuEventRecord");
  };
  for (size_t i = 0; i < prepared.size(); ++i) {
    SMELT_RETURN_IF_ERROR(record(2 * i));
    SMELT_RETURN_IF_ERROR(prepared[i].start(*driver_, stream_.get()));
    SMELT_RETURN_IF_ERROR(record(2 * i + 1));
  }
  SMELT_RETURN_IF_ERROR(synchronize());
  for (size_t i = 0; i < times.size(); ++i) {
    float start = 0, length = 0;
    SMELT_RETURN_IF_ERROR(
        driver_->check(driver_->eventElapsedTime(&start, timers_[0].get(), timers_[2 * i].get()),
                       "cuEventElapsedTime"));
    SMELT_RETURN_IF_ERROR(driver_->check(
        driver_->eventElapsedTime(&length, timers_[2 * i].get(), timers_[2 * i + 1].get()),
        "cuEventElapsedTime"));
    times[i].start = start;
    times[i].milliseconds = length;
  }
  return times;
}
} // namespace

StatusOr<std::unique_ptr<Device>> makeCudaDevice(int ordinal) {
  SMELT_ASSIGN_OR_RETURN(const Driver *driver, openDriver());
  int count = 0;
  SMELT_RETURN_IF_ERROR(driver->check(driver->deviceGetCount(&count), "cuDeviceGetCount"));
  if (ordinal < 0 || ordinal >= count)
    return usageError("there is no GPU ", ordinal, "; this machine has ", count);
  auto device = std::make_unique<CudaDevice>();
  SMELT_RETURN_IF_ERROR(device->open(*driver, ordinal));
  return std::unique_ptr<Device>(std::move(device));
}

std::string whyNoCuda() {
  auto driver = openDriver();
  return driver.isOk() ? std::string() : driver.status().message();
}

StatusOr<int> cudaCapability(int ordinal) {
  SMELT_ASSIGN_OR_RETURN(const Driver *driver, openDriver());
  DeviceHandle device = 0;
  int major = 0, minor = 0;
  SMELT_RETURN_IF_ERROR(driver->check(driver->deviceGet(&device, ordinal), "cuDeviceGet"));
  SMELT_RETURN_IF_ERROR(driver->check(driver->deviceGetAttribute(&major, kAttributeMajor, device),
                                      "cuDeviceGetAttribute"));
  SMELT_RETURN_IF_ERROR(driver->check(driver->deviceGetAttribute(&minor, kAttributeMinor, device),
                                      "cuDeviceGetAttribute"));
  return major * 10 + minor;
}

} // namespace smelt::runtime
