#include "runtime/collective/Launcher.h"
#include "runtime/collective/RankGroup.h"

#include <csignal>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace smelt::runtime;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

namespace {

/// Launches in a process of its own; its exit code.
int launch(int ranks, const std::function<int(const RankEnvironment &)> &body, int signal = 0) {
  pid_t id = fork();
  if (id == 0) {
    auto code = launchRanks(ranks, milliseconds(3000), body);
    _exit(code.isOk() ? *code : 100);
  }
  if (signal) {
    std::this_thread::sleep_for(milliseconds(1500));
    kill(id, signal);
  }
  int status = 0;
  waitpid(id, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int joinAnd(const RankEnvironment &environment, const std::function<int(RankGroup &)> &body) {
  RankGroupOptions options;
  options.timeout = milliseconds(3000);
  auto group = RankGroup::join(environment, options);
  if (!group.isOk())
    return 50;
  int code = body(**group);
  if (!code)
    (*group)->leave();
  return code;
}

TEST(Launcher, RanksMeet) {
  EXPECT_EQ(launch(3, [](const RankEnvironment &environment) {
              return joinAnd(environment, [](RankGroup &group) { return group.meet("x").isOk() && group.size() == 3 ? 0 : 51; });
            }),
            0);
}

TEST(Launcher, LinesNameTheirRank) {
  testing::internal::CaptureStdout();
  ASSERT_EQ(launch(2, [](const RankEnvironment &environment) {
              std::printf("hello\nfrom %d", environment.rank);
              return 0;
            }),
            0);
  EXPECT_EQ(testing::internal::GetCapturedStdout().find("[rank 1] hello\n[rank 1] from 1\n") == std::string::npos, false);
}

TEST(Launcher, AFailureIsTheResult) {
  EXPECT_EQ(launch(3, [](const RankEnvironment &environment) { return environment.rank == 1 ? 4 : 0; }), 4);
}

/// A rank that is killed or stopped: the others end with 6 within timeout + 5 s, and so does the launcher.
void expectLost(int rank, int signal) {
  auto start = Clock::now();
  int code = launch(3, [&](const RankEnvironment &environment) {
    return joinAnd(environment, [&](RankGroup &group) {
      if (!group.meet("x").isOk())
        return 52;
      if (group.rank() == rank)
        raise(signal);
      (void)group.get("never");
      return 53;
    });
  });
  EXPECT_EQ(code, 6);
  EXPECT_LT(Clock::now() - start, milliseconds(3000 + 3000 + 5000));
}

TEST(Launcher, KilledRank) { expectLost(2, SIGKILL); }
TEST(Launcher, KilledRankZero) { expectLost(0, SIGKILL); }
TEST(Launcher, StoppedRank) { expectLost(1, SIGSTOP); }
TEST(Launcher, StoppedRankZero) { expectLost(0, SIGSTOP); }

TEST(Launcher, SignalsGoToEveryRank) {
  auto body = [](const RankEnvironment &) {
    static volatile std::sig_atomic_t asked = 0;
    std::signal(SIGTERM, [](int) { asked = 1; });
    while (!asked)
      usleep(10000);
    return 9;
  };
  EXPECT_EQ(launch(2, body, SIGTERM), 9);
}

} // namespace
