//===- ArrangeStep.cpp - The order of a step's two lanes ------------------===//
#include "compiler/Transforms/Placement/ArrangeStep.h"
#include "llvm/ADT/STLExtras.h"
#include <limits>
#include <vector>

using namespace smelt;

namespace {

/// Microseconds that a collective beside products may end later than the model says: another rank
/// may be behind, and multiprocessors are taken (measured on two H200s: up to 2,100).
constexpr double mostLate = 3000;
/// Microseconds: collectives wait for others only over a gap so long, and for a gain so large by
/// the model, which is no better than that.
constexpr double leastGap = 10000, leastGain = 500;

class Scheduler {
public:
  /// Of launches that can begin at the same time the one with the larger `rank` comes next, of
  /// equals the first. While the fixed ones run no collective begins before `hold`.
  Scheduler(llvm::ArrayRef<StepEntry> entries, unsigned fixed, llvm::ArrayRef<double> rank,
            bool early, double hold)
      : entries(entries), fixed(fixed), early(early), rank(rank), hold(hold),
        firstUser(entries.size(), entries.size()) {
    result.begin.assign(entries.size(), 0);
    result.end.assign(entries.size(), 0);
    result.exposed.assign(entries.size(), 0);
    issued.assign(entries.size(), false);
    for (auto [index, entry] : llvm::enumerate(entries)) {
      (entry.isCollective ? collectives : launches).push_back(index);
      for (unsigned earlier : entry.after)
        firstUser[earlier] = std::min<unsigned>(firstUser[earlier], index);
    }
    leads.assign(entries.size(), false);
    for (unsigned index = entries.size(); index-- > 0;)
      for (unsigned earlier : entries[index].after)
        leads[earlier] = leads[earlier] || entries[index].isCollective || leads[index];
    llvm::stable_sort(collectives,
                      [&](unsigned a, unsigned b) { return firstUser[a] < firstUser[b]; });
  }

  Arrangement run() {
    for (unsigned done = 0; done < fixed; ++done) {
      startCollectives();
      while (startEarly())
        startCollectives();
      startLaunch(launches[done]);
    }
    hold = 0;
    while (result.order.size() < entries.size()) {
      startCollectives();
      if (result.order.size() < entries.size())
        startLaunch(chooseLaunch());
    }
    startCollectives();
    expose(lane, lastCollective);
    result.microseconds = std::max(main, lane);
    return std::move(result);
  }

private:
  bool isReady(unsigned entry) const {
    return !issued[entry] &&
           llvm::all_of(entries[entry].after, [&](unsigned earlier) { return issued[earlier]; });
  }

  void startCollectives() {
    bool again = main >= hold;
    while (again) {
      again = false;
      for (unsigned entry : collectives)
        if (isReady(entry)) {
          result.begin[entry] = std::max(main, lane);
          result.end[entry] = lane = result.begin[entry] + entries[entry].microseconds;
          issue(lastCollective = entry);
          again = true;
          break;
        }
    }
  }

  /// When the launch may begin, and the collective it waits for if that is later than now.
  std::pair<double, int> getStart(unsigned launch) const {
    std::pair<double, int> start{main, -1};
    for (unsigned earlier : entries[launch].after)
      if (entries[earlier].isCollective && result.end[earlier] > start.first)
        start = {result.end[earlier], static_cast<int>(earlier)};
    return start;
  }

  unsigned chooseLaunch() const {
    unsigned best = 0;
    double bestStart = std::numeric_limits<double>::infinity();
    for (unsigned launch : launches)
      if (isReady(launch))
        if (double start = getStart(launch).first;
            start < bestStart || (start == bestStart && rank[launch] > rank[best])) {
          bestStart = start;
          best = launch;
        }
    return best;
  }

  /// Starts a launch of the others that a collective waits for and that need not wait itself, even
  /// if collectives are late.
  bool startEarly() {
    if (!early)
      return false;
    for (unsigned launch : llvm::ArrayRef(launches).drop_front(fixed)) {
      auto isLongOver = [&](unsigned earlier) {
        return !entries[earlier].isCollective || result.end[earlier] + mostLate <= main;
      };
      if (leads[launch] && isReady(launch) && llvm::all_of(entries[launch].after, isLongOver)) {
        startLaunch(launch);
        return true;
      }
    }
    return false;
  }

  void startLaunch(unsigned launch) {
    auto [start, collective] = getStart(launch);
    expose(start, collective);
    result.begin[launch] = start;
    result.end[launch] = main = start + entries[launch].microseconds;
    issue(launch);
  }

  void expose(double until, int collective) {
    if (collective >= 0 && until > main)
      result.exposed[collective] += until - main;
  }

  void issue(unsigned entry) {
    issued[entry] = true;
    result.order.push_back(entry);
  }

  llvm::ArrayRef<StepEntry> entries;
  unsigned fixed;
  bool early;
  llvm::ArrayRef<double> rank;
  double hold;
  llvm::SmallVector<unsigned> firstUser, launches, collectives;
  llvm::SmallVector<bool> issued, leads; ///< leads: a collective comes after it.
  Arrangement result;
  double main = 0, lane = 0;
  int lastCollective = -1;
};

/// By entry, how long what must come after its beginning takes at least: the longest chain, of
/// collectives that wait for the same launch one after the other.
llvm::SmallVector<double> findTails(llvm::ArrayRef<StepEntry> entries) {
  llvm::SmallVector<double> tails(entries.size(), 0), lane(entries.size(), 0),
      chain(entries.size(), 0);
  for (unsigned index = entries.size(); index-- > 0;) {
    const StepEntry &entry = entries[index];
    tails[index] = entry.microseconds + std::max(chain[index], lane[index]);
    for (unsigned earlier : entry.after) {
      chain[earlier] = std::max(chain[earlier], tails[index]);
      if (entry.isCollective && !entries[earlier].isCollective)
        lane[earlier] += entry.microseconds;
    }
  }
  return tails;
}

/// The launches that are not fixed and that `entry` comes after.
llvm::SmallVector<unsigned> findOwn(llvm::ArrayRef<StepEntry> entries,
                                    const llvm::SmallVector<bool> &isFixed, unsigned entry) {
  llvm::SmallVector<unsigned> own, open(entries[entry].after);
  llvm::SmallVector<bool> seen(entries.size(), false);
  while (!open.empty()) {
    unsigned next = open.pop_back_val();
    if (isFixed[next] || seen[next])
      continue;
    seen[next] = true;
    if (!entries[next].isCollective)
      own.push_back(next);
    llvm::append_range(open, entries[next].after);
  }
  return own;
}

/// Johnson's rule for two machines, of collectives and the launches that each of them waits for:
/// first those that take longer than their launches, whose launches are shortest first; then the
/// others, the longest first, so that what is left when all launches have ended is short. By
/// launch, how many of these collectives begin no earlier than the first that waits for it.
llvm::SmallVector<double> findTurns(llvm::ArrayRef<StepEntry> entries, unsigned fixed) {
  struct Job {
    llvm::SmallVector<unsigned> launches;
    double before, own;
  };
  llvm::SmallVector<bool> isFixed(entries.size(), false);
  for (unsigned entry = 0, launches = 0; entry < entries.size(); ++entry)
    if (!entries[entry].isCollective)
      isFixed[entry] = launches++ < fixed;
  std::vector<Job> jobs;
  for (auto [index, entry] : llvm::enumerate(entries)) {
    if (!entry.isCollective)
      continue;
    Job job{findOwn(entries, isFixed, index), 0, entry.microseconds};
    for (unsigned launch : job.launches)
      job.before += entries[launch].microseconds;
    if (!job.launches.empty())
      jobs.push_back(std::move(job));
  }
  llvm::stable_sort(jobs, [](const Job &a, const Job &b) {
    bool first = a.before < a.own, second = b.before < b.own;
    return first != second ? first : first ? a.before < b.before : a.own > b.own;
  });
  llvm::SmallVector<double> turns(entries.size(), 0);
  for (auto [turn, job] : llvm::enumerate(llvm::reverse(jobs)))
    for (unsigned launch : job.launches)
      turns[launch] = static_cast<double>(turn + 1);
  return turns;
}

/// The shortest of three orders.
Arrangement arrangeFrom(llvm::ArrayRef<StepEntry> entries, unsigned fixed, bool early,
                        double hold) {
  llvm::SmallVector<double> none(entries.size(), 0);
  Arrangement best = Scheduler(entries, fixed, none, early, hold).run();
  for (const auto &rank : {findTails(entries), findTurns(entries, fixed)})
    if (Arrangement other = Scheduler(entries, fixed, rank, early, hold).run();
        other.microseconds < best.microseconds)
      best = std::move(other);
  return best;
}

llvm::SmallVector<unsigned> findCollectives(llvm::ArrayRef<StepEntry> entries,
                                            const Arrangement &arrangement) {
  return llvm::filter_to_vector(arrangement.order,
                                [&](unsigned entry) { return entries[entry].isCollective; });
}

} // namespace

double smelt::findAwake(llvm::ArrayRef<StepEntry> entries, const Arrangement &arrangement,
                        const SleepingLinks &links) {
  llvm::SmallVector<unsigned> lane = findCollectives(entries, arrangement);
  if (lane.empty())
    return 0;
  double awake = 0, asleepFrom = 0;
  auto wake = [&](double begin, double end) {
    awake += std::max(0.0, end + links.microseconds - std::max(begin, asleepFrom));
    asleepFrom = std::max(asleepFrom, end + links.microseconds);
  };
  for (unsigned entry : lane)
    wake(arrangement.begin[entry], arrangement.end[entry]);
  // What outlasts this step is awake in the next one, until that wakes them itself.
  double over = std::max(0.0, asleepFrom - arrangement.microseconds);
  awake -= std::max(0.0, over - arrangement.begin[lane.front()]);
  return std::min(awake, arrangement.microseconds);
}

Arrangement smelt::arrangeStep(llvm::ArrayRef<StepEntry> entries, unsigned fixed, bool early,
                               const SleepingLinks &links) {
  Arrangement best = arrangeFrom(entries, fixed, early, 0);
  if (links.cost == 0)
    return best;
  auto getCost = [&](const Arrangement &arrangement) {
    return arrangement.microseconds + links.cost * findAwake(entries, arrangement, links);
  };
  llvm::SmallVector<unsigned> lane = findCollectives(entries, best);
  llvm::SmallVector<double> holds;
  for (size_t i = 1; i < lane.size(); ++i)
    if (best.begin[lane[i]] - best.end[lane[i - 1]] >= leastGap)
      holds.push_back(best.begin[lane[i]]);
  double least = getCost(best) - leastGain;
  for (double hold : holds)
    if (Arrangement other = arrangeFrom(entries, fixed, early, hold); getCost(other) < least) {
      least = getCost(other);
      best = std::move(other);
    }
  return best;
}
