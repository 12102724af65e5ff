//===- RowNorm.cpp - Norms, row dots and rotary embedding -----------------===//
#include "compiler/Conversion/KernelToCPU/RowEmitterScope.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <numeric>

using namespace mlir;
using namespace mlir::lm;

namespace smelt {

Value RowEmitter::computeNorm(Operation *op, Value row, const FeatureChunk &chunk) {
  Value x = op->getOperand(0), result = op->getResult(0);
  int64_t width = program.getSegment(result), features = program.getFeatures(result),
          segments = features / width;
  double eps = op->getAttrOfType<FloatAttr>("eps").getValueAsDouble();
  Type f32 = b.getF32Type();
  auto factor = [&](Value squares) {
    Value mean = add(mul(squares, number(1.0 / width, f32)), number(eps, f32));
    return div(number(1, f32), math::SqrtOp::create(b, loc, mean));
  };
  auto dy = isa<RMSNormBackwardOp>(op) ? op->getOperand(1) : Value();
  ensureSegments(op, row, segments, width, dy ? 2 : 1,
                 [&](Value dynamic, int64_t multipleOf, int64_t offset) -> SmallVector<Value> {
                   if (!dy) {
                     SmallVector<Value> sums =
                         reduce(dynamic, multipleOf, offset, width, features, {Fold::Add},
                                [&](const FeatureChunk &at) -> SmallVector<Value> {
                                  Value v = get(x, row, at);
                                  return {mul(v, v)};
                                });
                     return {factor(sums[0])};
                   }
                   SmallVector<Value> sums =
                       reduce(dynamic, multipleOf, offset, width, features, {Fold::Add, Fold::Add},
                              [&](const FeatureChunk &at) -> SmallVector<Value> {
                                Value v = get(x, row, at), g = get(dy, row, at);
                                return {mul(v, v), mul(g, v)};
                              });
                   // dx = r·dy − x·(r³·mean(dy·x))
                   Value r = factor(sums[0]);
                   return {r, mul(mul(r, mul(r, r)), mul(sums[1], number(1.0 / width, f32)))};
                 });
  Place place = segments == 1 ? Place() : locate(chunk, width);
  auto number = [&](unsigned i) {
    return splat(getSegmentValue(op, row, i, segments, place.segment, place.staticSegment), chunk);
  };
  Value v = get(x, row, chunk);
  if (!dy)
    return mul(v, number(0));
  return sub(mul(number(0), get(dy, row, chunk)), mul(v, number(1)));
}

Value RowEmitter::computeRowDot(RowDotOp op, Value row, const FeatureChunk &chunk) {
  int64_t results = program.getFeatures(op.getResult()), features = program.getFeatures(op.getA()),
          width = features / results;
  ensureSegments(op, row, results, width, 1,
                 [&](Value dynamic, int64_t multipleOf, int64_t offset) {
                   return reduce(dynamic, multipleOf, offset, width, features, {Fold::Add},
                                 [&](const FeatureChunk &at) -> SmallVector<Value> {
                                   return {mul(get(op.getA(), row, at), get(op.getB(), row, at))};
                                 });
                 });
  if (results > 1 && !chunk.isScalar())
    return loadMemory(scopes[1]->segments.at({op, row.getAsOpaquePointer()})[0], first(chunk),
                      chunk);
  return splat(
      getSegmentValue(op, row, 0, results, chunk.dynamic ? first(chunk) : Value(), chunk.offset),
      chunk);
}

Value RowEmitter::computeRope(RopeOp op, Value row, const FeatureChunk &chunk) {
  int64_t width = program.getSegment(op.getX()), half = width / 2;
  Value tableRow = row;
  if (Value starts = op.getDocumentStart()) {
    Scope::RowKey key{op, row.getAsOpaquePointer()};
    Value start = getInteger(starts, row);
    Value &known = scopes[1]->scratch[key];
    if (!known)
      known = atRowLevel([&]() -> Value {
        return arith::SubIOp::create(b, loc, row,
                                     arith::IndexCastOp::create(b, loc, b.getIndexType(), start));
      });
    tableRow = known;
  }
  Place place = locate(chunk, width);
  int64_t wholeLow = chunk.low / width * width, wholeHigh = llvm::alignTo(chunk.high, width);
  FeatureChunk partner = chunk, cosine;
  Value sign;
  bool statically = !place.position;
  if (statically) {
    bool low = place.staticPosition < half;
    partner = chunk.shifted(low ? half : -half);
    if (chunk.dynamic)
      partner.low = wholeLow, partner.high = wholeHigh;
    cosine = FeatureChunk::at(place.staticPosition - (low ? 0 : half), chunk.lanes);
  } else {
    Value low =
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, place.position, index(half));
    Value at = arith::AddIOp::create(b, loc, first(chunk), select(low, index(half), index(-half)));
    partner = FeatureChunk::at(at, std::gcd(std::gcd(chunk.multipleOf, chunk.offset), half), 0,
                               wholeLow, wholeHigh, chunk.lanes);
    cosine = FeatureChunk::at(
        arith::SubIOp::create(b, loc, place.position, select(low, index(0), index(half))), 1, 0, 0,
        half, chunk.lanes);
    sign = select(low, number(1, b.getF32Type()), number(-1, b.getF32Type()));
  }
  // The table's row is [cos | sin]; y1 = x1·cos + x2·sin, y2 = x2·cos − x1·sin, and with the sine
  // negated for the inverse.
  Value c = loadTable(op.getTable(), tableRow, width, cosine),
        s = loadTable(op.getTable(), tableRow, width, cosine.shifted(half));
  Value direct = mul(get(op.getX(), row, chunk), c), crossed = mul(get(op.getX(), row, partner), s);
  if (!statically) {
    if (op.getInverse())
      sign = neg(sign);
    return add(direct, mul(crossed, splat(sign, chunk)));
  }
  bool plus = (place.staticPosition < half) != op.getInverse();
  return plus ? add(direct, crossed) : sub(direct, crossed);
}

} // namespace smelt
