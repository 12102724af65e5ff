//===- Options.h - What a command line of `smelt` asks for ------*- C++ -*-===//
//
// Plain data between the command line (CLI11, exceptions on) and the commands (MLIR, exceptions off).
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace smelt::cli {

enum class Command { Check, Compile, Train, Eval, Sample, Explain, DataPack, DataShow };

/// How a spec becomes a bundle; shared by every command that takes a spec.
struct CompileOptions {
  std::string input;                  ///< A spec (.json), or IR text with --compile-from.
  std::vector<std::string> overrides; ///< --set key.path=value, in order.
  std::string target = "cpu";         ///< "cpu" (this machine), "cpu:NAME" (LLVM's name of a CPU).
  std::string from = "spec";          ///< First phase to run is the one after this.
  std::string to = "bundle";          ///< Last phase to run.
  std::string output;                 ///< Bundle folder, or file for IR; empty: named after the spec, or standard output.
  std::string dumpDirectory;          ///< When set, the IR after every phase is written here.
  bool remarks = false;               ///< Print missed-optimisation remarks.
};

/// `smelt train`: a spec or a bundle into a run folder.
struct TrainOptions {
  CompileOptions compile; ///< compile.input may also be a bundle folder.
  std::string run;        ///< Run folder; empty: runs/NAME.
  std::string data;       ///< Replaces the spec's training data.
  std::string validation; ///< Replaces the spec's validation data.
  bool resume = false;
  bool overwrite = false;
  int threads = 0;
};

struct EvalOptions {
  std::string run; ///< Run folder.
  std::string data;
  std::string checkpoint; ///< Empty: the newest.
};

struct SampleOptions {
  std::string run;
  std::string checkpoint;
  std::string prompt;
  int64_t tokens = 256;
  double temperature = 0.8;
  int64_t topK = 0;
  uint64_t seed = 1;
};

struct ExplainOptions {
  CompileOptions compile;
  bool json = false;
  bool launches = false;
};

struct DataOptions {
  std::vector<std::string> inputs;
  std::string output;    ///< OUTPUT.train.bin, OUTPUT.validation.bin
  std::string separator; ///< The line between documents; empty: a file is one.
  int startToken = -1;
  double validationFraction = 0.05;
  std::string tokenizer = "bytes";
};

struct Options {
  Command command = Command::Check;
  CompileOptions compile; ///< check and compile.
  TrainOptions train;
  EvalOptions eval;
  SampleOptions sample;
  ExplainOptions explain;
  DataOptions data;
};

} // namespace smelt::cli
