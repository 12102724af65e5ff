//===- ArrangeStep.cpp - The order of a step's two lanes ------------------===//
#include "compiler/Transforms/Placement/ArrangeStep.h"
#include "llvm/ADT/STLExtras.h"
#include <limits>

using namespace smelt;

namespace {

class Scheduler {
public:
  Scheduler(llvm::ArrayRef<StepEntry> entries, unsigned fixed) : entries(entries), fixed(fixed), firstUser(entries.size(), entries.size()) {
    result.begin.assign(entries.size(), 0);
    result.end.assign(entries.size(), 0);
    result.exposed.assign(entries.size(), 0);
    issued.assign(entries.size(), false);
    for (auto [index, entry] : llvm::enumerate(entries)) {
      (entry.isCollective ? collectives : launches).push_back(index);
      for (unsigned earlier : entry.after)
        firstUser[earlier] = std::min<unsigned>(firstUser[earlier], index);
    }
    llvm::stable_sort(collectives, [&](unsigned a, unsigned b) { return firstUser[a] < firstUser[b]; });
  }

  Arrangement run() {
    for (unsigned done = 0; done < launches.size(); ++done) {
      startCollectives();
      startLaunch(done < fixed ? launches[done] : chooseLaunch());
    }
    startCollectives();
    expose(lane, lastCollective);
    result.microseconds = std::max(main, lane);
    return std::move(result);
  }

private:
  bool isReady(unsigned entry) const {
    return !issued[entry] && llvm::all_of(entries[entry].after, [&](unsigned earlier) { return issued[earlier]; });
  }

  void startCollectives() {
    bool again = true;
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
        if (double start = getStart(launch).first; start < bestStart) {
          bestStart = start;
          best = launch;
        }
    return best;
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
  llvm::SmallVector<unsigned> firstUser, launches, collectives;
  llvm::SmallVector<bool> issued;
  Arrangement result;
  double main = 0, lane = 0;
  int lastCollective = -1;
};

} // namespace

Arrangement smelt::arrangeStep(llvm::ArrayRef<StepEntry> entries, unsigned fixed) { return Scheduler(entries, fixed).run(); }
