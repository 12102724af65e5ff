//===- rank_step.cpp - What communication adds to a step ------------------===//
//
//   rank_step BUNDLE [--at 10,700] [--micro M] [--steps N] [--rounds N] [--warm-up SECONDS]
//             [--seconds N] [--meet PERCENT] [--same-documents] [--trace FILE] [--json FILE]
//
// Starts the ranks that the bundle was compiled for on this machine, on random weights and packed
// documents of each rank's own (or of all ranks alike), M micro-batches a rank and step. At each of
// the training steps that are named (their settings, their stage's program; unless named, near the
// beginning of each stage) it times six modes:
//   micro     a rank's micro-batches alone
//   alone     and its share of the updates, its launches without any communication
//   placed    the same launches in the order that the step has for the sake of its collectives
//   meeting   placed, and the ranks meet once (the program's smallest gather) when PERCENT [100] of
//             its launches are done: what comes of GPUs that wait for each other, and of links
//             that wake up for it (keep_links_awake.py)
//   overlap   the step, collectives beside launches
//   in order  the step, collectives between programs
// A round is a turn of each mode, an even number of steps on all ranks at once; every other round
// goes backward, so that a GPU that warms up or has its power limited favours none. Rounds that do
// not count come first, for as many seconds as named [2] and until one takes what the one before
// took; the others, 12 or an even number that fits into --seconds [16], do.
// Printed are rank 0's medians and between what 80 % of its rounds lie; then, from each round's own
// times, weak scaling: alone / overlap, of rank 0 and of the rank that is slowest alone,
// alone / in order and meeting / overlap, the median and quartiles. Then 32 steps alone are timed
// one by one on all ranks, and it is said what a meeting a step would cost if ranks did nothing
// there but wait for the one whose step is longest this time. Last, of two steps that are timed
// entry by entry, how long each collective took and how long the launches waited for it.
//
//===----------------------------------------------------------------------===//
#include "runtime/base/Files.h"
#include "runtime/base/Log.h"
#include "runtime/collective/Launcher.h"
#include "runtime/train/Profile.h"
#include "tools/bench/gpu_step/Inputs.h"
#include "tools/bench/scaling/RankStepOptions.h"
#include "tools/bench/scaling/Rounds.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <numeric>
#include <thread>
#include <utility>

using namespace smelt::runtime;
using namespace smelt::runtime::bench;

namespace {
using Clock = std::chrono::steady_clock;

enum class Mode { Micro, Alone, Placed, Meeting, Overlap, InOrder };
constexpr std::array<const char *, 6> modeNames = {"micro",   "alone",   "placed",
                                                   "meeting", "overlap", "in_order"};

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
  Bench(const RankStepOptions &options, Session &session, Ranks &ranks)
      : options_(options), session_(session), ranks_(ranks), manifest_(session.manifest()) {
    for (const Program &program : manifest_.programs) {
      bool isTimed = program.role == "train" || program.role == "update";
      launches_.push_back(isTimed ? take(session.device().addProgram(session.resolve(program)))
                                  : DeviceProgram{});
      meetings_.push_back(program.last && session.device().runsCollectives()
                              ? take(session.device().addEntries(withoutLane(program)))
                              : DeviceProgram{});
    }
  }

  void run() {
    std::vector<ProgramTiming> profile;
    nlohmann::ordered_json rows;
    print(
        "%s",
        " step    tokens     micro     alone    placed   meeting   overlap  in order   ms a step, "
        "rank 0's rounds\n");
    std::vector<int64_t> steps = options_.at;
    for (const Stage &stage : manifest_.training.stages)
      if (options_.at.empty())
        steps.push_back(std::min(stage.first + 10, stage.last));
    for (int64_t step : steps) {
      choose(step);
      nlohmann::ordered_json row = {{"step", step}, {"tokens", program_->tokens * options_.micro}};
      report(takeRounds(), row);
      reportJitter(row);
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

  /// The program's launches, and its smallest gather among them.
  std::vector<DeviceEntry> withoutLane(const Program &program) const {
    std::vector<DeviceEntry> launches;
    std::optional<DeviceEntry> smallest;
    auto bytes = [](const DeviceEntry &entry) {
      uint64_t sum = 0;
      for (const DeviceRange &range : entry.collective->buffers)
        sum += range.bytes;
      return sum;
    };
    for (DeviceEntry &entry : session_.entries(program)) {
      entry.wait.clear();
      entry.onLane = false;
      if (!entry.collective)
        launches.push_back(std::move(entry));
      else if (entry.collective->kind == CollectiveKind::AllGather &&
               (!smallest || bytes(entry) < bytes(*smallest)))
        smallest = std::move(entry);
    }
    if (smallest)
      launches.insert(launches.begin() +
                          ptrdiff_t(launches.size() * static_cast<size_t>(options_.meet) / 100),
                      std::move(*smallest));
    return launches;
  }

  void runProgram(const Program &program, Mode mode) {
    auto index = static_cast<size_t>(&program - manifest_.programs.data());
    if (mode >= Mode::Overlap)
      return check(session_.run(program));
    bool meets = mode == Mode::Meeting && program.last;
    if (meets && session_.device().runsCollectives())
      return check(session_.device().run(meetings_[index]));
    check(session_.device().run(launches_[index]));
    if (meets)
      meet();
  }

  /// `act` on the programs of a step.
  template <typename Act> void forStep(int64_t step, Mode mode, Act act) {
    check(session_.applySettings(step));
    bool isPlaced = mode == Mode::Placed || mode == Mode::Meeting || mode == Mode::Overlap;
    const Program *last = isPlaced ? manifest_.findLastOfStep(*program_, step) : nullptr;
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
    auto printRow = [&](const std::string &head, const char *tail, double Spread::*number) {
      std::string text = head;
      for (const Spread &each : spreads) {
        char word[32];
        std::snprintf(word, sizeof word, " %9.3f", each.*number);
        text += word;
      }
      print("%s%s\n", text.c_str(), tail);
    };
    char head[64];
    std::snprintf(head, sizeof head, "%5ld %9ld", long(row["step"]), long(row["tokens"]));
    printRow(head, ("   medians of " + std::to_string(overlap.size())).c_str(), &Spread::middle);
    printRow("           10 %", "", &Spread::low);
    printRow("           90 %", "", &Spread::high);
    auto scaling = [&](const char *name, const char *text, const std::vector<double> &numbers) {
      Spread all = spread(numbers, 0.25);
      row["scaling"][name] = {all.low, all.middle, all.high};
      print("      %s %.4f (%.4f-%.4f)\n", text, all.middle, all.low, all.high);
    };
    scaling("rank0", "alone / overlap            ", ratios(alone[0], overlap));
    scaling("slowest", "the same, slowest rank alone", ratios(alone[slowest], overlap));
    scaling("in_order", "alone / in order           ",
            ratios(alone[0], times.step[size_t(Mode::InOrder)][0]));
    scaling("meeting", "meeting / overlap          ",
            ratios(times.step[size_t(Mode::Meeting)][0], overlap));
    print("      alone of all ranks %.2f-%.2f, the slowest is %zu\n", *least, *most, slowest);
    row["same_documents"] = options_.sameDocuments;
    row["started"] = started_;
    row["steps_a_turn"] = options_.steps;
    for (size_t mode = 0; mode < modeNames.size(); ++mode)
      row["rounds"][modeNames[mode]] = times.step[mode];
    for (size_t mode = 0; mode < modeNames.size(); ++mode)
      row["began"][modeNames[mode]] = times.began[mode];
  }

  /// Steps alone, each by itself: what it costs to wait for the slowest of each, over waiting for
  /// the rank that is slowest on average.
  void reportJitter(nlohmann::ordered_json &row) {
    std::vector<std::vector<double>> steps(static_cast<size_t>(ranks_.size()));
    std::vector<double> own;
    meet();
    for (int step = 0; step < jitterSteps; ++step) {
      Clock::time_point start = Clock::now();
      forStep(first_ + step % 2, Mode::Alone,
              [&](const Program &program) { runProgram(program, Mode::Alone); });
      check(session_.device().synchronize());
      own.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    }
    for (double each : own) {
      std::vector<double> all = share(each);
      for (size_t rank = 0; rank < all.size(); ++rank)
        steps[rank].push_back(all[rank]);
    }
    double slowest = 0;
    for (const std::vector<double> &rank : steps)
      slowest = std::max(slowest, std::accumulate(rank.begin(), rank.end(), 0.0) / jitterSteps);
    double waits = expectedLargest(steps) - slowest;
    print(
        "      %d steps alone, one by one: a meeting of each would cost %.3f ms by their jitter\n",
        jitterSteps, waits);
    row["jitter"] = {{"steps", steps}, {"waits", waits}};
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

  static constexpr int jitterSteps = 32;

  const RankStepOptions &options_;
  Session &session_;
  Ranks &ranks_;
  const Manifest &manifest_;
  std::vector<DeviceProgram> launches_; ///< Of each program, without its collectives.
  std::vector<DeviceProgram> meetings_; ///< Of a whole end of a step: they, and one small gather.
  const Program *program_ = nullptr;
  int64_t first_ = 0;
  Batch batch_;
  Clock::time_point begin_ = Clock::now();
  double started_ = std::chrono::duration<double>( // Unix time of `begin_`.
                        std::chrono::system_clock::now().time_since_epoch())
                        .count();
};

int runRank(const RankStepOptions &options, const RankEnvironment &environment) {
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
  RankStepOptions options = parseRankStep(argc, argv);
  Bundle bundle = take(openBundle(options.bundle));
  auto ranks = static_cast<int>(bundle.manifest.training.ranks);
  if (ranks < 2)
    fail("rank_step", "the bundle is for one rank");
  return take(launchRanks(ranks, std::chrono::seconds(2), [&](const RankEnvironment &environment) {
    return runRank(options, environment);
  }));
}
