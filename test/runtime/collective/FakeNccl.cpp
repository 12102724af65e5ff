// A libnccl for tests without a GPU: ranks are threads of one process, device memory is the host's,
// streams do everything at once. As with a communicator that does not block, everything is begun
// and then asked for. FAKE_NCCL says what is wrong with it: "old" (NCCL 2.10), "lone" (no rank ever
// finds another), "remote" (an error turns up by itself after three messages), "refuses" (a call
// fails at once), "wrong" (sums are).
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
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

struct Clique {
  int size = 0, ranks = 0;
  std::vector<std::vector<Message>> asked; ///< By rank.
  size_t done = 0;                         ///< Messages that all have asked for.
};
struct Communicator {
  std::shared_ptr<Clique> clique;
  int rank;
};

std::mutex mutex;
std::map<std::string, std::shared_ptr<Clique>> cliques;
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

/// All ranks' part number `part`, of `count` elements, added.
std::vector<char> add(const std::vector<Call> &calls, size_t part, size_t count) {
  int type = calls[0].type;
  size_t element = bytesOf(type);
  std::vector<char> sum(count * element);
  for (size_t i = 0; i < count; ++i) {
    double value = is("wrong") ? 1 : 0;
    for (const Call &call : calls)
      value += load(type, call.from + (part * count + i) * element);
    store(type, value, sum.data() + i * element);
  }
  return sum;
}

void run(const std::vector<Call> &calls) {
  size_t bytes = calls[0].count * bytesOf(calls[0].type);
  std::vector<std::vector<char>> results; // Before anything is overwritten.
  for (size_t rank = 0; rank < calls.size(); ++rank)
    switch (calls[0].kind) {
    case AllReduce:
      results.push_back(add(calls, 0, calls[0].count));
      break;
    case ReduceScatter:
      results.push_back(add(calls, rank, calls[0].count));
      break;
    case Broadcast: {
      const char *root = calls[calls[0].root].from;
      results.emplace_back(root, root + bytes);
      break;
    }
    case AllGather:
      results.emplace_back();
      for (const Call &call : calls)
        results.back().insert(results.back().end(), call.from, call.from + bytes);
      break;
    }
  for (size_t rank = 0; rank < calls.size(); ++rank)
    std::memcpy(calls[rank].to, results[rank].data(), results[rank].size());
}

/// Runs what all ranks have asked for.
void advance(Clique &clique) {
  for (;; ++clique.done) {
    for (const auto &asked : clique.asked)
      if (asked.size() <= clique.done)
        return;
    for (size_t i = 0; i < clique.asked[0][clique.done].size(); ++i) {
      std::vector<Call> calls;
      for (const auto &asked : clique.asked)
        calls.push_back(asked[clique.done].at(i));
      run(calls);
    }
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
} // namespace

extern "C" {
int ncclGetVersion(int *version) { return *version = is("old") ? 21000 : 22809, Success; }
int ncclGetUniqueId(Id *id) {
  static int next = 0;
  std::lock_guard lock(mutex);
  std::memset(id->bytes, 0, sizeof id->bytes);
  std::memcpy(id->bytes + 1, &++next, sizeof next); // Words with zeros in them arrive whole.
  return Success;
}
int ncclCommInitRankConfig(Communicator **communicator, int size, Id id, int rank,
                           const char *config) {
  unsigned magic = 0;
  int blocking = 1;
  std::memcpy(&magic, config + 8, sizeof magic);
  std::memcpy(&blocking, config + 16, sizeof blocking);
  if (magic != 0xcafebeef || blocking != 0)
    return InvalidUsage;
  std::lock_guard lock(mutex);
  auto &clique = cliques[std::string(id.bytes, sizeof id.bytes)];
  if (!clique)
    clique = std::make_shared<Clique>();
  clique->size = size;
  clique->asked.resize(size);
  ++clique->ranks;
  *communicator = new Communicator{clique, rank};
  return InProgress;
}
int ncclCommGetAsyncError(Communicator *communicator, int *state) {
  std::lock_guard lock(mutex);
  Clique &clique = *communicator->clique;
  bool isThere = clique.ranks >= clique.size && !is("lone");
  bool isDone = clique.asked[communicator->rank].size() <= clique.done;
  *state = is("remote") && clique.done >= 3 ? RemoteError
           : isThere && isDone              ? Success
                                            : InProgress;
  return Success;
}
int ncclCommFinalize(Communicator *) { return Success; }
int ncclCommDestroy(Communicator *communicator) { return delete communicator, Success; }
int ncclCommAbort(Communicator *communicator) {
  std::fprintf(stderr, "ncclCommAbort of rank %d\n", communicator->rank);
  return delete communicator, Success;
}
const char *ncclGetErrorString(int result) {
  return result == InvalidUsage ? "invalid usage" : result == RemoteError ? "remote error" : "fake";
}
const char *ncclGetLastError(Communicator *) { return "as the test wants"; }
int ncclGroupStart() { return group.clear(), Success; }
int ncclGroupEnd() {
  std::lock_guard lock(mutex);
  if (!grouped || group.empty())
    return Success;
  grouped->clique->asked[grouped->rank].push_back(std::move(group));
  group.clear();
  advance(*grouped->clique);
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
