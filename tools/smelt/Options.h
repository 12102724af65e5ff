//===- Options.h - What a command line of `smelt` asks for ------*- C++ -*-===//
//
// Plain data between the command line (CLI11, exceptions on) and the commands (MLIR, exceptions
// off). The commands that need no compiler, and their options, are those of smelt-run.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "tools/smelt-run/Commands.h"

#include <cstdint>
#include <string>
#include <vector>

namespace smelt::cli {

enum class Command { Check, Compile, Train, Eval, Sample, Explain, Export, DataPack, Info };

/// How a spec becomes a bundle; shared by every command that takes a spec.
struct CompileOptions {
  std::string input;                  ///< A spec (.json), or IR text with --compile-from.
  std::vector<std::string> overrides; ///< --set key.path=value, in order.
  std::string precision;              ///< "f32": nothing is rounded; empty: what the spec says.
  std::string activations; ///< Storage between kernels: "f32", "bf16"; empty: the target's.
  std::string target =
      "cpu"; ///< "cpu" (this machine), "cpu:NAME" (LLVM's name of a CPU), "sm_90a" ….
  std::string from = "spec"; ///< First phase to run is the one after this.
  std::string to = "bundle"; ///< Last phase to run.
  std::string
      output; ///< Bundle folder, or file for IR; empty: named after the spec, or standard output.
  std::string dumpDirectory; ///< When set, the IR after every phase is written here.
  int64_t ranks = 1;         ///< Processes that share each step.
  bool storedNorms = false;  ///< No norms as factors of the rows of products.
  bool remarks = false;      ///< Print missed-optimisation remarks.
};

/// `smelt check`: with ranks or a GPU, what a run costs.
struct CheckOptions {
  CompileOptions compile;
  int64_t ranks = 0;
  std::string gpu;
};

/// `smelt train`: a spec or a bundle into a run folder.
struct TrainOptions {
  CompileOptions compile;    ///< compile.input may also be a bundle folder.
  runtime::TrainOptions run; ///< run.bundle and run.runFolder are filled in when they are empty.
};

struct ExplainOptions {
  CompileOptions compile;
  bool json = false;
  bool launches = false;
};

struct Options {
  Command command = Command::Check;
  CompileOptions compile; ///< Of compile.
  CheckOptions check;
  TrainOptions train;
  runtime::EvalOptions eval;
  runtime::SampleCommandOptions sample;
  ExplainOptions explain;
  runtime::PackOptions pack;
  runtime::InfoOptions info;
  runtime::ExportOptions exporting;
};

} // namespace smelt::cli
