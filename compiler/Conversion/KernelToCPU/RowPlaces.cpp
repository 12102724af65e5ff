//===- RowPlaces.cpp - Where in a row a chunk is, and where rows change ---===//
#include "compiler/Conversion/KernelToCPU/RowEmitterScope.h"

using namespace mlir;
using namespace mlir::lm;

namespace smelt {

/// Places, in features of a result, where its computation changes: parts of a concat, ranges of a
/// shift. Chunks that do not cross them get simpler code. `period`: a head's width, where code
/// depends on the place within a head.
void RowEmitter::collectCuts(Value value, int64_t shift, int64_t low, int64_t high,
                             SmallVectorImpl<int64_t> &cuts, int64_t &period, int depth) {
  Operation *op = value.getDefiningOp();
  int64_t width = program.getFeatures(value), segment = op ? program.getSegment(value) : 0;
  if (!op || depth > 24 || width == 1 || (depth && program.isMaterialised(value)))
    return;
  auto cut = [&](int64_t at) {
    if (at > low && at < high)
      cuts.push_back(at);
  };
  auto cutAround = [&](int64_t at) { // Keep chunks whole: only at multiples of the vector.
    cut((at - shift) / lanes * lanes);
    cut((at - shift + lanes - 1) / lanes * lanes);
  };
  auto follow = [&](Value operand) {
    collectCuts(operand, shift, low, high, cuts, period, depth + 1);
  };
  if (segment != width && segment % lanes == 0 && segment / lanes <= 16 &&
      isa<RopeOp, RMSNormOp, RMSNormBackwardOp, RowScaleOp, TokenShiftOp, TokenShiftAdjointOp>(op))
    period = std::max(period, segment);
  if (auto concat = dyn_cast<ConcatOp>(op)) {
    if (segment != width)
      return;
    int64_t at = 0;
    for (Value part : concat.getParts()) {
      int64_t end = at + program.getFeatures(part);
      cut(at - shift);
      if (at - shift < high && end - shift > low)
        collectCuts(part, shift - at, std::max(low, at - shift), std::min(high, end - shift), cuts,
                    period, depth + 1);
      at = end;
    }
  } else if (auto split = dyn_cast<SplitOp>(op)) {
    if (program.getSegment(split.getX()) != program.getFeatures(split.getX()))
      return;
    int64_t at = 0;
    for (Value part : split.getParts()) {
      if (part == value)
        return collectCuts(split.getX(), shift + at, low, high, cuts, period, depth + 1);
      at += program.getFeatures(part);
    }
  } else if (isa<TokenShiftOp, TokenShiftAdjointOp>(op)) {
    if (segment == width)
      for (int64_t at : op->getAttrOfType<DenseI64ArrayAttr>("features").asArrayRef())
        cutAround(at);
    follow(op->getOperand(0));
  } else if (auto gate = dyn_cast<GateBackwardOp>(op)) {
    cutAround(cast<RankedTensorType>(gate.getW().getType()).getDimSize(1));
  } else if (!isa<RowDotOp, TokenShiftDotOp, GateOp, CrossEntropyOp, EmbeddingOp>(op)) {
    for (Value operand : op->getOperands())
      if (!cast<RankedTensorType>(operand.getType()).getElementType().isInteger(32) &&
          program.getFeatures(operand) == width)
        follow(operand);
  }
}

RowEmitter::Place RowEmitter::locate(const FeatureChunk &chunk, int64_t width) {
  Place place;
  if (!chunk.dynamic || chunk.multipleOf % width == 0) {
    // The offset of a part of a concat is negative: its place comes from the dynamic part.
    place.staticSegment = llvm::divideFloorSigned(chunk.offset, width);
    place.staticPosition = chunk.offset - place.staticSegment * width;
    if (chunk.dynamic) {
      Value segment = arith::DivUIOp::create(b, loc, chunk.dynamic, index(width));
      place.segment =
          place.staticSegment
              ? arith::AddIOp::create(b, loc, segment, index(place.staticSegment)).getResult()
              : segment;
    }
    return place;
  }
  Value at = first(chunk);
  if (chunk.low / width == (chunk.high - 1) / width) { // All within one known segment.
    place.staticSegment = chunk.low / width;
    place.position = arith::SubIOp::create(b, loc, at, index(place.staticSegment * width));
    return place;
  }
  place.segment = arith::DivUIOp::create(b, loc, at, index(width));
  place.position = arith::RemUIOp::create(b, loc, at, index(width));
  return place;
}

RowEmitter::Cover RowEmitter::cover(const FeatureChunk &chunk, ArrayRef<int64_t> ranges,
                                    int64_t period, Value &mask) {
  if (ranges.empty())
    return Cover::All;
  Place place = locate(chunk, period);
  unsigned count = chunk.isScalar() ? 1 : chunk.lanes;
  auto inRanges = [&](int64_t at) {
    for (size_t i = 0; i < ranges.size(); i += 2)
      if (at >= ranges[i] && at < ranges[i + 1])
        return true;
    return false;
  };
  auto maskType =
      chunk.isScalar() ? Type(b.getI1Type()) : Type(VectorType::get({lanes}, b.getI1Type()));
  if (!place.position) {
    SmallVector<bool> bits(chunk.isScalar() ? 1 : lanes, false);
    for (unsigned i = 0; i < count; ++i)
      bits[i] = inRanges(place.staticPosition + i);
    unsigned set = llvm::count(bits, true);
    if (set == 0 || set == count)
      return set ? Cover::All : Cover::None;
    mask =
        arith::ConstantOp::create(b, loc, DenseElementsAttr::get(cast<VectorType>(maskType), bits));
    return Cover::Some;
  }
  if (!place.segment) { // Position varies in a known interval.
    int64_t low = chunk.low - place.staticSegment * period,
            high = chunk.high - place.staticSegment * period;
    bool touched = false;
    for (size_t i = 0; i < ranges.size(); i += 2) {
      if (ranges[i] <= low && high <= ranges[i + 1])
        return Cover::All;
      touched |= ranges[i] < high && low < ranges[i + 1];
    }
    if (!touched)
      return Cover::None;
  }
  Value position = place.position;
  if (!chunk.isScalar()) {
    auto indexType = VectorType::get({lanes}, b.getIndexType());
    position =
        arith::AddIOp::create(b, loc, vector::BroadcastOp::create(b, loc, indexType, position),
                              vector::StepOp::create(b, loc, indexType));
  }
  auto bound = [&](int64_t at) {
    Value value = index(at);
    return chunk.isScalar() ? value
                            : vector::BroadcastOp::create(
                                  b, loc, VectorType::get({lanes}, b.getIndexType()), value)
                                  .getResult();
  };
  for (size_t i = 0; i < ranges.size(); i += 2) {
    Value inside = arith::AndIOp::create(
        b, loc,
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::uge, position, bound(ranges[i])),
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, position, bound(ranges[i + 1])));
    mask = mask ? arith::OrIOp::create(b, loc, mask, inside).getResult() : inside;
  }
  return Cover::Some;
}

} // namespace smelt
