//===- RowLoss.cpp - Cross-entropy, and the keys a query sees -------------===//
#include "compiler/Conversion/KernelToCPU/RowEmitterScope.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::lm;

namespace smelt {

Value RowEmitter::computeLoss(Operation *op, Value result, Value row, const FeatureChunk &chunk) {
  Type f32 = b.getF32Type();
  if (auto entropy = dyn_cast<CrossEntropyOp>(op)) {
    Value logits = entropy.getLogits();
    int64_t width = program.getFeatures(logits);
    ensureSegments(op, row, 1, width, 2, [&](Value, int64_t, int64_t) -> SmallVector<Value> {
      // The maximum may skip NaN logits; the sum does not, so a NaN logit makes the loss NaN.
      Value most = reduce(
          {}, 0, 0, width, width, {Fold::Max},
          [&](const FeatureChunk &at) -> SmallVector<Value> { return {get(logits, row, at)}; })[0];
      Value sum = reduce({}, 0, 0, width, width, {Fold::Add},
                         [&](const FeatureChunk &at) -> SmallVector<Value> {
                           return {exp(sub(get(logits, row, at), splat(most, at)))};
                         })[0];
      Value lse = add(most, math::LogOp::create(b, loc, sum));
      Value target = getInteger(entropy.getTargets(), row);
      Value ignored = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, target, integer(0));
      Value at =
          arith::IndexCastOp::create(b, loc, b.getIndexType(), select(ignored, integer(0), target));
      Value logit = get(logits, row, FeatureChunk::at(at, 1, 0, 0, width, 0));
      return {select(ignored, number(0, f32), sub(lse, logit)), lse};
    });
    return splat(getSegmentValue(op, row, result == entropy.getLse() ? 1 : 0, 1, {}, 0), chunk);
  }
  auto backward = cast<CrossEntropyBackwardOp>(op);
  Value target = getInteger(backward.getTargets(), row);
  Value lse = get(backward.getLse(), row, FeatureChunk::at(0, 0)),
        dloss = get(backward.getDloss(), row, FeatureChunk::at(0, 0));
  auto [position, ignored] = atRowLevel([&]() -> std::pair<Value, Value> {
    return {arith::IndexCastOp::create(b, loc, b.getIndexType(), target),
            arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, target, integer(0))};
  });
  Value softmax = exp(sub(get(backward.getLogits(), row, chunk), splat(lse, chunk)));
  Value distance = arith::SubIOp::create(b, loc, position, first(chunk)), hit;
  if (chunk.isScalar()) {
    hit = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, distance, index(0));
  } else {
    auto lanesType = VectorType::get({lanes}, b.getI32Type());
    SmallVector<int32_t> count(lanes);
    for (unsigned i = 0; i < lanes; ++i)
      count[i] = i;
    Value steps = arith::ConstantOp::create(
        b, loc, DenseElementsAttr::get(lanesType, ArrayRef<int32_t>(count)));
    Value narrow = arith::IndexCastOp::create(b, loc, b.getI32Type(), distance);
    hit = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq,
                                vector::BroadcastOp::create(b, loc, lanesType, narrow), steps);
  }
  Value error = select(hit, sub(softmax, number(1, chunk)), softmax);
  return select(ignored, number(0, chunk), mul(splat(dloss, chunk), error));
}

/// max(document_start[t], t − window); with blocks of B, max(document_start[t], (t div B −
/// (max(window div B, 1) − 1))·B).
Value RowEmitter::computeAttentionRange(AttentionRangeOp op, Value row) {
  Value starts = op.getDocumentStart();
  auto asIndexValue = [&](Value i32) -> Value {
    return arith::IndexCastOp::create(b, loc, b.getIndexType(), i32);
  };
  Value start = asIndexValue(getInteger(starts, row)),
        window = asIndexValue(getUniformInteger(op.getWindow()));
  auto max = [&](Value x, Value y) -> Value { return arith::MaxSIOp::create(b, loc, x, y); };
  auto minus = [&](Value x, Value y) -> Value { return arith::SubIOp::create(b, loc, x, y); };
  Value from;
  if (!op.getBlocks()) {
    from = max(start, minus(row, window));
  } else {
    int64_t size = *op.getBlocks();
    Value query = arith::DivUIOp::create(b, loc, row, index(size)),
          blocks = max(arith::DivSIOp::create(b, loc, window, index(size)), index(1));
    from = max(start,
               arith::MulIOp::create(b, loc, minus(query, minus(blocks, index(1))), index(size)));
  }
  return arith::IndexCastOp::create(b, loc, b.getI32Type(), from);
}

} // namespace smelt
