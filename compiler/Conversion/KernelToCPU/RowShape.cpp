//===- RowShape.cpp - Ops that only move features -------------------------===//
#include "compiler/Conversion/KernelToCPU/RowEmitterScope.h"
#include <numeric>

using namespace mlir;
using namespace mlir::lm;

namespace smelt {

/// The one number of a [T], [T, 1] or [T, H] value that belongs to a chunk's segment.
static FeatureChunk oneOf(Value segment, int64_t staticSegment, int64_t count) {
  return segment ? FeatureChunk::at(segment, 1, 0, 0, count, 0)
                 : FeatureChunk::at(staticSegment, 0);
}

/// A chunk at `place` + by in segments of `width` instead.
static FeatureChunk moveToSegments(OpBuilder &b, Location loc, Value segment, int64_t staticSegment,
                                   Value position, int64_t staticPosition, int64_t width,
                                   int64_t by, int64_t features, unsigned lanes) {
  auto index = [&](int64_t v) { return arith::ConstantIndexOp::create(b, loc, v).getResult(); };
  Value dynamic;
  int64_t multiple = 0, offset = by;
  if (segment)
    dynamic = arith::MulIOp::create(b, loc, segment, index(width)), multiple = width;
  else
    offset += staticSegment * width;
  if (position) {
    dynamic = dynamic ? arith::AddIOp::create(b, loc, dynamic, position).getResult() : position;
    multiple = 1;
  } else {
    offset += staticPosition;
  }
  if (!dynamic)
    return FeatureChunk::at(offset, lanes);
  return FeatureChunk::at(dynamic, multiple, offset, 0, features, lanes);
}

Value RowEmitter::computeShape(Operation *op, Value result, Value row, const FeatureChunk &chunk) {
  if (auto reshape = dyn_cast<ReshapeOp>(op))
    return get(reshape.getX(), row, chunk);
  if (auto embedding = dyn_cast<EmbeddingOp>(op)) {
    Value token = getInteger(embedding.getTokens(), row);
    Value tableRow = atRowLevel(
        [&]() -> Value { return arith::IndexCastOp::create(b, loc, b.getIndexType(), token); });
    return loadTable(embedding.getTable(), tableRow, program.getFeatures(embedding.getTable()),
                     chunk);
  }
  if (auto constant = dyn_cast<ConstantOp>(op))
    return loadTable(result, row, program.getFeatures(result), chunk);
  if (auto broadcast = dyn_cast<BroadcastOp>(op)) {
    Value x = broadcast.getX(); // Rank 0 is handled by get.
    if (cast<RankedTensorType>(x.getType()).getRank() == 0)
      return splat(getUniform(x), chunk);
    int64_t count = program.getFeatures(x);
    Place place = count == 1 ? Place() : locate(chunk, program.getFeatures(result) / count);
    return splat(get(x, row, oneOf(place.segment, place.staticSegment, count)), chunk);
  }
  if (auto scale = dyn_cast<RowScaleOp>(op)) {
    int64_t count = program.getFeatures(scale.getG());
    Place place = count == 1 ? Place() : locate(chunk, program.getSegment(scale.getX()));
    return mul(
        get(scale.getX(), row, chunk),
        splat(get(scale.getG(), row, oneOf(place.segment, place.staticSegment, count)), chunk));
  }
  auto split = cast<SplitOp>(op);
  int64_t start = 0;
  for (Value part : split.getParts()) {
    if (part == result)
      break;
    start += program.getSegment(part);
  }
  int64_t whole = program.getFeatures(split.getX()), width = program.getSegment(split.getX());
  if (whole == width)
    return get(split.getX(), row, chunk.shifted(start));
  Place p = locate(chunk, program.getSegment(result));
  return get(split.getX(), row,
             moveToSegments(b, loc, p.segment, p.staticSegment, p.position, p.staticPosition, width,
                            start, whole, chunk.lanes));
}

Value RowEmitter::computeConcat(ConcatOp op, Value row, const FeatureChunk &chunk) {
  int64_t width = program.getSegment(op.getResult()),
          features = program.getFeatures(op.getResult());
  Place place = width == features ? Place() : locate(chunk, width);
  int64_t low = chunk.low, high = chunk.high;
  if (width == features) { // The row is one segment: positions are features.
    if (chunk.dynamic)
      place.position = first(chunk);
    place.staticPosition = chunk.offset;
  } else if (!place.position) {
    low = place.staticPosition, high = low + std::max(1u, chunk.lanes);
  } else {
    low = 0, high = width;
  }
  auto pullPart = [&](Value part, int64_t start) {
    if (width == features)
      return get(part, row, chunk.shifted(-start));
    return get(part, row,
               moveToSegments(b, loc, place.segment, place.staticSegment, place.position,
                              place.staticPosition, program.getSegment(part), -start,
                              program.getFeatures(part), chunk.lanes));
  };
  // A chunk lies within one part (else the value is materialised); which one may be known only at
  // run time.
  SmallVector<std::pair<Value, int64_t>> candidates;
  int64_t start = 0;
  for (Value part : op.getParts()) {
    int64_t end = start + program.getSegment(part);
    if (start < high && end > low)
      candidates.push_back({part, start});
    start = end;
  }
  std::function<Value(size_t)> choose = [&](size_t i) -> Value {
    if (i + 1 == candidates.size())
      return pullPart(candidates[i].first, candidates[i].second);
    Value here = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, place.position,
                                       index(candidates[i + 1].second));
    auto branch = scf::IfOp::create(b, loc, TypeRange{typeOf(chunk)}, here, /*addThenBlock=*/true,
                                    /*addElseBlock=*/true);
    for (Block *side : {branch.thenBlock(), branch.elseBlock()}) {
      Return back{*this};
      enter(branch, side);
      Value value = side == branch.thenBlock() ? pullPart(candidates[i].first, candidates[i].second)
                                               : choose(i + 1);
      scf::YieldOp::create(b, loc, ValueRange{value});
    }
    return branch.getResult(0);
  };
  return choose(0);
}

} // namespace smelt
