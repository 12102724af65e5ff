//===- rank_step.cpp - What communication adds to a step ------------------===//
//
//   rank_step BUNDLE [--at 10,700] [--micro M] [--steps N] [--rounds N] [--warm-up SECONDS]
//             [--seconds N] [--same-documents] [--trace FILE] [--json FILE]
//
// Starts the ranks that the bundle was compiled for on this machine, on random weights and packed
// documents of each rank's own (or of all ranks alike), M micro-batches a rank and step. At each of
// the training steps that are named (their settings, their stage's program; unless named, near the
// beginning of each stage) it times four modes:
//   micro     a rank's micro-batches alone
//   alone     and its share of the updates, its launches without any communication
//   overlap   the step, collectives beside launches
//   in order  the step, collectives between programs
// A round is a turn of each mode, an even number of steps on all ranks at once; every other round
// goes backward, so that a GPU that warms up or has its power limited favours none. Rounds that do
// not count come first, for as many seconds as named [2] and until one takes what the one before
// took; the others, 12 or an even number that fits into --seconds [16], do.
// Printed are rank 0's medians and between what 80 % of its rounds lie; then, from each round's own
// times, weak scaling: alone / overlap, of rank 0 and of the rank that is slowest alone, and
// alone / in order, the median and quartiles. Last, of two steps that are timed entry by entry, how
// long each collective took and how long the launches waited for it.
//
//===----------------------------------------------------------------------===//
#include "runtime/base/Files.h"
#include "runtime/base/Log.h"
#include "runtime/collective/Launcher.h"
#include "runtime/train/Profile.h"
#include "tools/bench/gpu_step/Inputs.h"
#include "tools/bench/scaling/Rounds.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <sstream>
#include <thread>
#include <utility>

using namespace smelt::runtime;
using namespace smelt::runtime::bench;

namespace {
using Clock = std::chrono::steady_clock;

struct Options {
  std::string bundle, trace, json;
  std::vector<int64_t> at;
  int64_t micro = 1;
  int steps = 4, rounds = 12;
  double warmUp = 2, seconds = 16;
  bool sameDocuments = false;
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
      options.rounds = std::max(std::atoi(argv[++i]) / 2 * 2, 2);
    else if (word == "--warm-up" && hasValue)
      options.warmUp = std::atof(argv[++i]);
    else if (word == "--seconds" && hasValue)
      options.seconds = std::atof(argv[++i]);
    else if (word == "--same-documents")
      options.sameDocuments = true;
    else if (word == "--trace" && hasValue)
      options.trace = argv[++i];
    else if (word == "--json" && hasValue)
      options.json = argv[++i];
    else if (options.bundle.empty() && !word.starts_with("-"))
      options.bundle = word;
    else
      fail("rank_step", "usage: rank_step BUNDLE [--at 10,700] [--micro M] [--steps N] "
                        "[--rounds N] [--warm-up SECONDS] [--seconds N] [--same-documents] "
                        "[--trace FILE] [--json FILE]");
  }
  if (options.bundle.empty())
    fail("rank_step", "no bundle");
  return options;
}

enum class Mode { Micro, Alone, Overlap, InOrder };
constexpr std::array<const char *, 4> modeNames = {"micro", "alone", "overlap", "in_order"};

/// By mode: when its turn began, seconds, and how long a step of it took, milliseconds.
struct Round {
  std::array<double, modeNames.size()> began{}, step{};
};

struct Times {
  std::array<std::vector<double>, modeNames.size()> began;             ///< By mode, the rounds.
  std::array<std::vector<std::vector<double>>, modeNames.size()> step; ///< By mode and rank.
};

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
    print("%s",
          " step    tokens     micro     alone   overlap  in order   ms a step, rank 0's rounds\n");
    std::vector<int64_t> steps = options_.at;
    for (const Stage &stage : manifest_.training.stages)
      if (options_.at.empty())
        steps.push_back(std::min(stage.first + 10, stage.last));
    for (int64_t step : steps) {
      choose(step);
      nlohmann::ordered_json row = {{"step", step}, {"tokens", program_->tokens * options_.micro}};
      report(takeRounds(), row);
      row["exposed"] = timeEntries(profile);
      meet();
      rows.push_back(std::move(row));
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
    uint64_t seed = 6 + static_cast<uint64_t>(options_.sameDocuments ? 0 : ranks_.rank());
    batch_ = makeBatch(*program_, manifest_.data.vocabulary, 400, seed);
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

  double takeTurn(Mode mode) {
    meet();
    Clock::time_point start = Clock::now();
    for (int step = 0; step < options_.steps; ++step)
      forStep(first_ + step, mode, [&](const Program &program) { runProgram(program, mode); });
    check(session_.device().synchronize());
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count() / options_.steps;
  }

  Round takeRound(bool backward) {
    Round round;
    for (size_t turn = 0; turn < modeNames.size(); ++turn) {
      size_t mode = backward ? modeNames.size() - 1 - turn : turn;
      round.began[mode] = std::chrono::duration<double>(Clock::now() - begin_).count();
      round.step[mode] = takeTurn(static_cast<Mode>(mode));
    }
    return round;
  }

  /// Until rounds take the same time; seconds of the last one, by rank 0's clock on all ranks.
  double warmUp() {
    double before = 0, last = 0;
    Clock::time_point start = Clock::now();
    for (bool backward = false;; backward = !backward) {
      Clock::time_point begin = Clock::now();
      takeRound(backward);
      Clock::time_point end = Clock::now();
      before = std::exchange(last, share(std::chrono::duration<double>(end - begin).count())[0]);
      double all = share(std::chrono::duration<double>(end - start).count())[0];
      bool isSteady = std::abs(last - before) <= 0.01 * last;
      if (all >= options_.warmUp && (isSteady || all >= 3 * options_.warmUp))
        return last;
    }
  }

  Times takeRounds() {
    double seconds = warmUp();
    auto fit = static_cast<int>(std::min(options_.seconds / seconds, 1e6)) / 2 * 2;
    int rounds = std::max(std::min(options_.rounds, fit), 2);
    std::vector<Round> own;
    for (int round = 0; round < rounds; ++round)
      own.push_back(takeRound(round % 2 != 0));
    Times times;
    for (size_t mode = 0; mode < modeNames.size(); ++mode) {
      times.step[mode].resize(static_cast<size_t>(ranks_.size()));
      for (const Round &round : own) {
        times.began[mode].push_back(round.began[mode]);
        std::vector<double> all = share(round.step[mode]);
        for (size_t rank = 0; rank < all.size(); ++rank)
          times.step[mode][rank].push_back(all[rank]);
      }
    }
    return times;
  }

  void report(const Times &times, nlohmann::ordered_json &row) {
    const auto &alone = times.step[size_t(Mode::Alone)];
    const std::vector<double> &overlap = times.step[size_t(Mode::Overlap)][0];
    std::vector<double> medians;
    for (const std::vector<double> &rank : alone)
      medians.push_back(quantile(rank, 0.5));
    auto [least, most] = std::minmax_element(medians.begin(), medians.end());
    auto slowest = static_cast<size_t>(most - medians.begin());
    std::array<Spread, modeNames.size()> spreads;
    for (size_t mode = 0; mode < modeNames.size(); ++mode) {
      spreads[mode] = spread(times.step[mode][0], 0.1);
      row[modeNames[mode]] = spreads[mode].middle;
    }
    row["alone"] = medians;
    print("%5ld %9ld %9.3f %9.3f %9.3f %9.3f   medians of %zu\n", long(row["step"]),
          long(row["tokens"]), spreads[0].middle, spreads[1].middle, spreads[2].middle,
          spreads[3].middle, overlap.size());
    print("%15s %9.3f %9.3f %9.3f %9.3f\n", "10 %", spreads[0].low, spreads[1].low, spreads[2].low,
          spreads[3].low);
    print("%15s %9.3f %9.3f %9.3f %9.3f\n", "90 %", spreads[0].high, spreads[1].high,
          spreads[2].high, spreads[3].high);
    auto scaling = [&](const char *name, const char *text, const std::vector<double> &numbers) {
      Spread all = spread(numbers, 0.25);
      row["scaling"][name] = {all.low, all.middle, all.high};
      print("      %s %.4f (%.4f-%.4f)\n", text, all.middle, all.low, all.high);
    };
    scaling("rank0", "alone / overlap            ", ratios(alone[0], overlap));
    scaling("slowest", "the same, slowest rank alone", ratios(alone[slowest], overlap));
    scaling("in_order", "alone / in order           ",
            ratios(alone[0], times.step[size_t(Mode::InOrder)][0]));
    print("      alone of all ranks %.2f-%.2f, the slowest is %zu\n", *least, *most, slowest);
    row["same_documents"] = options_.sameDocuments;
    row["steps_a_turn"] = options_.steps;
    for (size_t mode = 0; mode < modeNames.size(); ++mode)
      row["rounds"][modeNames[mode]] = times.step[mode];
    for (size_t mode = 0; mode < modeNames.size(); ++mode)
      row["began"][modeNames[mode]] = times.began[mode];
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
