//===- rank_step.cpp - What communication adds to a step ------------------===//
//
//   rank_step BUNDLE [--at 10,700] [--micro M] [--steps N] [--rounds N] [--trace FILE] [--json FILE]
//
// Starts the ranks that the bundle was compiled for on this machine, on random weights and packed
// documents of each rank's own, M micro-batches a rank and step. At each of the training steps that
// are named (their settings, their stage's program; unless named, near the beginning of each stage)
// it prints the time of a step, the mean over an even number of steps, the median of the rounds:
//   micro     rank 0's micro-batches alone
//   alone     and its share of the updates, its launches without any communication
//   overlap   the step, collectives beside launches
//   in order  the step, collectives between programs
// weak scaling, alone / overlap, of rank 0 and of the rank that is slowest alone (all ranks run at
// once, each for itself); then, of two steps that are timed entry by entry, how long each
// collective took and how long the launches waited for it.
//
//===----------------------------------------------------------------------===//
#include "runtime/base/Files.h"
#include "runtime/base/Log.h"
#include "runtime/collective/Launcher.h"
#include "runtime/train/Profile.h"
#include "tools/bench/gpu_step/Inputs.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <sstream>
#include <thread>

using namespace smelt::runtime;
using namespace smelt::runtime::bench;

namespace {
using Clock = std::chrono::steady_clock;

struct Options {
  std::string bundle, trace, json;
  std::vector<int64_t> at;
  int64_t micro = 1;
  int steps = 8, rounds = 3;
};

Options parse(int argc, char **argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    bool hasValue = i + 1 < argc;
    if (word == "--at" && hasValue) {
      std::stringstream list(argv[++i]);
      for (std::string step; std::getline(list, step, ',');)
        options.at.push_back(std::max(std::atoll(step.c_str()), 0LL));
    } else if (word == "--micro" && hasValue)
      options.micro = std::max(std::atoi(argv[++i]), 1);
    else if (word == "--steps" && hasValue)
      options.steps = std::max(std::atoi(argv[++i]) / 2 * 2, 2);
    else if (word == "--rounds" && hasValue)
      options.rounds = std::max(std::atoi(argv[++i]), 1);
    else if (word == "--trace" && hasValue)
      options.trace = argv[++i];
    else if (word == "--json" && hasValue)
      options.json = argv[++i];
    else if (options.bundle.empty() && !word.starts_with("-"))
      options.bundle = word;
    else
      fail("rank_step", "usage: rank_step BUNDLE [--at 10,700] [--micro M] [--steps N] "
                        "[--rounds N] [--trace FILE] [--json FILE]");
  }
  if (options.bundle.empty())
    fail("rank_step", "no bundle");
  return options;
}

enum class Mode { Micro, Alone, Overlap, InOrder };

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
    nlohmann::ordered_json rows;
    print("%s", " step    tokens     micro     alone   overlap  in order   ms a step; weak scaling, of the "
                "slowest, in order\n");
    std::vector<int64_t> steps = options_.at;
    for (const Stage &stage : manifest_.training.stages)
      if (options_.at.empty())
        steps.push_back(std::min(stage.first + 10, stage.last));
    for (int64_t step : steps) {
      choose(step);
      double micro = time(Mode::Micro);
      std::vector<double> alone = share(time(Mode::Alone));
      double overlap = time(Mode::Overlap), inOrder = time(Mode::InOrder);
      auto [least, most] = std::minmax_element(alone.begin(), alone.end());
      int64_t tokens = program_->tokens * options_.micro;
      print("%5ld %9ld %9.3f %9.3f %9.3f %9.3f   %.2f %%, %.2f %%, %.2f %%   (alone of all ranks "
            "%.2f-%.2f)\n",
            long(step), long(tokens), micro, alone[0], overlap, inOrder, 100 * alone[0] / overlap,
            100 * *most / overlap, 100 * alone[0] / inOrder, *least, *most);
      double exposed = timeEntries(profile);
      meet();
      rows.push_back({{"step", step}, {"tokens", tokens}, {"micro", micro}, {"alone", alone},
                      {"overlap", overlap}, {"in_order", inOrder}, {"exposed", exposed}});
      if (ranks_.rank() == 0 && !options_.json.empty())
        check(writeFileAtomically(options_.json, rows.dump() + "\n"));
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

  /// The number of every rank.
  std::vector<double> share(double own) {
    std::vector<double> all(static_cast<size_t>(ranks_.size()), 0);
    all[static_cast<size_t>(ranks_.rank())] = own;
    check(ranks_.sum(all));
    return all;
  }

  void choose(int64_t step) {
    const Stage *stage = &manifest_.training.stages.back();
    for (const Stage &each : manifest_.training.stages)
      if (step <= each.last) {
        stage = &each;
        break;
      }
    program_ = manifest_.findProgram(stage->program);
    first_ = step / 2 * 2;
    batch_ = makeBatch(*program_, manifest_.data.vocabulary, 400,
                       6 + static_cast<uint64_t>(ranks_.rank()));
  }

  void runProgram(const Program &program, Mode mode) {
    auto index = static_cast<size_t>(&program - manifest_.programs.data());
    check(mode <= Mode::Alone ? session_.device().run(launches_[index]) : session_.run(program));
  }

  /// `act` on the programs of a step.
  template <typename Act> void forStep(int64_t step, Mode mode, Act act) {
    check(session_.applySettings(step));
    const Program *last =
        mode == Mode::Overlap ? manifest_.findLastOfStep(*program_, step) : nullptr;
    for (int64_t micro = 0; micro < options_.micro; ++micro) {
      const Program &program = last && micro + 1 == options_.micro ? *last : *program_;
      check(session_.applyAutomaticSettings(step, micro));
      check(session_.writeBatch(program, batch_));
      act(program);
    }
    for (const Update &update : manifest_.training.updates)
      if (!last && mode != Mode::Micro && update.period.isDue(step))
        act(*manifest_.findProgram(update.program));
  }

  double time(Mode mode) {
    std::vector<double> times;
    for (int round = -1; round < options_.rounds; ++round) { // The first does not count.
      meet();
      Clock::time_point start = Clock::now();
      for (int step = 0; step < (round < 0 ? 2 : options_.steps); ++step)
        forStep(first_ + step, mode, [&](const Program &program) { runProgram(program, mode); });
      check(session_.device().synchronize());
      std::chrono::duration<double, std::milli> all = Clock::now() - start;
      if (round >= 0)
        times.push_back(all.count() / options_.steps);
    }
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
  }

  /// Two steps; how long their launches waited for collectives, the mean.
  double timeEntries(std::vector<ProgramTiming> &profile) {
    size_t known = profile.size();
    for (int64_t step = first_; step < first_ + 2; ++step)
      forStep(step, Mode::Overlap, [&](const Program &program) {
        check(session_.device().synchronize());
        double start = std::chrono::duration<double, std::milli>(Clock::now() - begin_).count();
        profile.push_back(take(timeProgram(session_, program)));
        profile.back().start = start;
      });
    double exposed = 0;
    for (size_t i = known; i < profile.size(); ++i)
      for (const CollectiveTiming &each : profile[i].collectives)
        exposed += each.exposed;
    return exposed / 2;
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
