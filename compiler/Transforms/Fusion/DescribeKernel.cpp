//===- DescribeKernel.cpp - What a kernel is, in words --------------------===//
#include "compiler/Transforms/Fusion/DescribeKernel.h"

#include "dialects/Train/TrainOps.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace mlir::kernel;

/// "split, 2 rms_norm": ops of a region in order of first appearance, counted; constants and
/// reshapes are not work.
static std::string describeRegion(Region &region) {
  llvm::MapVector<StringRef, unsigned> counts;
  for (Operation &op : region.front().without_terminator())
    if (!isa<lm::ConstantOp, lm::ReshapeOp>(op)) {
      StringRef name = op.getName().stripDialect();
      if (auto unary = dyn_cast<lm::UnaryOp>(op))
        name = lm::stringifyUnaryKind(unary.getKind());
      ++counts[name];
    }
  std::string text;
  for (auto [name, count] : counts) {
    if (!text.empty())
      text += ", ";
    if (count > 1)
      text += std::to_string(count) + " ";
    text += name;
  }
  return text;
}

static bool isMatrix(Value value) { return cast<RankedTensorType>(value.getType()).getRank() > 1; }

/// "d <parameter>" when the kernel makes that matrix's gradient, else the first matrix that it
/// reads; then the same for scalars.
static std::string findSubject(Operation *kernel) {
  // A GEMM that multiplies by a weight is named by it, even if the gradient of a gate falls out of
  // its result region.
  if (auto gemm = dyn_cast<GemmOp>(kernel))
    for (unsigned region : {0, 1})
      for (Value input : gemm.getRegionInputs(region))
        if (auto read = input.getDefiningOp<lm::ReadOp>();
            read && read.getType() == (region ? gemm.getBType() : gemm.getAType()))
          return read.getSymbol().str();
  for (bool matrices : {true, false}) {
    for (Value result : kernel->getResults()) {
      // In program order: a use list's order does not survive a trip through text.
      auto users = llvm::to_vector(result.getUsers());
      llvm::sort(users, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
      for (Operation *user : users) {
        if (auto gradient = dyn_cast<train::GradientOp>(user);
            gradient && isMatrix(result) == matrices)
          return ("d " + gradient.getParameter()).str();
        if (auto write = dyn_cast<train::WriteOp>(user); write && isMatrix(result) == matrices)
          return write.getSymbol().str();
      }
    }
    for (Value operand : kernel->getOperands())
      if (auto read = operand.getDefiningOp<lm::ReadOp>(); read && matrices && isMatrix(read))
        return read.getSymbol().str();
  }
  return "";
}

/// Autodiff marks what it builds as fused<"gradient">[…].
static bool isGradient(Operation *kernel) {
  auto fused = dyn_cast<FusedLoc>(kernel->getLoc());
  if (fused && !fused.getMetadata() && !fused.getLocations().empty()) // The host's comes first.
    fused = dyn_cast<FusedLoc>(fused.getLocations().front());
  auto mark = fused ? dyn_cast_or_null<StringAttr>(fused.getMetadata()) : StringAttr();
  return mark && mark.getValue() == "gradient";
}

std::string smelt::describeKernel(Operation *kernel) {
  std::string text = kernel->getName().stripDialect().str();
  if (auto foreach = dyn_cast<ForeachOp>(kernel))
    return (foreach.getWhat() + " of " + Twine(foreach.getLanes()) + " tensors").str();
  std::string subject = findSubject(kernel);
  if (isGradient(kernel) && !StringRef(subject).starts_with("d ") &&
      !StringRef(text).ends_with("_backward"))
    text += " backward";
  if (!subject.empty())
    text += " " + subject;
  if (kernel->getNumRegions() == 0)
    return text;
  auto op = cast<KernelOpInterface>(kernel);
  std::string loads, results;
  for (auto [index, region] : llvm::enumerate(kernel->getRegions())) {
    std::string part = describeRegion(region);
    if (part.empty())
      continue;
    StringRef name = op.getRegionName(index);
    if (name == "result") {
      results = part;
      continue;
    }
    if (!loads.empty())
      loads += "; ";
    loads += name == "body" ? part : (name + " " + part).str();
  }
  if (!loads.empty() || !results.empty())
    text += ": " + loads;
  if (!results.empty())
    text += (loads.empty() ? "→ " : " → ") + results;
  return text;
}

void smelt::collectSteps(Location loc, llvm::SetVector<StringAttr> &steps) {
  if (auto fused = dyn_cast<FusedLoc>(loc)) {
    for (Location part : fused.getLocations())
      collectSteps(part, steps);
  } else if (auto name = dyn_cast<NameLoc>(loc)) {
    steps.insert(name.getName());
  } else if (auto call = dyn_cast<CallSiteLoc>(loc)) {
    collectSteps(call.getCallee(), steps);
  }
}

llvm::SetVector<StringAttr> smelt::collectSteps(Operation *kernel) {
  llvm::SetVector<StringAttr> steps;
  collectSteps(kernel->getLoc(), steps);
  kernel->walk([&](Operation *inner) {
    if (!isa<YieldOp, lm::ConstantOp>(inner))
      collectSteps(inner->getLoc(), steps);
  });
  return steps;
}
