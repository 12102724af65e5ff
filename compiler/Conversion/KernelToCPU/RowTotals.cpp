//===- RowTotals.cpp - Sums over all rows, the same for any thread count --===//
#include "compiler/Conversion/KernelToCPU/RowEmitterScope.h"

using namespace mlir;
using namespace mlir::lm;

namespace smelt {

static bool isSum(Operation *op) {
  return isa<SumOp, DotOp, CountOp, GroupSumOp, GateBackwardOp>(op);
}

void RowEmitter::zeroPartials() {
  if (!program.getPartialFloats())
    return;
  auto loop = scf::ForOp::create(b, loc, index(0), index(program.getPartialFloats()), index(lanes));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(loop.getBody()->getTerminator());
  FeatureChunk chunk = FeatureChunk::at(0, lanes);
  storeMemory(partials, arith::AddIOp::create(b, loc, partialBase, loop.getInductionVar()), chunk,
              number(0, chunk));
}

/// Adds one row to the block's partial sums.
void RowEmitter::accumulateRow(Value row) {
  for (Operation &op : program.getBlock().without_terminator()) {
    if (!isSum(&op) || (isa<GateBackwardOp>(op) && op.getResult(1).use_empty()))
      continue;
    Value sum = op.getResult(op.getNumResults() - 1);
    Value base = arith::AddIOp::create(b, loc, partialBase, index(program.getPartialOffset(sum)));
    auto addTo = [&](Value at, const FeatureChunk &chunk, Value term) {
      storeMemory(partials, at, chunk, add(loadMemory(partials, at, chunk), term));
    };
    if (auto backward = dyn_cast<GateBackwardOp>(op)) { // dw[g, j] += da[g]·x[j]
      auto weights = cast<RankedTensorType>(backward.getW().getType());
      int64_t gates = weights.getDimSize(0), width = weights.getDimSize(1);
      for (int64_t g = 0; g < gates; ++g) {
        Value value = get(backward.getGate(), row, FeatureChunk::at(g, 0)),
              gradient = get(backward.getDgate(), row, FeatureChunk::at(g, 0));
        Value da = mul(gradient, mul(value, sub(number(1, b.getF32Type()), value)));
        for (int64_t j = 0; j < width; j += lanes) {
          FeatureChunk chunk = FeatureChunk::at(j, std::min<int64_t>(lanes, width - j));
          addTo(arith::AddIOp::create(b, loc, base, index(g * width + j)), chunk,
                mul(splat(da, chunk), get(backward.getX(), row, chunk)));
        }
      }
      continue;
    }
    Value term;
    FeatureChunk one = FeatureChunk::at(0, 0);
    if (auto count = dyn_cast<CountOp>(op)) {
      Value valid = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge,
                                          getInteger(count.getTargets(), row), integer(0));
      term = select(valid, number(1, one), number(0, one));
    } else {
      Value x = op.getOperand(0), y = op.getNumOperands() > 1 ? op.getOperand(1) : Value();
      auto termAt = [&](const FeatureChunk &chunk) -> SmallVector<Value> {
        Value v = get(x, row, chunk);
        return {y ? mul(v, get(y, row, chunk)) : v};
      };
      int64_t features = program.getFeatures(x);
      term = features == 1 ? termAt(one)[0]
                           : reduce({}, 0, 0, features, features, {Fold::Add}, termAt)[0];
    }
    addTo(base, one, term);
  }
}

void RowEmitter::storeTotals(Value all, int64_t blocks, int64_t floats) {
  mark = arith::ConstantIndexOp::create(b, loc, 0);
  scopes[0]->chunks.clear();
  startRow();
  auto sumRange = [&](Value begin, Value end, int64_t offset, const FeatureChunk &chunk) -> Value {
    auto loop = scf::ForOp::create(b, loc, begin, end, index(1), ValueRange{number(0, chunk)});
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(loop.getBody());
    Value at = arith::AddIOp::create(
        b, loc, arith::MulIOp::create(b, loc, loop.getInductionVar(), index(floats)),
        index(offset));
    scf::YieldOp::create(b, loc,
                         ValueRange{add(loop.getRegionIterArg(0), loadMemory(all, at, chunk))});
    return loop.getResult(0);
  };
  auto sumBlocks = [&](int64_t offset, const FeatureChunk &chunk) {
    return sumRange(index(0), index(blocks), offset, chunk);
  };
  for (Operation &op : program.getBlock().without_terminator()) {
    if (!isSum(&op) || isa<GateBackwardOp, GroupSumOp>(op))
      continue;
    Value sum = op.getResult(0);
    Value total = sumBlocks(program.getPartialOffset(sum), FeatureChunk::at(0, 0));
    if (isa<CountOp>(op)) // At least 1: it divides.
      total = arith::MaximumFOp::create(b, loc, total, number(1, b.getF32Type()));
    totalValues[sum] = rounded(total, sum);
  }
  mark = arith::ConstantIndexOp::create(b, loc, 0); // What is made of the totals comes after them.
  for (auto [i, value] : llvm::enumerate(program.getTerminator()->getOperands())) {
    if (!program.isTotal(value))
      continue;
    auto type = cast<RankedTensorType>(value.getType());
    if (type.getRank() == 0) {
      bool isIndex = type.getElementType().isInteger(32);
      if (isIndex)
        memref::StoreOp::create(b, loc, getUniformInteger(value), sinks[i].memory,
                                ValueRange{index(0)});
      else
        storeMemory(sinks[i].memory, index(0), FeatureChunk::at(0, 0), getUniform(value));
      continue;
    }
    if (value.getDefiningOp<GroupSumOp>()) { // Each group has the same number of blocks.
      auto loop = scf::ForOp::create(b, loc, index(0), index(program.getGroups()), index(1));
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPoint(loop.getBody()->getTerminator());
      Value group = loop.getInductionVar(), share = index(blocks / program.getGroups());
      Value begin = arith::MulIOp::create(b, loc, group, share);
      Value end = arith::AddIOp::create(b, loc, begin, share);
      FeatureChunk one = FeatureChunk::at(0, 0);
      storeMemory(sinks[i].memory, group, one,
                  sumRange(begin, end, program.getPartialOffset(value), one));
      continue;
    }
    for (int64_t at = 0, count = type.getNumElements(); at < count; at += lanes) {
      FeatureChunk chunk = FeatureChunk::at(at, std::min<int64_t>(lanes, count - at));
      storeMemory(sinks[i].memory, index(at), chunk,
                  rounded(sumBlocks(program.getPartialOffset(value) + at, chunk), value));
    }
  }
}

} // namespace smelt
