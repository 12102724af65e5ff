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
  if (auto dot = dyn_cast<RowDotOp>(definition))
    for (Value operand : {dot.getA(), dot.getB()})
      if (auto columns = findColumns(op, operand))
        return columns;
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

/// Heads side by side that fill the product's rows.
static bool coversProduct(kernel::GemmOp gemm, Value heads) {
  return typeOf(heads).getRank() == 3 && fitsHeads(typeOf(heads)) && gemm.getGroups() == 1 &&
         FragmentRegion::findColumns(gemm, heads) == ColumnRange{0, gemm.getN()};
}

static bool isLoadedPerHead(kernel::GemmOp gemm, RowScaleOp scale) {
  return isPerHead(scale.getG(), scale.getX()) && isa<BlockArgument>(skipCasts(scale.getG())) &&
         coversProduct(gemm, scale.getX());
}

/// A sum per row and head, which is an output.
static bool isStoredPerHead(kernel::GemmOp gemm, RowDotOp dot) {
  return isPerHead(dot.getResult(), dot.getA()) &&
         typeOf(dot.getResult()).getElementType().isF32() &&
         llvm::all_of(dot->getUsers(), llvm::IsaPred<kernel::YieldOp>) &&
         (coversProduct(gemm, dot.getA()) || coversProduct(gemm, dot.getB()));
}

/// An input of the region; the product is none.
static BlockArgument findInput(Value value) {
  auto argument = dyn_cast<BlockArgument>(skipCasts(value));
  return argument && argument.getArgNumber() > 0 ? argument : BlockArgument();
}

/// The sum of a few numbers a row.
static bool addsInput(RowDotOp dot) {
  auto ones = dot.getB().getDefiningOp<ConstantOp>();
  return isRowVector(dot.getResult()) && findInput(dot.getA()) && ones &&
         ones.getValue().isSplat() && typeOf(dot.getA()).getRank() == 2 &&
         getWidth(dot.getA()) <= 64;
}

/// Gates of the first features of an input, or of one whose rows have a factor.
static bool isGateOfInputs(kernel::GemmOp gemm, GateOp gate) {
  Value x = skipCasts(gate.getX());
  if (auto scale = x.getDefiningOp<RowScaleOp>())
    x = isRowVector(scale.getG()) && !FragmentRegion::findColumns(gemm, scale.getG()) ? scale.getX()
                                                                                      : Value();
  return x && findInput(x) && findInput(gate.getW()) && gemm.getGroups() == 1 &&
         typeOf(gate.getResult()).getElementType().isF32() &&
         typeOf(gate.getW()).getDimSize(1) <= 64 &&
         llvm::all_of(gate->getUsers(), llvm::IsaPred<kernel::YieldOp>);
}

static std::string whyNotInput(BlockArgument input) {
  Type element = typeOf(input).getElementType();
  if (!element.isF32() && !element.isBF16())
    return "an input of the region is neither f32 nor bf16";
  bool isFactor = llvm::all_of(input.getUses(), [](OpOperand &use) {
    return (isa<RowScaleOp, GateOp>(use.getOwner()) && use.getOperandNumber() == 1) ||
           isa<RowDotOp>(use.getOwner());
  });
  if (!isScalar(input) && !isRowVector(input) && getWidth(input) % 2 && !isFactor)
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
    return isRowVector(scale.getG()) || isLoadedPerHead(gemm, scale)
               ? ""
               : "a factor per head of a part of the product, or of heads that tiles cut";
  if (auto dot = dyn_cast<RowDotOp>(op))
    return isStoredPerHead(gemm, dot) || addsInput(dot)
               ? ""
               : "a sum per row needs whole rows, a tile has " + std::to_string(tileColumns) +
                     " columns";
  if (auto gate = dyn_cast<GateOp>(op))
    return isGateOfInputs(gemm, gate) ? "" : "a gate of the product, or of too many features";
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

bool FragmentRegion::looksAcross(kernel::GemmOp op) {
  return llvm::any_of(op.getResult().front(), [](Operation &inner) {
    auto dot = dyn_cast<RowDotOp>(inner);
    return isa<RMSNormOp, RopeOp>(inner) || (dot && !addsInput(dot));
  });
}

std::string FragmentRegion::whyNot(kernel::GemmOp op) {
  for (BlockArgument input : op.getResult().front().getArguments().drop_front())
    if (std::string reason = whyNotInput(input); !reason.empty())
      return reason;
  for (Operation &inner : op.getResult().front())
    if (std::string reason = whyNotOp(op, inner); !reason.empty())
      return reason;
  auto yield = cast<kernel::YieldOp>(op.getResult().front().getTerminator());
  bool storesProduct = false;
  for (Value output : yield.getValues()) {
    auto columns = findColumns(op, output);
    bool isNumber = isRowVector(output) && typeOf(output).getElementType().isF32();
    if (!columns && op.getGroups() == 1 && (isNumber || output.getDefiningOp<GateOp>()))
      continue;
    if (!columns)
      return "an output does not depend on the product";
    storesProduct = true;
    bool whole = columns->offset == 0 && columns->width == op.getN();
    if (!whole && (columns->offset % tileColumns || columns->width % tileColumns))
      return "a part of the product begins or ends inside a tile";
  }
  return storesProduct ? "" : "no output depends on the product";
}
