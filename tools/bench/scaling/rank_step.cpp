//===- rank_step.cpp - What communication adds to a step ------------------===//
//
//   rank_step BUNDLE [--stages 0,2] [--micro M] [--steps N] [--rounds N] [--trace FILE]
//
// Starts the ranks that the bundle was compiled for on this machine, on random weights and packed
// documents, M micro-batches a rank and step. For each training stage it prints the time of a step,
// the mean over an even number of steps, the median of the rounds:
//   alone     rank 0's launches without any communication, while the others wait
//   overlap   all ranks, collectives beside launches
//   in order  all ranks, collectives between programs
// and weak scaling, alone / overlap; then, of two steps that are timed entry by entry, how long each
// collective took and how long the launches waited for it.
//
//===----------------------------------------------------------------------===//
#include "runtime/base/Files.h"
#include "runtime/base/Log.h"
#include "runtime/collective/Launcher.h"
#include "runtime/train/Profile.h"
#include "tools/bench/gpu_step/Inputs.h"

#include <algorithm>
#include <chrono>
#include <sstream>
#include <thread>

using namespace smelt::runtime;
using namespace smelt::runtime::bench;

namespace {
using Clock = std::chrono::steady_clock;

struct Options {
  std::string bundle, trace;
  std::vector<size_t> stages;
  int64_t micro = 1;
  int steps = 8, rounds = 3;
};

Options parse(int argc, char **argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    bool hasValue = i + 1 < argc;
    if (word == "--stages" && hasValue) {
      std::stringstream list(argv[++i]);
      for (std::string stage; std::getline(list, stage, ',');)
        options.stages.push_back(std::strtoul(stage.c_str(), nullptr, 10));
    } else if (word == "--micro" && hasValue)
      options.micro = std::max(std::atoi(argv[++i]), 1);
    else if (word == "--steps" && hasValue)
      options.steps = std::max(std::atoi(argv[++i]) / 2 * 2, 2);
    else if (word == "--rounds" && hasValue)
      options.rounds = std::max(std::atoi(argv[++i]), 1);
    else if (word == "--trace" && hasValue)
      options.trace = argv[++i];
    else if (options.bundle.empty() && !word.starts_with("-"))
      options.bundle = word;
    else
      fail("rank_step", "usage: rank_step BUNDLE [--stages 0,2] [--micro M] [--steps N] "
                        "[--rounds N] [--trace FILE]");
  }
  if (options.bundle.empty())
    fail("rank_step", "no bundle");
  return options;
}

enum class Mode { Alone, Overlap, InOrder };

class Bench {
public:
  Bench(const Options &options, Session &session, Ranks &ranks)
      : options_(options), session_(session), ranks_(ranks), manifest_(session.manifest()) {
    for (const Program &program : manifest_.programs)
      if (program.role == "train" || program.role == "update")
        launches_.push_back(take(session.device().addProgram(session.resolve(program))));
      else
        launches_.push_back({});
  }

  void run() {
    std::vector<ProgramTiming> profile;
    print("%s", "stage    tokens     alone   overlap  in order   ms a step; weak scaling, in order\n");
    std::vector<size_t> stages = options_.stages;
    for (size_t i = 0; options_.stages.empty() && i < manifest_.training.stages.size(); ++i)
      stages.push_back(i);
    for (size_t number : stages) {
      if (number >= manifest_.training.stages.size())
        fail("rank_step", "the bundle has fewer stages");
      choose(manifest_.training.stages[number]);
      double alone = ranks_.rank() == 0 ? time(Mode::Alone) : 0;
      meet();
      double overlap = time(Mode::Overlap);
      meet();
      double inOrder = time(Mode::InOrder);
      meet();
      print("%5zu %9ld %9.3f %9.3f %9.3f   %.2f %%, %.2f %%\n", number + 1,
            long(program_->tokens * options_.micro), alone, overlap, inOrder, 100 * alone / overlap,
            100 * alone / inOrder);
      timeEntries(profile);
      meet();
    }
    print("%s", writeExposureTable(profile).c_str());
    if (ranks_.rank() == 0 && !options_.trace.empty())
      check(writeFileAtomically(
          options_.trace, writeChromeTrace(profile, session_.device().description())));
  }

private:
  template <typename... Values> void print(const char *format, Values... values) const {
    if (ranks_.rank() == 0)
      std::printf(format, values...);
  }

  void meet() {
    double one[] = {1};
    check(session_.device().synchronize());
    check(ranks_.sum(one));
  }

  void choose(const Stage &stage) {
    program_ = manifest_.findProgram(stage.program);
    first_ = std::min(stage.first + 10, stage.last) / 2 * 2;
    batch_ = makeBatch(*program_, manifest_.data.vocabulary, 400,
                       6 + static_cast<uint64_t>(ranks_.rank()));
  }

  void runProgram(const Program &program, Mode mode) {
    auto index = static_cast<size_t>(&program - manifest_.programs.data());
    check(mode == Mode::Alone ? session_.device().run(launches_[index]) : session_.run(program));
  }

  /// `act` on the programs of a step.
  template <typename Act> void forStep(int64_t step, bool placed, Act act) {
    check(session_.applySettings(step));
    const Program *last = placed ? manifest_.findLastOfStep(*program_, step) : nullptr;
    for (int64_t micro = 0; micro < options_.micro; ++micro) {
      const Program &program = last && micro + 1 == options_.micro ? *last : *program_;
      check(session_.applyAutomaticSettings(step, micro));
      check(session_.writeBatch(program, batch_));
      act(program);
    }
    for (const Update &update : manifest_.training.updates)
      if (!last && update.period.isDue(step))
        act(*manifest_.findProgram(update.program));
  }

  double time(Mode mode) {
    std::vector<double> times;
    for (int round = -1; round < options_.rounds; ++round) { // The first does not count.
      check(session_.device().synchronize());
      if (mode != Mode::Alone)
        meet();
      Clock::time_point start = Clock::now();
      for (int step = 0; step < (round < 0 ? 2 : options_.steps); ++step)
        forStep(first_ + step, mode == Mode::Overlap,
                [&](const Program &program) { runProgram(program, mode); });
      check(session_.device().synchronize());
      std::chrono::duration<double, std::milli> all = Clock::now() - start;
      if (round >= 0)
        times.push_back(all.count() / options_.steps);
    }
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
  }

  void timeEntries(std::vector<ProgramTiming> &profile) {
    for (int64_t step = first_; step < first_ + 2; ++step)
      forStep(step, true, [&](const Program &program) {
        check(session_.device().synchronize());
        double start = std::chrono::duration<double, std::milli>(Clock::now() - begin_).count();
        profile.push_back(take(timeProgram(session_, program)));
        profile.back().start = start;
      });
  }

  const Options &options_;
  Session &session_;
  Ranks &ranks_;
  const Manifest &manifest_;
  std::vector<DeviceProgram> launches_; ///< Of each program, without its collectives.
  const Program *program_ = nullptr;
  int64_t first_ = 0;
  Batch batch_;
  Clock::time_point begin_ = Clock::now();
};

int runRank(const Options &options, const RankEnvironment &environment) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  RankGroupOptions groupOptions;
  groupOptions.timeout = std::chrono::seconds(20);
  Ranks ranks(take(RankGroup::join(environment, groupOptions)));
  DeviceChoice choice;
  choice.threads = std::max(1, int(std::thread::hardware_concurrency()) / environment.localSize);
  choice.localRank = environment.localRank;
  choice.localSize = environment.localSize;
  auto session = take(Session::open(options.bundle, choice, &ranks));
  check(session->initialise(1));
  randomise(*session);
  if (ranks.rank() == 0)
    std::printf("%s, %d ranks, %s\n", session->manifest().name.c_str(), ranks.size(),
                session->device().description().c_str());
  Bench(options, *session, ranks).run();
  session.reset();
  ranks.group().leave();
  return 0;
}
} // namespace

int main(int argc, char **argv) {
  Options options = parse(argc, argv);
  Bundle bundle = take(openBundle(options.bundle));
  auto ranks = static_cast<int>(bundle.manifest.training.ranks);
  if (ranks < 2)
    fail("rank_step", "the bundle is for one rank");
  return take(launchRanks(ranks, std::chrono::seconds(2), [&](const RankEnvironment &environment) {
    return runRank(options, environment);
  }));
}
