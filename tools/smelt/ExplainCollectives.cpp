//===- ExplainCollectives.cpp - What ranks say to each other in a step ----===//
#include "tools/smelt/ExplainCollectives.h"

#include "dialects/Exec/ExecCollectives.h"

#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace smelt::cli {
namespace {

/// The parameters that the bytes of a buffer belong to: itself, or the members of a bank.
std::vector<std::string> parametersOf(exec::BufferOp buffer) {
  std::vector<std::string> names;
  auto add = [&](exec::BufferOp op) {
    StringRef name = op.getSymName();
    name.consume_front("gradient.");
    names.push_back(name.str());
  };
  auto isTensor = [](exec::BufferOp op) {
    return op.getKind() == exec::BufferKind::parameter || op.getKind() == exec::BufferKind::gradient;
  };
  for (auto other : buffer->getParentOfType<ModuleOp>().getOps<exec::BufferOp>())
    if (other.getBase() && *other.getBase() == buffer.getSymName() && isTensor(other))
      add(other);
  if (names.empty())
    add(buffer);
  return names;
}

int64_t getMessageBytes(exec::BufferOp buffer, bool isAllReduce) {
  if (!isAllReduce)
    return buffer.getBytes();
  auto type = cast<RankedTensorType>(buffer.getType());
  return type.getNumElements() * type.getElementTypeBitWidth() / 8;
}

ExplainedCollective explain(Operation *op, exec::ProgramOp program, SymbolTable &symbols,
                            int64_t ranks) {
  ExplainedCollective result;
  bool isAllReduce = isa<exec::AllReduceOp>(op);
  result.program = program.getSymName().str();
  result.kind = op->getName().stripDialect().str();
  result.every = program.getEvery();
  for (Attribute name : exec::getCollectiveBuffers(op)) {
    auto buffer = symbols.lookup<exec::BufferOp>(cast<FlatSymbolRefAttr>(name).getAttr());
    result.bytes += getMessageBytes(buffer, isAllReduce);
    llvm::append_range(result.parameters, parametersOf(buffer));
  }
  // A ring passes every byte but a rank's own part on, twice if all are to have the sums.
  result.sent = result.bytes * (ranks - 1) / ranks * (isAllReduce ? 2 : 1);
  return result;
}

std::string mebibytes(double bytes) { return llvm::formatv("{0:f3} MiB", bytes / 1048576.0); }

std::string describeWhen(const ExplainedCollective &collective) {
  std::string when = collective.program;
  if (collective.every > 1)
    when += " (every " + std::to_string(collective.every) + " steps)";
  if (collective.before == 0)
    return when + ", before its launches";
  if (collective.before == collective.launches)
    return when + ", after its launches";
  return when + ", before launch " + std::to_string(collective.before);
}

} // namespace

CommunicationCost explainCommunication(ModuleOp exec, int64_t ranks) {
  CommunicationCost cost;
  cost.ranks = ranks;
  SymbolTable symbols(exec);
  for (auto program : exec.getOps<exec::ProgramOp>()) {
    if (program.getRole() != "update")
      continue;
    auto launches = program.getOps<exec::LaunchOp>();
    int64_t count = std::distance(launches.begin(), launches.end()), before = 0;
    for (Operation &op : program.getBody().front()) {
      before += isa<exec::LaunchOp>(op);
      if (!exec::isCollective(&op))
        continue;
      ExplainedCollective collective = explain(&op, program, symbols, ranks);
      collective.before = before;
      collective.launches = count;
      cost.bytesPerStep += double(collective.bytes) / collective.every;
      cost.sentPerStep += double(collective.sent) / collective.every;
      cost.collectives.push_back(std::move(collective));
    }
  }
  return cost;
}

void printCommunication(const CommunicationCost &cost, llvm::raw_ostream &out) {
  out << llvm::formatv("\ncollectives of {0} ranks\n", cost.ranks);
  for (const ExplainedCollective &collective : cost.collectives) {
    out << llvm::formatv("  {0,-14} {1,16}, a rank sends {2,16}; {3}: ", collective.kind,
                         mebibytes(collective.bytes), mebibytes(collective.sent),
                         describeWhen(collective));
    constexpr size_t kNamed = 4;
    for (const auto &[index, name] : llvm::enumerate(collective.parameters))
      if (index < kNamed)
        out << (index ? ", " : "") << name;
    if (collective.parameters.size() > kNamed)
      out << " and " << collective.parameters.size() - kNamed << " more";
    out << "\n";
  }
  out << llvm::formatv("  a step on average: {0}, a rank sends {1}\n", mebibytes(cost.bytesPerStep),
                       mebibytes(cost.sentPerStep));
}

llvm::json::Object communicationToJson(const CommunicationCost &cost) {
  llvm::json::Array list;
  for (const ExplainedCollective &collective : cost.collectives)
    list.push_back(llvm::json::Object{{"kind", collective.kind},
                                      {"program", collective.program},
                                      {"every", collective.every},
                                      {"before_launch", collective.before},
                                      {"launches", collective.launches},
                                      {"bytes", collective.bytes},
                                      {"sent_by_rank", collective.sent},
                                      {"parameters", llvm::json::Array(collective.parameters)}});
  return llvm::json::Object{{"ranks", cost.ranks},
                            {"collectives", std::move(list)},
                            {"bytes_per_step", cost.bytesPerStep},
                            {"sent_by_rank_per_step", cost.sentPerStep}};
}

} // namespace smelt::cli
