//===- Explain.h - Where each step of a spec ended up -----------*- C++ -*-===//
//
// The importer names every op's location after its spec step, fusion joins locations, and outlining
// writes the names down on each launch, with the fusions that were refused. So the answer to "which
// kernel did this step end in, and why not in its neighbour's" is read off the exec module; nothing
// is kept beside the IR.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "tools/smelt/ExplainCollectives.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Location.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace smelt::cli {

/// A step of the spec, as the importer named it.
struct SpecStep {
  std::string path;  ///< forward[4].layers[3].attention.k[2].token_shift
  std::string where; ///< models/tiny.json:12:9; empty when not known
};

/// All step names in a location, outermost first, each once.
std::vector<SpecStep> stepsOf(mlir::Location location);

/// The steps of the training functions of an lm-level module, in program order.
std::vector<SpecStep> collectSteps(mlir::ModuleOp module);

struct ExplainedLaunch {
  std::string program;
  std::string kernel;
  std::string label;
  std::vector<std::string> steps;
  std::vector<std::string> refused; ///< Fusions that were tried with this kernel, and why not.
  int64_t flops = 0;
  int64_t bytes = 0;
};

struct Totals {
  int64_t launches = 0, buffers = 0, bytes = 0, flops = 0;
};

/// A program that runs after some steps' micro-batches.
struct ExplainedUpdate {
  std::string program;
  int64_t every = 1;
  Totals totals;
};

/// What a training step consists of: one micro-batch of the first train program, and all updates,
/// as in a step in which every one is due.
struct Explanation {
  std::vector<SpecStep> steps;
  std::vector<ExplainedLaunch> launches; ///< In the order in which they run.
  std::vector<ExplainedUpdate> updates;
  Totals totals, forwardBackward, update;
  int64_t tokens = 0;     ///< Of the micro-batch.
  int64_t arenaBytes = 0; ///< All memory of a run.
};

Explanation explain(mlir::ModuleOp exec, std::vector<SpecStep> steps);

/// For people: one line per step. With `listLaunches`, every launch too.
void printText(const Explanation &explanation, const std::string &title, bool listLaunches,
               llvm::raw_ostream &out);
/// For programs: one JSON object; with several ranks, also what they say to each other.
void printJson(const Explanation &explanation, const std::string &spec, const std::string &target,
               const std::optional<CommunicationCost> &communication, llvm::raw_ostream &out);

} // namespace smelt::cli
