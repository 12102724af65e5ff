//===- Estimate.h - What a run of a spec costs ------------------*- C++ -*-===//
#pragma once

#include "compiler/Analysis/ModelCost.h"

#include "llvm/Support/raw_ostream.h"

#include <optional>
#include <string>

namespace smelt::cli {

/// A GPU by the numbers of its data sheet.
struct GpuModel {
  const char *name;
  double memoryBytes;
  double bf16FlopsPerSecond; ///< Dense.
};

/// The GPU of that name ("h200"), or null.
const GpuModel *findGpu(const std::string &name);
/// All names, for messages.
std::string listGpus();

/// Memory by class and launches, read off an exec module.
struct PlannedCost {
  int64_t parameterBytes = 0, gradientBytes = 0, stateBytes = 0, otherBytes = 0;
  int64_t workspaceBytes = 0; ///< Activations and scratch: what the plan lays over each other.
  int64_t arenaBytes = 0;
  struct Program {
    std::string name, role;
    int64_t launches = 0, every = 1;
  };
  std::vector<Program> programs;
};

PlannedCost countPlan(mlir::ModuleOp exec);

/// Why the micro-batches of some stage do not divide among `ranks`; empty when they do.
std::string checkRanks(const ModelCost &cost, int64_t ranks);

/// For people. `plan` is missing when only the model was counted; `gpu` may be null.
void printEstimate(const ModelCost &cost, const std::optional<PlannedCost> &plan, int64_t ranks,
                   const GpuModel *gpu, llvm::raw_ostream &out);

} // namespace smelt::cli
