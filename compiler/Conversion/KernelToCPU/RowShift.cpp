//===- RowShift.cpp - token_shift, its transpose and its coefficient ------===//
#include "compiler/Conversion/KernelToCPU/RowEmitterScope.h"

using namespace mlir;
using namespace mlir::lm;

namespace smelt {

RowEmitter::Neighbour RowEmitter::getNeighbour(Value row, int64_t distance, Value documentStart) {
  std::tuple<void *, int64_t, void *> key{row.getAsOpaquePointer(), distance,
                                          documentStart.getAsOpaquePointer()};
  if (auto it = scopes[1]->neighbours.find(key); it != scopes[1]->neighbours.end())
    return it->second;
  Neighbour made = atRowLevel([&]() -> Neighbour {
    auto compare = [&](arith::CmpIPredicate predicate, Value x, Value y) -> Value {
      return arith::CmpIOp::create(b, loc, predicate, x, y);
    };
    auto start = [&](Value of) -> Value {
      return arith::IndexCastOp::create(b, loc, b.getIndexType(), getInteger(documentStart, of));
    };
    Value valid, other;
    if (distance >= 0) {
      valid = compare(arith::CmpIPredicate::uge, row, index(distance));
      other = arith::SubIOp::create(b, loc, row, index(distance));
      if (documentStart) // Signed: row − distance may be negative.
        valid = arith::AndIOp::create(b, loc, valid,
                                      compare(arith::CmpIPredicate::sge, other, start(row)));
    } else {
      other = arith::AddIOp::create(b, loc, row, index(-distance));
      valid = compare(arith::CmpIPredicate::ult, other, index(program.getRows()));
      if (documentStart) {
        Value inside = select(valid, other, row);
        valid = arith::AndIOp::create(b, loc, valid,
                                      compare(arith::CmpIPredicate::sge, row, start(inside)));
      }
    }
    return {select(valid, other, row), valid};
  });
  return scopes[1]->neighbours[key] = made;
}

/// What the ops of the family share.
struct RowEmitter::Shift {
  ShiftMode mode;
  ArrayRef<int64_t> features, heads;
  int64_t distance;
  Value scale, gate, documents;
  int64_t width, segments; ///< Of the shifted tensor: features of a segment, how many.
};

namespace {
template <typename ShiftT, typename OpT> ShiftT describe(OpT op) {
  ShiftT shift{
      op.getMode(), op.getFeatures(), op.getHeads(), (int64_t)op.getDistance(), {}, {}, {}, 0, 0};
  if (op.getDocuments() == DocumentRule::mask)
    shift.documents = op.getDocumentStart();
  if constexpr (!std::is_same_v<OpT, TokenShiftDotOp>)
    shift.scale = op.getScale(), shift.gate = op.getGate();
  return shift;
}
} // namespace

RowEmitter::Cover RowEmitter::coverShifted(const Shift &shift, const FeatureChunk &chunk,
                                           Value &mask) {
  Cover covered = cover(chunk, shift.features, shift.width, mask);
  if (covered == Cover::None || shift.heads.empty() || shift.segments == 1)
    return covered;
  Place place = locate(chunk, shift.width);
  if (!place.segment)
    return llvm::is_contained(shift.heads, place.staticSegment) ? covered : Cover::None;
  Value inHeads;
  for (int64_t head : shift.heads) {
    Value same =
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, place.segment, index(head));
    inHeads = inHeads ? arith::OrIOp::create(b, loc, inHeads, same).getResult() : same;
  }
  if (!chunk.isScalar())
    inHeads = vector::BroadcastOp::create(b, loc, VectorType::get({lanes}, b.getI1Type()), inHeads);
  mask = mask ? arith::AndIOp::create(b, loc, mask, inHeads).getResult() : inHeads;
  return Cover::Some;
}

Value RowEmitter::computeShiftDot(TokenShiftDotOp op, const Shift &shift, Value row,
                                  const FeatureChunk &chunk) {
  Value x = op->getOperand(0), dy = op.getDy();
  int64_t results = program.getFeatures(op.getResult()), features = program.getFeatures(x);
  Neighbour earlier = getNeighbour(row, shift.distance, shift.documents);
  ensureSegments(op, row, shift.segments, shift.width, 1,
                 [&](Value dynamic, int64_t multipleOf, int64_t offset) -> SmallVector<Value> {
                   SmallVector<Value> sums = reduce(
                       dynamic, multipleOf, offset, shift.width, features, {Fold::Add},
                       [&](const FeatureChunk &at) -> SmallVector<Value> {
                         Value mask;
                         Cover covered = coverShifted(shift, at, mask);
                         if (covered == Cover::None)
                           return {number(0, at)};
                         Value e = get(x, earlier.row, at);
                         bool replace = shift.mode == ShiftMode::replace;
                         Value term = mul(get(dy, row, at), replace ? sub(e, get(x, row, at)) : e);
                         return {covered == Cover::Some ? select(mask, term, number(0, at)) : term};
                       });
                   return {select(earlier.valid, sums[0], number(0, b.getF32Type()))};
                 });
  if (results == shift.segments && results > 1 && !chunk.isScalar())
    return loadMemory(scopes[1]->segments.at({op, row.getAsOpaquePointer()})[0], first(chunk),
                      chunk);
  if (results == shift.segments)
    return splat(getSegmentValue(op, row, 0, shift.segments, chunk.dynamic ? first(chunk) : Value(),
                                 chunk.offset),
                 chunk);
  Value sum;
  for (int64_t i = 0; i < shift.segments; ++i) {
    Value part = getSegmentValue(op, row, 0, shift.segments, {}, i);
    sum = sum ? add(sum, part) : part;
  }
  return splat(sum, chunk);
}

Value RowEmitter::getShiftCoefficient(const Shift &shift, Value at, Value valid,
                                      const FeatureChunk &chunk) {
  Value c;
  if (shift.scale)
    c = getUniform(shift.scale);
  if (shift.gate) {
    int64_t count = program.getFeatures(shift.gate);
    Place place = count == 1 ? Place() : locate(chunk, shift.width);
    FeatureChunk one = place.segment ? FeatureChunk::at(place.segment, 1, 0, 0, count, 0)
                                     : FeatureChunk::at(place.staticSegment, 0);
    Value gate = get(shift.gate, at, one);
    c = c ? mul(c, gate) : gate;
  }
  if (!c)
    c = number(1, b.getF32Type());
  return select(valid, c, number(0, b.getF32Type()));
}

Value RowEmitter::computeShift(Operation *op, Value row, const FeatureChunk &chunk) {
  Shift shift = isa<TokenShiftOp>(op)          ? describe<Shift>(cast<TokenShiftOp>(op))
                : isa<TokenShiftAdjointOp>(op) ? describe<Shift>(cast<TokenShiftAdjointOp>(op))
                                               : describe<Shift>(cast<TokenShiftDotOp>(op));
  Value x = op->getOperand(0);
  shift.width = program.getSegment(x);
  shift.segments = program.getFeatures(x) / shift.width;
  if (auto dot = dyn_cast<TokenShiftDotOp>(op))
    return computeShiftDot(dot, shift, row, chunk);

  Neighbour earlier = getNeighbour(row, shift.distance, shift.documents);
  Value mask, own = get(x, row, chunk);
  Cover covered = coverShifted(shift, chunk, mask);
  if (covered == Cover::None)
    return own;
  auto coefficient = [&](Value at, Value valid) {
    return splat(getShiftCoefficient(shift, at, valid, chunk), chunk);
  };
  bool replace = shift.mode == ShiftMode::replace;
  Value shifted;
  if (isa<TokenShiftOp>(op)) {
    Value e = get(x, earlier.row, chunk);
    if (replace && !shift.scale && !shift.gate) {
      shifted = e; // Without an earlier row, earlier.row is the row itself.
    } else {
      Value c = coefficient(row, earlier.valid);
      shifted = add(own, mul(c, replace ? sub(e, own) : e));
    }
  } else {
    Neighbour later = getNeighbour(row, -shift.distance, shift.documents);
    Value c = coefficient(later.row, later.valid);
    Value fromLater = mul(c, get(x, later.row, chunk));
    Value kept = own;
    if (replace && !shift.scale && !shift.gate)
      kept = select(earlier.valid, number(0, chunk), own);
    else if (replace)
      kept = sub(own, mul(coefficient(row, earlier.valid), own));
    shifted = add(kept, fromLater);
  }
  return covered == Cover::Some ? select(mask, shifted, own) : shifted;
}

} // namespace smelt
