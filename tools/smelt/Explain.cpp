//===- Explain.cpp - Where each step of a spec ended up -------------------===//
#include "tools/smelt/Explain.h"

#include "dialects/Exec/ExecOps.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"

using namespace mlir;

namespace smelt::cli {
namespace {

/// Step paths begin with a section of the spec; kernel and helper names do not contain brackets or
/// dots.
bool isStepPath(StringRef name) { return name.contains('[') || name.contains('.'); }

void appendSteps(Location location, llvm::StringSet<> &seen, std::vector<SpecStep> &steps) {
  if (auto name = dyn_cast<NameLoc>(location)) {
    std::string where;
    if (auto file = dyn_cast<FileLineColLoc>(name.getChildLoc()))
      where = (file.getFilename().strref() + ":" + Twine(file.getLine()) + ":" +
               Twine(file.getColumn()))
                  .str();
    if (isStepPath(name.getName().strref()) && seen.insert(name.getName().strref()).second)
      steps.push_back({name.getName().str(), where});
    return appendSteps(name.getChildLoc(), seen, steps);
  }
  if (auto fused = dyn_cast<FusedLoc>(location)) {
    for (Location part : fused.getLocations())
      appendSteps(part, seen, steps);
    return;
  }
  if (auto call = dyn_cast<CallSiteLoc>(location)) {
    appendSteps(call.getCallee(), seen, steps);
    appendSteps(call.getCaller(), seen, steps);
  }
}

SmallVector<exec::ProgramOp> findPrograms(ModuleOp module, StringRef role) {
  SmallVector<exec::ProgramOp> programs;
  for (auto program : module.getOps<exec::ProgramOp>())
    if (program.getRole() == role)
      programs.push_back(program);
  return programs;
}

std::vector<std::string> stringsOf(Operation *op, StringRef name) {
  std::vector<std::string> strings;
  if (auto list = op->getAttrOfType<ArrayAttr>(name))
    for (auto text : list.getAsRange<StringAttr>())
      strings.push_back(text.str());
  return strings;
}

/// Why a step has launches of its own, each reason once. A launch that it shares with other steps
/// is a fusion that worked.
llvm::SetVector<StringRef> refusalsOf(const Explanation &explanation, StringRef path) {
  llvm::SetVector<StringRef> reasons;
  for (const ExplainedLaunch &launch : explanation.launches)
    if (launch.steps.size() == 1 && launch.steps.front() == path)
      reasons.insert(launch.refused.begin(), launch.refused.end());
  return reasons;
}

Totals addProgram(exec::ProgramOp program, Explanation &result, llvm::StringSet<> &allBuffers) {
  llvm::StringSet<> buffers;
  Totals totals;
  program.walk([&](exec::LaunchOp launch) {
    ExplainedLaunch explained;
    explained.program = program.getSymName().str();
    explained.kernel = launch.getKernel().str();
    explained.label = launch.getLabel().str();
    explained.steps = stringsOf(launch, "smelt.steps");
    if (explained.steps.empty()) // An exec module that was not made by outlining.
      for (const SpecStep &step : stepsOf(launch.getLoc()))
        explained.steps.push_back(step.path);
    explained.refused = stringsOf(launch, "smelt.refused");
    explained.flops = launch.getFlops();
    explained.bytes = launch.getBytes();
    totals.launches += 1;
    totals.flops += explained.flops;
    totals.bytes += explained.bytes;
    for (ArrayAttr list : {launch.getReads(), launch.getWrites()})
      for (Attribute buffer : list)
        buffers.insert(cast<FlatSymbolRefAttr>(buffer).getValue());
    if (launch.getWorkspace())
      buffers.insert(*launch.getWorkspace());
    result.launches.push_back(std::move(explained));
  });
  totals.buffers = buffers.size();
  for (const auto &entry : buffers)
    allBuffers.insert(entry.getKey());
  return totals;
}

void addTo(Totals &sum, const Totals &totals) {
  sum.launches += totals.launches;
  sum.flops += totals.flops;
  sum.bytes += totals.bytes;
}

/// How many launches each fusion was refused for, the most frequent reason first.
std::vector<std::pair<StringRef, int64_t>> countRefusals(const Explanation &explanation) {
  llvm::MapVector<StringRef, int64_t> counts;
  for (const ExplainedLaunch &launch : explanation.launches)
    for (const std::string &reason : launch.refused)
      ++counts[reason];
  std::vector<std::pair<StringRef, int64_t>> sorted(counts.begin(), counts.end());
  llvm::stable_sort(sorted, [](const auto &a, const auto &b) { return a.second > b.second; });
  return sorted;
}

/// "#4 gemm layers.0.attention.qkv, #7 attention": a step's launches by number; --launches lists
/// them in full.
std::string describeKernels(const Explanation &explanation, StringRef path) {
  std::string text;
  for (const auto &[index, launch] : llvm::enumerate(explanation.launches))
    if (llvm::is_contained(launch.steps, path))
      text += (text.empty() ? "#" : ", #") + std::to_string(index) + " " +
              StringRef(launch.label).split(':').first.str();
  return text;
}

llvm::json::Object totalsToJson(const Totals &totals) {
  return llvm::json::Object{{"launches", totals.launches},
                            {"buffers", totals.buffers},
                            {"bytes", totals.bytes},
                            {"flops", totals.flops}};
}

void printTotals(StringRef name, const Totals &totals, raw_ostream &out) {
  out << llvm::formatv("{0,-22} {1,8} launches {2,8} buffers {3,12:f1} MiB moved {4,12:f3} GFLOP\n",
                       name, totals.launches, totals.buffers, totals.bytes / 1048576.0,
                       totals.flops / 1e9);
}

} // namespace

std::vector<SpecStep> stepsOf(Location location) {
  llvm::StringSet<> seen;
  std::vector<SpecStep> steps;
  appendSteps(location, seen, steps);
  return steps;
}

std::vector<SpecStep> collectSteps(ModuleOp module) {
  llvm::StringSet<> seen;
  std::vector<SpecStep> steps;
  bool first = true;
  for (auto function : module.getOps<func::FuncOp>()) {
    auto role = function->getAttrOfType<StringAttr>("smelt.role");
    if (!role || role.getValue() != "train" || !first)
      continue;
    first = false;
    function.walk([&](Operation *op) {
      if (op != function)
        appendSteps(op->getLoc(), seen, steps);
    });
  }
  return steps;
}

Explanation explain(ModuleOp module, std::vector<SpecStep> steps) {
  Explanation result;
  result.steps = std::move(steps);
  llvm::StringSet<> buffers;
  for (exec::ProgramOp train : findPrograms(module, "train")) {
    result.tokens = train.getTokens();
    result.forwardBackward = addProgram(train, result, buffers);
    break; // Those of the other stages differ in their number of tokens.
  }
  llvm::StringSet<> updated;
  for (exec::ProgramOp update : findPrograms(module, "update")) {
    Totals totals = addProgram(update, result, updated);
    result.updates.push_back(
        {update.getSymName().str(), static_cast<int64_t>(update.getEvery()), totals});
    addTo(result.update, totals);
  }
  result.update.buffers = updated.size();
  for (const auto &entry : updated)
    buffers.insert(entry.getKey());
  addTo(result.totals, result.forwardBackward);
  addTo(result.totals, result.update);
  result.totals.buffers = buffers.size();
  for (auto arena : module.getOps<exec::ArenaOp>())
    result.arenaBytes = arena.getBytes();
  return result;
}

void printText(const Explanation &explanation, const std::string &title, bool listLaunches,
               raw_ostream &out) {
  out << title << "\n\n";
  size_t width = 4;
  for (const SpecStep &step : explanation.steps)
    width = std::max(width, step.path.size());
  width = std::min<size_t>(width, 64);
  for (const SpecStep &step : explanation.steps) {
    std::string kernels = describeKernels(explanation, step.path);
    out << step.path << std::string(step.path.size() < width ? width - step.path.size() : 0, ' ')
        << "  " << (kernels.empty() ? "(folded away: no launch)" : kernels) << "\n";
    for (StringRef reason : refusalsOf(explanation, step.path))
      out << std::string(width, ' ') << "  not fused: " << reason << "\n";
  }
  if (listLaunches) {
    out << "\n";
    for (const auto &[index, launch] : llvm::enumerate(explanation.launches))
      out << llvm::formatv("#{0,-4} {1,-14} {2,-20} {3,10:f3} MFLOP {4,10:f1} KiB  {5}\n", index,
                           launch.program, launch.kernel, launch.flops / 1e6, launch.bytes / 1024.0,
                           launch.label);
  }
  out << "\n";
  if (auto refusals = countRefusals(explanation); !refusals.empty()) {
    out << "fusions refused, in launches\n";
    for (auto [reason, count] : refusals)
      out << llvm::formatv("{0,6}  {1}\n", count, reason);
    out << "\n";
  }
  printTotals("forward and backward", explanation.forwardBackward, out);
  for (const ExplainedUpdate &update : explanation.updates)
    printTotals(update.program, update.totals, out);
  printTotals("training step", explanation.totals, out);
  out << llvm::formatv("{0} tokens per micro-batch; all memory of a run: {1:f1} MiB\n",
                       explanation.tokens, explanation.arenaBytes / 1048576.0);
}

void printJson(const Explanation &explanation, const std::string &spec, const std::string &target,
               const std::optional<CommunicationCost> &communication, raw_ostream &out) {
  using namespace llvm;
  json::Array steps;
  for (const SpecStep &step : explanation.steps) {
    json::Array kernels, remarks;
    for (const auto &[index, launch] : enumerate(explanation.launches))
      if (is_contained(launch.steps, step.path))
        kernels.push_back(json::Object{{"launch", int64_t(index)},
                                       {"program", launch.program},
                                       {"kernel", launch.kernel},
                                       {"label", launch.label}});
    for (StringRef reason : refusalsOf(explanation, step.path))
      remarks.push_back(reason);
    json::Object entry{
        {"path", step.path}, {"location", step.where}, {"kernels", std::move(kernels)}};
    if (!remarks.empty())
      entry["not_fused"] = std::move(remarks);
    steps.push_back(std::move(entry));
  }
  json::Array launches;
  for (const ExplainedLaunch &launch : explanation.launches)
    launches.push_back(json::Object{{"program", launch.program},
                                    {"kernel", launch.kernel},
                                    {"label", launch.label},
                                    {"steps", json::Array(launch.steps)},
                                    {"refused", json::Array(launch.refused)},
                                    {"flops", launch.flops},
                                    {"bytes", launch.bytes}});
  json::Array updates, refusals;
  for (const ExplainedUpdate &update : explanation.updates) {
    json::Object entry = totalsToJson(update.totals);
    entry["program"] = update.program;
    entry["every"] = update.every;
    updates.push_back(std::move(entry));
  }
  for (auto [reason, count] : countRefusals(explanation))
    refusals.push_back(json::Object{{"reason", reason}, {"launches", count}});
  json::Object root{{"spec", spec},
                    {"target", target},
                    {"tokens", explanation.tokens},
                    {"arena_bytes", explanation.arenaBytes},
                    {"totals", totalsToJson(explanation.totals)},
                    {"forward_backward", totalsToJson(explanation.forwardBackward)},
                    {"update", totalsToJson(explanation.update)},
                    {"updates", std::move(updates)},
                    {"refusals", std::move(refusals)},
                    {"steps", std::move(steps)},
                    {"launches", std::move(launches)}};
  if (communication)
    root["communication"] = communicationToJson(*communication);
  out << formatv("{0:2}", json::Value(std::move(root))) << "\n";
}

} // namespace smelt::cli
