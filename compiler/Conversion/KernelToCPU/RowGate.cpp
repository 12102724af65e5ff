//===- RowGate.cpp - Gates from a row's first features --------------------===//
#include "compiler/Conversion/KernelToCPU/NumberFormats.h"
#include "compiler/Conversion/KernelToCPU/RowEmitterScope.h"
#include "compiler/Conversion/RowTables.h"

using namespace mlir;
using namespace mlir::lm;

namespace smelt {

Value RowEmitter::computeGate(Operation *op, Value row, const FeatureChunk &chunk) {
  Value x = op->getOperand(0), w = op->getOperand(1);
  auto weights = cast<RankedTensorType>(w.getType());
  int64_t gates = weights.getDimSize(0), width = weights.getDimSize(1);
  if (isa<GateOp>(op)) {
    ensureSegments(op, row, gates, width, 1,
                   [&](Value dynamic, int64_t, int64_t) -> SmallVector<Value> {
                     Value weightRow =
                         dynamic ? arith::DivUIOp::create(b, loc, dynamic, index(width)).getResult()
                                 : index(0);
                     SmallVector<Value> sums =
                         reduce({}, 0, 0, width, width, {Fold::Add},
                                [&](const FeatureChunk &at) -> SmallVector<Value> {
                                  return {mul(get(x, row, at), loadTable(w, weightRow, width, at))};
                                });
                     return {sigmoid(sums[0])};
                   });
    if (gates > 1 && !chunk.isScalar())
      return loadMemory(scopes[1]->segments.at({op, row.getAsOpaquePointer()})[0], first(chunk),
                        chunk);
    return splat(
        getSegmentValue(op, row, 0, gates, chunk.dynamic ? first(chunk) : Value(), chunk.offset),
        chunk);
  }
  // dx[j] = Σ over gates of da[g]·w[g, j] for j < n, da = dgate·gate·(1 − gate).
  auto backward = cast<GateBackwardOp>(op);
  Value mask;
  Cover covered = cover(chunk, {0, width}, program.getFeatures(x), mask);
  if (covered == Cover::None)
    return number(0, chunk);
  auto loadWeights = [&](Value g) -> Value {
    if (covered == Cover::All)
      return loadTable(w, g, width, chunk);
    if (chunk.isScalar()) {
      FeatureChunk safe = FeatureChunk::at(select(mask, first(chunk), index(0)), 1, 0, 0, width, 0);
      return select(mask, loadTable(w, g, width, safe), number(0, chunk));
    }
    if (!chunk.dynamic) {
      FeatureChunk valid = chunk;
      valid.lanes = std::min<int64_t>(chunk.lanes, width - chunk.offset);
      return loadTable(w, g, width, valid); // Other lanes are 0.
    }
    auto argument = cast<BlockArgument>(getTableSource(w));
    Value base =
        arith::AddIOp::create(b, loc, arith::MulIOp::create(b, loc, g, index(width)), first(chunk));
    return roundedAs(
        w, loadNumbers(b, loc, typeOf(chunk), sources[argument.getArgNumber()].memory, base, mask));
  };
  Value sum;
  for (int64_t g = 0; g < gates; ++g) {
    Value value = get(backward.getGate(), row, FeatureChunk::at(g, 0)),
          gradient = get(backward.getDgate(), row, FeatureChunk::at(g, 0));
    Value da = atRowLevel(
        [&] { return mul(gradient, mul(value, sub(number(1, b.getF32Type()), value))); });
    Value term = mul(splat(da, chunk), loadWeights(index(g)));
    sum = sum ? add(sum, term) : term;
  }
  return sum;
}

} // namespace smelt
