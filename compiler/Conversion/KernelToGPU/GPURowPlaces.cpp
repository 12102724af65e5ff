//===- GPURowPlaces.cpp - Ops that move features or rows ------------------===//
#include "compiler/Conversion/KernelToGPU/GPURowScope.h"

using namespace mlir;
using namespace mlir::lm;

namespace smelt {

SmallVector<Value> GPURowEmitter::computeRope(RopeOp op, Value row, const GPUChunk &chunk) {
  Value x = op.getX();
  int64_t width = program.getSegment(x), half = width / 2;
  Place place = locate(chunk, width);
  Value tableRow = row;
  if (op.getDocumentStart())
    tableRow = atRowLevel(
        [&] { return g.sub(row, get(op.getDocumentStart(), row, GPUChunk::at(0))[0]); });
  GPUChunk partner, cosine;
  Value isFirst; // Null: known.
  bool knownFirst = place.high <= half;
  if (knownFirst || place.low >= half) {
    partner = chunk.shifted(knownFirst ? half : -half);
    cosine = knownFirst ? place.inSegment : place.inSegment.shifted(-half);
    cosine.low = 0, cosine.high = half;
  } else {
    isFirst = g.less(place.position, half);
    Value by = g.select(isFirst, g.integer(half), g.integer(-half));
    partner = chunk;
    partner.dynamic = chunk.dynamic ? g.add(chunk.dynamic, by) : by;
    if (partner.head.width)
      partner.head.position = g.add(chunk.head.position, by), partner.head.low = 0,
      partner.head.high = width;
    if (place.segment) {
      partner.low = 0, partner.high = program.getFeatures(x);
    } else {
      partner.low = place.staticSegment * width, partner.high = partner.low + width;
    }
    cosine = GPUChunk::at(g.select(isFirst, place.position, g.add(place.position, -half)), 0, half,
                          chunk.count);
  }
  Values own = get(x, row, chunk), other = get(x, row, partner);
  Values cosines = get(op.getTable(), tableRow, cosine),
         sines = get(op.getTable(), tableRow, cosine.shifted(half)), results;
  for (unsigned i = 0; i < chunk.count; ++i) {
    // y1 = x1·cos + x2·sin, y2 = x2·cos − x1·sin; the inverse has the other sign.
    Value sine = sines[i], negative = g.negf(sine);
    Value forFirst = op.getInverse() ? negative : sine, forSecond = op.getInverse() ? sine : negative;
    Value signedSine = isFirst ? g.select(isFirst, forFirst, forSecond)
                               : (knownFirst ? forFirst : forSecond);
    results.push_back(g.fma(own[i], cosines[i], g.mulf(other[i], signedSine)));
  }
  return results;
}

SmallVector<Value> GPURowEmitter::computeParts(Operation *op, unsigned result, Value row,
                                               const GPUChunk &chunk) {
  if (auto concat = dyn_cast<ConcatOp>(op))
    return computeConcat(concat, row, chunk, locate(chunk, program.getSegment(concat.getResult())),
                         0, 0);
  auto split = cast<SplitOp>(op);
  Value x = split.getX();
  int64_t width = program.getSegment(op->getResult(result)), whole = program.getSegment(x);
  int64_t begin = 0;
  for (unsigned i = 0; i < result; ++i)
    begin += program.getSegment(op->getResult(i));
  Place place = locate(chunk, width);
  if (!place.segment)
    return get(x, row, chunk.shifted(begin + place.staticSegment * (whole - width)));
  GPUChunk moved = chunk.shifted(begin);
  moved.dynamic = g.add(chunk.dynamic, g.mul(place.segment, whole - width));
  moved.low = 0, moved.high = program.getFeatures(x);
  return get(x, row, moved);
}

/// `part` begins at feature `begin` of each segment.
SmallVector<Value> GPURowEmitter::computeConcat(ConcatOp op, Value row, const GPUChunk &chunk,
                                                Place place, size_t part, int64_t begin) {
  Value value = op.getParts()[part];
  int64_t width = program.getSegment(value), whole = program.getSegment(op.getResult());
  int64_t end = begin + width;
  auto here = [&]() -> Values {
    if (!place.segment) {
      GPUChunk moved = chunk.shifted(-begin - place.staticSegment * (whole - width));
      int64_t first = place.staticSegment * width;
      moved.low = std::max(moved.low, first), moved.high = std::min(moved.high, first + width);
      return get(value, row, moved);
    }
    Value dynamic = g.sub(chunk.dynamic, g.mul(place.segment, whole - width));
    GPUChunk moved = {dynamic, chunk.offset - begin, 0, program.getFeatures(value), chunk.count, {}};
    return get(value, row, moved);
  };
  if (part + 1 == op.getParts().size() || place.high <= end)
    return here();
  if (place.low >= end)
    return computeConcat(op, row, chunk, place, part + 1, end);
  SmallVector<Type> types(chunk.count, g.f32());
  auto branch = scf::IfOp::create(b, types, g.less(place.position, end), /*addThenBlock=*/true,
                                  /*addElseBlock=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToEnd(branch.thenBlock());
  nested(branch, [&] { scf::YieldOp::create(b, here()); });
  b.setInsertionPointToEnd(branch.elseBlock());
  nested(branch, [&] {
    Place rest = place;
    rest.low = end;
    scf::YieldOp::create(b, computeConcat(op, row, chunk, rest, part + 1, end));
  });
  return {branch.getResults().begin(), branch.getResults().end()};
}

//===- Shifts ---------------------------------------------------------------===//

GPURowEmitter::Neighbour GPURowEmitter::getNeighbour(Value row, int64_t distance,
                                                     Value documentStart) {
  std::tuple<void *, int64_t, void *> key{row.getAsOpaquePointer(), distance,
                                          documentStart.getAsOpaquePointer()};
  if (auto it = scopes[1]->neighbours.find(key); it != scopes[1]->neighbours.end())
    return it->second;
  Neighbour made = atRowLevel([&]() -> Neighbour {
    auto start = [&](Value of) { return get(documentStart, of, GPUChunk::at(0))[0]; };
    Value other = g.add(row, -distance);
    Value valid = distance >= 0 ? g.atLeast(other, 0) : g.less(other, program.getRows());
    if (documentStart) {
      Value inside = g.select(valid, other, row);
      valid = g.both(valid, distance >= 0 ? g.atLeast(other, start(row))
                                          : g.atLeast(row, start(inside)));
    }
    return {g.select(valid, other, row), valid};
  });
  return scopes[1]->neighbours[key] = made;
}

GPURowEmitter::Cover GPURowEmitter::coverShift(Operation *op, const GPUChunk &chunk, Value &mask) {
  auto features = op->getAttrOfType<DenseI64ArrayAttr>("features").asArrayRef();
  auto heads = op->getAttrOfType<DenseI64ArrayAttr>("heads").asArrayRef();
  Value x = op->getOperand(0);
  int64_t width = program.getSegment(x);
  if (features.empty() && (heads.empty() || program.getFeatures(x) == width))
    return Cover::All;
  Place place = locate(chunk, width);
  Cover cover = Cover::All;
  if (!features.empty()) {
    cover = Cover::None;
    for (size_t i = 0; i < features.size(); i += 2) {
      if (features[i] <= place.low && place.high <= features[i + 1]) {
        cover = Cover::All;
        break;
      }
      if (features[i] < place.high && place.low < features[i + 1])
        cover = Cover::Some;
    }
    if (cover == Cover::None)
      return cover;
    if (cover == Cover::Some)
      for (size_t i = 0; i < features.size(); i += 2) {
        Value inside = g.both(g.atLeast(place.position, features[i]),
                              g.less(place.position, features[i + 1]));
        mask = mask ? g.either(mask, inside) : inside;
      }
  }
  if (heads.empty() || program.getFeatures(x) == width)
    return cover;
  if (!place.segment)
    return llvm::is_contained(heads, place.staticSegment) ? cover : Cover::None;
  Value inHeads;
  for (int64_t head : heads) {
    Value same = g.equal(place.segment, head);
    inHeads = inHeads ? g.either(inHeads, same) : same;
  }
  mask = mask ? g.both(mask, inHeads) : inHeads;
  return Cover::Some;
}

namespace {
/// What the ops of the family share.
struct Shift {
  bool replace;
  int64_t distance;
  Value scale, gate, documents;
};

template <typename OpT> Shift describe(OpT op) {
  Shift shift{op.getMode() == ShiftMode::replace, (int64_t)op.getDistance(), {}, {}, {}};
  if (op.getDocuments() == DocumentRule::mask)
    shift.documents = op.getDocumentStart();
  if constexpr (!std::is_same_v<OpT, TokenShiftDotOp>)
    shift.scale = op.getScale(), shift.gate = op.getGate();
  return shift;
}
} // namespace

/// What `x` is read from, if it is a stored tensor, or one widened or in another shape.
static BlockArgument findStored(Value x) {
  while (Operation *op = x.getDefiningOp()) {
    bool same = isa<ReshapeOp>(op) || (isa<CastOp>(op) && getElementTypeOrSelf(x).isF32());
    if (!same)
      return {};
    x = op->getOperand(0);
  }
  return cast<BlockArgument>(x);
}

SmallVector<Value> GPURowEmitter::getMovedFeatures(Value x, Value row, Value from, Value mask,
                                                   const GPUChunk &chunk) {
  if (!mask)
    return get(x, from, chunk);
  BlockArgument stored = findStored(x);
  if (stored && !sources[stored.getArgNumber()].load) {
    const GPURowSource &source = sources[stored.getArgNumber()];
    Value own = getRowStart(row, countRows(stored), source.stride),
          moved = getRowStart(from, countRows(stored), source.stride);
    return loadChunk(source, g.select(mask, moved, own), chunk);
  }
  Values result = get(x, row, chunk);
  for (auto [mine, other] : llvm::zip(result, get(x, from, chunk)))
    mine = g.select(mask, other, mine);
  return result;
}

/// A plain replacement's transpose. A feature that moves gives its own gradient to the row before,
/// so one number is read per feature; the row that kept its own receives that one beside.
SmallVector<Value> GPURowEmitter::computeReplaceAdjoint(Value dy, Value row, Value mask,
                                                        const Neighbour &earlier,
                                                        const Neighbour &later,
                                                        const GPUChunk &chunk) {
  Values read = getMovedFeatures(dy, row, later.row, mask, chunk);
  Value isRead = mask ? g.select(mask, later.valid, g.boolean(true)) : later.valid;
  for (Value &value : read)
    value = g.select(isRead, value, g.number(0));
  SmallVector<Type> types(chunk.count, g.f32());
  auto branch = scf::IfOp::create(b, types, earlier.valid, /*addThenBlock=*/true,
                                  /*addElseBlock=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToEnd(branch.thenBlock());
  scf::YieldOp::create(b, read);
  b.setInsertionPointToEnd(branch.elseBlock());
  nested(branch, [&] {
    Values both = get(dy, row, chunk);
    for (auto [own, other] : llvm::zip(both, read))
      own = g.addf(other, mask ? g.select(mask, own, g.number(0)) : own);
    scf::YieldOp::create(b, both);
  });
  return {branch.getResults().begin(), branch.getResults().end()};
}

SmallVector<Value> GPURowEmitter::computeShift(Operation *op, Value row, const GPUChunk &chunk) {
  bool isForward = isa<TokenShiftOp>(op);
  Shift shift =
      isForward ? describe(cast<TokenShiftOp>(op)) : describe(cast<TokenShiftAdjointOp>(op));
  Value x = op->getOperand(0), mask; // Null: all features of the chunk.
  Cover cover = coverShift(op, chunk, mask);
  if (cover == Cover::None)
    return get(x, row, chunk);
  int64_t width = program.getSegment(x);
  Neighbour earlier = getNeighbour(row, shift.distance, shift.documents);
  if (shift.replace && !shift.scale && !shift.gate) {
    // Without an earlier row, earlier.row is the row itself.
    if (isForward)
      return getMovedFeatures(x, row, earlier.row, mask, chunk);
    return computeReplaceAdjoint(x, row, mask, earlier,
                                 getNeighbour(row, -shift.distance, shift.documents), chunk);
  }
  Values own = get(x, row, chunk), shifted;
  // c[t] = scale · gate[t], 0 where there is no earlier row.
  auto coefficient = [&](Value at, Value valid) {
    Value c = shift.scale ? getUniform(shift.scale) : g.number(1);
    if (shift.gate)
      c = g.mulf(c, getFactor(shift.gate, at, chunk, width, program.getFeatures(x) / width));
    return g.select(valid, c, g.number(0));
  };
  if (isForward) {
    Value c = coefficient(row, earlier.valid);
    for (auto [e, mine] : llvm::zip(get(x, earlier.row, chunk), own))
      shifted.push_back(g.fma(c, shift.replace ? g.subf(e, mine) : e, mine));
  } else {
    Neighbour later = getNeighbour(row, -shift.distance, shift.documents);
    Value fromLater = coefficient(later.row, later.valid);
    Value kept; // Null: all of the own gradient.
    if (shift.replace)
      kept = g.subf(g.number(1), coefficient(row, earlier.valid));
    for (auto [e, mine] : llvm::zip(get(x, later.row, chunk), own))
      shifted.push_back(g.fma(fromLater, e, kept ? g.mulf(kept, mine) : mine));
  }
  if (mask)
    for (auto [value, mine] : llvm::zip(shifted, own))
      value = g.select(mask, value, mine);
  return shifted;
}

SmallVector<Value> GPURowEmitter::computeShiftDot(TokenShiftDotOp op, Value row,
                                                  const GPUChunk &chunk) {
  Shift shift = describe(op);
  Value x = op.getX();
  int64_t segments = program.getFeatures(op.getResult()),
          width = program.getFeatures(x) / segments;
  Neighbour earlier = getNeighbour(row, shift.distance, shift.documents);
  const SegmentValues &sums = getSegments(op, row, chunk, segments, [&](int64_t segment) -> Values {
    Value sum = reduce(segment * width, width, {Fold::Add}, [&](const GPUChunk &at) {
      Value mask;
      Cover cover = coverShift(op, at, mask);
      if (cover == Cover::None)
        return Values(at.count, g.number(0));
      Values terms, own = shift.replace ? get(x, row, at) : Values();
      Values es = get(x, earlier.row, at), dys = get(op.getDy(), row, at);
      for (unsigned i = 0; i < at.count; ++i) {
        Value term = g.mulf(dys[i], shift.replace ? g.subf(es[i], own[i]) : es[i]);
        terms.push_back(cover == Cover::Some ? g.select(mask, term, g.number(0)) : term);
      }
      return terms;
    })[0];
    return {g.select(earlier.valid, sum, g.number(0))};
  });
  Values results;
  for (unsigned i = 0; i < chunk.count; ++i)
    results.push_back(choose(sums[0], locate(chunk.shifted(i), 1)));
  return results;
}

} // namespace smelt
