//===- RowLoops.cpp - Loops over the features of a row --------------------===//
#include "compiler/Conversion/KernelToCPU/RowEmitterScope.h"
#include <numeric>

using namespace mlir;
using namespace mlir::lm;

namespace smelt {

/// Chunks that are emitted one after another rather than in a loop.
static constexpr int64_t kStraightChunks = 8;

void RowEmitter::forChunks(int64_t features, ArrayRef<int64_t> cuts, int64_t period, ChunkBody body) {
  SmallVector<int64_t> bounds(cuts.begin(), cuts.end());
  bounds.push_back(0), bounds.push_back(features);
  llvm::sort(bounds);
  bounds.erase(std::unique(bounds.begin(), bounds.end()), bounds.end());
  for (size_t i = 0; i + 1 < bounds.size(); ++i) {
    int64_t low = bounds[i], high = bounds[i + 1], full = (high - low) / lanes;
    int64_t group = std::min<int64_t>(4, full), done = 0;
    if (period && low % period == 0 && (high - low) % period == 0)
      group = period / lanes;
    if (full > kStraightChunks && full > group) {
      int64_t step = group * lanes;
      done = full / group * group;
      auto loop = scf::ForOp::create(b, loc, index(0), index(done * lanes), index(step));
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPoint(loop.getBody()->getTerminator());
      Operation *outer = rowLoop;
      if (!rowLoop)
        rowLoop = loop;
      ownedScopes.push_back(std::make_unique<Scope>());
      scopes.push_back(ownedScopes.back().get());
      for (int64_t c = 0; c < group; ++c)
        body(FeatureChunk::at(loop.getInductionVar(), step, low + c * lanes, low, high, lanes));
      scopes.pop_back();
      rowLoop = outer;
    }
    for (; done < full; ++done)
      body(FeatureChunk::at(low + done * lanes, lanes));
    if (unsigned tail = (high - low) % lanes)
      body(FeatureChunk::at(low + full * lanes, tail));
  }
}

/// Chunks of a materialised value: none crosses a piece that its op is cut into.
void RowEmitter::forDomain(Value value, ChunkBody body) {
  Operation *op = value.getDefiningOp();
  int64_t features = program.getFeatures(value), width = program.getSegment(value);
  if (isa<RopeOp>(op))
    width /= 2;
  SmallVector<int64_t> cuts; // Within a segment.
  if (auto concat = dyn_cast<ConcatOp>(op)) {
    int64_t at = 0;
    for (Value part : concat.getParts())
      cuts.push_back(at += program.getSegment(part));
  }
  bool aligned = width % lanes == 0 && llvm::all_of(cuts, [&](int64_t cut) { return cut % lanes == 0; });
  bool isHeadConcat = isa<ConcatOp>(op) && width != features;
  if (width == features || (aligned && !isHeadConcat)) {
    SmallVector<int64_t> flatCuts;
    int64_t period = 0;
    collectCuts(value, 0, 0, features, flatCuts, period, 0);
    return forChunks(features, flatCuts, period, body);
  }
  cuts.push_back(0), cuts.push_back(width);
  llvm::sort(cuts);
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  auto loop = scf::ForOp::create(b, loc, index(0), index(features), index(width));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(loop.getBody()->getTerminator());
  Operation *outer = rowLoop;
  if (!rowLoop)
    rowLoop = loop;
  ownedScopes.push_back(std::make_unique<Scope>());
  scopes.push_back(ownedScopes.back().get());
  for (size_t i = 0; i + 1 < cuts.size(); ++i)
    for (int64_t at = cuts[i]; at < cuts[i + 1]; at += lanes)
      body(FeatureChunk::at(loop.getInductionVar(), width, at, 0, features, std::min<int64_t>(lanes, cuts[i + 1] - at)));
  scopes.pop_back();
  rowLoop = outer;
}

/// Places, in features of a result, where its computation changes: parts of a concat, ranges of a shift. Chunks that do not cross them
/// get simpler code. `period`: a head's width, where code depends on the place within a head.
void RowEmitter::collectCuts(Value value, int64_t shift, int64_t low, int64_t high, SmallVectorImpl<int64_t> &cuts, int64_t &period, int depth) {
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
  auto follow = [&](Value operand) { collectCuts(operand, shift, low, high, cuts, period, depth + 1); };
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
        collectCuts(part, shift - at, std::max(low, at - shift), std::min(high, end - shift), cuts, period, depth + 1);
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
      if (cast<RankedTensorType>(operand.getType()).getElementType().isF32() && program.getFeatures(operand) == width)
        follow(operand);
  }
}

//===- Places in a row -----------------------------------------------------------===//

RowEmitter::Place RowEmitter::locate(const FeatureChunk &chunk, int64_t width) {
  Place place;
  if (!chunk.dynamic || chunk.multipleOf % width == 0) {
    place.staticSegment = chunk.offset / width;
    place.staticPosition = chunk.offset % width;
    if (chunk.dynamic) {
      Value segment = arith::DivUIOp::create(b, loc, chunk.dynamic, index(width));
      place.segment = place.staticSegment ? arith::AddIOp::create(b, loc, segment, index(place.staticSegment)).getResult() : segment;
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

Value RowEmitter::asIndex(const Place &place) { return place.segment ? place.segment : index(place.staticSegment); }

RowEmitter::Cover RowEmitter::cover(const FeatureChunk &chunk, ArrayRef<int64_t> ranges, int64_t period, Value &mask) {
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
  auto maskType = chunk.isScalar() ? Type(b.getI1Type()) : Type(VectorType::get({lanes}, b.getI1Type()));
  if (!place.position) {
    SmallVector<bool> bits(chunk.isScalar() ? 1 : lanes, false);
    for (unsigned i = 0; i < count; ++i)
      bits[i] = inRanges(place.staticPosition + i);
    unsigned set = llvm::count(bits, true);
    if (set == 0 || set == count)
      return set ? Cover::All : Cover::None;
    mask = arith::ConstantOp::create(b, loc, DenseElementsAttr::get(cast<VectorType>(maskType), bits));
    return Cover::Some;
  }
  if (!place.segment) { // Position varies in a known interval.
    int64_t low = chunk.low - place.staticSegment * period, high = chunk.high - place.staticSegment * period;
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
    position = arith::AddIOp::create(b, loc, vector::BroadcastOp::create(b, loc, indexType, position), vector::StepOp::create(b, loc, indexType));
  }
  auto bound = [&](int64_t at) {
    Value value = index(at);
    return chunk.isScalar() ? value : vector::BroadcastOp::create(b, loc, VectorType::get({lanes}, b.getIndexType()), value).getResult();
  };
  for (size_t i = 0; i < ranges.size(); i += 2) {
    Value inside = arith::AndIOp::create(b, loc, arith::CmpIOp::create(b, loc, arith::CmpIPredicate::uge, position, bound(ranges[i])),
                                         arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, position, bound(ranges[i + 1])));
    mask = mask ? arith::OrIOp::create(b, loc, mask, inside).getResult() : inside;
  }
  return Cover::Some;
}

//===- Reductions -----------------------------------------------------------------===//

SmallVector<Value> RowEmitter::reduce(Value dynamic, int64_t multipleOf, int64_t offset, int64_t width, int64_t features, ArrayRef<Fold> folds,
                                      llvm::function_ref<SmallVector<Value>(const FeatureChunk &)> terms) {
  auto chunkAt = [&](Value extra, int64_t extraMultiple, int64_t at, unsigned valid) {
    if (!dynamic && !extra)
      return FeatureChunk::at(offset + at, valid);
    Value both = dynamic && extra ? arith::AddIOp::create(b, loc, dynamic, extra).getResult() : dynamic ? dynamic : extra;
    int64_t multiple = dynamic && extra ? std::gcd(multipleOf, extraMultiple) : dynamic ? multipleOf : extraMultiple;
    return FeatureChunk::at(both, multiple, offset + at, dynamic ? 0 : offset, dynamic ? features : offset + width, valid);
  };
  auto combine = [&](Fold fold, Value a, Value x) { return !a ? x : fold == Fold::Add ? add(a, x) : larger(a, x); };
  auto neutral = [&](Fold fold) { return fold == Fold::Add ? 0.0 : -std::numeric_limits<double>::infinity(); };
  auto vectorType = VectorType::get({lanes}, b.getF32Type());
  int64_t full = width / lanes, group = std::min<int64_t>(4, std::max<int64_t>(full, 1)), done = 0;
  unsigned n = folds.size();
  SmallVector<Value> accumulators(group * n);
  if (full > kStraightChunks) {
    done = full / group * group;
    SmallVector<Value> init;
    for (int64_t i = 0; i < group; ++i)
      for (Fold fold : folds)
        init.push_back(number(neutral(fold), vectorType));
    auto loop = scf::ForOp::create(b, loc, index(0), index(done * lanes), index(group * lanes), init);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(loop.getBody());
    Operation *outer = rowLoop;
    if (!rowLoop)
      rowLoop = loop;
    ownedScopes.push_back(std::make_unique<Scope>());
    scopes.push_back(ownedScopes.back().get());
    SmallVector<Value> next;
    for (int64_t i = 0; i < group; ++i) {
      SmallVector<Value> x = terms(chunkAt(loop.getInductionVar(), group * lanes, i * lanes, lanes));
      for (unsigned j = 0; j < n; ++j)
        next.push_back(combine(folds[j], loop.getRegionIterArg(i * n + j), x[j]));
    }
    scf::YieldOp::create(b, loc, next);
    scopes.pop_back();
    rowLoop = outer;
    accumulators.assign(loop.getResults().begin(), loop.getResults().end());
  }
  for (int64_t c = done; c < full; ++c) {
    SmallVector<Value> x = terms(chunkAt({}, 0, c * lanes, lanes));
    for (unsigned j = 0; j < n; ++j) {
      Value &a = accumulators[(c % group) * n + j];
      a = combine(folds[j], a, x[j]);
    }
  }
  if (unsigned tail = width % lanes) {
    FeatureChunk chunk = chunkAt({}, 0, full * lanes, tail);
    SmallVector<Value> x = terms(chunk);
    for (unsigned j = 0; j < n; ++j)
      accumulators[j] = combine(folds[j], accumulators[j], select(laneMask(chunk), x[j], number(neutral(folds[j]), vectorType)));
  }
  SmallVector<Value> results;
  for (unsigned j = 0; j < n; ++j) {
    Value all = accumulators[j];
    for (int64_t i = 1; i < group; ++i)
      if (Value a = accumulators[i * n + j])
        all = combine(folds[j], all, a);
    auto kind = folds[j] == Fold::Add ? vector::CombiningKind::ADD : vector::CombiningKind::MAXNUMF;
    results.push_back(vector::ReductionOp::create(b, loc, kind, all, arith::FastMathFlags::reassoc | arith::FastMathFlags::contract));
  }
  return results;
}

void RowEmitter::ensureSegments(Operation *op, Value row, int64_t segments, int64_t width, unsigned values, SegmentBody body) {
  Scope::RowKey key{op, row.getAsOpaquePointer()};
  for (Scope *scope : scopes)
    if (scope->segments.count(key))
      return;
  atRowLevel([&] {
    SmallVector<Value> made;
    if (segments == 1) {
      made = body({}, 0, 0);
    } else {
      for (unsigned i = 0; i < values; ++i)
        made.push_back(getScratch(segments));
      auto loop = scf::ForOp::create(b, loc, index(0), index(segments), index(1));
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPoint(loop.getBody()->getTerminator());
      Operation *outer = rowLoop;
      if (!rowLoop)
        rowLoop = loop;
      ownedScopes.push_back(std::make_unique<Scope>());
      scopes.push_back(ownedScopes.back().get());
      Value start = arith::MulIOp::create(b, loc, loop.getInductionVar(), index(width));
      SmallVector<Value> numbers = body(start, width, 0);
      for (unsigned i = 0; i < values; ++i)
        memref::StoreOp::create(b, loc, numbers[i], made[i], ValueRange{loop.getInductionVar()});
      scopes.pop_back();
      rowLoop = outer;
    }
    scopes.back()->segments[key] = made;
  });
}

Value RowEmitter::getSegmentValue(Operation *op, Value row, unsigned i, int64_t segments, Value segment, int64_t staticSegment) {
  Scope::RowKey key{op, row.getAsOpaquePointer()};
  for (Scope *scope : scopes)
    if (auto it = scope->segments.find(key); it != scope->segments.end()) {
      if (segments == 1)
        return it->second[i];
      return memref::LoadOp::create(b, loc, it->second[i], ValueRange{segment ? segment : index(staticSegment)});
    }
  llvm_unreachable("a row reduction that was not emitted");
}

} // namespace smelt
