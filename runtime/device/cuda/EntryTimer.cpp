#include "runtime/device/cuda/EntryTimer.h"
#include "runtime/device/cuda/Lanes.h"

namespace smelt::runtime::cuda {

StatusOr<std::vector<LaunchTime>> EntryTimer::run(const std::vector<DeviceEntry> &entries,
                                                  KernelModule &module, DevicePointer arena,
                                                  StreamCollective *collective, Stream main,
                                                  Stream communication) {
  // Everything is prepared first, so that the host keeps ahead of the GPU.
  std::vector<PreparedLaunch> prepared;
  std::vector<LaunchTime> times;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].collective) {
      times.push_back({i, 0, 0, 0});
      prepared.emplace_back();
      continue;
    }
    const DeviceLaunch &launch = entries[i].launch;
    for (size_t part = 0; part < module.countParts(launch); ++part) {
      SMELT_ASSIGN_OR_RETURN(PreparedLaunch each, module.prepare(launch, part, arena));
      prepared.push_back(std::move(each));
      times.push_back({i, part, 0, 0});
    }
  }
  while (timers_.size() < 2 * times.size()) {
    Event event = nullptr;
    SMELT_RETURN_IF_ERROR(driver_->check(driver_->eventCreate(&event, 0), "cuEventCreate"));
    timers_.emplace_back(driver_, event);
  }
  auto startTimed = [&](size_t i, Stream stream, auto start) -> Status {
    SMELT_RETURN_IF_ERROR(
        driver_->check(driver_->eventRecord(timers_[2 * i].get(), stream), "cuEventRecord"));
    SMELT_RETURN_IF_ERROR(start());
    return driver_->check(driver_->eventRecord(timers_[2 * i + 1].get(), stream), "cuEventRecord");
  };
  Lanes lanes(*driver_, main, communication);
  for (size_t i = 0; i < times.size(); ++i) {
    const DeviceEntry &entry = entries[times[i].launch];
    if (times[i].part == 0)
      SMELT_RETURN_IF_ERROR(lanes.wait(entry.wait));
    if (!entry.collective) {
      SMELT_RETURN_IF_ERROR(startTimed(i, main, [&] { return prepared[i].start(*driver_, main); }));
      continue;
    }
    SMELT_RETURN_IF_ERROR(lanes.startCollective(entry.onLane, [&](Stream stream) {
      return startTimed(i, stream,
                        [&] { return collective->start(*entry.collective, arena, stream); });
    }));
  }
  SMELT_RETURN_IF_ERROR(lanes.join());
  SMELT_RETURN_IF_ERROR(driver_->check(driver_->streamSynchronize(main), "cuStreamSynchronize"));
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

} // namespace smelt::runtime::cuda
