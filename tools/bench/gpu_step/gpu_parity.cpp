//===- gpu_parity.cpp - One spec's bundles, step by step ------------------===//
//
//   gpu_parity REFERENCE OTHER... [--steps N] [--first N] [--verbose]
//
// Bundles of one spec: REFERENCE as exact as there is (the CPU's with --precision f32), the others
// as they train (the CPU's with --activations bf16, a GPU's). All get the same random weights and
// the same batches. Prints for each of the others the relative error of the first loss, of every
// gradient (‖g − g*‖/‖g*‖: the worst tensor, the median of all) and of the losses of N steps with
// updates. The last is judged by those before it: exit code 1 if its errors are above one and a
// half times the largest of theirs (with one OTHER: not judged), or not numbers.
//
//===----------------------------------------------------------------------===//
#include "tools/bench/gpu_step/Inputs.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

using namespace smelt::runtime;
using namespace smelt::runtime::bench;

namespace {
using Gradients = std::map<std::string, std::vector<double>>;

struct Run {
  std::string path;
  Gradients gradients; ///< After the first micro-batches.
  std::vector<double> losses;
};

const Stage &stageAt(const Training &training, int64_t step) {
  for (const Stage &stage : training.stages)
    if (step <= stage.last)
      return stage;
  return training.stages.back();
}

Gradients readGradients(Session &session) {
  Gradients gradients;
  Snapshot snapshot = take(session.snapshot({BufferKind::Gradient}));
  for (const auto &[name, view] : snapshot.tensors()) {
    if (name.find("bank.") != std::string::npos)
      continue; // Its ranges come by their own names.
    std::vector<double> &values = gradients[name];
    for (size_t at = 0, size = dtypeBytes(view.dtype); at < view.data.size(); at += size)
      values.push_back(loadElement(view.dtype, view.data.data() + at));
  }
  return gradients;
}

Run runBundle(const std::string &path, int64_t first, int64_t steps) {
  Run run{path, {}, {}};
  auto session = take(Session::open(path));
  const Manifest &manifest = session->manifest();
  check(session->initialise(1));
  randomise(*session);
  for (int64_t step = first; step < first + steps; ++step) {
    const Stage &stage = stageAt(manifest.training, step);
    const Program &program = *manifest.findProgram(stage.program);
    check(session->applySettings(step));
    double sum = 0;
    for (int64_t micro = 0; micro < stage.microBatches; ++micro) {
      check(session->applyAutomaticSettings(step - first, micro));
      check(session->runOnBatch(program, makeBatch(program, manifest.data.vocabulary, 60,
                                                   static_cast<uint64_t>(100 * step + micro))));
      sum += take(session->readOutput(program, "loss_sum"));
    }
    run.losses.push_back(sum / double(program.tokens * stage.microBatches));
    if (step == first)
      run.gradients = readGradients(*session);
    for (const Update &update : manifest.training.updates)
      if (update.period.isDue(step - first))
        check(session->run(*manifest.findProgram(update.program)));
  }
  return run;
}

/// The learned scalars count as one tensor, as in the records.
std::map<std::string, double> compareGradients(const Gradients &actual, const Gradients &expected) {
  std::map<std::string, std::pair<double, double>> sums;
  for (const auto &[name, values] : actual) {
    auto it = expected.find(name);
    if (it == expected.end() || it->second.size() != values.size())
      fail("gpu_parity", "the bundles differ in " + name);
    auto &[difference, norm] = sums[values.size() == 1 ? "scalars" : name];
    for (size_t i = 0; i < values.size(); ++i) {
      difference += (values[i] - it->second[i]) * (values[i] - it->second[i]);
      norm += it->second[i] * it->second[i];
    }
  }
  std::map<std::string, double> errors;
  for (const auto &[name, sum] : sums)
    errors[name] = std::sqrt(sum.first / sum.second);
  return errors;
}

struct Errors {
  double loss = 0, worst = 0, median = 0, steps = 0;
  std::string worstName;
};

Errors judge(const Run &run, const Run &reference, bool verbose) {
  Errors errors;
  errors.loss = std::abs(run.losses[0] / reference.losses[0] - 1);
  std::vector<double> all;
  for (const auto &[name, error] : compareGradients(run.gradients, reference.gradients)) {
    if (verbose)
      std::printf("    %-48s %9.2e\n", name.c_str(), error);
    all.push_back(error);
    if (!(error <= errors.worst)) {
      errors.worst = error;
      errors.worstName = name;
    }
  }
  std::nth_element(all.begin(), all.begin() + all.size() / 2, all.end());
  errors.median = all[all.size() / 2];
  for (size_t i = 0; i < run.losses.size(); ++i) {
    double error = std::abs(run.losses[i] / reference.losses[i] - 1);
    errors.steps = error <= errors.steps ? errors.steps : error;
  }
  return errors;
}
} // namespace

int main(int argc, char **argv) {
  std::vector<std::string> bundles;
  int64_t steps = 20, first = 0;
  bool verbose = false;
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    if (word == "--steps" && i + 1 < argc)
      steps = std::atoll(argv[++i]);
    else if (word == "--first" && i + 1 < argc)
      first = std::atoll(argv[++i]);
    else if (word == "--verbose")
      verbose = true;
    else
      bundles.push_back(word);
  }
  if (bundles.size() < 2 || steps < 1)
    fail("usage", "gpu_parity REFERENCE OTHER... [--steps N] [--first N] [--verbose]");
  std::vector<Run> runs;
  for (const std::string &path : bundles)
    runs.push_back(runBundle(path, first, steps));
  std::printf("%-28s %9s %9s %9s %10s  %s\n", "bundle", "loss", "gradients", "median", "losses",
              "worst tensor");
  std::vector<Errors> errors;
  for (size_t i = 1; i < runs.size(); ++i) {
    errors.push_back(judge(runs[i], runs[0], verbose));
    const Errors &e = errors.back();
    std::printf("%-28s %9.2e %9.2e %9.2e %10.2e  %s\n", runs[i].path.c_str(), e.loss, e.worst,
                e.median, e.steps, e.worstName.c_str());
  }
  for (size_t i = 0; i < runs[0].losses.size();
       i += std::max<size_t>(runs[0].losses.size() / 5, 1)) {
    std::printf("step %zu:", i + 1);
    for (const Run &run : runs)
      std::printf(" %.6f", run.losses[i]);
    std::printf("\n");
  }
  const Errors &last = errors.back();
  bool good = std::isfinite(last.worst) && std::isfinite(last.steps);
  Errors bound;
  for (size_t i = 0; i + 1 < errors.size(); ++i) {
    bound.worst = std::max(bound.worst, errors[i].worst);
    bound.median = std::max(bound.median, errors[i].median);
  }
  if (errors.size() > 1)
    good = good && last.worst <= 1.5 * bound.worst && last.median <= 1.5 * bound.median;
  std::puts(good ? "ok" : "FAILED");
  return good ? 0 : 1;
}
