//===- gpu_step.cpp - What a bundle's training step costs -----------------===//
//
//   gpu_step BUNDLE [--stage N] [--rounds N] [--rows N] [--updates] [--trace FILE]
//
// Runs the forward and backward program of a training stage on random weights (none of them zero,
// so that nothing is cheaper than in training) and packed documents of median length 400, cut at
// 2048. Prints its median time with 10th and 90th percentile, what the host does for a micro-batch,
// launches, memory, whether two runs give the same bits, and a table of its kernels against the
// device's rates. --updates: the update programs too. Exit code 1 if bits differ or the loss is not
// finite.
//
//===----------------------------------------------------------------------===//
#include "runtime/base/Files.h"
#include "runtime/train/Profile.h"
#include "tools/bench/gpu_step/Inputs.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

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
  bool updates = false;
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
    else if (word == "--updates")
      options.updates = true;
    else if (options.bundle.empty() && !word.starts_with("-"))
      options.bundle = word;
    else
      fail("gpu_step",
           "usage: gpu_step BUNDLE [--stage N] [--rounds N] [--rows N] [--updates] [--trace FILE]");
  }
  if (options.bundle.empty())
    fail("gpu_step", "no bundle");
  return options;
}

/// Everything the program leaves for the next: gradients and losses.
std::vector<std::byte> readResults(Session &session, const Program &program) {
  std::vector<std::byte> all;
  auto append = [&](const Buffer &buffer) {
    size_t at = all.size();
    all.resize(at + *shapeBytes(buffer.shape, buffer.dtype));
    check(session.device().copyOut(buffer.offset, std::span(all).subspan(at)));
  };
  for (const Buffer &buffer : session.manifest().buffers)
    if (buffer.kind == BufferKind::Gradient && !buffer.base)
      append(buffer);
  for (const auto &[name, index] : program.outputs)
    append(session.manifest().buffers[index]);
  return all;
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
  check(session->runOnBatch(program, batch));
  double loss = take(session->readOutput(program, "loss_sum")) / double(program.tokens);
  std::printf("%s on %s, stage %zu of %zu: %ld tokens, arena %.1f MiB, ready after %.1f s\n",
              manifest.name.c_str(), device.c_str(), options.stage + 1,
              manifest.training.stages.size(), long(program.tokens),
              double(manifest.arenaBytes) / 1048576, microsecondsSince(begin) / 1e6);
  std::vector<std::byte> first = readResults(*session, program);
  check(session->runOnBatch(program, batch));
  std::vector<std::byte> second = readResults(*session, program);
  bool same = first == second, good = same && std::isfinite(loss);
  std::printf("loss %.4f; two runs %s in %zu bytes of gradients and losses\n", loss,
              same ? "give the same bits" : "DIFFER", first.size());
  std::vector<double> times = timeRuns(*session, program, options.rounds);
  printTimes(program, times);
  printHostTime(*session, program, batch, step);

  std::vector<ProgramTiming> profile;
  check(session->writeBatch(program, batch));
  profile.push_back(take(profileProgram(*session, program, 5)));
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
