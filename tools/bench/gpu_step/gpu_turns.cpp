//===- gpu_turns.cpp - A bundle's step, a few at a time, when asked -------===//
//
//   gpu_turns BUNDLE
//
// For a driver that alternates several contestants on one GPU (tools/bench/gpu/alternate.py).
// Weights are gpu_step's. Answers each line of standard input with one line of JSON:
//   describe STEP FILE   the program of training step STEP: tokens, launches, kernels, memory. FILE
//                        gets its batch: i32 tokens, targets, document starts.
//   run STEP N           milliseconds of each of N runs of forward and backward with the settings
//                        of STEP, enqueued one after the other and waited for at the end
//   updates STEP N       of each update program, the milliseconds of a run
//   walk STEP            runs the program launch by launch and names each before it runs on standard
//                        error: the last line names one that never ends
//
//===----------------------------------------------------------------------===//
#include "tools/bench/gpu_step/Inputs.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>

using namespace smelt::runtime;
using namespace smelt::runtime::bench;

namespace {
using Clock = std::chrono::steady_clock;

double mebibytes(uint64_t bytes) { return double(bytes) / 1048576; }

class Contestant {
public:
  explicit Contestant(const std::string &bundle) : session_(take(Session::open(bundle))) {
    check(session_->initialise(1));
    randomise(*session_);
  }
  const Manifest &manifest() const { return session_->manifest(); }

  const Program &programAt(int64_t step) const {
    for (const Stage &stage : manifest().training.stages)
      if (step <= stage.last)
        return *manifest().findProgram(stage.program);
    fail("gpu_turns", "the bundle has no step " + std::to_string(step));
  }

  void describe(int64_t step, const std::string &file) {
    const Program &program = programAt(step);
    Batch batch = batchOf(program);
    std::ofstream out(file, std::ios::binary);
    for (const std::vector<int32_t> *part : {&batch.tokens, &batch.targets, &batch.documentStart})
      out.write(reinterpret_cast<const char *>(part->data()),
                static_cast<std::streamsize>(part->size() * sizeof(int32_t)));
    if (!out.flush())
      fail("gpu_turns", "cannot write " + file);
    size_t kernels = 0;
    for (const Launch &launch : program.launches)
      kernels += std::max<size_t>(manifest().kernels[launch.kernel].gpu.size(), 1);
    std::map<BufferKind, uint64_t> bytes;
    uint64_t first = manifest().arenaBytes, end = 0;
    for (const Buffer &buffer : manifest().buffers) {
      if (!buffer.base)
        bytes[buffer.kind] += buffer.bytes;
      if (buffer.kind == BufferKind::Workspace && buffer.name.starts_with(program.name + ".")) {
        first = std::min(first, buffer.offset);
        end = std::max(end, buffer.offset + buffer.bytes);
      }
    }
    std::printf("{\"program\": \"%s\", \"tokens\": %ld, \"launches\": %zu, \"kernels\": %zu, "
                "\"arena_mib\": %.0f, \"workspace_mib\": %.0f, \"parameters_mib\": %.0f, "
                "\"gradients_mib\": %.0f, \"states_mib\": %.0f, \"device\": \"%s\"}\n",
                program.name.c_str(), long(program.tokens), program.launches.size(), kernels,
                mebibytes(manifest().arenaBytes), end > first ? mebibytes(end - first) : 0.0,
                mebibytes(bytes[BufferKind::Parameter]), mebibytes(bytes[BufferKind::Gradient]),
                mebibytes(bytes[BufferKind::State]), session_->device().description().c_str());
  }

  void run(int64_t step, int count) {
    const Program &program = programAt(step);
    if (step != step_) {
      check(session_->applySettings(step));
      check(session_->applyAutomaticSettings(0, 0)); // Gradients begin anew.
      check(session_->writeBatch(program, batchOf(program)));
      check(session_->run(program));
      step_ = step;
    }
    std::printf("{\"ms\": %.5f}\n", timePerRun(program, count));
  }

  void updates(int64_t step, int count) {
    check(session_->applySettings(step));
    std::string text;
    for (const Update &update : manifest().training.updates) {
      const Program &program = *manifest().findProgram(update.program);
      check(session_->run(program));
      std::ostringstream one;
      one << (text.empty() ? "" : ", ") << '"' << program.name
          << "\": {\"ms\": " << timePerRun(program, count)
          << ", \"launches\": " << program.launches.size() << '}';
      text += one.str();
    }
    step_ = -1;
    std::printf("{%s}\n", text.c_str());
  }

  void walk(int64_t step) {
    const Program &program = programAt(step);
    check(session_->applySettings(step));
    check(session_->applyAutomaticSettings(0, 0));
    check(session_->writeBatch(program, batchOf(program)));
    std::vector<DeviceLaunch> launches = session_->resolve(program);
    for (size_t i = 0; i < launches.size(); ++i) {
      DeviceProgram one = take(session_->device().addProgram({launches[i]}));
      std::fprintf(stderr, "%zu %s: %s\n", i,
                   manifest().kernels[program.launches[i].kernel].name.c_str(),
                   program.launches[i].label.c_str());
      check(session_->device().run(one));
      check(session_->device().synchronize());
    }
    std::printf("{\"launches\": %zu}\n", launches.size());
  }

private:
  Batch batchOf(const Program &program) const {
    return makeBatch(program, manifest().data.vocabulary, 400, 6);
  }
  double timePerRun(const Program &program, int count) {
    check(session_->device().synchronize());
    Clock::time_point start = Clock::now();
    for (int i = 0; i < count; ++i)
      check(session_->run(program));
    check(session_->device().synchronize());
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count() / count;
  }

  std::unique_ptr<Session> session_;
  int64_t step_ = -1; ///< Whose settings and batch are on the device.
};
} // namespace

int main(int argc, char **argv) {
  if (argc != 2 || argv[1][0] == '-')
    fail("usage", "gpu_turns BUNDLE");
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  Contestant contestant(argv[1]);
  std::puts("{\"ready\": true}");
  std::string line;
  while (std::getline(std::cin, line)) {
    std::istringstream words(line);
    std::string what, file;
    int64_t step = -1;
    int count = 0;
    words >> what >> step;
    if (what == "describe" && words >> file)
      contestant.describe(step, file);
    else if (what == "run" && words >> count && count > 0)
      contestant.run(step, count);
    else if (what == "updates" && words >> count && count > 0)
      contestant.updates(step, count);
    else if (what == "walk" && step >= 0)
      contestant.walk(step);
    else
      fail("gpu_turns", "cannot read \"" + line + "\"");
  }
  return 0;
}
