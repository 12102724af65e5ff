//===- GPURowReductions.cpp - Norms, dots, gates, the loss ----------------===//
#include "compiler/Conversion/KernelToGPU/GPURowScope.h"

using namespace mlir;
using namespace mlir::lm;

namespace smelt {

SmallVector<Value> GPURowEmitter::computeNorm(Operation *op, Value row, const GPUChunk &chunk) {
  auto forward = dyn_cast<RMSNormOp>(op);
  auto backward = dyn_cast<RMSNormBackwardOp>(op);
  Value x = op->getOperand(0);
  int64_t width = program.getSegment(x), segments = program.getFeatures(x) / width;
  double eps = (forward ? forward.getEps() : backward.getEps()).convertToDouble();
  const SegmentValues &factors =
      getSegments(op, row, chunk, segments, [&](int64_t segment) -> Values {
        SmallVector<Fold> folds(forward ? 1 : 2, Fold::Dot);
        Values sums = reduce(segment * width, width, folds, [&](const GPUChunk &at) {
          Values xs = get(x, row, at), terms(xs);
          terms.append(xs);
          if (backward) {
            terms.append(xs);
            terms.append(get(backward.getDy(), row, at));
          }
          return terms;
        });
        Value mean = g.mulf(sums[0], g.number(1.0 / width));
        Value r = g.rsqrt(g.addf(mean, g.number(eps)));
        if (forward)
          return {r};
        // dx = r·dy − x·(r³·Σ x·dy / width)
        return {r, g.mulf(g.mulf(r, g.mulf(r, r)), g.mulf(sums[1], g.number(1.0 / width)))};
      });
  Place place = segments == 1 ? Place() : locate(chunk, width);
  Value r = choose(factors[0], place);
  Values xs = get(x, row, chunk), results;
  if (forward) {
    for (Value each : xs)
      results.push_back(g.mulf(each, r));
    return results;
  }
  Value c = choose(factors[1], place);
  for (auto [each, dy] : llvm::zip(xs, get(backward.getDy(), row, chunk)))
    results.push_back(g.fma(r, dy, g.negf(g.mulf(each, c))));
  return results;
}

SmallVector<Value> GPURowEmitter::computeRowDot(RowDotOp op, Value row, const GPUChunk &chunk) {
  int64_t features = program.getFeatures(op.getA()),
          segments = program.getFeatures(op.getResult()), width = features / segments;
  const SegmentValues &sums = getSegments(op, row, chunk, segments, [&](int64_t segment) {
    return reduce(segment * width, width, {Fold::Dot}, [&](const GPUChunk &at) {
      Values terms = get(op.getA(), row, at);
      terms.append(get(op.getB(), row, at));
      return terms;
    });
  });
  Values results;
  for (unsigned i = 0; i < chunk.count; ++i) {
    GPUChunk one = chunk.shifted(i);
    results.push_back(choose(sums[0], locate(one, 1)));
  }
  return results;
}

SmallVector<Value> GPURowEmitter::computeGate(Operation *op, Value row, const GPUChunk &chunk) {
  Value x = op->getOperand(0), w = op->getOperand(1);
  auto weights = cast<RankedTensorType>(w.getType());
  int64_t gates = weights.getDimSize(0), width = weights.getDimSize(1);
  if (isa<GateOp>(op)) {
    const SegmentValues &values = getSegments(op, row, chunk, gates, [&](int64_t gate) -> Values {
      Value weightRow = g.integer(gate);
      Values sums = reduce(0, width, {Fold::Dot}, [&](const GPUChunk &at) {
        Values terms = get(x, row, at);
        terms.append(get(w, weightRow, at));
        return terms;
      });
      return {g.sigmoid(sums[0])};
    });
    Values results;
    for (unsigned i = 0; i < chunk.count; ++i)
      results.push_back(choose(values[0], locate(chunk.shifted(i), 1)));
    return results;
  }
  // dx[j] = Σ over gates of da[g]·w[g, j] for j < width, da = dgate·gate·(1 − gate).
  auto backward = cast<GateBackwardOp>(op);
  Values zeros(chunk.count, g.number(0));
  if (chunk.low >= width)
    return zeros;
  const SegmentValues &das = getSegments(op, row, chunk, gates, [&](int64_t gate) -> Values {
    Value value = get(backward.getGate(), row, GPUChunk::at(gate))[0];
    Value gradient = get(backward.getDgate(), row, GPUChunk::at(gate))[0];
    return {g.mulf(gradient, g.mulf(value, g.subf(g.number(1), value)))};
  });
  bool inside = chunk.high <= width;
  Value valid = inside ? Value() : g.less(first(chunk), width);
  GPUChunk safe = chunk;
  if (!inside)
    safe = GPUChunk::at(g.min(first(chunk), g.integer(width - chunk.count)), 0, width, chunk.count);
  Values sums = zeros;
  for (int64_t gate = 0; gate < gates; ++gate) {
    Value weightRow = atRowLevel([&] { return g.integer(gate); });
    Values row_ = get(w, weightRow, safe);
    for (auto [i, weight] : llvm::enumerate(row_))
      sums[i] = g.fma(das[0][gate], weight, sums[i]);
  }
  if (!inside)
    for (Value &sum : sums)
      sum = g.select(valid, sum, g.number(0));
  return sums;
}

/// A bound on |z| that is known at compile time, or 0.
static double knownBound(Value z) {
  while (auto cast_ = z.getDefiningOp<CastOp>())
    z = cast_.getX();
  auto cap = z.getDefiningOp<SoftcapOp>();
  return cap ? cap.getAmplitude().convertToDouble() : 0;
}

SmallVector<Value> GPURowEmitter::computeLoss(Operation *op, unsigned result, Value row,
                                              const GPUChunk &chunk) {
  if (auto backward = dyn_cast<CrossEntropyBackwardOp>(op)) {
    Value target = get(backward.getTargets(), row, GPUChunk::at(0))[0];
    Value lse = get(backward.getLse(), row, GPUChunk::at(0))[0];
    Value dloss = get(backward.getDloss(), row, GPUChunk::at(0))[0];
    Value scale = g.select(g.atLeast(target, 0), dloss, g.number(0));
    Values results;
    Value feature = first(chunk);
    for (auto [i, z] : llvm::enumerate(get(backward.getLogits(), row, chunk))) {
      Value isTarget = g.equal(g.add(feature, i), target);
      Value p = g.exp(g.subf(z, lse));
      results.push_back(g.mulf(scale, g.subf(p, g.select(isTarget, g.number(1), g.number(0)))));
    }
    return results;
  }
  auto loss = cast<CrossEntropyOp>(op);
  Value logits = loss.getLogits();
  int64_t classes = program.getFeatures(logits);
  const SegmentValues &values = getSegments(op, row, chunk, 1, [&](int64_t) -> Values {
    // Logits under a soft cap need no search for the greatest one.
    double bound = knownBound(logits);
    Value greatest = bound > 0 && bound <= 40
                         ? g.number(bound)
                         : reduce(0, classes, {Fold::Max},
                                  [&](const GPUChunk &at) { return get(logits, row, at); })[0];
    Value sum = reduce(0, classes, {Fold::Add}, [&](const GPUChunk &at) {
      Values terms;
      for (Value z : get(logits, row, at))
        terms.push_back(g.exp(g.subf(z, greatest)));
      return terms;
    })[0];
    Value lse = g.addf(greatest, g.log(sum));
    Value target = get(loss.getTargets(), row, GPUChunk::at(0))[0];
    Value safe = g.max(target, g.integer(0));
    Value own = get(logits, row, GPUChunk::at(safe, 0, classes))[0];
    return {g.select(g.atLeast(target, 0), g.subf(lse, own), g.number(0)), lse};
  });
  return {values[result][0]};
}

} // namespace smelt
