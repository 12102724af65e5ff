//===- RowReductions.cpp - Sums and maxima over a row's features ----------===//
#include "compiler/Conversion/KernelToCPU/RowEmitterScope.h"
#include <numeric>

using namespace mlir;
using namespace mlir::lm;

namespace smelt {

/// Chunks that are folded one after another rather than in a loop.
static constexpr int64_t kStraightChunks = 8;

SmallVector<Value>
RowEmitter::reduce(Value dynamic, int64_t multipleOf, int64_t offset, int64_t width,
                   int64_t features, ArrayRef<Fold> folds,
                   llvm::function_ref<SmallVector<Value>(const FeatureChunk &)> terms) {
  auto chunkAt = [&](Value extra, int64_t extraMultiple, int64_t at, unsigned valid) {
    if (!dynamic && !extra)
      return FeatureChunk::at(offset + at, valid);
    Value both = dynamic && extra ? arith::AddIOp::create(b, loc, dynamic, extra).getResult()
                 : dynamic        ? dynamic
                                  : extra;
    int64_t multiple = dynamic && extra ? std::gcd(multipleOf, extraMultiple)
                       : dynamic        ? multipleOf
                                        : extraMultiple;
    return FeatureChunk::at(both, multiple, offset + at, dynamic ? 0 : offset,
                            dynamic ? features : offset + width, valid);
  };
  auto combine = [&](Fold fold, Value a, Value x) {
    return !a ? x : fold == Fold::Add ? add(a, x) : larger(a, x);
  };
  auto neutral = [&](Fold fold) {
    return fold == Fold::Add ? 0.0 : -std::numeric_limits<double>::infinity();
  };
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
    auto loop =
        scf::ForOp::create(b, loc, index(0), index(done * lanes), index(group * lanes), init);
    Return back{*this};
    enter(loop, loop.getBody());
    SmallVector<Value> next;
    for (int64_t i = 0; i < group; ++i) {
      SmallVector<Value> x =
          terms(chunkAt(loop.getInductionVar(), group * lanes, i * lanes, lanes));
      for (unsigned j = 0; j < n; ++j)
        next.push_back(combine(folds[j], loop.getRegionIterArg(i * n + j), x[j]));
    }
    scf::YieldOp::create(b, loc, next);
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
      accumulators[j] =
          combine(folds[j], accumulators[j],
                  select(laneMask(chunk), x[j], number(neutral(folds[j]), vectorType)));
  }
  SmallVector<Value> results;
  for (unsigned j = 0; j < n; ++j) {
    Value all = accumulators[j];
    for (int64_t i = 1; i < group; ++i)
      if (Value a = accumulators[i * n + j])
        all = combine(folds[j], all, a);
    auto kind = folds[j] == Fold::Add ? vector::CombiningKind::ADD : vector::CombiningKind::MAXNUMF;
    results.push_back(vector::ReductionOp::create(
        b, loc, kind, all, arith::FastMathFlags::reassoc | arith::FastMathFlags::contract));
  }
  return results;
}

void RowEmitter::ensureSegments(Operation *op, Value row, int64_t segments, int64_t width,
                                unsigned values, SegmentBody body) {
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
      Return back{*this};
      enter(loop, loop.getBody());
      Value start = arith::MulIOp::create(b, loc, loop.getInductionVar(), index(width));
      SmallVector<Value> numbers = body(start, width, 0);
      for (unsigned i = 0; i < values; ++i)
        memref::StoreOp::create(b, loc, numbers[i], made[i], ValueRange{loop.getInductionVar()});
    }
    scopes.back()->segments[key] = made;
  });
}

Value RowEmitter::getSegmentValue(Operation *op, Value row, unsigned i, int64_t segments,
                                  Value segment, int64_t staticSegment) {
  Scope::RowKey key{op, row.getAsOpaquePointer()};
  for (Scope *scope : scopes)
    if (auto it = scope->segments.find(key); it != scope->segments.end()) {
      if (segments == 1)
        return it->second[i];
      return memref::LoadOp::create(b, loc, it->second[i],
                                    ValueRange{segment ? segment : index(staticSegment)});
    }
  llvm_unreachable("a row reduction that was not emitted");
}

} // namespace smelt
