#include "runtime/collective/Launcher.h"
#include "runtime/base/Log.h"
#include "runtime/collective/Wire.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace smelt::runtime {

namespace {
using Clock = std::chrono::steady_clock;

volatile std::sig_atomic_t requestedSignal = 0;
extern "C" void noteSignal(int signal) { requestedSignal = signal; }

/// What a rank writes, line by line with its number in front.
struct Stream {
  Descriptor from;
  int to;
  std::string prefix, line;

  /// False at the end.
  bool copy() {
    char buffer[4096];
    ssize_t got = ::read(from.get(), buffer, sizeof buffer);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
      return true;
    line.append(buffer, got > 0 ? static_cast<size_t>(got) : 0);
    std::string out;
    for (size_t end; (end = line.find('\n')) != std::string::npos; line.erase(0, end + 1))
      out += prefix + line.substr(0, end + 1);
    if (got <= 0 && !line.empty())
      out += prefix + std::exchange(line, "") + "\n";
    for (size_t sent = 0; sent < out.size();) {
      ssize_t count = ::write(to, out.data() + sent, out.size() - sent);
      if (count < 0 && errno != EINTR)
        break;
      sent += count > 0 ? static_cast<size_t>(count) : 0;
    }
    return got > 0;
  }
};

struct Process {
  pid_t id = 0;
  bool ended = false;
};

class Launcher {
public:
  Launcher(int ranks, std::chrono::milliseconds grace) : processes_(ranks), grace_(grace) {}

  ~Launcher() {
    for (const Process &process : processes_)
      if (process.id && !process.ended)
        ::kill(process.id, SIGKILL);
  }

  Status start(const std::function<int(const RankEnvironment &)> &body) {
    SMELT_ASSIGN_OR_RETURN(Descriptor listener, listenAt(0));
    RankEnvironment environment;
    environment.size = environment.localSize = static_cast<int>(processes_.size());
    environment.port = portOf(listener.get());
    environment.source = "smelt train --ranks";
    std::fflush(nullptr);
    for (int rank = 0; rank < environment.size; ++rank) {
      environment.rank = environment.localRank = rank;
      environment.listener = rank == 0 ? listener.get() : -1;
      int error[2], output[2];
      if (::pipe2(error, O_CLOEXEC) || ::pipe2(output, O_CLOEXEC))
        return internalError("no pipe for rank ", rank, ": ", std::strerror(errno));
      pid_t launcher = ::getpid(), id = ::fork();
      if (id < 0)
        return internalError("rank ", rank, " cannot be started: ", std::strerror(errno));
      if (id == 0) {
        // A group of its own: Ctrl-C comes once, through the launcher.
        ::setpgid(0, 0);
        ::prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (::getppid() != launcher)
          ::_exit(exitCode(StatusCode::RankLost));
        ::dup2(error[1], STDERR_FILENO);
        if (rank > 0) {
          ::dup2(output[1], STDOUT_FILENO);
          listener = Descriptor();
        } else {
          listener.release(); // The rank's own.
        }
        streams_.clear();
        ::close(error[0]), ::close(output[0]), ::close(error[1]), ::close(output[1]);
        processes_.clear(); // Not this process's children.
        int code = body(environment);
        std::fflush(nullptr);
        ::_exit(code);
      }
      processes_[rank].id = id;
      ::close(error[1]), ::close(output[1]);
      std::string prefix = concat("[rank ", rank, "] ");
      streams_.push_back({Descriptor(error[0]), STDERR_FILENO, prefix, ""});
      streams_.push_back({Descriptor(output[0]), STDOUT_FILENO, prefix, ""});
    }
    return Status::ok();
  }

  int wait() {
    while (anyRuns()) {
      copyStreams(100);
      collect();
      if (int signal = std::exchange(requestedSignal, 0))
        killAll(signal);
      if (deadline_ && Clock::now() > *deadline_) {
        killAll(SIGKILL);
        deadline_.reset();
      }
    }
    while (!streams_.empty())
      copyStreams(0);
    return firstFailure_;
  }

private:
  bool anyRuns() const {
    for (const Process &process : processes_)
      if (!process.ended)
        return true;
    return false;
  }

  void copyStreams(int milliseconds) {
    std::vector<pollfd> waiting;
    for (const Stream &stream : streams_)
      waiting.push_back({stream.from.get(), POLLIN, 0});
    ::poll(waiting.data(), waiting.size(), milliseconds);
    bool idle = true;
    for (size_t i = waiting.size(); i-- > 0;)
      if (waiting[i].revents) {
        idle = false;
        if (!streams_[i].copy())
          streams_.erase(streams_.begin() + static_cast<ptrdiff_t>(i));
      }
    if (idle && !milliseconds)
      streams_.clear(); // Held open by a grandchild.
  }

  void collect() {
    for (size_t rank = 0; rank < processes_.size(); ++rank) {
      int status = 0;
      Process &process = processes_[rank];
      if (process.ended || ::waitpid(process.id, &status, WNOHANG) != process.id)
        continue;
      process.ended = true;
      int code = WIFEXITED(status) ? WEXITSTATUS(status) : exitCode(StatusCode::RankLost);
      if (!code)
        continue;
      if (!firstFailure_)
        deadline_ = Clock::now() + grace_;
      // That a rank is lost is what the others say; the cause is what the rank itself said.
      if (!firstFailure_ || firstFailure_ == exitCode(StatusCode::RankLost))
        firstFailure_ = code;
      if (WIFSIGNALED(status))
        logNote(concat("rank ", rank, " was ended by signal ", WTERMSIG(status), " (",
                       ::strsignal(WTERMSIG(status)), ")"));
    }
  }

  void killAll(int signal) {
    for (const Process &process : processes_)
      if (!process.ended)
        ::kill(process.id, signal);
  }

  std::vector<Process> processes_;
  std::vector<Stream> streams_;
  std::chrono::milliseconds grace_;
  std::optional<Clock::time_point> deadline_;
  int firstFailure_ = 0;
};

/// Signals are noted while it lives.
struct SignalScope {
  struct sigaction earlier[2];
  SignalScope() {
    struct sigaction action = {};
    action.sa_handler = noteSignal;
    sigaction(SIGINT, &action, &earlier[0]);
    sigaction(SIGTERM, &action, &earlier[1]);
  }
  ~SignalScope() {
    sigaction(SIGINT, &earlier[0], nullptr);
    sigaction(SIGTERM, &earlier[1], nullptr);
  }
};

} // namespace

StatusOr<int> launchRanks(int ranks, std::chrono::milliseconds grace,
                          const std::function<int(const RankEnvironment &)> &body) {
  Launcher launcher(ranks, grace);
  SMELT_RETURN_IF_ERROR(launcher.start(body)); // Ranks set signals for themselves.
  SignalScope signals;
  return launcher.wait();
}

} // namespace smelt::runtime
