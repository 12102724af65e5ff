//===- SharePeers.cpp - Memory that all ranks map -------------------------===//
//
// From the agreement to have it to its end: at each stage all ranks can, or nobody does it.
//
//===----------------------------------------------------------------------===//
#include "runtime/base/Log.h"
#include "runtime/collective/peer/PeerCopies.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <utility>

namespace smelt::runtime::peer {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

namespace {
constexpr uint64_t kPages = uint64_t(2) << 20; ///< Nothing else lies in what others map.

uint64_t roundUp(uint64_t bytes, uint64_t to) { return (bytes + to - 1) / to * to; }

bool wantsCopies(int ranks) {
  const char *value = std::getenv("SMELT_COPIES");
  std::string word = value ? value : "";
  if (!word.empty() && word != "0" && word != "1")
    logWarning(concat("SMELT_COPIES=", word, " does nothing: 0 or 1"));
  return word == "1" || (word.empty() && ranks == 2); // More were not measured.
}

/// What the processes of one host have alike.
std::string hostOf() {
  std::string id;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), id);
  return id;
}
} // namespace

StatusOr<bool> PeerCopies::agreeToCopy() {
  if (peers_.rank() == 0)
    SMELT_RETURN_IF_ERROR(peers_.set("copies", wantsCopies(peers_.size()) ? "1" : "0"));
  SMELT_ASSIGN_OR_RETURN(std::string word, peers_.get("copies"));
  return word == "1";
}

/// Empty when every rank is well and says the same, else why not.
StatusOr<std::string> PeerCopies::askAll(const char *stage, const Status &status,
                                         const std::string &own) {
  SMELT_RETURN_IF_ERROR(peers_.set(concat("copies/", stage, "/", peers_.rank()),
                                   status.isOk() ? "+" + own : "-" + status.message()));
  std::string why, first;
  for (int rank = 0; rank < peers_.size(); ++rank) {
    SMELT_ASSIGN_OR_RETURN(std::string word, peers_.get(concat("copies/", stage, "/", rank)));
    if (rank == 0)
      first = word;
    if (!why.empty())
      continue;
    if (word[0] == '-')
      why = concat("rank ", rank, ": ", word.substr(1));
    else if (word != first)
      why = concat("rank ", rank, " has another host or another arena than rank 0");
  }
  return why;
}

StatusOr<std::shared_ptr<void>> PeerCopies::share(uint64_t bytes, uint64_t largestSum,
                                                  milliseconds patience, cuda::Stream stream) {
  patience_ = std::min(patience, milliseconds(30000)); // There is a way without.
  if (peers_.size() == 1)
    return std::shared_ptr<void>();
  SMELT_ASSIGN_OR_RETURN(bool copies, agreeToCopy());
  if (!copies)
    return std::shared_ptr<void>();
  auto ranks = static_cast<uint64_t>(peers_.size());
  besideAt_ = roundUp(bytes, 256);
  besideBytes_ =
      std::max(roundUp(largestSum - largestSum / ranks, 256), kMostToReduce * (ranks - 1));
  wordsAt_ = besideAt_ + besideBytes_;
  bytes_ = roundUp(wordsAt_ + 256 * ranks, kPages);
  part_ = std::min({bytes / ranks, besideBytes_ / (ranks - 1), uint64_t(4) << 20}) / 256 * 256;
  auto memory = allocate(stream);
  SMELT_ASSIGN_OR_RETURN(std::string why,
                         askAll("memory", memory, concat(hostOf(), " ", bytes, " ", bytes_)));
  if (why.empty()) {
    SMELT_ASSIGN_OR_RETURN(std::vector<Offer> all, exchange());
    Status status = map(all, stream);
    if (isStuck_)
      return status;
    SMELT_ASSIGN_OR_RETURN(why, askAll("map", status, ""));
  }
  if (why.empty()) {
    Status status = tryThem(stream);
    if (isStuck_)
      return status;
    SMELT_ASSIGN_OR_RETURN(why, askAll("try", status, ""));
  }
  if (!why.empty()) {
    if (peers_.rank() == 0)
      logNote(concat("no copies between GPUs (", why, "); NCCL does all collectives"));
    unmap();
    SMELT_ASSIGN_OR_RETURN(std::string still, askAll("unmapped", Status::ok(), ""));
    *mayFree_ = still.empty();
    base_ = 0;
    memory_.reset();
    return std::shared_ptr<void>();
  }
  if (peers_.rank() == 0)
    logNote(concat("copies: all ranks map the arena (", bytes >> 20,
                   " MiB); all-gathers, reduce-scatters and small all-reduces go by copy "
                   "engines"));
  return memory_;
}

Status PeerCopies::allocate(cuda::Stream stream) {
  if (!driver_.hasPeers)
    return internalError("the driver has no memory of other processes");
  if (!part_)
    return internalError("the arena is too small");
  cuda::DevicePointer memory = 0;
  SMELT_RETURN_IF_ERROR(
      driver_.check(driver_.memAlloc(&memory, bytes_), concat("cuMemAlloc(", bytes_, " bytes)")));
  base_ = memory;
  memory_ = {reinterpret_cast<void *>(memory), [driver = &driver_, mayFree = mayFree_](void *own) {
               if (*mayFree) // Else the end of the process does it.
                 (void)driver->memFree(reinterpret_cast<uintptr_t>(own));
             }};
  SMELT_RETURN_IF_ERROR(driver_.check(
      driver_.memsetD8Async(base_ + wordsAt_, 0, bytes_ - wordsAt_, stream), "cuMemsetD8Async"));
  return driver_.check(driver_.streamSynchronize(stream), "cuStreamSynchronize");
}

/// By rank; a handle of zeros where a rank has none.
StatusOr<std::vector<PeerCopies::Offer>> PeerCopies::exchange() {
  Offer own;
  (void)driver_.ipcGetMemHandle(&own.memory, base_);
  cuda::DeviceHandle device = 0;
  if (driver_.ctxGetDevice(&device) == cuda::kSuccess)
    (void)driver_.deviceGetUuid(&own.gpu, device);
  SMELT_RETURN_IF_ERROR(peers_.set(concat("copies/offer/", peers_.rank()),
                                   std::string(reinterpret_cast<const char *>(&own), sizeof own)));
  std::vector<Offer> all(static_cast<size_t>(peers_.size()));
  for (int rank = 0; rank < peers_.size(); ++rank) {
    SMELT_ASSIGN_OR_RETURN(std::string word, peers_.get(concat("copies/offer/", rank)));
    if (word.size() != sizeof own)
      return internalError("rank ", rank, "'s offer has ", word.size(), " bytes");
    std::memcpy(&all[rank], word.data(), word.size());
  }
  return all;
}

/// A GPU that this process does not see (CUDA_VISIBLE_DEVICES) is left to the mapping.
bool PeerCopies::reaches(const cuda::DeviceUuid &gpu) const {
  cuda::DeviceHandle own = 0, other = 0;
  int count = 0, can = 1;
  (void)driver_.ctxGetDevice(&own);
  (void)driver_.deviceGetCount(&count);
  for (int i = 0; i < count; ++i) {
    cuda::DeviceUuid uuid;
    if (driver_.deviceGet(&other, i) == cuda::kSuccess &&
        driver_.deviceGetUuid(&uuid, other) == cuda::kSuccess &&
        std::memcmp(&uuid, &gpu, sizeof uuid) == 0)
      (void)driver_.deviceCanAccessPeer(&can, own, other);
  }
  return can;
}

/// And sees whether streams can wait for words, which nobody but this rank does yet.
Status PeerCopies::map(std::span<const Offer> all, cuda::Stream stream) {
  mapped_.assign(all.size(), 0);
  for (int rank = 0; rank < peers_.size(); ++rank) {
    if (rank == peers_.rank())
      continue;
    if (!reaches(all[rank].gpu))
      return internalError("its GPU cannot reach rank ", rank, "'s memory");
    cuda::DevicePointer memory = 0; // Where mapping fails, what it left here is none.
    SMELT_RETURN_IF_ERROR(
        driver_.check(driver_.ipcOpenMemHandle(&memory, all[rank].memory, cuda::kIpcEnablePeers),
                      concat("cuIpcOpenMemHandle(rank ", rank, "'s arena)")));
    mapped_[rank] = memory;
  }
  for (int i = 0; i + 1 < peers_.size(); ++i) {
    cuda::Stream side = nullptr;
    if (i > 0) {
      SMELT_RETURN_IF_ERROR(
          driver_.check(driver_.streamCreate(&side, cuda::kStreamNonBlocking), "cuStreamCreate"));
      streams_.emplace_back(&driver_, side);
    }
    cuda::Event event = nullptr;
    SMELT_RETURN_IF_ERROR(
        driver_.check(driver_.eventCreate(&event, cuda::kEventDisableTiming), "cuEventCreate"));
    events_.emplace_back(&driver_, event);
  }
  SMELT_RETURN_IF_ERROR(sums_.load(driver_));
  cuda::DevicePointer own = wordOf(base_, Word::Ready, peers_.rank());
  cuda::WordOperation operations[] = {{cuda::kWordWrite, own, 1},
                                      {cuda::kWordWait, own, 1, cuda::kWordEqual},
                                      {cuda::kWordWrite, own, 0}};
  SMELT_RETURN_IF_ERROR(
      driver_.check(driver_.streamBatchMemOp(stream, 3, operations, 0), "cuStreamBatchMemOp"));
  return finish(stream);
}

void PeerCopies::unmap() {
  for (cuda::DevicePointer &each : mapped_)
    if (cuda::DevicePointer memory = std::exchange(each, 0))
      (void)driver_.ipcCloseMemHandle(memory);
}

/// Memory goes only once no other rank maps it; where one does not come, the end of the process
/// gives back what is left.
PeerCopies::~PeerCopies() {
  if (!base_ || isStuck_ || peers_.anyLost(milliseconds(0)))
    return;
  (void)driver_.ctxSynchronize(); // The others' waits end by what this rank's streams still do.
  unmap();
  Clock::time_point deadline = Clock::now() + milliseconds(5000);
  if (!peers_.set(concat("copies/end/", peers_.rank()), "").isOk())
    return;
  bool all = true;
  for (int rank = 0; rank < peers_.size() && all; ++rank) {
    auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
    all = peers_.isSet(concat("copies/end/", rank), std::max(left, milliseconds(0)));
  }
  *mayFree_ = all;
}

/// What is made at first use is made now, and not while a graph is captured. Twice, so that words
/// are seen to be taken back.
Status PeerCopies::tryThem(cuda::Stream stream) {
  Status status;
  for (unsigned char add : {1, 101})
    if (status.isOk())
      status = tryGather(add, stream);
  for (CollectiveKind kind : {CollectiveKind::ReduceScatter, CollectiveKind::AllReduce})
    if (status.isOk())
      status = trySum(kind, stream);
  if (!status.isOk() && !isStuck_)
    SMELT_RETURN_IF_ERROR(finish(stream));
  return status;
}

Status PeerCopies::tryGather(unsigned char add, cuda::Stream stream) {
  auto rank = static_cast<uint64_t>(peers_.rank()), ranks = static_cast<uint64_t>(peers_.size());
  auto fill = [&](uint64_t at, uint64_t value, uint64_t bytes) {
    return driver_.check(
        driver_.memsetD8Async(base_ + at, static_cast<unsigned char>(value + add), bytes, stream),
        "cuMemsetD8Async");
  };
  SMELT_RETURN_IF_ERROR(fill(0, ranks, part_ * ranks));
  SMELT_RETURN_IF_ERROR(fill(rank * part_, rank, part_));
  SMELT_RETURN_IF_ERROR(
      start({CollectiveKind::AllGather, DType::BF16, {{0, part_ * ranks}}}, stream));
  std::vector<unsigned char> all(part_ * ranks);
  SMELT_RETURN_IF_ERROR(read(std::as_writable_bytes(std::span(all)), 0, stream));
  for (size_t i = 0; i < all.size(); ++i)
    if (all[i] != static_cast<unsigned char>(i / part_ + add))
      return internalError("the first gather is wrong");
  return Status::ok();
}

/// Of ones, and a two: in each rank's own part, or all that rank 0 gives.
Status PeerCopies::trySum(CollectiveKind kind, cuda::Stream stream) {
  auto rank = static_cast<uint64_t>(peers_.rank()), ranks = static_cast<uint64_t>(peers_.size());
  constexpr unsigned one = 0x3f800000, two = 0x40000000;
  auto fill = [&](uint64_t at, unsigned value, uint64_t bytes) {
    return driver_.check(driver_.memsetD32Async(base_ + at, value, bytes / sizeof(float), stream),
                         "cuMemsetD32Async");
  };
  bool isReduce = kind == CollectiveKind::AllReduce;
  uint64_t part = isReduce ? std::min(part_, kMostToReduce) : part_;
  uint64_t bytes = isReduce ? part : part * ranks, own = isReduce ? 0 : rank * part;
  SMELT_RETURN_IF_ERROR(fill(0, one, bytes));
  if (!isReduce || rank == 0) // One summand is 2.
    SMELT_RETURN_IF_ERROR(fill(own, two, part));
  SMELT_RETURN_IF_ERROR(start({kind, DType::F32, {{0, bytes}}}, stream));
  std::vector<float> sums(part / sizeof(float));
  SMELT_RETURN_IF_ERROR(read(std::as_writable_bytes(std::span(sums)), own, stream));
  if (std::any_of(sums.begin(), sums.end(), [&](float sum) { return sum != float(ranks + 1); }))
    return internalError("the first sum is wrong");
  return Status::ok();
}

Status PeerCopies::read(std::span<std::byte> to, uint64_t at, cuda::Stream stream) {
  SMELT_RETURN_IF_ERROR(finish(stream));
  SMELT_RETURN_IF_ERROR(driver_.check(
      driver_.memcpyDtoHAsync(to.data(), base_ + at, to.size(), stream), "cuMemcpyDtoHAsync"));
  return driver_.check(driver_.streamSynchronize(stream), "cuStreamSynchronize");
}

/// With patience: nothing but the end of the process ends what a stream waits for.
Status PeerCopies::finish(cuda::Stream stream) {
  for (Clock::time_point deadline = Clock::now() + patience_;;) {
    cuda::Result result = driver_.streamQuery(stream);
    if (result != cuda::kNotReady)
      return driver_.check(result, "cuStreamQuery");
    if (peers_.anyLost(milliseconds(1)) || Clock::now() > deadline) {
      isStuck_ = true;
      std::string what = concat("the first copies between GPUs do not end on rank ", peers_.rank(),
                                "; SMELT_COPIES=0 does without");
      logWarning(what); // What is given back now may wait for them.
      return peers_.explain(what, milliseconds(0));
    }
  }
}

} // namespace smelt::runtime::peer
