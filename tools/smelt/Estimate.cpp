//===- Estimate.cpp - What a run of a spec costs --------------------------===//
#include "tools/smelt/Estimate.h"

#include "dialects/Exec/ExecOps.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace smelt::cli {
namespace {

// Memory that a program finds free, and dense bf16 rates, from the data sheets.
constexpr GpuModel gpus[] = {
    {"a100", 80e9, 312e12},
    {"h100", 80e9, 989e12},
    {"h200", 141e9, 989e12},
};

/// 1234567 as "1,234,567".
std::string group(int64_t number) {
  std::string digits = std::to_string(number);
  for (int64_t at = static_cast<int64_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(at, ",");
  return digits;
}

std::string gigabytes(double bytes) { return llvm::formatv("{0:F3} GB", bytes / 1e9).str(); }

int64_t getInteger(Operation *op, StringRef name, int64_t otherwise) {
  auto value = op->getAttrOfType<IntegerAttr>(name);
  return value ? value.getInt() : otherwise;
}

void printStages(const ModelCost &cost, int64_t ranks, const GpuModel *gpu,
                 llvm::raw_ostream &out) {
  out << "stages\n";
  for (const StageCost &stage : cost.stages) {
    double flops = stage.flopsPerToken * stage.tokens;
    out << "  steps " << stage.firstStep << "-" << stage.lastStep << ": " << group(stage.tokens)
        << " tokens a step, " << stage.microBatches / ranks << " micro-batch"
        << (stage.microBatches / ranks == 1 ? "" : "es") << " of " << group(stage.microTokens)
        << " a rank; " << group(static_cast<int64_t>(stage.flopsPerToken)) << " FLOPs a token";
    if (gpu)
      out << llvm::formatv(", at least {0:F2} ms a step",
                           flops / ranks / gpu->bf16FlopsPerSecond * 1e3);
    out << "\n";
  }
}

void printMemory(const PlannedCost &plan, const GpuModel *gpu, llvm::raw_ostream &out) {
  out << "memory of a rank\n";
  auto line = [&](const char *name, int64_t bytes) {
    out << "  " << llvm::left_justify(name, 26) << llvm::right_justify(gigabytes(bytes), 14)
        << "\n";
  };
  line("parameters", plan.parameterBytes);
  line("gradients", plan.gradientBytes);
  line("optimiser state", plan.stateBytes);
  line("activations, workspace", plan.workspaceBytes);
  line("inputs, tables, settings", plan.otherBytes);
  line("together", plan.arenaBytes);
  if (gpu)
    out << "  " << gpu->name << ": "
        << (plan.arenaBytes <= gpu->memoryBytes ? "fits" : "does not fit") << " into "
        << gigabytes(gpu->memoryBytes) << "\n";
}

void printLaunches(const ModelCost &cost, const PlannedCost &plan, int64_t ranks,
                   llvm::raw_ostream &out) {
  out << "launches\n";
  for (const PlannedCost::Program &program : plan.programs) {
    if (program.role != "train" && program.role != "update")
      continue;
    out << "  " << program.name << ": " << program.launches
        << (program.role == "train" ? " a micro-batch" : " an update");
    if (program.every > 1)
      out << ", every " << program.every << " steps";
    out << "\n";
  }
  for (const StageCost &stage : cost.stages) {
    double launches = 0;
    for (const PlannedCost::Program &program : plan.programs) {
      if (program.name == stage.program)
        launches += double(program.launches) * (stage.microBatches / ranks);
      else if (program.role == "update")
        launches += double(program.launches) / program.every;
    }
    out << llvm::formatv("  a step of {0} tokens: {1:F1} on a rank, on average\n",
                         group(stage.tokens), launches);
  }
}

} // namespace

const GpuModel *findGpu(const std::string &name) {
  for (const GpuModel &gpu : gpus)
    if (name == gpu.name)
      return &gpu;
  return nullptr;
}

std::string listGpus() {
  std::string names;
  for (const GpuModel &gpu : gpus)
    names += (names.empty() ? "" : ", ") + std::string(gpu.name);
  return names;
}

PlannedCost countPlan(ModuleOp exec) {
  PlannedCost plan;
  for (auto arena : exec.getOps<exec::ArenaOp>())
    plan.arenaBytes = arena.getBytes();
  int64_t owned = 0;
  SymbolTable symbols(exec);
  for (auto buffer : exec.getOps<exec::BufferOp>()) {
    if (buffer.getKind() == exec::BufferKind::workspace)
      continue;
    // Ranges of a buffer are counted with it; a bank's buffer has no kind of its own, so its ranges
    // are counted.
    auto base = buffer.getBaseAttr()
                    ? symbols.lookup<exec::BufferOp>(buffer.getBaseAttr().getAttr())
                    : exec::BufferOp();
    if (base && base.getKind() != exec::BufferKind::workspace)
      continue;
    int64_t bytes = buffer.getBytes();
    owned += bytes;
    switch (buffer.getKind()) {
    case exec::BufferKind::parameter:
      plan.parameterBytes += bytes;
      break;
    case exec::BufferKind::gradient:
      plan.gradientBytes += bytes;
      break;
    case exec::BufferKind::state:
      plan.stateBytes += bytes;
      break;
    default:
      plan.otherBytes += bytes;
    }
  }
  plan.workspaceBytes = std::max<int64_t>(plan.arenaBytes - owned, 0);
  for (auto program : exec.getOps<exec::ProgramOp>()) {
    if (program->hasAttr("exec.last_of"))
      continue; // The same launches as those of the programs that it stands for.
    auto launches = program.getOps<exec::LaunchOp>();
    plan.programs.push_back({program.getSymName().str(), program.getRole().str(),
                             std::distance(launches.begin(), launches.end()),
                             getInteger(program, "every", 1)});
  }
  return plan;
}

std::string checkRanks(const ModelCost &cost, int64_t ranks) {
  for (const StageCost &stage : cost.stages)
    if (stage.microBatches % ranks)
      return llvm::formatv("steps {0}-{1} have {2} micro-batches, which do not divide among {3} "
                           "ranks",
                           stage.firstStep, stage.lastStep, stage.microBatches, ranks);
  return "";
}

void printEstimate(const ModelCost &cost, const std::optional<PlannedCost> &plan, int64_t ranks,
                   const GpuModel *gpu, llvm::raw_ostream &out) {
  out << "ranks " << ranks << (gpu ? std::string(" on ") + gpu->name : "") << "\n";
  out << "parameters " << group(cost.parameters) << ", " << gigabytes(cost.parameterBytes) << "\n";
  for (auto &[part, count] : cost.parametersByPart)
    out << "  " << llvm::left_justify(part, 26) << llvm::right_justify(group(count), 14) << "\n";
  out << "weights that multiply each token: " << group(cost.productWeights) << "\n";
  printStages(cost, ranks, gpu, out);
  if (!plan)
    return;
  printMemory(*plan, gpu, out);
  printLaunches(cost, *plan, ranks, out);
}

} // namespace smelt::cli
