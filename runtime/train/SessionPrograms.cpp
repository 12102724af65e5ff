//===- SessionPrograms.cpp - Programs with their collectives --------------===//
//
// A device that runs collectives itself gets the whole program. For the others a program is cut where
// collectives stand and where launches wait; collectives of the communication lane run on a thread.
//
//===----------------------------------------------------------------------===//
#include "runtime/train/JoinRanges.h"
#include "runtime/train/Nvtx.h"
#include "runtime/train/Session.h"

#include <algorithm>
#include <set>

namespace smelt::runtime {

using Clock = std::chrono::steady_clock;

std::vector<DeviceEntry> Session::entries(const Program &program) const {
  std::vector<DeviceEntry> entries;
  auto collective = program.collectives.begin();
  auto addCollectives = [&](size_t before) {
    for (; collective != program.collectives.end() && collective->before == before; ++collective) {
      DeviceEntry &entry = entries.emplace_back();
      entry.collective = {collective->kind, manifest().buffers[collective->buffers[0]].dtype, {}};
      entry.onLane = collective->onLane;
      entry.wait = collective->wait;
      if (collective->kind == CollectiveKind::AllReduce)
        entry.collective->buffers = joinRanges(manifest(), collective->buffers);
      else
        for (uint32_t index : collective->buffers) // With their padding.
          entry.collective->buffers.push_back(
              {manifest().buffers[index].offset, manifest().buffers[index].bytes});
    }
  };
  std::vector<DeviceLaunch> launches = resolve(program);
  for (size_t i = 0; i < launches.size(); ++i) {
    addCollectives(i);
    entries.push_back({std::move(launches[i]), std::nullopt, false, program.launches[i].wait});
  }
  addCollectives(launches.size());
  return entries;
}

Status Session::addProgram(const Program &program) {
  std::vector<Part> &parts = programs_.emplace_back();
  if (device_->runsCollectives() && !program.collectives.empty()) {
    SMELT_ASSIGN_OR_RETURN(parts.emplace_back().launches, device_->addEntries(entries(program)));
    return Status::ok();
  }
  std::vector<DeviceLaunch> launches = resolve(program);
  std::set<size_t> cuts = {0, launches.size()};
  for (const CollectiveStep &step : program.collectives)
    cuts.insert(step.before);
  for (size_t i = 0; i < launches.size(); ++i)
    if (!program.launches[i].wait.empty())
      cuts.insert(i);
  size_t updates = program.last ? program.last->updatesFrom : launches.size() + 1;
  if (program.last)
    cuts.insert(updates);
  uint32_t collective = 0;
  for (auto cut = cuts.begin(); cut != cuts.end(); ++cut) {
    size_t first = *cut, last = std::next(cut) == cuts.end() ? first : *std::next(cut);
    Part part{{}, {}, {}, first, last, first >= updates};
    for (; collective < program.collectives.size() && program.collectives[collective].before == first;
         ++collective)
      part.collectives.push_back(collective);
    if (first == updates) {
      // These begin when the backward pass has ended, not with the updates.
      Part sums{std::move(part.collectives), {}, {}, first, first, false};
      SMELT_ASSIGN_OR_RETURN(sums.launches, device_->addProgram({}));
      parts.push_back(std::move(sums));
      part.collectives.clear();
    }
    if (first < last)
      part.wait = program.launches[first].wait;
    SMELT_ASSIGN_OR_RETURN(part.launches, device_->addProgram({launches.begin() + ptrdiff_t(first),
                                                               launches.begin() + ptrdiff_t(last)}));
    parts.push_back(std::move(part));
  }
  return Status::ok();
}

Status Session::startCollective(const Program &program, uint32_t number) {
  const CollectiveStep &step = program.collectives[number];
  if (!ranks_)
    return internalError("a collective without ranks");
  if (!step.onLane) {
    SMELT_RETURN_IF_ERROR(waitForLane(step.wait));
    Clock::time_point begin = Clock::now();
    SMELT_RETURN_IF_ERROR(runCollective(step));
    laneRun_.inOrder[number] = {begin, Clock::now()};
    return Status::ok();
  }
  if (!lane_)
    lane_ = std::make_unique<CommunicationLane>([ranks = ranks_] { ranks->enterLane(); });
  laneRun_.tickets[number] = lane_->start([this, &step] { return runCollective(step); });
  return Status::ok();
}

Status Session::waitForLane(const std::vector<uint32_t> &numbers) {
  for (uint32_t number : numbers) {
    size_t ticket = laneRun_.tickets[number];
    if (lane_->hasEnded(ticket))
      continue;
    Clock::time_point begin = Clock::now();
    SMELT_RETURN_IF_ERROR(ranks_->waitFor([&] { return lane_->waitFor(ticket); }));
    laneRun_.waits.push_back({begin, Clock::now()});
  }
  return Status::ok();
}

Status Session::finishCommunication() { return lane_ ? lane_->waitForAll() : Status::ok(); }

Status Session::runParts(const Program &program, Portion portion, const RunPart &runPart) {
  if (portion != Portion::Updates)
    laneRun_ = {};
  for (const Part &part : programs_[static_cast<size_t>(&program - manifest().programs.data())]) {
    if (portion != Portion::Whole && part.ofUpdates != (portion == Portion::Updates))
      continue;
    for (uint32_t number : part.collectives)
      SMELT_RETURN_IF_ERROR(startCollective(program, number));
    SMELT_RETURN_IF_ERROR(waitForLane(part.wait));
    SMELT_RETURN_IF_ERROR(runPart(part).withContext(program.name));
  }
  if (portion == Portion::BeforeUpdates || laneRun_.tickets.empty())
    return Status::ok();
  return waitForLane({laneRun_.tickets.rbegin()->first});
}

Status Session::run(const Program &program, Portion portion) {
  NvtxRange range(program.name);
  // Nobody waits here: copies and later programs come after it, and a copy out says what failed.
  return runParts(program, portion, [&](const Part &part) { return device_->run(part.launches); });
}

namespace {
/// How long of `waits` a collective was what was waited for.
template <typename Spans, typename Time> double overlapOf(const Spans &waits, Time begin, Time end) {
  std::chrono::duration<double, std::milli> sum{0};
  for (const auto &[from, to] : waits)
    if (auto start = std::max(from, begin), stop = std::min(to, end); start < stop)
      sum += stop - start;
  return sum.count();
}
} // namespace

StatusOr<std::vector<EntryTime>> Session::runTimed(const Program &program, Portion portion) {
  if (program.collectives.empty() || device_->runsCollectives())
    return runTimedOnDevice(program);
  Clock::time_point origin = Clock::now();
  auto since = [&](Clock::time_point time) {
    return std::chrono::duration<double, std::milli>(time - origin).count();
  };
  std::vector<DeviceLaunch> launches = resolve(program);
  std::vector<EntryTime> times;
  SMELT_RETURN_IF_ERROR(runParts(program, portion, [&](const Part &part) -> Status {
    for (size_t i = part.first; i < part.last; ++i) {
      double begin = since(Clock::now());
      SMELT_ASSIGN_OR_RETURN(std::vector<LaunchTime> own, device_->runTimed({launches[i]}));
      for (const LaunchTime &time : own)
        times.push_back({false, i, time.part, begin + time.start, time.milliseconds, 0});
    }
    return Status::ok();
  }));
  for (const auto &[number, span] : laneRun_.inOrder) {
    double begin = since(span.first), length = since(span.second) - begin;
    times.push_back({true, number, 0, begin, length, length});
  }
  if (portion != Portion::BeforeUpdates) // Those of both portions have ended.
    for (const auto &[number, ticket] : laneRun_.tickets) {
      CommunicationLane::Times span = lane_->timesOf(ticket);
      double begin = since(span.begin);
      times.push_back({true, number, 0, begin, since(span.end) - begin,
                       overlapOf(laneRun_.waits, span.begin, span.end), begin - since(span.given)});
    }
  return times;
}

StatusOr<std::vector<EntryTime>> Session::runTimedOnDevice(const Program &program) {
  std::vector<EntryTime> times;
  if (program.collectives.empty()) {
    SMELT_ASSIGN_OR_RETURN(std::vector<LaunchTime> own, device_->runTimed(resolve(program)));
    for (const LaunchTime &time : own)
      times.push_back({false, time.launch, time.part, time.start, time.milliseconds, 0});
    return times;
  }
  std::vector<DeviceEntry> entries = this->entries(program);
  SMELT_ASSIGN_OR_RETURN(std::vector<LaunchTime> own, device_->runTimedEntries(entries));
  std::vector<size_t> numbers; // By entry: of its launch or collective.
  size_t launches = 0, collectives = 0;
  for (const DeviceEntry &entry : entries)
    numbers.push_back(entry.collective ? collectives++ : launches++);
  // The main lane waits between the end of one of its entries and the beginning of one that waits.
  std::vector<std::pair<double, double>> waits;
  double free = 0, end = 0;
  std::map<size_t, double> queued; // Of the lane's entries.
  for (const LaunchTime &time : own) {
    const DeviceEntry &entry = entries[time.launch];
    end = std::max(end, time.start + time.milliseconds);
    if (entry.onLane) {
      queued[time.launch] = std::max(0.0, time.start - free);
      continue;
    }
    if (!entry.wait.empty() && time.part == 0)
      waits.push_back({free, time.start});
    free = std::max(free, time.start + time.milliseconds);
  }
  waits.push_back({free, end});
  for (const LaunchTime &time : own) {
    const DeviceEntry &entry = entries[time.launch];
    double exposed = entry.collective && !entry.onLane ? time.milliseconds : 0;
    for (const auto &[from, to] : waits)
      if (entry.onLane)
        exposed += std::max(0.0, std::min(to, time.start + time.milliseconds) -
                                     std::max(from, time.start));
    times.push_back({entry.collective.has_value(), numbers[time.launch], time.part, time.start,
                     time.milliseconds, exposed, entry.onLane ? queued[time.launch] : 0});
  }
  return times;
}

} // namespace smelt::runtime
