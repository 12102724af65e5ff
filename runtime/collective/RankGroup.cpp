#include "runtime/collective/RankGroup.h"
#include "runtime/base/Log.h"
#include "runtime/collective/RankServer.h"

#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <future>
#include <mutex>
#include <poll.h>
#include <unistd.h>

namespace smelt::runtime {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

std::string LostRank::message() const {
  return concat("rank ", rank, " is lost in phase ", phase, ": ", why);
}

struct RankGroup::Connection {
  RankEnvironment environment;
  RankGroupOptions options;
  std::string localAddress;
  std::unique_ptr<RankServer> server; ///< Of rank 0.
  Descriptor socket;
  MessageReader reader;

  std::mutex sending;
  std::atomic<const char *> phase = "start-up";

  std::mutex mutex; ///< Of what follows.
  std::condition_variable changed;
  bool ready = false;
  std::map<std::string, std::string> words;
  std::optional<LostRank> lost;
  uint64_t sums = 0;

  std::mutex willMutex;
  std::function<void()> will;

  std::atomic<uint64_t> progress = 0;
  std::atomic<bool> stop = false, left = false;
  std::string serverPhase = "start-up"; ///< Of the thread alone.
  std::thread thread;

  /// For tests: SMELT_TEST_FAULT=RANK:PHASE:SIGNAL:N sends this process the signal when it enters
  /// the phase for the N-th time, after the others can know of it; SIGNAL 0: its main thread hangs.
  void injectFault(const char *entered) {
    const char *text = std::getenv("SMELT_TEST_FAULT");
    if (!text)
      return;
    int rank = -1, signal = 0, count = 0;
    char name[32] = "";
    if (std::sscanf(text, "%d:%31[^:]:%d:%d", &rank, name, &signal, &count) != 4 ||
        rank != environment.rank || std::strcmp(entered, name) || ++entries != count)
      return;
    std::this_thread::sleep_for(milliseconds(1000)); // Rank 0's beat goes out.
    logNote(concat("SMELT_TEST_FAULT: signal ", signal));
    while (signal == 0)
      std::this_thread::sleep_for(milliseconds(1000));
    std::raise(signal);
  }
  int entries = 0;

  bool send(const Message &message) {
    std::lock_guard lock(sending);
    return sendMessage(socket.get(), message);
  }

  void lose(LostRank rank) {
    {
      std::lock_guard lock(mutex);
      if (lost || left)
        return;
      lost = rank;
    }
    changed.notify_all();
    if (options.onLost)
      return options.onLost(rank);
    logError(
        Status(StatusCode::RankLost, concat(rank.message(), " (this is rank ", environment.rank,
                                            ", in phase ", phase.load(), ")")));
    runWill();
    if (server) // The others have the news before rank 0's end could be taken for the cause.
      std::this_thread::sleep_for(milliseconds(200));
    ::_exit(exitCode(StatusCode::RankLost));
  }

  /// In a thread of its own, because what it calls may not return.
  void runWill() {
    auto done = std::make_shared<std::promise<void>>();
    std::thread([this, done] {
      std::lock_guard lock(willMutex);
      if (will)
        will();
      done->set_value();
    }).detach();
    done->get_future().wait_for(std::chrono::seconds(3));
  }

  Message beat() const {
    return {MessageKind::Beat, phase.load(), std::to_string(progress.load())};
  }

  void handle(const Message &message) {
    switch (message.kind) {
    case MessageKind::Beat:
      serverPhase = message.key;
      return;
    case MessageKind::Lost: {
      size_t line = message.value.find('\n');
      return lose({std::atoi(message.key.c_str()), message.value.substr(0, line),
                   line == std::string::npos ? "" : message.value.substr(line + 1)});
    }
    case MessageKind::Ready:
    case MessageKind::Value: {
      std::lock_guard lock(mutex);
      if (message.kind == MessageKind::Ready)
        ready = true;
      else
        words[message.key] = message.value;
      break;
    }
    default:
      return;
    }
    changed.notify_all();
  }

  /// Beats and listens until the group ends.
  void run() {
    Clock::time_point heard = Clock::now(), beaten = {}, awake = Clock::now();
    milliseconds interval = std::min<milliseconds>(options.timeout / 6, milliseconds(500));
    while (!stop) {
      pollfd waiting{socket.get(), POLLIN, 0};
      ::poll(&waiting, 1, 50);
      Clock::time_point now = Clock::now();
      if (now - awake > options.timeout / 2)
        heard = now; // This process was stopped; it has not listened.
      awake = now;
      if (waiting.revents) {
        heard = now;
        bool open = reader.fill(socket.get()), damaged = false;
        while (std::optional<Message> message = reader.next(damaged))
          handle(*message);
        if (!open || damaged) {
          lose({0, serverPhase, "its process ended"});
          return;
        }
      }
      if (now - heard > options.timeout) {
        lose({0, serverPhase, concat("no heartbeat for ", options.timeout.count() / 1000.0, " s")});
        return;
      }
      if (now - beaten > interval) {
        beaten = now;
        send(beat());
      }
    }
  }

  /// Waits for `there`, which is asked under the lock.
  template <typename Condition> Status wait(Condition there) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return lost || there(); });
    return lost ? Status(StatusCode::RankLost, lost->message()) : Status::ok();
  }
};

RankGroup::RankGroup() : connection_(std::make_unique<Connection>()) {}

StatusOr<std::unique_ptr<RankGroup>> RankGroup::join(const RankEnvironment &environment,
                                                     RankGroupOptions options) {
  std::unique_ptr<RankGroup> group(new RankGroup);
  Connection &connection = *group->connection_;
  connection.environment = environment;
  connection.options = options;
  if (environment.rank == 0) {
    Descriptor listener(environment.listener);
    if (environment.listener < 0) {
      SMELT_ASSIGN_OR_RETURN(listener, listenAt(environment.port));
    }
    connection.server =
        std::make_unique<RankServer>(std::move(listener), environment.size, options);
  }
  SMELT_ASSIGN_OR_RETURN(connection.socket, connectTo(environment.address, environment.port,
                                                      Clock::now() + options.startTimeout));
  connection.localAddress = localAddressOf(connection.socket.get());
  connection.send(
      {MessageKind::Hello, std::to_string(environment.rank), std::to_string(environment.size)});
  connection.thread = std::thread([&connection] { connection.run(); });
  SMELT_RETURN_IF_ERROR(connection.wait([&] { return connection.ready; }));
  return group;
}

RankGroup::~RankGroup() {
  connection_->stop = true;
  if (connection_->thread.joinable())
    connection_->thread.join();
}

int RankGroup::rank() const { return connection_->environment.rank; }
int RankGroup::size() const { return connection_->environment.size; }
const std::string &RankGroup::localAddress() const { return connection_->localAddress; }
milliseconds RankGroup::timeout() const { return connection_->options.timeout; }
milliseconds RankGroup::startTimeout() const { return connection_->options.startTimeout; }
const char *RankGroup::phase() const { return connection_->phase; }

void RankGroup::enter(const char *phase) {
  if (connection_->phase.exchange(phase) != phase) {
    if (connection_->progress)
      ++connection_->progress;
    if (connection_->server)
      connection_->server->setPhase(phase);
    // At once: a rank that is killed now was in this phase.
    connection_->send(connection_->beat());
  }
  connection_->injectFault(phase);
}

Status RankGroup::set(const std::string &key, const std::string &value) {
  if (!connection_->send({MessageKind::Set, key, value}))
    if (auto lost = waitForLoss(timeout()))
      return Status(StatusCode::RankLost, lost->message());
  return Status::ok();
}

StatusOr<std::string> RankGroup::get(const std::string &key) {
  connection_->send({MessageKind::Get, key, ""});
  SMELT_RETURN_IF_ERROR(connection_->wait([&] { return connection_->words.count(key) > 0; }));
  std::lock_guard lock(connection_->mutex);
  return connection_->words.at(key);
}

bool RankGroup::isSet(const std::string &key, milliseconds patience) {
  connection_->send({MessageKind::Get, key, ""});
  std::unique_lock lock(connection_->mutex);
  connection_->changed.wait_for(
      lock, patience, [&] { return connection_->lost || connection_->words.count(key) > 0; });
  return connection_->words.count(key) > 0;
}

Status RankGroup::agree(const std::string &what, const std::string &value) {
  SMELT_RETURN_IF_ERROR(set(concat("agree/", what, "/", rank()), value));
  for (int other = 0; other < size(); ++other) {
    SMELT_ASSIGN_OR_RETURN(std::string theirs, get(concat("agree/", what, "/", other)));
    SMELT_ASSIGN_OR_RETURN(std::string first, get(concat("agree/", what, "/0")));
    if (theirs == first)
      continue;
    leave(); // Every rank comes here.
    return usageError("the ranks do not agree: ", what, " is \"", first, "\" on rank 0 and \"",
                      theirs, "\" on rank ", other);
  }
  return Status::ok();
}

Status RankGroup::sum(std::span<double> values) {
  std::string key = concat("sum/", ++connection_->sums);
  std::string terms(reinterpret_cast<const char *>(values.data()), values.size_bytes());
  if (!connection_->send({MessageKind::Add, key, terms}))
    return explain("a sum cannot be sent", timeout());
  SMELT_RETURN_IF_ERROR(connection_->wait([&] { return connection_->words.count(key) > 0; }));
  std::lock_guard lock(connection_->mutex);
  std::string total = connection_->words.extract(key).mapped();
  if (total.size() != values.size_bytes())
    return internalError("the ranks add ", total.size(), " and ", values.size_bytes(), " bytes");
  std::memcpy(values.data(), total.data(), total.size());
  return Status::ok();
}

void RankGroup::progress() { ++connection_->progress; }

void RankGroup::setLastWill(std::function<void()> will) {
  std::lock_guard lock(connection_->willMutex);
  connection_->will = std::move(will);
}

Status RankGroup::meet(const std::string &name) {
  SMELT_RETURN_IF_ERROR(set(concat("meet/", name, "/", rank()), ""));
  for (int other = 0; other < size(); ++other)
    SMELT_RETURN_IF_ERROR(get(concat("meet/", name, "/", other)).status());
  return Status::ok();
}

std::optional<LostRank> RankGroup::waitForLoss(milliseconds patience) {
  std::unique_lock lock(connection_->mutex);
  connection_->changed.wait_for(lock, patience, [&] { return connection_->lost.has_value(); });
  return connection_->lost;
}

Status RankGroup::explain(const std::string &what, milliseconds patience) {
  std::optional<LostRank> lost = waitForLoss(patience);
  return Status(StatusCode::RankLost, lost ? lost->message() : what);
}

void RankGroup::leave() {
  if (connection_->left.exchange(true))
    return;
  connection_->send({MessageKind::Bye, "", ""});
  if (connection_->server)
    connection_->server->waitForLeave();
}

} // namespace smelt::runtime
