//===- FragmentRegionChecks.cpp - What can be evaluated on fragments ------===//
#include "compiler/Conversion/KernelToGPU/Hopper/FragmentRegion.h"
#include "compiler/Conversion/KernelToGPU/Hopper/FragmentTypes.h"
#include "compiler/Conversion/KernelToGPU/Hopper/SkipCasts.h"

using namespace mlir;
using namespace mlir::lm;
using namespace smelt::gpu;

std::optional<ColumnRange> FragmentRegion::findColumns(kernel::GemmOp op, Value tensor) {
  Block &block = op.getResult().front();
  if (tensor == block.getArgument(0))
    return ColumnRange{0, op.getN()};
  Operation *definition = tensor.getDefiningOp();
  if (!definition || isScalar(tensor))
    return std::nullopt;
  if (auto split = dyn_cast<SplitOp>(definition)) {
    auto whole = findColumns(op, split.getX());
    if (!whole)
      return std::nullopt;
    int64_t offset = whole->offset;
    for (Value part : split.getParts()) {
      if (part == tensor)
        return ColumnRange{offset, getWidth(part)};
      offset += getWidth(part);
    }
  }
  for (Value operand : definition->getOperands())
    if (auto columns = findColumns(op, operand); columns && getWidth(operand) == getWidth(tensor))
      return columns;
  return std::nullopt;
}

/// Heads that a tile can normalise or rotate: whole ones, in one thread quad's registers.
static bool fitsHeads(RankedTensorType type) {
  int64_t head = type.getDimSize(2);
  return head == 64 || head == 128;
}

static std::string whyNotInput(BlockArgument input) {
  Type element = typeOf(input).getElementType();
  if (!element.isF32() && !element.isBF16())
    return "an input of the region is neither f32 nor bf16";
  if (!isScalar(input) && !isRowVector(input) && getWidth(input) % 2)
    return "an input's rows are odd: its pairs are not aligned";
  return "";
}

static std::string whyNotOp(kernel::GemmOp gemm, Operation &op) {
  auto name = op.getName().getStringRef().str();
  if (isa<kernel::YieldOp>(op))
    return "";
  // The columns of anything else are those of the value that it meets.
  if (isa<SplitOp>(op) && !FragmentRegion::findColumns(gemm, op.getResult(0)))
    return "lm.split of a value that does not depend on the product";
  if (isa<AddOp, MultiplyOp, MixOp, ScaleOp, CastOp, UnaryOp, SplitOp, SoftcapOp>(op))
    return "";
  if (auto backward = dyn_cast<UnaryBackwardOp>(op))
    switch (backward.getKind()) {
    case UnaryKind::gelu:
    case UnaryKind::silu:
      return "the derivative of gelu and silu is not written for fragments";
    default:
      return "";
    }
  if (auto constant = dyn_cast<ConstantOp>(op))
    return constant.getValue().isSplat() ? "" : "a table is no fragment";
  if (auto broadcast = dyn_cast<BroadcastOp>(op))
    return isScalar(broadcast.getX()) || typeOf(broadcast.getX()).getRank() == 1
               ? ""
               : "lm.broadcast from heads";
  if (auto scale = dyn_cast<RowScaleOp>(op))
    return isRowVector(scale.getG()) ? "" : "a factor per head is not loaded on fragments";
  if (isa<ReshapeOp>(op))
    return "";
  if (auto norm = dyn_cast<RMSNormOp>(op))
    return typeOf(norm.getX()).getRank() == 3 && fitsHeads(typeOf(norm.getX()))
               ? ""
               : "a norm needs whole rows, a tile has " + std::to_string(tileColumns) + " columns";
  if (auto rope = dyn_cast<RopeOp>(op))
    return fitsHeads(typeOf(rope.getX())) && !rope.getDocumentStart() &&
                   isa<BlockArgument>(skipCasts(rope.getTable()))
               ? ""
               : "lm.rope of these heads or of positions in documents";
  return name + " is not written for fragments";
}

std::string FragmentRegion::whyNot(kernel::GemmOp op) {
  for (BlockArgument input : op.getResult().front().getArguments().drop_front())
    if (std::string reason = whyNotInput(input); !reason.empty())
      return reason;
  for (Operation &inner : op.getResult().front())
    if (std::string reason = whyNotOp(op, inner); !reason.empty())
      return reason;
  auto yield = cast<kernel::YieldOp>(op.getResult().front().getTerminator());
  for (Value output : yield.getValues()) {
    auto columns = findColumns(op, output);
    if (!columns)
      return "an output does not depend on the product";
    bool whole = columns->offset == 0 && columns->width == op.getN();
    if (!whole && (columns->offset % tileColumns || columns->width % tileColumns))
      return "a part of the product begins or ends inside a tile";
  }
  return "";
}
