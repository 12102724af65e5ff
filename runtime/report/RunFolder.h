//===- RunFolder.h - What a run leaves behind -------------------*- C++ -*-===//
//
// RUN/ has spec.json (resolved), run.json (bundle, hashes, hardware, seed), log.jsonl (one JSON
// object a line; every setting and learned scalar of each step), log.txt (the familiar lines),
// report.html, tensorboard/, checkpoints/.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/data/DescribeFiles.h"
#include "runtime/report/Console.h"
#include "runtime/report/TensorBoard.h"

#include <map>
#include <memory>
#include <optional>
#include <string>

namespace smelt::runtime {

/// What run.json says about a run.
struct RunDescription {
  std::string model;
  std::string compiler;
  std::string bundlePath;
  std::string bundleSha256;
  std::string specText;
  uint64_t seed = 0;
  int64_t steps = 0;
  std::string device;
  uint64_t parameters = 0; ///< Number of learned values.
  std::string trainData, validationData;
  bool isHeldOut = false; ///< The validation data are the end of the training files.
  uint64_t trainTokens = 0, validationTokens = 0;
  std::vector<FileDescription> dataFiles; ///< Of both.
  int64_t firstStep = 0; ///< Above 0 in a resumed run.
};

/// One training step, numbered from 1.
struct StepRecord {
  int64_t step = 0;
  double trainLoss = 0; ///< Mean over the step's valid targets.
  double trainMilliseconds = 0;
  double stepMilliseconds = 0;
  double waitMilliseconds = 0;    ///< Of the step, for its batches; near 0 unless data are slow.
  double hostMilliseconds = 0;    ///< Of the step, for the host's work: starting copies and programs.
  double averageMilliseconds = 0; ///< Per step, of this process.
  int64_t tokens = 0;             ///< Of this step.
  std::map<std::string, double> settings;
  std::map<std::string, double> scalars; ///< Learned rank-0 parameters, after the update.
};

struct ValidationRecord {
  int64_t step = 0;
  std::optional<double> loss;
  double trainMilliseconds = 0;
  double averageMilliseconds = 0;
};

class RunFolder {
public:
  /// Creates the folder, or continues it: then what the logs say about later steps than `firstStep`
  /// is removed, so that the run appears undisturbed.
  static StatusOr<RunFolder> open(const std::string &path, const RunDescription &description,
                                  Console::Mode mode);

  Status logStep(const StepRecord &record);
  /// Once for a step: what the log of a resumed run has already is only shown.
  Status logValidation(const ValidationRecord &record);
  /// The last line: the final validation and the hash of all parameters and states.
  Status logFinish(const ValidationRecord &record, const std::string &finalHash);
  Status logFailure(int64_t step, const std::string &message);
  /// Everything that was logged survives a power failure.
  Status sync();
  Status writeReport();
  void printLine(const std::string &line) { console_->printLine(line); }

  std::string checkpointsPath() const { return path_ + "/checkpoints"; }
  const std::string &path() const { return path_; }

private:
  RunFolder(std::string path, RunDescription description, AppendFile json, AppendFile text,
            TensorBoardWriter tensorBoard, Console::Mode mode);
  std::string validationLine(const ValidationRecord &record) const;

  std::string path_;
  RunDescription description_;
  int64_t validatedStep_ = -1; ///< The last that the log has a validation of.
  AppendFile json_, text_;
  TensorBoardWriter tensorBoard_;
  std::unique_ptr<Console> console_;
};

/// `step:10/600 train_loss:2.1234 train_time:1234ms step_avg:12.34ms`
std::string formatStepLine(const StepRecord &record, int64_t steps);

/// The last step that a log in JSON lines has a validation of; -1 if there is none.
int64_t findLastValidation(const std::string &text);

/// Removes incomplete lines and those of steps after `lastStep` from a log in JSON lines.
std::string trimJsonLog(const std::string &text, int64_t lastStep);
/// Likewise for lines `step:N/M …`.
std::string trimTextLog(const std::string &text, int64_t lastStep);

} // namespace smelt::runtime
