//===- main.cpp - Collectives in a CUDA graph, replayed -------------------===//
//
// nccl_replay RANKS [REPLAYS]: a process for each GPU. A program with a reduce_scatter on the
// communication lane, an all_reduce and an all_gather that waits is captured once and replayed,
// each time on other numbers; every result must be exact. Then the time of each kind by size. Then
// what the record sends: every byte of it, its time, and what it adds to a kernel that keeps all
// multiprocessors busy. SMELT_COPIES says what goes by copy engines.
//
//===----------------------------------------------------------------------===//
#include "runtime/base/Log.h"
#include "runtime/collective/Launcher.h"
#include "runtime/collective/RankGroup.h"
#include "runtime/collective/nccl/NcclCollective.h"
#include "runtime/device/cuda/CudaDevice.h"
#include "tools/bench/nccl_replay/Busy.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
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

/// The median of 7 runs, in microseconds.
StatusOr<double> timeProgram(Device &device, const std::vector<DeviceEntry> &entries) {
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
  return runs[runs.size() / 2];
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
      SMELT_ASSIGN_OR_RETURN(double all, timeProgram(device, entries));
      microseconds[kind] = all / kTimes;
    }
    if (group.rank() == 0)
      std::printf("%8.1f %12.1f %16.1f %12.1f\n", megabytes, microseconds[0], microseconds[1],
                  microseconds[2]);
  }
  return Status::ok();
}

/// A message of the record: bf16 weights that are gathered, f32 gradients that are summed.
struct Message {
  const char *name;
  CollectiveKind kind;
  DType type;
  uint64_t bytes;
};
constexpr Message kMessages[] = {
    {"all_gather", CollectiveKind::AllGather, DType::BF16, 75497472},
    {"all_gather", CollectiveKind::AllGather, DType::BF16, 150994944},
    {"reduce_scatter", CollectiveKind::ReduceScatter, DType::F32, 94371840},
    {"reduce_scatter", CollectiveKind::ReduceScatter, DType::F32, 207618048},
};
constexpr uint64_t kLargest = 207618048;

/// What rank `rank` has at first, or what the whole is in the end where `rank` is negative.
std::vector<std::byte> makeMessage(const Message &message, int pattern, int rank, int size) {
  std::vector<std::byte> data(message.bytes);
  if (message.kind == CollectiveKind::AllGather) {
    auto *words = reinterpret_cast<uint32_t *>(data.data());
    uint64_t count = message.bytes / sizeof(uint32_t), part = count / static_cast<uint64_t>(size);
    for (uint64_t i = 0; i < count; ++i)
      words[i] = rank < 0 || i / part == static_cast<uint64_t>(rank)
                     ? static_cast<uint32_t>(i * 2654435761u + static_cast<uint32_t>(pattern))
                     : 0xffffffffu;
    return data;
  }
  auto *values = reinterpret_cast<float *>(data.data());
  for (uint64_t i = 0; i < message.bytes / sizeof(float); ++i)
    for (int other = rank < 0 ? 0 : rank; other <= (rank < 0 ? size - 1 : rank); ++other)
      values[i] += static_cast<float>(
          (static_cast<uint32_t>(i) * 7 + static_cast<uint32_t>(other * 3 + pattern)) % 251);
  return data;
}

/// Every byte, of two patterns.
StatusOr<uint64_t> countWrong(Device &device, const RankGroup &group, const Message &message,
                              DeviceProgram program) {
  uint64_t part = message.bytes / static_cast<uint64_t>(group.size()), wrong = 0;
  bool isGather = message.kind == CollectiveKind::AllGather;
  uint64_t from = isGather ? 0 : part * static_cast<uint64_t>(group.rank());
  std::vector<std::byte> result(isGather ? message.bytes : part);
  for (int pattern = 1; pattern <= 2; ++pattern) {
    std::vector<std::byte> own = makeMessage(message, pattern, group.rank(), group.size());
    SMELT_RETURN_IF_ERROR(device.copyIn(0, own));
    SMELT_RETURN_IF_ERROR(device.run(program));
    SMELT_RETURN_IF_ERROR(device.copyOut(from, result));
    std::vector<std::byte> whole = makeMessage(message, pattern, -1, group.size());
    for (uint64_t i = 0; i < result.size(); ++i)
      wrong += result[i] != whole[from + i];
  }
  return wrong;
}

Status timeMessages(Device &device, const RankGroup &group) {
  constexpr int kTimes = 8;
  DeviceEntry busy = {{0, {kLargest}}};
  if (group.rank() == 0)
    std::printf("what the record sends: %d in a graph, alone and on the lane beside busy kernels "
                "(all multiprocessors)\n%16s %8s %10s %8s %12s %12s %12s\n",
                kTimes, "", "MB", "us each", "GB/s", "busy us", "beside us", "adds us each");
  uint64_t wrong = 0;
  for (const Message &message : kMessages) {
    DeviceEntry entry = {
        {}, DeviceCollective{message.kind, message.type, {{0, message.bytes}}}, false, {}};
    SMELT_ASSIGN_OR_RETURN(DeviceProgram once, device.addEntries({entry}));
    SMELT_ASSIGN_OR_RETURN(uint64_t here, countWrong(device, group, message, once));
    wrong += here;
    SMELT_ASSIGN_OR_RETURN(double alone, timeProgram(device, std::vector(kTimes, entry)));
    std::vector<DeviceEntry> both(kTimes, entry);
    for (DeviceEntry &each : both)
      each.onLane = true;
    both.push_back(busy);
    both.push_back(busy);
    SMELT_ASSIGN_OR_RETURN(double beside, timeProgram(device, both));
    SMELT_ASSIGN_OR_RETURN(double single, timeProgram(device, {busy, busy}));
    alone /= kTimes;
    auto ranks = static_cast<double>(group.size());
    double sent = static_cast<double>(message.bytes) * (ranks - 1) / ranks;
    if (group.rank() == 0)
      std::printf("%16s %8.1f %10.1f %8.0f %12.0f %12.0f %12.1f\n", message.name,
                  static_cast<double>(message.bytes) / 1e6, alone, sent / alone / 1e3, single,
                  beside, (beside - single) / kTimes);
  }
  std::printf("rank %d: of the record's messages %llu bytes are wrong\n", group.rank(),
              static_cast<unsigned long long>(wrong));
  return wrong ? internalError(wrong, " bytes are wrong") : Status::ok();
}

Status runRank(const RankEnvironment &environment, int replays) {
  SMELT_ASSIGN_OR_RETURN(auto group, RankGroup::join(environment));
  SMELT_ASSIGN_OR_RETURN(auto device, makeCudaDevice(environment.localRank));
  Clock::time_point start = Clock::now();
  SMELT_ASSIGN_OR_RETURN(auto nccl, makeNcclCollective(*group, std::chrono::seconds(20), 24));
  std::printf("rank %d: %s on %s, connected in %.0f ms\n", group->rank(), nccl->version().c_str(),
              device->description().c_str(),
              std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  SMELT_RETURN_IF_ERROR(device->setCollective(nccl.get()));
  start = Clock::now();
  SMELT_RETURN_IF_ERROR(device->allocateArena(kLargest + 256, kLargest));
  std::printf("rank %d: the arena after %.0f ms\n", group->rank(),
              std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  SMELT_RETURN_IF_ERROR(bench::loadBusyKernel(*device));
  SMELT_RETURN_IF_ERROR(replay(*device, *group, replays));
  SMELT_RETURN_IF_ERROR(time(*device, *group));
  SMELT_RETURN_IF_ERROR(timeMessages(*device, *group));
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
