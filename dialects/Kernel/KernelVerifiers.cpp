//===- KernelVerifiers.cpp - Rules of kernel ops --------------------------===//
#include "dialects/Kernel/KernelOps.h"

using namespace mlir;
using namespace mlir::kernel;

/// The block arguments of every region must be the leading arguments, then its inputs, type for type, and the region must hold
/// only row ops and end in kernel.yield.
static LogicalResult verifyRegions(KernelOpInterface op) {
  for (auto [index, region] : llvm::enumerate(op->getRegions())) {
    Block &block = region.front();
    unsigned leading = op.getNumLeadingArguments(index);
    OperandRange inputs = op.getRegionInputs(index);
    if (block.getNumArguments() != leading + inputs.size())
      return op->emitOpError("region '") << op.getRegionName(index) << "' has " << block.getNumArguments()
                                         << " arguments but needs " << leading + inputs.size();
    for (auto [argument, input] : llvm::zip(block.getArguments().drop_front(leading), inputs))
      if (argument.getType() != input.getType())
        return op->emitOpError("region '") << op.getRegionName(index) << "' takes " << argument.getType()
                                           << " where its input is " << input.getType();
    if (!isa<YieldOp>(block.getTerminator()))
      return op->emitOpError("region '") << op.getRegionName(index) << "' must end in kernel.yield";
    for (Operation &inner : block.without_terminator())
      if (!inner.hasTrait<lm::RowOp>())
        return inner.emitOpError("is not a row op: it cannot stand in a kernel's region");
  }
  return success();
}

static LogicalResult verifyYields(Operation *op, Region &region, StringRef name, TypeRange types) {
  auto yielded = region.front().getTerminator()->getOperandTypes();
  if (yielded != types)
    return op->emitOpError("region '") << name << "' must yield the op's result types";
  return success();
}

static RankedTensorType yieldedType(Region &region) {
  auto yield = cast<YieldOp>(region.front().getTerminator());
  return yield.getValues().size() == 1 ? cast<RankedTensorType>(yield.getValues()[0].getType()) : RankedTensorType();
}

RankedTensorType GemmOp::getAType() { return yieldedType(getA()); }
RankedTensorType GemmOp::getBType() { return yieldedType(getB()); }
/// Size of an axis of a matrix of groups below each other, in one group.
static int64_t getSize(RankedTensorType matrices, unsigned axis, int64_t groups) {
  return axis == 0 ? matrices.getDimSize(0) / groups : matrices.getDimSize(1);
}
int64_t GemmOp::getM() { return getSize(getAType(), getTransposeA() ? 1 : 0, getGroups()); }
int64_t GemmOp::getK() { return getSize(getAType(), getTransposeA() ? 0 : 1, getGroups()); }
int64_t GemmOp::getN() { return getSize(getBType(), getTransposeB() ? 0 : 1, getGroups()); }
RankedTensorType AttentionOp::getHeadsType() { return yieldedType(getQ()); }
RankedTensorType AttentionBackwardOp::getHeadsType() { return yieldedType(getQ()); }

LogicalResult GemmOp::verify() {
  if (failed(::verifyRegions(cast<KernelOpInterface>(getOperation()))))
    return failure();
  RankedTensorType a = getAType(), b = getBType();
  if (!a || !b || a.getRank() != 2 || b.getRank() != 2)
    return emitOpError("regions 'a' and 'b' must each yield one matrix");
  int64_t groups = getGroups();
  if (groups < 1 || a.getDimSize(0) % groups || b.getDimSize(0) % groups)
    return emitOpError("cannot cut its matrices into ") << groups << " groups";
  int64_t kOfB = getSize(b, getTransposeB() ? 1 : 0, groups);
  if (getK() != kOfB)
    return emitOpError("contracts ") << getK() << " with " << kOfB;
  auto c = dyn_cast<RankedTensorType>(getResult().front().getArgument(0).getType());
  if (!c || c.getShape() != ArrayRef<int64_t>({getResultRows(), getN()}))
    return emitOpError("region 'result' must take the ") << getResultRows() << "x" << getN() << " product first";
  return verifyYields(*this, getResult(), "result", getOutputs().getTypes());
}

/// q, k and v regions must each yield the same [T, H, d].
static LogicalResult verifyHeads(Operation *op, ArrayRef<Region *> regions) {
  RankedTensorType heads = yieldedType(*regions[0]);
  for (Region *region : regions)
    if (!heads || heads.getRank() != 3 || yieldedType(*region) != heads)
      return op->emitOpError("regions 'q', 'k' and 'v' must each yield one tensor [T, H, d] of one type");
  return success();
}

LogicalResult AttentionOp::verify() {
  if (failed(::verifyRegions(cast<KernelOpInterface>(getOperation()))) || failed(verifyHeads(*this, {&getQ(), &getK(), &getV()})))
    return failure();
  if (getResult().front().getArgument(0).getType() != getHeadsType())
    return emitOpError("region 'result' must take the attention output first");
  return verifyYields(*this, getResult(), "result", getOutputs().getTypes());
}

LogicalResult AttentionBackwardOp::verify() {
  if (failed(::verifyRegions(cast<KernelOpInterface>(getOperation()))))
    return failure();
  if (failed(verifyHeads(*this, {&getQ(), &getK(), &getV()})))
    return failure();
  // The output itself, or its sums with the output's gradient over each head.
  ArrayRef<int64_t> heads = getHeadsType().getShape(), out = getOut().getType().getShape();
  if (out != heads && out != heads.drop_back())
    return emitOpError("needs the output [T, H, d], or Σ out·dout of each head [T, H]");
  return success();
}

LogicalResult RowwiseOp::verify() {
  if (failed(::verifyRegions(cast<KernelOpInterface>(getOperation()))))
    return failure();
  return verifyYields(*this, getBody(), "body", getOutputs().getTypes());
}

LogicalResult EmbeddingBackwardOp::verify() {
  if (failed(::verifyRegions(cast<KernelOpInterface>(getOperation()))))
    return failure();
  if (!yieldedType(getDy()) || yieldedType(getDy()).getRank() != 2)
    return emitOpError("region 'dy' must yield one matrix");
  return verifyYields(*this, getResult(), "result", getOutputs().getTypes());
}

LogicalResult RopeTableOp::verify() {
  auto table = cast<RankedTensorType>(getTable().getType());
  auto frequencies = cast<RankedTensorType>(getFrequencies().getType());
  if (table.getRank() != 2 || frequencies.getRank() != 1 || table.getDimSize(1) != 2 * frequencies.getDimSize(0))
    return emitOpError("needs n frequencies and a [T, 2n] table");
  return success();
}

int64_t ForeachOp::getLaneElements(unsigned lane) {
  return cast<RankedTensorType>(getInputs()[lane].getType()).getNumElements();
}

int64_t ForeachOp::getChunk() {
  return cast<RankedTensorType>(getBody().front().getArgument(0).getType()).getDimSize(1);
}

/// Works element by element, whatever the shape.
static bool isElementwise(Operation *op) {
  if (auto constant = dyn_cast<lm::ConstantOp>(op))
    return constant.getValue().isSplat();
  if (auto broadcast = dyn_cast<lm::BroadcastOp>(op))
    return cast<RankedTensorType>(broadcast.getX().getType()).getRank() == 0;
  return isa<lm::AddOp, lm::MultiplyOp, lm::MixOp, lm::ScaleOp, lm::UnaryOp, lm::UnaryBackwardOp,
             lm::CastOp, lm::QuantizeOp, lm::JoinMasterOp, lm::SplitMasterOp, lm::AtLeastOp>(op);
}

/// The tensors of position `position` of `values`, one per lane, have the region's element type `element` and their lane's size.
static LogicalResult verifyPosition(ForeachOp op, ValueRange values, unsigned position,
                                    RankedTensorType chunk, StringRef what) {
  for (unsigned lane = 0; lane < op.getLanes(); ++lane) {
    auto type = cast<RankedTensorType>(values[position * op.getLanes() + lane].getType());
    if (type.getElementType() != chunk.getElementType() ||
        type.getNumElements() != op.getLaneElements(lane))
      return op.emitOpError(what) << " " << position << " of lane " << lane << " is " << type
                                  << ", but the region has " << chunk << " and the lane "
                                  << op.getLaneElements(lane) << " elements";
  }
  return success();
}

/// As many operands and results as lanes times positions, a number of each row of constants per lane.
static LogicalResult verifyCounts(ForeachOp op) {
  int64_t lanes = op.getLanes();
  if (lanes < 1 || op.getInputs().empty() || op.getInputs().size() % lanes ||
      op.getOutputs().size() % lanes)
    return op.emitOpError("has ") << op.getInputs().size() << " inputs and "
                                  << op.getOutputs().size() << " outputs in " << lanes << " lanes";
  for (Attribute row : op.getConstants())
    if (auto numbers = dyn_cast<lm::NumbersAttr>(row); !numbers || numbers.size() != lanes)
      return op.emitOpError("needs one number per lane in each row of constants");
  return success();
}

LogicalResult ForeachOp::verify() {
  if (failed(verifyCounts(*this)) || failed(::verifyRegions(cast<KernelOpInterface>(getOperation()))))
    return failure();
  Block &block = getBody().front();
  auto first = dyn_cast<RankedTensorType>(block.getArgument(0).getType());
  if (!first || first.getRank() != 2 || first.getDimSize(0) != 1)
    return emitOpError("region 'body' must take chunks tensor<1xCx…>, not ") << block.getArgument(0).getType();
  for (unsigned i = 0; i < getPositions(); ++i) {
    auto chunk = dyn_cast<RankedTensorType>(block.getArgument(i).getType());
    if (!chunk || chunk.getShape() != first.getShape())
      return emitOpError("region 'body' must take chunks of one size");
    if (failed(verifyPosition(*this, getInputs(), i, chunk, "input")))
      return failure();
  }
  for (unsigned i = 0; i < getConstants().size(); ++i)
    if (block.getArgument(getPositions() + i).getType() != RankedTensorType::get({}, Float32Type::get(getContext())))
      return emitOpError("region 'body' must take the constants as tensor<f32>");
  for (Operation &op : block.without_terminator())
    if (!isElementwise(&op))
      return op.emitOpError("is not element-wise: it cannot stand in a kernel.foreach");
  OperandRange yielded = block.getTerminator()->getOperands();
  if (yielded.size() != getOutputPositions())
    return emitOpError("region 'body' must yield a chunk for each of ") << getOutputPositions() << " output positions";
  for (auto [i, value] : llvm::enumerate(yielded)) {
    auto chunk = dyn_cast<RankedTensorType>(value.getType());
    if (!chunk || chunk.getShape() != first.getShape())
      return emitOpError("region 'body' must yield chunks of the size that it takes");
    if (failed(verifyPosition(*this, getOutputs(), i, chunk, "output")))
      return failure();
  }
  return success();
}
