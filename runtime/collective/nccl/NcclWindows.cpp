#include "runtime/collective/nccl/NcclWindows.h"
#include "runtime/base/Log.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <vector>

namespace smelt::runtime::nccl {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

namespace {
constexpr std::pair<const char *, WindowUse> kUses[] = {{"0", WindowUse::Off},
                                                        {"gathers", WindowUse::Gathers},
                                                        {"copies", WindowUse::Copies},
                                                        {"kernels", WindowUse::Kernels},
                                                        {"all", WindowUse::All}};

WindowUse wantedUse(const Library &library, int ranks) {
  const char *word = std::getenv("SMELT_NCCL_WINDOWS");
  if (!word || !*word) // Two ranks are what was measured (tools/bench/RESULTS.md).
    return library.hasWindows && ranks == 2 ? WindowUse::Copies : WindowUse::Off;
  for (auto [name, use] : kUses)
    if (std::string(word) == name) {
      if (library.hasWindows || use == WindowUse::Off)
        return use;
      logNote(concat("NCCL ", library.version, " has no windows: SMELT_NCCL_WINDOWS=", word,
                     " does nothing"));
      return WindowUse::Off;
    }
  logWarning(
      concat("SMELT_NCCL_WINDOWS=", word, " does nothing: 0, gathers, copies, kernels or all"));
  return WindowUse::Off;
}

/// What the processes of one host have alike.
std::string hostOf() {
  std::string id;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), id);
  return id;
}
} // namespace

/// All ranks call it; empty when every `own` begins with '+' and they are the same, else why not.
StatusOr<std::string> Windows::askAll(const char *stage, const std::string &own) {
  SMELT_RETURN_IF_ERROR(peers_.set(concat("nccl/windows/", stage, "/", peers_.rank()), own));
  std::string why, first;
  for (int rank = 0; rank < peers_.size(); ++rank) {
    SMELT_ASSIGN_OR_RETURN(std::string word, peers_.get(concat("nccl/windows/", stage, "/", rank)));
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

StatusOr<std::string> Windows::allocate(uint64_t bytes) {
  auto parts = static_cast<size_t>(peers_.size());
  uint64_t most = use_ == WindowUse::Copies ? std::min(besideAt_, besideBytes_) : bytes;
  part_ = std::min<uint64_t>(most, 4 << 20) / 256 / parts * 256;
  if (!part_)
    return askAll("memory", "-the arena is too small");
  void *memory = nullptr;
  if (library_.memAlloc(&memory, bytes) != kSuccess || !memory)
    return askAll("memory", concat("-ncclMemAlloc gives no ", bytes, " bytes"));
  memory_ = {memory, [free = library_.memFree](void *memory) { (void)free(memory); }};
  return askAll("memory", concat("+", hostOf(), " ", bytes));
}

StatusOr<std::shared_ptr<void>> Windows::share(uint64_t bytes, uint64_t largestSum, int blocks,
                                               milliseconds patience, cuda::Stream stream) {
  patience_ = std::min(patience, milliseconds(30000)); // There is a way without.
  if (peers_.size() == 1)
    return std::shared_ptr<void>();
  if (peers_.rank() == 0) {
    use_ = wantedUse(library_, peers_.size());
    SMELT_RETURN_IF_ERROR(peers_.set("nccl/windows", std::to_string(int(use_))));
  } else {
    SMELT_ASSIGN_OR_RETURN(std::string word, peers_.get("nccl/windows"));
    use_ = static_cast<WindowUse>(std::atoi(word.c_str()));
  }
  if (use_ == WindowUse::Off)
    return std::shared_ptr<void>();
  uint64_t arena = bytes;
  if (use_ == WindowUse::Copies) {
    besideAt_ = (arena + 255) / 256 * 256;
    besideBytes_ = (std::max<uint64_t>(largestSum, 1) + 255) / 256 * 256;
    bytes = besideAt_ + besideBytes_;
  }
  SMELT_ASSIGN_OR_RETURN(std::string why, allocate(bytes));
  if (why.empty()) {
    communicator_.setTrial(true);
    Status status = connect(bytes, blocks, stream);
    communicator_.setTrial(false);
    if (isStuck_)
      return status;
    if (!status.isOk())
      communicator_.abort(); // The others need not wait for this rank.
    SMELT_ASSIGN_OR_RETURN(why, askAll("register", status.isOk() ? "+" : "-" + status.message()));
  }
  if (!why.empty()) {
    if (peers_.rank() == 0)
      logNote(concat("NCCL: no windows (", why, "); the arena is memory as usual"));
    communicator_.abort();
    memory_.reset();
    return std::shared_ptr<void>();
  }
  if (peers_.rank() == 0)
    logNote(concat("NCCL: the arena (", arena >> 20,
                   " MiB) is a window of all ranks; all-gathers by ",
                   use_ == WindowUse::Kernels ? "symmetric kernels" : "copy engines",
                   use_ == WindowUse::Gathers  ? ""
                   : use_ == WindowUse::Copies ? ", sums too, beside it"
                                               : ", sums by symmetric kernels"));
  return memory_;
}

bool Windows::takes(const DeviceCollective &collective, uint64_t arena) const {
  if (!memory_ || arena != reinterpret_cast<uintptr_t>(memory_.get()))
    return false;
  if (collective.kind == CollectiveKind::AllGather)
    return true;
  auto ranks = static_cast<uint64_t>(peers_.size());
  uint64_t bytes = 0;
  bool isWhole = true; // Vectors.
  for (const DeviceRange &buffer : collective.buffers) {
    bytes += buffer.bytes;
    isWhole &= buffer.offset % PartSums::kVector == 0 &&
               buffer.bytes % (ranks * PartSums::kVector) == 0 && buffer.bytes;
  }
  switch (use_) {
  case WindowUse::Copies:
    return addsCopies(collective) && PartSums::has(collective.type) && isWhole &&
           bytes <= besideBytes_;
  case WindowUse::Kernels:
  case WindowUse::All:
    return PartSums::has(collective.type); // So have NCCL's symmetric kernels.
  default:
    return false;
  }
}

Status Windows::connect(uint64_t bytes, int blocks, cuda::Stream stream) {
  std::optional<int> policy = use_ == WindowUse::Kernels ? kUndefined : kPolicyZero;
  SMELT_RETURN_IF_ERROR(communicator_.connect({patience_, blocks, "nccl/windows/id", policy}));
  SMELT_RETURN_IF_ERROR(communicator_.registerWindow(memory_.get(), bytes));
  // What is made at first use is made now, and not while a graph is captured. Twice: copy engines
  // wait for words that a rank writes to the others, in graphs for 1, else for a number that grows
  // with each message; after a single one outside of graphs a graph would find a 1 that is old.
  for (unsigned char add : {1, 101})
    SMELT_RETURN_IF_ERROR(tryGather(add, stream));
  if (use_ == WindowUse::Gathers)
    return Status::ok();
  if (use_ == WindowUse::Copies)
    SMELT_RETURN_IF_ERROR(sums_.load(driver_));
  return trySums(stream);
}

Status Windows::addCopies(const DeviceCollective &collective, uint64_t arena, void *stream) {
  auto ranks = static_cast<uint64_t>(peers_.size()), rank = static_cast<uint64_t>(peers_.rank());
  uint64_t beside = reinterpret_cast<uintptr_t>(memory_.get()) + besideAt_, at = beside;
  SMELT_RETURN_IF_ERROR(communicator_.runGroup("ncclAlltoAll", [&](Communicator communicator) {
    Result result = kSuccess;
    for (const DeviceRange &buffer : collective.buffers) {
      if (result == kSuccess || result == kInProgress)
        result = library_.allToAll(reinterpret_cast<void *>(arena + buffer.offset),
                                   reinterpret_cast<void *>(at), buffer.bytes / ranks, kUint8,
                                   communicator, stream);
      at += buffer.bytes;
    }
    return result;
  }));
  at = beside;
  for (const DeviceRange &buffer : collective.buffers) {
    uint64_t part = buffer.bytes / ranks;
    SMELT_RETURN_IF_ERROR(sums_.add(collective.type, at, static_cast<unsigned>(ranks),
                                    arena + buffer.offset + rank * part, part,
                                    static_cast<cuda::Stream>(stream)));
    at += buffer.bytes;
  }
  return Status::ok();
}

Status Windows::tryGather(unsigned char add, cuda::Stream stream) {
  auto base = reinterpret_cast<cuda::DevicePointer>(memory_.get());
  auto rank = static_cast<size_t>(peers_.rank()), ranks = static_cast<size_t>(peers_.size());
  auto fill = [&](size_t at, size_t value, size_t bytes) {
    return driver_.check(
        driver_.memsetD8Async(base + at, static_cast<unsigned char>(value + add), bytes, stream),
        "cuMemsetD8Async");
  };
  SMELT_RETURN_IF_ERROR(fill(0, ranks, part_ * ranks));
  SMELT_RETURN_IF_ERROR(fill(rank * part_, rank, part_));
  SMELT_RETURN_IF_ERROR(communicator_.runGroup("ncclAllGather", [&](Communicator communicator) {
    auto *whole = static_cast<std::byte *>(memory_.get());
    return library_.allGather(whole + rank * part_, whole, part_, kUint8, communicator, stream);
  }));
  std::vector<unsigned char> all(part_ * ranks);
  SMELT_RETURN_IF_ERROR(read(std::as_writable_bytes(std::span(all)), 0, stream));
  for (size_t i = 0; i < all.size(); ++i)
    if (all[i] != static_cast<unsigned char>(i / part_ + add))
      return internalError("the first gather in a window is wrong");
  return Status::ok();
}

/// Of ones.
Status Windows::trySums(cuda::Stream stream) {
  auto rank = static_cast<size_t>(peers_.rank()), ranks = static_cast<size_t>(peers_.size());
  auto *whole = static_cast<std::byte *>(memory_.get()), *mine = whole + rank * part_;
  size_t count = part_ / sizeof(float);
  for (bool scatter : {true, false}) {
    if (!scatter && use_ == WindowUse::Copies)
      break;
    auto base = reinterpret_cast<cuda::DevicePointer>(memory_.get());
    constexpr unsigned one = 0x3f800000;
    SMELT_RETURN_IF_ERROR(driver_.check(driver_.memsetD32Async(base, one, count * ranks, stream),
                                        "cuMemsetD32Async"));
    if (use_ == WindowUse::Copies)
      SMELT_RETURN_IF_ERROR(addCopies(
          {CollectiveKind::ReduceScatter, DType::F32, {{0, part_ * ranks}}}, base, stream));
    else
      SMELT_RETURN_IF_ERROR(
          communicator_.runGroup("a sum in a window", [&](Communicator communicator) {
            if (scatter)
              return library_.reduceScatter(whole, mine, count, kFloat32, kSum, communicator,
                                            stream);
            return library_.allReduce(whole, whole, count * ranks, kFloat32, kSum, communicator,
                                      stream);
          }));
    std::vector<float> sums(scatter ? count : count * ranks);
    SMELT_RETURN_IF_ERROR(
        read(std::as_writable_bytes(std::span(sums)), scatter ? rank * part_ : 0, stream));
    if (std::any_of(sums.begin(), sums.end(), [&](float sum) { return sum != float(ranks); }))
      return internalError("the first sum in a window is wrong");
  }
  return Status::ok();
}

/// With patience: nothing but the end of the process ends what a copy engine waits for.
Status Windows::read(std::span<std::byte> to, size_t at, cuda::Stream stream) {
  for (Clock::time_point deadline = Clock::now() + patience_;;) {
    cuda::Result result = driver_.streamQuery(stream);
    if (result != cuda::kNotReady) {
      SMELT_RETURN_IF_ERROR(driver_.check(result, "cuStreamQuery"));
      break;
    }
    if (peers_.anyLost(milliseconds(1)) || Clock::now() > deadline) {
      isStuck_ = true;
      std::string what = concat("the first collectives in NCCL's windows do not end on rank ",
                                peers_.rank(), "; SMELT_NCCL_WINDOWS=0 does without");
      logWarning(what); // What is given back now may wait for them.
      return peers_.explain(what, milliseconds(0));
    }
  }
  auto base = reinterpret_cast<cuda::DevicePointer>(memory_.get());
  SMELT_RETURN_IF_ERROR(driver_.check(
      driver_.memcpyDtoHAsync(to.data(), base + at, to.size(), stream), "cuMemcpyDtoHAsync"));
  return driver_.check(driver_.streamSynchronize(stream), "cuStreamSynchronize");
}

} // namespace smelt::runtime::nccl
