//===- GPURowLoops.cpp - A row's features among threads, and reductions ---===//
#include "compiler/Conversion/KernelToGPU/GPURowScope.h"

using namespace mlir;
using namespace mlir::lm;

namespace smelt {

/// A row of up to so many rounds is unrolled: its features stay in registers from one reduction to
/// the next.
static constexpr int64_t kUnrolledRounds = 16;

Value GPURowEmitter::first(const GPUChunk &chunk) {
  return chunk.dynamic ? g.add(chunk.dynamic, chunk.offset) : g.integer(chunk.offset);
}

GPURowEmitter::Place GPURowEmitter::locate(const GPUChunk &chunk, int64_t width) {
  Place place;
  if (chunk.head.width == width) {
    place.segment = g.add(chunk.head.number, chunk.head.first);
    place.position = g.add(chunk.head.position, chunk.head.offset);
    place.low = chunk.head.low, place.high = chunk.head.high;
    place.inSegment = {chunk.head.position, chunk.head.offset, place.low,
                       place.high,          chunk.count,       {}};
    return place;
  }
  if (chunk.low / width == (chunk.high - 1) / width) { // All within one known segment.
    place.staticSegment = chunk.low / width;
    int64_t begin = place.staticSegment * width;
    place.inSegment = chunk.shifted(-begin);
    place.inSegment.head = {};
    place.position = first(place.inSegment);
    place.low = chunk.low - begin, place.high = chunk.high - begin;
    return place;
  }
  Value at = first(chunk);
  place.segment = g.div(at, width);
  place.position = g.rem(at, width);
  place.low = 0, place.high = width;
  place.inSegment = GPUChunk::at(place.position, 0, width, chunk.count);
  return place;
}

Value GPURowEmitter::choose(ArrayRef<Value> values, const Place &place) {
  if (values.size() == 1)
    return values[0];
  if (!place.segment)
    return values[place.staticSegment];
  Value chosen = values.back();
  for (size_t i = values.size() - 1; i-- > 0;)
    chosen = g.select(g.equal(place.segment, i), values[i], chosen);
  return chosen;
}

void GPURowEmitter::forChunks(int64_t offset, int64_t features, ChunkBody body) {
  unsigned count = features % program.getVector() == 0 ? program.getVector() : 1;
  int64_t step = group.size * count, full = features / step, rest = features % step;
  auto lanes = [&](int64_t remainder) -> Value { // First feature of a thread within a round.
    if (!group.lane)
      return {};
    Value &made = scopes[0]->lanes[{count, remainder}];
    if (!made)
      made = atMark([&] {
        Value begin = g.mul(group.lane, count);
        return remainder ? g.min(begin, g.integer(remainder - count)) : begin;
      });
    return made;
  };
  if (full + (rest != 0) <= kUnrolledRounds) {
    for (int64_t round = 0; round < full; ++round) {
      GPUChunk chunk = GPUChunk::at(offset + round * step, count);
      chunk.dynamic = lanes(0), chunk.high = chunk.low + step;
      body(chunk, {});
    }
  } else {
    Value begin = lanes(0);
    auto loop = scf::ForOp::create(b, begin ? begin : g.integer(0), g.integer(full * step),
                                   g.integer(step));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(loop.getBody()->getTerminator());
    nested(loop, [&] {
      GPUChunk chunk{loop.getInductionVar(), offset, offset, offset + full * step, count, {}};
      body(chunk, {});
    });
  }
  if (!rest)
    return;
  // With one thread, `rest` is 0: a round is one chunk.
  GPUChunk chunk{lanes(rest), offset + full * step, offset + full * step, offset + features, count,
                 {}};
  Value valid = g.less(g.mul(group.lane, count), rest);
  body(chunk, valid);
}

Value GPURowEmitter::reduceGroup(Value value, Fold fold) {
  auto combine = [&](Value x, Value y) { return fold == Fold::Max ? g.maxf(x, y) : g.addf(x, y); };
  for (int64_t mask = std::min<int64_t>(group.size, 32) / 2; mask; mask /= 2)
    value = combine(value, g.shuffleXor(value, int(mask)));
  if (group.size <= 32)
    return value;
  // One number a warp through shared memory; everybody adds them in order.
  int64_t warps = group.size / 32;
  Value lane = g.rem(group.lane, 32), warp = g.div(group.lane, 32);
  g.when(g.equal(lane, 0), [&] { g.store(value, g.offset(group.scratch, g.f32(), warp), 4); });
  g.barrier();
  Value total;
  for (int64_t i = 0; i < warps; ++i) {
    Value part = g.load(g.offset(group.scratch, g.f32(), g.integer(i)), g.f32(), 4);
    total = total ? combine(total, part) : part;
  }
  g.barrier(); // The scratch is used again.
  return total;
}

SmallVector<Value> GPURowEmitter::reduce(int64_t offset, int64_t width, ArrayRef<Fold> folds,
                                         llvm::function_ref<Values(const GPUChunk &)> terms) {
  // The lowest finite number, not −∞: differences of two of them are numbers.
  auto neutral = [&](Fold fold) { return g.number(fold == Fold::Max ? -3.0e38 : 0); };
  Values sums;
  for (Fold fold : folds)
    sums.push_back(neutral(fold));
  unsigned count = width % program.getVector() == 0 ? program.getVector() : 1;
  auto accumulate = [&](const GPUChunk &chunk, Value valid, ValueRange before) {
    Values given = terms(slice ? inSlice(chunk, *slice) : chunk), after;
    ArrayRef<Value> rest = given;
    auto take = [&] {
      ArrayRef<Value> numbers = rest.take_front(chunk.count);
      rest = rest.drop_front(chunk.count);
      return numbers;
    };
    for (auto [i, fold] : llvm::enumerate(folds)) {
      Value sum = before[i];
      ArrayRef<Value> xs = take(), ys = fold == Fold::Dot ? take() : xs;
      for (auto [x, y] : llvm::zip_equal(xs, ys))
        sum = fold == Fold::Dot ? g.fma(x, y, sum)
                                : (fold == Fold::Add ? g.addf(sum, x) : g.maxf(sum, x));
      after.push_back(valid ? g.select(valid, sum, before[i]) : sum);
    }
    return after;
  };
  int64_t step = group.size * count, full = width / step;
  if (full + (width % step != 0) <= kUnrolledRounds) {
    forChunks(offset, width,
              [&](const GPUChunk &chunk, Value valid) { sums = accumulate(chunk, valid, sums); });
  } else {
    Value begin = group.lane ? g.mul(group.lane, count) : g.integer(0);
    auto loop = scf::ForOp::create(b, begin, g.integer(width), g.integer(step), sums);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(loop.getBody());
    nested(loop, [&] {
      GPUChunk chunk{loop.getInductionVar(), offset, offset, offset + width, count, {}};
      scf::YieldOp::create(b, accumulate(chunk, {}, loop.getRegionIterArgs()));
    });
    sums.assign(loop.getResults().begin(), loop.getResults().end());
  }
  for (auto [sum, fold] : llvm::zip(sums, folds))
    sum = reduceGroup(sum, fold);
  return sums;
}

const GPURowEmitter::SegmentValues &
GPURowEmitter::getSegments(Operation *op, Value row, const GPUChunk &chunk, int64_t segments,
                           llvm::function_ref<Values(int64_t segment)> computeSegment) {
  bool sliced = chunk.head.width;
  std::tuple<void *, void *, int64_t> key{op, row.getAsOpaquePointer(), chunk.head.first};
  if (auto it = scopes[1]->segments.find(key); it != scopes[1]->segments.end())
    return it->second;
  SegmentValues made;
  const GPUChunk *outer = std::exchange(slice, sliced ? &chunk : nullptr);
  if (sliced)
    segments = 1;
  for (int64_t i = 0; i < segments; ++i)
    for (auto [j, value] : llvm::enumerate(atRowLevel([&] { return computeSegment(i); }))) {
      if (j == made.size())
        made.emplace_back();
      made[j].push_back(value);
    }
  slice = outer;
  return scopes[1]->segments[key] = std::move(made);
}

} // namespace smelt
