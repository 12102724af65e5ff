#include "runtime/report/RunFolder.h"
#include "runtime/report/HtmlReport.h"

#include <nlohmann/json.hpp>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <unistd.h>

namespace smelt::runtime {

using nlohmann::ordered_json;

namespace {
std::string dump(const ordered_json &json, int indent = -1) {
  return json.dump(indent, ' ', false, ordered_json::error_handler_t::replace);
}

/// JSON has no NaN and no infinity.
ordered_json number(double value) {
  return std::isfinite(value) ? ordered_json(value) : ordered_json(nullptr);
}

ordered_json numbers(const std::map<std::string, double> &values) {
  ordered_json json = ordered_json::object();
  for (const auto &[name, value] : values)
    json[name] = number(value);
  return json;
}

std::string timeNow() {
  std::time_t now = std::time(nullptr);
  char text[32];
  std::tm parts = {};
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", ::gmtime_r(&now, &parts));
  return text;
}

uint64_t memoryBytes() {
  return static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
         static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

ordered_json describe(const std::vector<FileDescription> &files) {
  ordered_json list = ordered_json::array();
  for (const FileDescription &file : files)
    list.push_back({{"path", file.path},
                    {"bytes", file.bytes},
                    {file.isWhole ? "sha256" : "sha256_of_ends", file.sha256}});
  return list;
}

std::string runJson(const RunDescription &run) {
  char host[256] = "unknown";
  ::gethostname(host, sizeof host - 1);
  ordered_json json = {
      {"model", run.model},
      {"compiler", run.compiler},
      {"bundle", run.bundlePath},
      {"bundle_sha256", run.bundleSha256},
      {"parameters", run.parameters},
      {"seed", run.seed},
      {"steps", run.steps},
      {"first_step", run.firstStep},
      {"started", timeNow()},
      {"hardware", {{"host", host}, {"device", run.device}, {"memory_bytes", memoryBytes()}}},
      {"data",
       {{"train", run.trainData},
        {"train_tokens", run.trainTokens},
        {"validation", run.validationData},
        {"held_out", run.isHeldOut},
        {"validation_tokens", run.validationTokens},
        {"files", describe(run.dataFiles)}}}};
  return dump(json, 1) + "\n";
}

/// Keeps what `trim` keeps of a log of an interrupted run; a new run starts an empty log.
Status prepareLog(const std::string &path, int64_t firstStep,
                  std::string (*trim)(const std::string &, int64_t)) {
  std::string text;
  if (firstStep > 0 && isFile(path)) {
    SMELT_ASSIGN_OR_RETURN(std::string old, readFile(path));
    text = trim(old, firstStep);
  }
  return writeFileAtomically(path, text);
}

/// Keeps the complete lines for which `stepOf` gives at most `lastStep`.
template <typename StepOf>
std::string trimLines(const std::string &text, int64_t lastStep, StepOf stepOf) {
  std::string kept;
  for (size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
    std::string line = text.substr(at, end - at);
    int64_t step = stepOf(line);
    if (step >= 0 && step <= lastStep)
      kept += line + "\n";
  }
  return kept;
}
} // namespace

std::string trimJsonLog(const std::string &text, int64_t lastStep) {
  return trimLines(text, lastStep, [](const std::string &line) -> int64_t {
    auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    // The last line of a finished run belongs to its end, not to its last step.
    if (!json.is_object() || !json.contains("step") || !json["step"].is_number_integer() ||
        json.contains("final_hash") || json.contains("error"))
      return -1;
    return json["step"].get<int64_t>();
  });
}

int64_t findLastValidation(const std::string &text) {
  int64_t last = -1;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (json.is_object() && json.contains("val_loss") && json.contains("step") &&
        json["step"].is_number_integer())
      last = json["step"].get<int64_t>();
  }
  return last;
}

std::string trimTextLog(const std::string &text, int64_t lastStep) {
  return trimLines(text, lastStep, [](const std::string &line) -> int64_t {
    long long step = -1;
    return std::sscanf(line.c_str(), "step:%lld/", &step) == 1 ? step : -1;
  });
}

std::string formatStepLine(const StepRecord &record, int64_t steps) {
  char line[200];
  std::snprintf(line, sizeof line,
                "step:%lld/%lld train_loss:%.4f train_time:%.0fms step_avg:%.2fms",
                static_cast<long long>(record.step), static_cast<long long>(steps),
                record.trainLoss, record.trainMilliseconds, record.averageMilliseconds);
  return line;
}

RunFolder::RunFolder(std::string path, RunDescription description, AppendFile json, AppendFile text,
                     TensorBoardWriter tensorBoard, Console::Mode mode)
    : path_(std::move(path)), description_(std::move(description)), json_(std::move(json)),
      text_(std::move(text)), tensorBoard_(std::move(tensorBoard)),
      console_(std::make_unique<Console>(mode)) {}

StatusOr<RunFolder> RunFolder::open(const std::string &path, const RunDescription &description,
                                    Console::Mode mode) {
  SMELT_RETURN_IF_ERROR(makeDirectories(path + "/checkpoints"));
  SMELT_RETURN_IF_ERROR(makeDirectories(path + "/tensorboard"));
  removeLeftovers(path);
  removeLeftovers(path + "/checkpoints");
  SMELT_RETURN_IF_ERROR(writeFileAtomically(path + "/spec.json", description.specText));
  SMELT_RETURN_IF_ERROR(writeFileAtomically(path + "/run.json", runJson(description)));
  SMELT_RETURN_IF_ERROR(prepareLog(path + "/log.jsonl", description.firstStep, trimJsonLog));
  SMELT_RETURN_IF_ERROR(prepareLog(path + "/log.txt", description.firstStep, trimTextLog));
  SMELT_ASSIGN_OR_RETURN(AppendFile json, AppendFile::open(path + "/log.jsonl"));
  SMELT_ASSIGN_OR_RETURN(AppendFile text, AppendFile::open(path + "/log.txt"));
  SMELT_ASSIGN_OR_RETURN(TensorBoardWriter board, TensorBoardWriter::create(path + "/tensorboard"));
  SMELT_ASSIGN_OR_RETURN(std::string kept, readFile(path + "/log.jsonl"));
  RunFolder folder(path, description, std::move(json), std::move(text), std::move(board), mode);
  folder.validatedStep_ = findLastValidation(kept);
  return folder;
}

Status RunFolder::logStep(const StepRecord &record) {
  ordered_json json = {{"step", record.step},
                       {"train_loss", number(record.trainLoss)},
                       {"tokens", record.tokens},
                       {"step_ms", record.stepMilliseconds},
                       {"data_wait_ms", record.waitMilliseconds},
                       {"host_ms", record.hostMilliseconds},
                       {"train_time_ms", record.trainMilliseconds},
                       {"settings", numbers(record.settings)},
                       {"scalars", numbers(record.scalars)}};
  SMELT_RETURN_IF_ERROR(json_.append(dump(json) + "\n"));
  std::string line = formatStepLine(record, description_.steps);
  SMELT_RETURN_IF_ERROR(text_.append(line + "\n"));
  std::vector<std::pair<std::string, double>> scalars = {{"loss/train", record.trainLoss}};
  for (const auto &[name, value] : record.settings)
    scalars.emplace_back("settings/" + name, value);
  for (const auto &[name, value] : record.scalars)
    scalars.emplace_back("scalars/" + name, value);
  SMELT_RETURN_IF_ERROR(tensorBoard_.addScalars(record.step, scalars));
  double seconds = record.averageMilliseconds / 1000;
  console_->showStep(record.step, description_.steps, record.trainLoss,
                     seconds > 0 ? static_cast<double>(record.tokens) / seconds : 0,
                     seconds * static_cast<double>(description_.steps - record.step), line);
  return Status::ok();
}

std::string RunFolder::validationLine(const ValidationRecord &record) const {
  char line[200];
  std::snprintf(line, sizeof line, "step:%lld/%lld val_loss:%.4f train_time:%.0fms step_avg:%.2fms",
                static_cast<long long>(record.step), static_cast<long long>(description_.steps),
                record.loss.value_or(std::nan("")), record.trainMilliseconds,
                record.averageMilliseconds);
  return line;
}

Status RunFolder::logValidation(const ValidationRecord &record) {
  std::string line = validationLine(record);
  console_->printLine(line);
  if (record.step == validatedStep_)
    return Status::ok();
  validatedStep_ = record.step;
  double loss = record.loss.value_or(std::nan(""));
  ordered_json json = {{"step", record.step},
                       {"val_loss", number(loss)},
                       {"train_time_ms", record.trainMilliseconds}};
  SMELT_RETURN_IF_ERROR(json_.append(dump(json) + "\n"));
  SMELT_RETURN_IF_ERROR(text_.append(line + "\n"));
  return tensorBoard_.addScalars(record.step, {{"loss/validation", loss}});
}

Status RunFolder::logFinish(const ValidationRecord &record, const std::string &finalHash) {
  ordered_json json = {{"step", record.step},
                       {"val_loss", number(record.loss.value_or(std::nan("")))},
                       {"train_time_ms", record.trainMilliseconds},
                       {"final_hash", finalHash}};
  SMELT_RETURN_IF_ERROR(json_.append(dump(json) + "\n"));
  SMELT_RETURN_IF_ERROR(text_.append("final_hash:" + finalHash + "\n"));
  console_->printLine("final_hash:" + finalHash);
  return sync();
}

Status RunFolder::logFailure(int64_t step, const std::string &message) {
  SMELT_RETURN_IF_ERROR(json_.append(dump({{"step", step}, {"error", message}}) + "\n"));
  return sync();
}

Status RunFolder::sync() {
  SMELT_RETURN_IF_ERROR(json_.sync());
  return text_.sync();
}

Status RunFolder::writeReport() { return writeHtmlReport(path_); }

} // namespace smelt::runtime
