// A libnccl for tests without a GPU: ranks are threads or processes of one machine that share a
// file, device memory is the host's, streams do everything at once. As with a communicator that
// does not block, everything is begun and then asked for. FAKE_NCCL says what is wrong with it:
// "old" (NCCL 2.10), "lone" (no rank ever finds another), "remote" (an error turns up by itself
// after three messages), "refuses" (a call fails at once), "wrong" (sums are).
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

namespace {
enum { Success = 0, SystemError = 2, InvalidUsage = 5, RemoteError = 6, InProgress = 7 };
enum Kind { AllReduce, ReduceScatter, AllGather, Broadcast };

struct Id {
  char bytes[128];
};
/// What one rank asks for.
struct Call {
  Kind kind;
  const char *from;
  char *to;
  size_t count; ///< As in NCCL's own function.
  int type, root;
};
using Message = std::vector<Call>; // One group.

constexpr int kRanks = 16;
constexpr size_t kSlot = size_t(256) << 20; ///< Of each rank's data; the file is sparse.
/// The file: this, and a slot for each rank.
struct Shared {
  std::atomic<int> joined;
  std::atomic<uint64_t> posted[kRanks], taken[kRanks]; ///< Messages.
};
constexpr size_t kHeader = 4096, kFile = kHeader + kRanks * kSlot;

struct Communicator {
  Shared *shared;
  int rank, size;
  std::deque<Message> pending;

  char *slotOf(int other) const {
    return reinterpret_cast<char *>(shared) + kHeader + size_t(other) * kSlot;
  }
  bool haveAll(const std::atomic<uint64_t> *counts, uint64_t least) const {
    for (int other = 0; other < size; ++other)
      if (counts[other] < least)
        return false;
    return true;
  }
};

thread_local Message group;
thread_local Communicator *grouped = nullptr;

bool is(const char *what) {
  const char *mode = std::getenv("FAKE_NCCL");
  return mode && std::strcmp(mode, what) == 0;
}
size_t bytesOf(int type) { return type == 1 ? 1 : type == 9 ? 2 : type == 7 ? 4 : 8; }

double load(int type, const char *from) {
  double wide = 0;
  float narrow = 0;
  if (type == 8)
    return std::memcpy(&wide, from, 8), wide;
  if (type == 9)
    std::memcpy(reinterpret_cast<char *>(&narrow) + 2, from, 2);
  else
    std::memcpy(&narrow, from, 4);
  return narrow;
}
/// Sums in tests are exact: nothing is rounded.
void store(int type, double value, char *to) {
  auto narrow = static_cast<float>(value);
  if (type == 8)
    std::memcpy(to, &value, 8);
  else
    std::memcpy(to, reinterpret_cast<char *>(&narrow) + (type == 9 ? 2 : 0), type == 9 ? 2 : 4);
}

size_t inputBytes(const Communicator &own, const Call &call) {
  size_t parts = call.kind == ReduceScatter ? static_cast<size_t>(own.size) : 1;
  return call.count * bytesOf(call.type) * parts;
}

/// This rank's result, from all ranks' data at `at` of their slots.
void take(const Communicator &own, const Call &call, size_t at) {
  size_t element = bytesOf(call.type), bytes = call.count * element;
  switch (call.kind) {
  case Broadcast:
    std::memcpy(call.to, own.slotOf(call.root) + at, bytes);
    return;
  case AllGather:
    for (int other = 0; other < own.size; ++other)
      std::memcpy(call.to + size_t(other) * bytes, own.slotOf(other) + at, bytes);
    return;
  case AllReduce:
  case ReduceScatter:
    at += call.kind == ReduceScatter ? static_cast<size_t>(own.rank) * bytes : 0;
    for (size_t i = 0; i < call.count; ++i) {
      double sum = is("wrong") && i == 0 ? 1 : 0;
      for (int other = 0; other < own.size; ++other)
        sum += load(call.type, own.slotOf(other) + at + i * element);
      store(call.type, sum, call.to + i * element);
    }
  }
}

/// Does what can be done now: a message is posted when the one before has been taken by all, and
/// taken when it has been posted by all.
void advance(Communicator &own) {
  while (!own.pending.empty()) {
    uint64_t number = own.shared->taken[own.rank];
    const Message &message = own.pending.front();
    size_t at = 0;
    if (own.shared->posted[own.rank] == number) {
      if (!own.haveAll(own.shared->taken, number))
        return;
      for (const Call &call : message) {
        std::memcpy(own.slotOf(own.rank) + at, call.from, inputBytes(own, call));
        at += inputBytes(own, call);
      }
      own.shared->posted[own.rank] = number + 1;
    }
    if (!own.haveAll(own.shared->posted, number + 1))
      return;
    at = 0;
    for (const Call &call : message) {
      take(own, call, at);
      at += inputBytes(own, call);
    }
    own.pending.pop_front();
    own.shared->taken[own.rank] = number + 1;
  }
}

int ask(Kind kind, const void *from, void *to, size_t count, int type, int root,
        Communicator *communicator) {
  if (is("refuses"))
    return InvalidUsage;
  grouped = communicator;
  group.push_back(
      {kind, static_cast<const char *>(from), static_cast<char *>(to), count, type, root});
  return Success;
}
int end(Communicator *communicator) {
  ::munmap(communicator->shared, kFile);
  delete communicator;
  return Success;
}
} // namespace

extern "C" {
int ncclGetVersion(int *version) { return *version = is("old") ? 21000 : 22809, Success; }
int ncclGetUniqueId(Id *id) {
  std::memset(id->bytes, 0, sizeof id->bytes);
  char *path = id->bytes + 1; // Words with zeros in them arrive whole.
  std::strcpy(path, "/tmp/smelt-fake-nccl-XXXXXX");
  int file = ::mkstemp(path);
  int failed = file < 0 || ::ftruncate(file, kFile);
  ::close(file);
  return failed ? SystemError : Success;
}
int ncclCommInitRankConfig(Communicator **communicator, int size, Id id, int rank,
                           const char *config) {
  unsigned magic = 0;
  int blocking = 1, mostBlocks = 0;
  std::memcpy(&magic, config + 8, sizeof magic);
  std::memcpy(&blocking, config + 16, sizeof blocking);
  std::memcpy(&mostBlocks, config + 28, sizeof mostBlocks);
  if (magic != 0xcafebeef || blocking != 0 || size > kRanks ||
      (is("24 blocks") && mostBlocks != 24))
    return InvalidUsage;
  int file = ::open(id.bytes + 1, O_RDWR | O_CLOEXEC);
  void *memory =
      ::mmap(nullptr, kFile, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);
  ::close(file);
  if (memory == MAP_FAILED)
    return SystemError;
  auto *shared = static_cast<Shared *>(memory);
  if (++shared->joined == size)
    ::unlink(id.bytes + 1);
  *communicator = new Communicator{shared, rank, size, {}};
  return InProgress;
}
int ncclCommGetAsyncError(Communicator *own, int *state) {
  bool isThere = own->shared->joined >= own->size && !is("lone");
  if (isThere)
    advance(*own);
  *state = is("remote") && own->shared->taken[own->rank] >= 3 ? RemoteError
           : isThere && own->pending.empty()                  ? Success
                                                              : InProgress;
  return Success;
}
int ncclCommFinalize(Communicator *) { return Success; }
int ncclCommDestroy(Communicator *communicator) { return end(communicator); }
int ncclCommAbort(Communicator *communicator) {
  std::fprintf(stderr, "ncclCommAbort of rank %d\n", communicator->rank);
  return end(communicator);
}
const char *ncclGetErrorString(int result) {
  return result == InvalidUsage ? "invalid usage" : result == RemoteError ? "remote error" : "fake";
}
const char *ncclGetLastError(Communicator *) { return "as the test wants"; }
int ncclGroupStart() { return group.clear(), Success; }
int ncclGroupEnd() {
  if (!grouped || group.empty())
    return Success;
  size_t bytes = 0;
  for (const Call &call : group)
    bytes += inputBytes(*grouped, call);
  if (bytes > kSlot)
    return InvalidUsage;
  grouped->pending.push_back(std::move(group));
  group.clear();
  return InProgress;
}
int ncclAllReduce(const void *from, void *to, size_t count, int type, int op,
                  Communicator *communicator, void *) {
  return op ? InvalidUsage : ask(AllReduce, from, to, count, type, 0, communicator);
}
int ncclReduceScatter(const void *from, void *to, size_t count, int type, int op,
                      Communicator *communicator, void *) {
  return op ? InvalidUsage : ask(ReduceScatter, from, to, count, type, 0, communicator);
}
int ncclAllGather(const void *from, void *to, size_t count, int type, Communicator *communicator,
                  void *) {
  return ask(AllGather, from, to, count, type, 0, communicator);
}
int ncclBroadcast(const void *from, void *to, size_t count, int type, int root,
                  Communicator *communicator, void *) {
  return ask(Broadcast, from, to, count, type, root, communicator);
}
}
