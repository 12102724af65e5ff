//===- gpu_step.cpp - What a bundle's training step costs -----------------===//
//
//   gpu_step BUNDLE [--stage N] [--rounds N] [--rows N] [--updates] [--races]
//            [--trace FILE]
//
// Runs the forward and backward program of a training stage on random weights (none of them zero,
// so that nothing is cheaper than in training) and packed documents of median length 400, cut at
// 2048. Prints its median time with 10th and 90th percentile, what the host does for a micro-batch,
// launches, memory, whether two runs give the same bits, and a table of its kernels against the
// device's rates. --updates: the update programs too. --races: the program twice, launch by
// launch, to find the first that leaves other bytes. Exit code 1 if bits differ, also after the
// program's workspace was filled with NaNs, or the loss is not finite.
//
//===----------------------------------------------------------------------===//
#include "runtime/base/Files.h"
#include "runtime/train/Profile.h"
#include "tools/bench/gpu_step/Inputs.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <set>

using namespace smelt::runtime;
using namespace smelt::runtime::bench;

namespace {
using Clock = std::chrono::steady_clock;

double microsecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

struct Options {
  std::string bundle, trace;
  size_t stage = 0, rows = 25;
  int rounds = 20;
  bool updates = false, races = false;
};

Options parse(int argc, char **argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    bool hasValue = i + 1 < argc;
    if (word == "--stage" && hasValue)
      options.stage = std::strtoul(argv[++i], nullptr, 10);
    else if (word == "--rounds" && hasValue)
      options.rounds = std::max(std::atoi(argv[++i]), 1);
    else if (word == "--rows" && hasValue)
      options.rows = std::strtoul(argv[++i], nullptr, 10);
    else if (word == "--trace" && hasValue)
      options.trace = argv[++i];
    else if (word == "--races")
      options.races = true;
    else if (word == "--updates")
      options.updates = true;
    else if (options.bundle.empty() && !word.starts_with("-"))
      options.bundle = word;
    else
      fail("gpu_step", "usage: gpu_step BUNDLE [--stage N] [--rounds N] [--rows N] [--updates] "
                       "[--races] [--trace FILE]");
  }
  if (options.bundle.empty())
    fail("gpu_step", "no bundle");
  return options;
}

/// Everything the program leaves for the next, by name: gradients and losses.
using Results = std::map<std::string, std::vector<std::byte>>;
Results readResults(Session &session, const Program &program) {
  Results results;
  auto take = [&](const std::string &name, const Buffer &buffer) {
    std::vector<std::byte> &data = results[name];
    data.resize(*shapeBytes(buffer.shape, buffer.dtype));
    check(session.device().copyOut(buffer.offset, data));
  };
  for (const Buffer &buffer : session.manifest().buffers)
    if (buffer.kind == BufferKind::Gradient && !buffer.base)
      take(buffer.name, buffer);
  for (const auto &[name, index] : program.outputs)
    take(name, session.manifest().buffers[index]);
  return results;
}

/// Fills the program's own workspace with NaNs: what a kernel reads there, an earlier one has
/// written.
void poison(Session &session, const Program &program, std::byte with) {
  std::vector<std::byte> nan(size_t(64) << 20, with);
  for (const Buffer &buffer : session.manifest().buffers)
    if (buffer.kind == BufferKind::Workspace && buffer.name.starts_with(program.name + "."))
      for (uint64_t at = 0; at < buffer.bytes; at += nan.size())
        check(session.device().copyIn(buffer.offset + at, std::span(nan).first(std::min<uint64_t>(
                                                              nan.size(), buffer.bytes - at))));
}

/// What the program must leave as it is: parameters, states, constants, settings, the tables of the
/// setup programs, its inputs.
Results readKept(Session &session, const Program &program) {
  Results results;
  auto add = [&](uint32_t index) {
    const Buffer &buffer = session.manifest().buffers[index];
    std::vector<std::byte> &data = results[buffer.name];
    data.resize(*shapeBytes(buffer.shape, buffer.dtype));
    check(session.device().copyOut(buffer.offset, data));
  };
  const std::vector<Buffer> &buffers = session.manifest().buffers;
  for (uint32_t i = 0; i < buffers.size(); ++i)
    if (buffers[i].kind == BufferKind::Parameter || buffers[i].kind == BufferKind::Constant ||
        buffers[i].kind == BufferKind::State || buffers[i].kind == BufferKind::Setting)
      add(i);
  for (const auto &[name, index] : program.inputs)
    add(index);
  std::set<uint32_t> written;
  for (const Program &setup : session.manifest().programs)
    if (setup.role == "setup")
      for (const Launch &launch : setup.launches)
        written.insert(launch.arguments.begin(), launch.arguments.end());
  for (const Launch &launch : program.launches)
    for (uint32_t argument : launch.arguments)
      if (written.count(argument))
        add(argument);
  return results;
}

/// Says which results differ; true if none does.
bool compareResults(const char *what, const Results &first, const Results &second) {
  size_t bytes = 0, differing = 0;
  std::string names;
  for (const auto &[name, data] : first) {
    bytes += data.size();
    if (data == second.at(name))
      continue;
    if (++differing <= 12 || !name.starts_with("gradient."))
      names += " " + name;
  }
  if (differing)
    std::printf("%s: DIFFERS in %zu of %zu buffers:%s\n", what, differing, first.size(),
                names.c_str());
  else
    std::printf("%s: the same bits in %zu bytes\n", what, bytes);
  return !differing;
}

/// The same for the same bits, whatever the bundle's launches: to compare bundles of one spec.
uint64_t hashResults(const Results &results) {
  uint64_t hash = 1469598103934665603u;
  for (const auto &[name, data] : results)
    for (size_t at = 0; at < data.size(); at += 8) {
      uint64_t word = 0;
      std::memcpy(&word, data.data() + at, std::min<size_t>(8, data.size() - at));
      hash = (hash ^ word) * 1099511628211u;
    }
  return hash;
}

/// A hash of 24 pieces of a buffer: what differs between runs seldom differs in one place alone.
uint64_t hashPieces(Session &session, uint64_t offset, uint64_t bytes) {
  constexpr uint64_t kPieces = 24, kPiece = 64 << 10;
  static std::vector<uint64_t> words(kPiece / 8);
  uint64_t hash = 1469598103934665603u, last = bytes > kPiece ? bytes - kPiece : 0;
  for (uint64_t i = 0; i < kPieces; ++i) {
    auto piece = std::as_writable_bytes(std::span(words)).first(std::min(bytes, kPiece));
    std::fill(words.begin(), words.end(), 0);
    check(session.device().copyOut(offset + last / (kPieces - 1) * i, piece));
    for (uint64_t word : words)
      hash = (hash ^ word) * 1099511628211u;
    if (last == 0)
      break;
  }
  return hash;
}

/// Runs the program twice, launch by launch, and names the first launches after which a buffer
/// holds other bytes the second time.
void findRaces(Session &session, const Program &program, const Batch &batch) {
  std::vector<DeviceLaunch> launches = session.resolve(program);
  std::vector<DeviceProgram> parts;
  for (const DeviceLaunch &launch : launches)
    parts.push_back(take(session.device().addProgram({launch})));
  std::vector<std::vector<uint64_t>> first;
  size_t found = 0;
  for (int run = 0; run < 2; ++run) {
    poison(session, program, std::byte(run ? 0xff : 0));
    check(session.writeBatch(program, batch));
    for (size_t i = 0; i < launches.size() && found < 12; ++i) {
      check(session.device().run(parts[i]));
      const Launch &launch = program.launches[i];
      std::vector<uint64_t> hashes;
      for (size_t k = 0; k < launch.arguments.size(); ++k) {
        const Buffer &buffer = session.manifest().buffers[launch.arguments[k]];
        hashes.push_back(
            hashPieces(session, buffer.offset, *shapeBytes(buffer.shape, buffer.dtype)));
        if (run == 0 || hashes[k] == first[i][k] ||
            buffer.name.find(".scratch.") != std::string::npos)
          continue;
        ++found;
        std::printf("launch %zu \"%s\" (%s): argument %zu, %s, differs\n", i, launch.label.c_str(),
                    session.manifest().kernels[launch.kernel].name.c_str(), k, buffer.name.c_str());
      }
      if (run == 0)
        first.push_back(std::move(hashes));
    }
  }
  if (!found)
    std::puts("launch by launch, two runs are the same");
}

/// The medians of single runs, each waited for.
std::vector<double> timeRuns(Session &session, const Program &program, int rounds) {
  std::vector<double> times;
  for (int i = 0; i < rounds; ++i) {
    Clock::time_point start = Clock::now();
    check(session.run(program));
    check(session.device().synchronize());
    times.push_back(microsecondsSince(start) / 1000);
  }
  std::sort(times.begin(), times.end());
  return times;
}

void printTimes(const Program &program, const std::vector<double> &times) {
  size_t n = times.size();
  std::printf("%s: median %.3f ms (p10 %.3f, p90 %.3f, %zu runs), %zu launches\n",
              program.name.c_str(), times[n / 2], times[n / 10], times[n * 9 / 10], n,
              program.launches.size());
}

/// What the host does for a micro-batch that waits for nothing.
void printHostTime(Session &session, const Program &program, const Batch &batch, int64_t step) {
  ScalarPlan plan =
      session.planScalars({program.outputs.at("objective"), program.outputs.at("loss_sum")});
  std::vector<double> times;
  for (int i = 0; i < 12; ++i) {
    check(session.device().synchronize());
    Clock::time_point start = Clock::now();
    check(session.applySettings(step + i % 2));
    check(session.applyAutomaticSettings(step + i % 2, 0));
    check(session.runOnBatch(program, batch));
    DeviceRead read = take(session.startScalars(plan));
    times.push_back(microsecondsSince(start));
    take(session.finishScalars(plan, read));
  }
  std::sort(times.begin(), times.end());
  std::printf("host work of a micro-batch: median %.1f us (most %.1f)\n", times[6], times.back());
}
} // namespace

int main(int argc, char **argv) {
  Options options = parse(argc, argv);
  std::setvbuf(stdout, nullptr, _IOLBF, 0); // A run that is stopped has said what it knew.
  Clock::time_point begin = Clock::now();
  auto session = take(Session::open(options.bundle));
  const Manifest &manifest = session->manifest();
  if (options.stage >= manifest.training.stages.size())
    fail("gpu_step",
         "the bundle has " + std::to_string(manifest.training.stages.size()) + " stages");
  const Stage &stage = manifest.training.stages[options.stage];
  const Program &program = *manifest.findProgram(stage.program);
  std::string device = session->device().description();
  check(session->initialise(1));
  randomise(*session);
  int64_t step = std::min(stage.first + 10, stage.last);
  check(session->applySettings(step));
  check(session->applyAutomaticSettings(0, 0)); // Gradients begin anew.
  Batch batch = makeBatch(program, manifest.data.vocabulary, 400, 6);
  check(session->writeBatch(program, batch));
  Results kept = readKept(*session, program);
  check(session->run(program));
  double loss = take(session->readOutput(program, "loss_sum")) / double(program.tokens);
  std::printf("%s on %s, stage %zu of %zu: %ld tokens, arena %.1f MiB, ready after %.1f s\n",
              manifest.name.c_str(), device.c_str(), options.stage + 1,
              manifest.training.stages.size(), long(program.tokens),
              double(manifest.arenaBytes) / 1048576, microsecondsSince(begin) / 1e6);
  Results first = readResults(*session, program);
  std::printf("loss %.4f, hash of the results %016llx\n", loss,
              static_cast<unsigned long long>(hashResults(first)));
  check(session->runOnBatch(program, batch));
  bool good = std::isfinite(loss);
  good &= compareResults("what a run must leave as it is", kept, readKept(*session, program));
  good &= compareResults("a second run", first, readResults(*session, program));
  poison(*session, program, std::byte(0xff));
  check(session->runOnBatch(program, batch));
  good &= compareResults("a run in poisoned memory", first, readResults(*session, program));
  std::printf("loss then %.6f, first %.6f\n",
              take(session->readOutput(program, "loss_sum")) / double(program.tokens), loss);
  if (options.races)
    findRaces(*session, program, batch);
  std::vector<double> times = timeRuns(*session, program, options.rounds);
  printTimes(program, times);
  printHostTime(*session, program, batch, step);

  std::vector<ProgramTiming> profile;
  check(session->writeBatch(program, batch));
  profile.push_back(take(profileProgram(*session, program, 5)));
  if (options.updates) { // Before they are timed: how often they run then depends on the time.
    for (const Update &update : manifest.training.updates)
      check(session->run(*manifest.findProgram(update.program)));
    std::printf("hash of parameters and states after the updates %016llx\n",
                static_cast<unsigned long long>(hashResults(readKept(*session, program))));
  }
  if (options.updates)
    for (const Update &update : manifest.training.updates) {
      const Program &each = *manifest.findProgram(update.program);
      printTimes(each, timeRuns(*session, each, 6));
      profile.push_back(take(profileProgram(*session, each, 3)));
    }
  if (!options.trace.empty())
    check(writeFileAtomically(options.trace, writeChromeTrace(profile, device)));
  std::fputs(writeProfileTable(profile, ratesOf(device), options.rows).c_str(), stdout);
  return good ? 0 : 1;
}
