//===- main.cpp - Collectives in a CUDA graph, replayed -------------------===//
//
// nccl_replay RANKS [REPLAYS]: a process for each GPU. A program with a reduce_scatter on the
// communication lane, an all_reduce and an all_gather that waits is captured once and replayed,
// each time on other numbers; every result must be exact. Then the time of each kind by size.
//
//===----------------------------------------------------------------------===//
#include "runtime/base/Log.h"
#include "runtime/collective/Launcher.h"
#include "runtime/collective/RankGroup.h"
#include "runtime/collective/nccl/NcclCollective.h"
#include "runtime/device/cuda/CudaDevice.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <vector>

using namespace smelt::runtime;
using Clock = std::chrono::steady_clock;

namespace {

constexpr uint64_t kBytes = uint64_t(4) << 20; ///< Of each of the two buffers.
constexpr int kPatterns = 11;

/// Small whole numbers: every sum is exact, in any order.
std::vector<std::byte> makeValues(int pattern, int firstRank, int lastRank) {
  std::vector<std::byte> data(kBytes);
  auto *values = reinterpret_cast<float *>(data.data());
  for (size_t i = 0; i < kBytes / sizeof(float); ++i)
    for (int rank = firstRank; rank <= lastRank; ++rank)
      values[i] += static_cast<float>((i * 7 + rank * 3 + pattern) % kPatterns);
  return data;
}

DeviceEntry collective(CollectiveKind kind, uint64_t offset, uint64_t bytes, bool onLane = false,
                       std::vector<uint32_t> wait = {}) {
  return {{}, DeviceCollective{kind, DType::F32, {{offset, bytes}}}, onLane, std::move(wait)};
}

Status replay(Device &device, const RankGroup &group, int replays) {
  SMELT_ASSIGN_OR_RETURN(
      DeviceProgram program,
      device.addEntries({collective(CollectiveKind::ReduceScatter, 0, kBytes, true),
                         collective(CollectiveKind::AllReduce, kBytes, kBytes),
                         collective(CollectiveKind::AllGather, 0, kBytes, false, {0})}));
  std::array<std::vector<std::byte>, kPatterns> mine, sums;
  for (int pattern = 0; pattern < kPatterns; ++pattern) {
    mine[pattern] = makeValues(pattern, group.rank(), group.rank());
    sums[pattern] = makeValues(pattern, 0, group.size() - 1);
  }
  std::vector<std::byte> result(kBytes);
  int wrong = 0;
  for (int i = 0; i < replays; ++i) {
    int first = i % kPatterns, second = (3 * i + 5) % kPatterns;
    SMELT_RETURN_IF_ERROR(device.copyIn(0, mine[first]));
    SMELT_RETURN_IF_ERROR(device.copyIn(kBytes, mine[second]));
    SMELT_RETURN_IF_ERROR(device.run(program));
    SMELT_RETURN_IF_ERROR(device.copyOut(0, result));
    wrong += result != sums[first];
    SMELT_RETURN_IF_ERROR(device.copyOut(kBytes, result));
    wrong += result != sums[second];
  }
  std::printf("rank %d: %d replays of 3 collectives of %d MiB: %d results wrong\n", group.rank(),
              replays, static_cast<int>(kBytes >> 20), wrong);
  return wrong ? internalError(wrong, " results are wrong") : Status::ok();
}

Status time(Device &device, const RankGroup &group) {
  constexpr int kTimes = 20;
  if (group.rank() == 0)
    std::printf("%8s %12s %16s %12s   us each, %d in a graph\n", "MB", "all_reduce",
                "reduce_scatter", "all_gather", kTimes);
  for (double megabytes : {0.5, 9.0, 38.0, 150.0}) {
    uint64_t part = static_cast<uint64_t>(megabytes * 1e6) / group.size() / 256 * 256;
    double microseconds[3];
    for (int kind = 0; kind < 3; ++kind) {
      std::vector<DeviceEntry> entries(
          kTimes, collective(static_cast<CollectiveKind>(kind), 0, part * group.size()));
      SMELT_ASSIGN_OR_RETURN(DeviceProgram program, device.addEntries(entries));
      std::vector<double> runs;
      for (int again = 0; again < 7; ++again) {
        SMELT_RETURN_IF_ERROR(device.synchronize());
        Clock::time_point start = Clock::now();
        SMELT_RETURN_IF_ERROR(device.run(program));
        SMELT_RETURN_IF_ERROR(device.synchronize());
        runs.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
      }
      std::sort(runs.begin(), runs.end());
      microseconds[kind] = runs[runs.size() / 2] / kTimes;
    }
    if (group.rank() == 0)
      std::printf("%8.1f %12.1f %16.1f %12.1f\n", megabytes, microseconds[0], microseconds[1],
                  microseconds[2]);
  }
  return Status::ok();
}

Status runRank(const RankEnvironment &environment, int replays) {
  SMELT_ASSIGN_OR_RETURN(auto group, RankGroup::join(environment));
  SMELT_ASSIGN_OR_RETURN(auto device, makeCudaDevice(environment.localRank));
  Clock::time_point start = Clock::now();
  SMELT_ASSIGN_OR_RETURN(auto nccl, makeNcclCollective(*group, std::chrono::seconds(60)));
  std::printf("rank %d: %s on %s, connected in %.0f ms\n", group->rank(), nccl->version().c_str(),
              device->description().c_str(),
              std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  SMELT_RETURN_IF_ERROR(device->allocateArena(uint64_t(160) << 20));
  SMELT_RETURN_IF_ERROR(device->setCollective(nccl.get()));
  SMELT_RETURN_IF_ERROR(replay(*device, *group, replays));
  SMELT_RETURN_IF_ERROR(time(*device, *group));
  device->abandon(); // Its graphs go before the communicator.
  nccl.reset();
  group->leave();
  return Status::ok();
}

} // namespace

int main(int argc, char **argv) {
  int ranks = argc > 1 ? std::atoi(argv[1]) : 2, replays = argc > 2 ? std::atoi(argv[2]) : 1000;
  auto code = launchRanks(ranks, std::chrono::seconds(5), [&](const RankEnvironment &environment) {
    Status status = runRank(environment, replays);
    if (!status.isOk())
      logError(status);
    return exitCode(status.code());
  });
  if (!code.isOk())
    logError(code.status());
  return code.isOk() ? *code : exitCode(code.status().code());
}
