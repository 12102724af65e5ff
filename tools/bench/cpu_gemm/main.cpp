//===- main.cpp - cpu_gemm: Smelt's fused gemm beside oneDNN's --------------===//
// Both compute relu(op(A)·op(B)) in f32 from plain row-major matrices, on the same OpenMP runtime
// and number of threads, in turns within one process. Results are checked against double precision
// before anything is timed.
#include "tools/bench/cpu_gemm/DnnlGemm.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <functional>
#include <random>

extern "C" void omp_set_num_threads(int);

using namespace smelt::bench;

namespace {

struct Options {
  std::vector<GemmShape> shapes;
  std::vector<int> threads = {1, 2};
  int rounds = 15;
  bool identity = false, cpuTime = false;
  std::string dump;
};

int usage() {
  std::fprintf(
      stderr,
      "usage: cpu_gemm [--threads N] [--rounds N] [--identity] [--cpu-time] [--dump PREFIX] "
      "[MxNxK[:ta][:tb]]…\n"
      "Default: 2048x768x768 and 512x512x512 on 1 and 2 threads. --identity leaves out the relu;\n"
      "--cpu-time times by the calling thread's CPU clock (for one thread on a busy machine).\n");
  return 2;
}

bool parse(int count, char **arguments, Options &options) {
  for (int i = 1; i < count; ++i) {
    std::string argument = arguments[i];
    auto next = [&]() -> const char * { return i + 1 < count ? arguments[++i] : ""; };
    if (argument == "--threads")
      options.threads = {std::atoi(next())};
    else if (argument == "--rounds")
      options.rounds = std::atoi(next());
    else if (argument == "--identity")
      options.identity = true;
    else if (argument == "--cpu-time")
      options.cpuTime = true;
    else if (argument == "--dump")
      options.dump = next();
    else {
      GemmShape shape{};
      if (std::sscanf(argument.c_str(), "%ldx%ldx%ld", &shape.m, &shape.n, &shape.k) != 3 ||
          shape.m < 1 || shape.n < 1 || shape.k < 1)
        return false;
      shape.transposeA = argument.find(":ta") != std::string::npos;
      shape.transposeB = argument.find(":tb") != std::string::npos;
      options.shapes.push_back(shape);
    }
  }
  if (options.shapes.empty())
    options.shapes = {{2048, 768, 768}, {512, 512, 512}};
  return options.threads[0] > 0 && options.rounds > 0;
}

/// Largest error of some rows against double precision, relative to the largest value that the row
/// could have.
double checkRows(const GemmShape &s, bool identity, const std::vector<float> &a,
                 const std::vector<float> &b, const std::vector<float> &c) {
  double worst = 0;
  for (int64_t i = 0; i < s.m; i += std::max<int64_t>(1, s.m / 13))
    for (int64_t j = 0; j < s.n; ++j) {
      double sum = 0, scale = 0;
      for (int64_t k = 0; k < s.k; ++k) {
        double product = double(a[s.transposeA ? k * s.m + i : i * s.k + k]) *
                         b[s.transposeB ? j * s.k + k : k * s.n + j];
        sum += product;
        scale += std::fabs(product);
      }
      double error = std::fabs(c[i * s.n + j] - (identity ? sum : std::max(sum, 0.0))) / scale;
      if (!(error <= worst))
        worst = error;
    }
  return worst;
}

clockid_t timer = CLOCK_MONOTONIC;

double now() {
  timespec time{};
  clock_gettime(timer, &time);
  return double(time.tv_sec) + 1e-9 * double(time.tv_nsec);
}

/// Seconds per call.
double measure(int repeats, const std::function<void()> &body) {
  double start = now();
  for (int i = 0; i < repeats; ++i)
    body();
  return (now() - start) / repeats;
}

struct Statistics {
  double median, low, high;
};
Statistics summarise(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {values[values.size() / 2], values[values.size() / 10],
          values[values.size() - 1 - values.size() / 10]};
}

bool compare(const GemmShape &s, const Options &options) {
  SmeltGemm ours(s, options.identity, options.dump);
  DnnlGemm theirs(s, options.identity);
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::vector<float> a(s.m * s.k), b(s.k * s.n), ourC(s.m * s.n), theirC(s.m * s.n);
  std::generate(a.begin(), a.end(), [&] { return normal(random); });
  std::generate(b.begin(), b.end(), [&] { return normal(random); });
  std::printf("%ldx%ldx%ld%s%s, %s, compiled in %.2f s\n", s.m, s.n, s.k,
              s.transposeA ? " transpose_a" : "", s.transposeB ? " transpose_b" : "",
              theirs.describe().c_str(), ours.compileSeconds);

  double flops = 2.0 * s.m * s.n * s.k;
  for (int threads : options.threads) {
    omp_set_num_threads(threads);
    std::fill(ourC.begin(), ourC.end(), std::nanf(""));
    std::fill(theirC.begin(), theirC.end(), std::nanf(""));
    auto runOurs = [&] { ours.run(a.data(), b.data(), ourC.data()); };
    auto runTheirs = [&] { theirs.run(a.data(), b.data(), theirC.data()); };
    runOurs();
    runTheirs();
    double ourError = checkRows(s, options.identity, a, b, ourC),
           theirError = checkRows(s, options.identity, a, b, theirC);
    if (!(ourError <= 1e-5) || !(theirError <= 1e-5)) {
      std::printf("  wrong results: relative error %g (smelt), %g (oneDNN)\n", ourError,
                  theirError);
      return false;
    }
    int repeats = std::max(1, int(0.02 / measure(1, runTheirs)));
    std::vector<double> our, their, ratio;
    for (int round = 0; round < options.rounds; ++round) {
      // Who goes first changes from round to round.
      double first = measure(repeats, round % 2 ? std::function<void()>(runTheirs) : runOurs);
      double second = measure(repeats, round % 2 ? std::function<void()>(runOurs) : runTheirs);
      our.push_back(flops / (round % 2 ? second : first) * 1e-9);
      their.push_back(flops / (round % 2 ? first : second) * 1e-9);
      ratio.push_back(our.back() / their.back());
    }
    Statistics o = summarise(our), t = summarise(their), r = summarise(ratio);
    std::printf("  %d thread%s: smelt %.1f (%.1f–%.1f) GFLOP/s, oneDNN %.1f (%.1f–%.1f), ratio "
                "%.3f (%.3f–%.3f), best %.3f, error %.1e\n",
                threads, threads == 1 ? " " : "s", o.median, o.low, o.high, t.median, t.low, t.high,
                r.median, r.low, r.high,
                *std::max_element(our.begin(), our.end()) /
                    *std::max_element(their.begin(), their.end()),
                ourError);
    std::fflush(stdout);
  }
  return true;
}

} // namespace

int main(int count, char **arguments) {
  Options options;
  if (!parse(count, arguments, options))
    return usage();
  if (options.cpuTime)
    timer = CLOCK_THREAD_CPUTIME_ID;
  std::printf("relu(A·B) in f32; median (10th–90th percentile) of %d rounds in turns\n",
              options.rounds);
  for (const GemmShape &shape : options.shapes)
    if (!compare(shape, options))
      return 1;
  return 0;
}
