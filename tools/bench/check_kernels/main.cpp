//===- check_kernels.cpp - Every launch of a bundle on GPU and CPU --------===//
//
//   check_kernels CPU.smelt GPU.smelt [--tolerance 1e-5] [--verbose]
//
// Both bundles come from one spec. The programs run on the CPU with random parameters and tokens,
// launch by launch; before each launch the GPU gets the CPU's operands, so that each kernel is
// judged alone, on the data of a real step. A result that is nothing but rounding (the gradient of
// the scores of a single key) counts against a thousandth of its launch's largest. What the GPU does not write keeps the bytes from before
// the launch, and so differs from what the CPU made of them. Prints the worst
// relative error ‖gpu − cpu‖/‖cpu‖ of each kind of launch; fails above the tolerance (bf16 results:
// 1e-2, one rounding of a bf16 number is up to 4e-3).
//
//===----------------------------------------------------------------------===//
#include "runtime/base/Random.h"
#include "runtime/train/Session.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <set>

using namespace smelt::runtime;

namespace {
struct Side {
  std::unique_ptr<Session> session;
  std::vector<std::vector<DeviceProgram>> launches; ///< One program per launch, by program.
};

Status open(const char *path, const char *device, Side &side) {
  SMELT_ASSIGN_OR_RETURN(side.session, Session::open(path, {device, 0}));
  for (const Program &program : side.session->manifest().programs) {
    std::vector<DeviceProgram> &list = side.launches.emplace_back();
    for (const Launch &launch : program.launches) {
      DeviceLaunch resolved = {launch.kernel, {}};
      for (uint32_t argument : launch.arguments)
        resolved.offsets.push_back(side.session->manifest().buffers[argument].offset);
      SMELT_ASSIGN_OR_RETURN(DeviceProgram handle, side.session->device().addProgram({resolved}));
      list.push_back(handle);
    }
  }
  return Status::ok();
}

uint64_t sizeOf(const Buffer &buffer) { return *shapeBytes(buffer.shape, buffer.dtype); }

StatusOr<std::vector<std::byte>> read(Side &side, uint32_t index) {
  const Buffer &buffer = side.session->manifest().buffers[index];
  std::vector<std::byte> data(sizeOf(buffer));
  SMELT_RETURN_IF_ERROR(side.session->device().copyOut(buffer.offset, data));
  return data;
}

Status write(Side &side, uint32_t index, std::span<const std::byte> data) {
  return side.session->device().copyIn(side.session->manifest().buffers[index].offset, data);
}

/// Random parameters: zero-initialised ones would hide everything behind them.
Status randomise(Side &cpu) {
  const Manifest &manifest = cpu.session->manifest();
  for (uint32_t i = 0; i < manifest.buffers.size(); ++i) {
    const Buffer &buffer = manifest.buffers[i];
    if (buffer.kind != BufferKind::Parameter) // Ranges of banks among them.
      continue;
    RandomStream random(7, buffer.name);
    std::vector<std::byte> data(sizeOf(buffer));
    uint64_t size = dtypeBytes(buffer.dtype);
    double deviation = buffer.shape.empty() ? 0.5 : 0.15;
    for (uint64_t j = 0; j < data.size() / size; ++j)
      storeElement(buffer.dtype, deviation * random.normal(j) + (buffer.shape.empty() ? 1 : 0),
                   data.data() + j * size);
    SMELT_RETURN_IF_ERROR(write(cpu, i, data));
  }
  return Status::ok();
}

/// Tokens, targets (some masked) and documents of different lengths, one token among them.
Status fillInputs(Side &cpu, const Program &program) {
  RandomStream random(11, program.name);
  int64_t vocabulary = cpu.session->manifest().data.vocabulary;
  std::vector<int32_t> tokens, targets, starts;
  int32_t start = 0;
  for (int64_t i = 0; i < program.tokens; ++i) {
    auto index = static_cast<uint64_t>(i);
    tokens.push_back(static_cast<int32_t>(random.below(2 * index, vocabulary)));
    targets.push_back(i % 7 == 3 ? -1
                                 : static_cast<int32_t>(random.below(2 * index + 1, vocabulary)));
    if (i % 97 == 50 || i % 61 == 51 || i % 61 == 52)
      start = static_cast<int32_t>(i);
    starts.push_back(start);
  }
  for (const auto &[name, buffer] : program.inputs)
    SMELT_RETURN_IF_ERROR(cpu.session->writeInput(program, name.c_str(),
                                                  name == "tokens"    ? tokens
                                                  : name == "targets" ? targets
                                                                      : starts));
  return Status::ok();
}

struct Worst {
  double error = 0;
  std::string where;
  size_t launches = 0;
};

struct Difference {
  double difference = 0, norm = 0; ///< Squared.
};

Difference measure(const Buffer &buffer, std::span<const std::byte> gpu,
                   std::span<const std::byte> cpu) {
  uint64_t size = dtypeBytes(buffer.dtype);
  Difference result;
  for (uint64_t i = 0; i < cpu.size(); i += size) {
    double a = loadElement(buffer.dtype, gpu.data() + i);
    double b = loadElement(buffer.dtype, cpu.data() + i);
    if (!std::isfinite(b) && (std::isnan(a) == std::isnan(b)) && (std::isnan(a) || a == b))
      continue; // The same infinity, or no number on both sides.
    result.difference += (a - b) * (a - b);
    result.norm += b * b;
  }
  return result;
}

/// The low halves of masters: last places of f32 numbers, of which the high halves are another
/// buffer. The lowest of them may differ, and carry.
Difference measureLowBits(std::span<const std::byte> gpu, std::span<const std::byte> cpu) {
  Difference result;
  for (uint64_t i = 0; i + 2 <= cpu.size(); i += 2) {
    uint16_t a, b;
    std::memcpy(&a, gpu.data() + i, 2), std::memcpy(&b, cpu.data() + i, 2);
    double places = static_cast<int16_t>(a - b) * 0x1p-23;
    result.difference += places * places;
    result.norm += 1;
  }
  return result;
}

/// A kernel's workspace: each target's own.
bool isScratch(const Buffer &buffer) { return buffer.name.find(".scratch.") != std::string::npos; }

/// What a launch is, whatever the target: its kernel and its buffers, all but the workspace.
std::string keyOf(const Manifest &manifest, const Launch &launch) {
  std::string key = manifest.kernels[launch.kernel].name;
  for (uint32_t argument : launch.arguments)
    if (!isScratch(manifest.buffers[argument]))
      key += " " + manifest.buffers[argument].name;
  return key;
}

/// One launch on both sides; its worst result.
StatusOr<Worst> check(Side &cpu, Side &gpu, size_t program, size_t index, size_t gpuIndex) {
  const Launch &onCpu = cpu.session->manifest().programs[program].launches[index];
  const Launch &onGpu = gpu.session->manifest().programs[program].launches[gpuIndex];
  const auto &cpuBuffers = cpu.session->manifest().buffers;
  const auto &gpuBuffers = gpu.session->manifest().buffers;
  size_t count = std::min(onCpu.arguments.size(), onGpu.arguments.size());
  std::vector<std::pair<uint32_t, uint32_t>> shared;
  for (size_t i = 0; i < count; ++i) {
    const Buffer &a = cpuBuffers[onCpu.arguments[i]], &b = gpuBuffers[onGpu.arguments[i]];
    if (!isScratch(a) && a.name == b.name && a.shape == b.shape && a.dtype == b.dtype)
      shared.push_back({onCpu.arguments[i], onGpu.arguments[i]});
  }
  std::vector<std::vector<std::byte>> before, after;
  for (auto [a, b] : shared) {
    SMELT_ASSIGN_OR_RETURN(std::vector<std::byte> data, read(cpu, a));
    SMELT_RETURN_IF_ERROR(write(gpu, b, data));
    before.push_back(std::move(data));
  }
  SMELT_RETURN_IF_ERROR(cpu.session->device().run(cpu.launches[program][index]));
  for (auto [a, b] : shared) {
    SMELT_ASSIGN_OR_RETURN(std::vector<std::byte> data, read(cpu, a));
    after.push_back(std::move(data));
  }
  SMELT_RETURN_IF_ERROR(gpu.session->device().run(gpu.launches[program][gpuIndex]));
  Worst worst;
  std::vector<Difference> differences;
  double largest = 0;
  for (size_t i = 0; i < shared.size(); ++i) {
    SMELT_ASSIGN_OR_RETURN(std::vector<std::byte> data, read(gpu, shared[i].second));
    const Buffer &buffer = cpuBuffers[shared[i].first];
    differences.push_back(measure(buffer, data, after[i]));
    if (after[i] != before[i] && isFloat(buffer.dtype))
      largest = std::max(largest, differences.back().norm);
    if (buffer.dtype == DType::I16)
      differences.back() = measureLowBits(data, after[i]);
    else if (!isFloat(buffer.dtype) && data != after[i])
      differences.back() = {1, 0};
  }
  for (size_t i = 0; i < shared.size(); ++i) {
    const Buffer &buffer = cpuBuffers[shared[i].first];
    const Difference &each = differences[i];
    double scale = std::max(each.norm, 1e-6 * largest);
    bool isLow = buffer.dtype == DType::I16;
    double error =
        std::sqrt(each.difference / (scale > 0 && (isLow || isFloat(buffer.dtype)) ? scale : 1));
    if (dtypeBytes(buffer.dtype) < 4 && !isLow)
      error /= 1000; // 1e-2 is as good here as 1e-5 for f32.
    if (!(error <= worst.error)) {
      worst.error = error;
      worst.where = buffer.name;
    }
  }
  return worst;
}

Status compare(Side &cpu, Side &gpu, double tolerance, bool verbose) {
  const Manifest &a = cpu.session->manifest(), &b = gpu.session->manifest();
  SMELT_RETURN_IF_ERROR(cpu.session->initialise(1));
  SMELT_RETURN_IF_ERROR(gpu.session->initialise(1));
  SMELT_RETURN_IF_ERROR(randomise(cpu));
  SMELT_RETURN_IF_ERROR(cpu.session->applySettings(3));
  SMELT_RETURN_IF_ERROR(gpu.session->applySettings(3));
  SMELT_RETURN_IF_ERROR(cpu.session->setAutomaticSetting("step", 4));
  SMELT_RETURN_IF_ERROR(cpu.session->setAutomaticSetting("accumulate", 0));
  if (a.programs.size() != b.programs.size())
    return usageError("the bundles have different programs");
  size_t failures = 0, launches = 0;
  std::map<std::string, Worst> kinds;
  for (size_t p = 0; p < a.programs.size(); ++p) {
    if (a.programs[p].launches.size() != b.programs[p].launches.size())
      return usageError(a.programs[p].name, " has different launches in the two bundles");
    if (a.programs[p].tokens)
      SMELT_RETURN_IF_ERROR(fillInputs(cpu, a.programs[p]));
    // The two targets may have the same launches in another order.
    std::map<std::string, size_t> onGpu;
    for (size_t i = 0; i < b.programs[p].launches.size(); ++i)
      onGpu[keyOf(b, b.programs[p].launches[i])] = i;
    for (size_t i = 0; i < a.programs[p].launches.size(); ++i) {
      const Launch &launch = a.programs[p].launches[i];
      auto same = onGpu.find(keyOf(a, launch));
      if (same == onGpu.end())
        return usageError(a.programs[p].name, " has different launches in the two bundles: ",
                          launch.label);
      StatusOr<Worst> checked = check(cpu, gpu, p, i, same->second);
      if (!checked.isOk())
        return checked.status().withContext(launch.label);
      ++launches;
      bool bad = !(checked->error <= tolerance);
      failures += bad;
      std::string kind = launch.label.substr(0, launch.label.find_first_of(" :"));
      Worst &worst = kinds[kind];
      ++worst.launches;
      if (!(checked->error <= worst.error))
        worst.error = checked->error, worst.where = launch.label;
      if (bad || verbose)
        std::printf("%s %s[%zu] %s: %.2e in %s\n", bad ? "WRONG" : "ok", a.programs[p].name.c_str(),
                    i, launch.label.c_str(), checked->error, checked->where.c_str());
    }
  }
  for (const auto &[kind, worst] : kinds)
    std::printf("%-22s %4zu launches  worst %.2e  %s\n", kind.c_str(), worst.launches, worst.error,
                worst.where.c_str());
  std::printf("%zu launches, %zu wrong\n", launches, failures);
  return failures ? internalError(failures, " launches differ") : Status::ok();
}
} // namespace

int main(int argc, char **argv) {
  double tolerance = 1e-5;
  bool verbose = false;
  std::vector<const char *> paths;
  for (int i = 1; i < argc; ++i) {
    if (!std::strcmp(argv[i], "--tolerance") && i + 1 < argc)
      tolerance = std::atof(argv[++i]);
    else if (!std::strcmp(argv[i], "--verbose"))
      verbose = true;
    else
      paths.push_back(argv[i]);
  }
  if (paths.size() != 2) {
    std::fprintf(stderr, "usage: check_kernels CPU.smelt GPU.smelt [--tolerance T] [--verbose]\n");
    return 2;
  }
  Side cpu, gpu;
  Status status = open(paths[0], "cpu", cpu);
  if (status.isOk())
    status = open(paths[1], "cuda", gpu);
  if (status.isOk())
    status = compare(cpu, gpu, tolerance, verbose);
  if (!status.isOk())
    std::fprintf(stderr, "check_kernels: %s\n", status.message().c_str());
  return exitCode(status.code());
}
