//===- EmitWarpAttentionBackward.cpp - Attention's gradients, mma.sync ----===//
//
// Three launches, all deterministic; the first is the Hopper generator's, which prepares δ, the
// base-2 lse and the last query of each block of keys:
//   queries  64 queries a block, 16 a warp; 32 keys a step:
//            S = Q·Kᵀ, dP = dO·Vᵀ, dS = P∘(dP − δ), dQ += dS·K.
//   keys     64 keys a block, 16 a warp; 32 queries a step:
//            Sᵀ = K·Qᵀ, dPᵀ = V·dOᵀ, dV += Pᵀ·dO, dK += dSᵀ·Q.
// Every step is masked: first[query] ≤ key ≤ query. Source: Dao, FlashAttention-2 (2023), §3.1.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/Ampere/WarpAttention.h"
#include "compiler/Conversion/KernelToGPU/EmitKernels.h"
#include "compiler/Conversion/KernelToGPU/Hopper/AttentionBackwardKernel.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

namespace {

/// Rows of the other side in one step.
constexpr int64_t stepRows = 32;

class WarpAttentionBackward : protected WarpAttention {
protected:
  WarpAttentionBackward(kernel::AttentionBackwardOp op, GPUEmission &emission,
                        const AttentionPlan &plan, StringRef role, const PreparedAttention &places)
      : WarpAttention(emission, plan, role, op.getLoc()), op(op),
        q(function.getPointer(plan.q.argument)), k(function.getPointer(plan.k.argument)),
        v(function.getPointer(plan.v.argument)), dout(function.getPointer(op.getDout())),
        first(function.getPointer(op.getFirst())), scalePointer(function.getPointer(op.getScale())),
        delta(function.getWorkspace(places.delta)), lse(function.getWorkspace(places.lse)) {}

  Value atMost(Value a, Value b) { return code.compare(arith::CmpIPredicate::sle, a, b); }

  /// Shared memory: two tiles of the block's own rows, then two slots of a step's two tiles.
  int64_t sharedBytes() const { return 2 * rowsBytes(warpAttentionRows) + 4 * rowsBytes(stepRows); }
  Value getOwn(int64_t index) { return code.at(shared, index * rowsBytes(warpAttentionRows)); }
  Value getSlot(Value slot, int64_t index) {
    Value place = code.at(getOwn(2), code.mul(slot, 2 * rowsBytes(stepRows)));
    return code.at(place, index * rowsBytes(stepRows));
  }

  /// Steps from `begin` to `end` (excluded): `load(step, slot)` starts a step's copies,
  /// `body(step, slot, sums)` adds to the sums when they have come. The copies before belong to the
  /// first step's.
  Values forSteps(Value begin, Value end, Values sums, llvm::function_ref<void(Value, Value)> load,
                  llvm::function_ref<void(Value, Value, Values &)> body) {
    load(begin, code.i32(0));
    commitCopies(code);
    SmallVector<Value> initial(sums);
    initial.push_back(code.i32(0));
    Values after =
        code.loop(begin, end, code.i32(1), initial,
                  [&](Value step, ValueRange carried) -> SmallVector<Value> {
                    Value slot = carried.back(), next = code.add(step, 1);
                    waitCopies(code, 0);
                    code.barrierAll();
                    code.ifThen(code.less(next, end), [&] { load(next, code.bitXor(slot, 1)); });
                    commitCopies(code);
                    Values values(carried.drop_back());
                    body(step, slot, values);
                    values.push_back(code.bitXor(slot, 1));
                    return values;
                  });
    after.pop_back();
    return after;
  }

  void loadScale() { scale = ScoreScale::load(code, scalePointer); }
  /// P and dS (without the scale) of one element; 0 where it is not seen.
  std::pair<Value, Value> getSlopes(Value score, Value dp, Value lse2, Value rowDelta,
                                    Value isSeen) {
    Value p = scale.exponential(code, score, lse2);
    Value ds = code.fmul(p, code.fsub(dp, rowDelta));
    Value zero = code.f32(0);
    return {code.select(isSeen, p, zero), code.select(isSeen, ds, zero)};
  }
  Values scaled(ArrayRef<Value> values) {
    return llvm::map_to_vector(values, [&](Value x) { return code.fmul(x, scale.scale); });
  }
  /// Of a head's [H, T] rows in the workspace.
  Value statisticAt(Value table, Value row) {
    Value index = code.add(code.mul(head, getPadded(plan)), row);
    return code.at(table, code.mul(index, 4));
  }

  kernel::AttentionBackwardOp op;
  Value q, k, v, dout, first, scalePointer, delta, lse;
  ScoreScale scale;
};

class WarpAttentionQueries : WarpAttentionBackward {
public:
  WarpAttentionQueries(kernel::AttentionBackwardOp op, GPUEmission &emission,
                       const AttentionPlan &plan, const PreparedAttention &places)
      : WarpAttentionBackward(op, emission, plan, "attention backward: queries", places),
        dq(function.getPointer(op.getDq())) {}

  void emit() {
    beginBlock(/*descending=*/true);
    loadRows(getOwn(0), q, firstRow, warpAttentionRows);
    loadRows(getOwn(1), dout, firstRow, warpAttentionRows);
    loadScale();
    RowPair low, high, lse2, rowDelta; // Bounds relative to the thread's first column.
    for (int r = 0; r < 2; ++r) {
      Value row = clampRow(code.add(firstRow, code.add(fragment.row, 8 * r)));
      low[r] = code.sub(loadIndex(first, row), fragment.pair);
      high[r] = code.sub(row, fragment.pair);
      lse2[r] = code.load(code.f32Type(), statisticAt(lse, row), 4);
      rowDelta[r] = code.load(code.f32Type(), statisticAt(delta, row), 4);
    }
    Value begin = code.shiftRight(loadIndex(first, clampRow(firstRow)), 5);
    Value end = code.mul(code.add(blockTile, 1), warpAttentionRows / stepRows);
    auto load = [&](Value step, Value slot) {
      Value row = code.mul(step, stepRows);
      loadRows(getSlot(slot, 0), k, row, stepRows, /*isKey=*/true);
      loadRows(getSlot(slot, 1), v, row, stepRows);
    };
    auto body = [&](Value step, Value slot, Values &sums) {
      Values scores = zeros(stepRows), dp = zeros(stepRows), ds;
      multiplyHeads({}, getOwn(0), getSlot(slot, 0), stepRows, scores);
      multiplyHeads({}, getOwn(1), getSlot(slot, 1), stepRows, dp);
      Value here = code.mul(step, stepRows);
      for (size_t i = 0; i < scores.size(); ++i) {
        int r = int(i / 2 % 2);
        Value column = code.add(here, int64_t(8 * (i / 4) + i % 2));
        Value isSeen = code.logicalAnd(atMost(low[r], column), atMost(column, high[r]));
        ds.push_back(getSlopes(scores[i], dp[i], lse2[r], rowDelta[r], isSeen).second);
      }
      multiplyRows(code.packPairs(ds), getSlot(slot, 0), stepRows, sums);
    };
    Values sums = forSteps(begin, end, zeros(plan.width), load, body);
    storeOwnRows(getOwn(0), dq, scaled(sums));
    function.finish({tiles() * plan.heads, 1, 1}, sharedBytes());
  }

private:
  Value dq;
};

class WarpAttentionKeys : WarpAttentionBackward {
public:
  WarpAttentionKeys(kernel::AttentionBackwardOp op, GPUEmission &emission,
                    const AttentionPlan &plan, const PreparedAttention &places)
      : WarpAttentionBackward(op, emission, plan, "attention backward: keys", places),
        lastAny(function.getWorkspace(places.lastAny)), dk(function.getPointer(op.getDk())),
        dv(function.getPointer(op.getDv())) {}

  void emit() {
    static_assert(warpAttentionRows == blockRows, "lastAny is per block of keys");
    beginBlock(/*descending=*/false);
    loadRows(getOwn(0), k, firstRow, warpAttentionRows, /*isKey=*/true);
    loadRows(getOwn(1), v, firstRow, warpAttentionRows);
    loadScale();
    key = code.add(firstRow, fragment.row);
    Value begin = code.mul(blockTile, warpAttentionRows / stepRows);
    Value end = code.add(code.shiftRight(loadIndex(lastAny, blockTile), 5), 1);
    auto load = [&](Value step, Value slot) {
      Value row = code.mul(step, stepRows);
      loadRows(getSlot(slot, 0), q, row, stepRows);
      loadRows(getSlot(slot, 1), dout, row, stepRows);
    };
    auto body = [&](Value step, Value slot, Values &sums) {
      Values scores = zeros(stepRows), dp = zeros(stepRows), p, ds;
      multiplyHeads({}, getOwn(0), getSlot(slot, 0), stepRows, scores);
      multiplyHeads({}, getOwn(1), getSlot(slot, 1), stepRows, dp);
      Value firstQuery = code.add(code.mul(step, stepRows), fragment.pair);
      for (size_t i = 0; i < scores.size(); i += 4) {
        Columns columns = loadColumns(code.add(firstQuery, int64_t(2 * i)));
        for (size_t j = i; j < i + 4; ++j) {
          int e = int(j % 2), r = int(j / 2 % 2);
          Value row = code.add(key, 8 * r);
          Value isSeen =
              code.logicalAnd(atMost(columns.first[e], row), atMost(row, columns.query[e]));
          auto [weight, slope] =
              getSlopes(scores[j], dp[j], columns.lse2[e], columns.delta[e], isSeen);
          p.push_back(weight);
          ds.push_back(slope);
        }
      }
      size_t half = sums.size() / 2;
      Values dkSums(ArrayRef(sums).take_front(half)), dvSums(ArrayRef(sums).drop_front(half));
      multiplyRows(code.packPairs(p), getSlot(slot, 1), stepRows, dvSums);
      multiplyRows(code.packPairs(ds), getSlot(slot, 0), stepRows, dkSums);
      sums = dkSums;
      sums.append(dvSums);
    };
    Values sums = forSteps(begin, end, zeros(2 * plan.width), load, body);
    ArrayRef<Value> all(sums);
    storeOwnRows(getOwn(0), dk, scaled(all.take_front(plan.width / 2)));
    storeOwnRows(getOwn(1), dv, all.drop_front(plan.width / 2));
    function.finish({tiles() * plan.heads, 1, 1}, sharedBytes());
  }

private:
  /// What belongs to two neighbouring queries.
  struct Columns {
    Value query[2], first[2], lse2[2], delta[2];
  };
  /// `query` is even; queries from the end on see nothing.
  Columns loadColumns(Value query) {
    Columns columns;
    auto pair = VectorType::get(2, code.f32Type());
    Value lses = code.load(pair, statisticAt(lse, query), 8),
          deltas = code.load(pair, statisticAt(delta, query), 8);
    for (int e = 0; e < 2; ++e) {
      Value mine = code.add(query, e);
      columns.first[e] = loadIndex(first, clampRow(mine));
      // A key is never −1, so a query −1 is seen by no key.
      columns.query[e] = mine;
      if (plan.tokens % warpAttentionRows)
        columns.query[e] = code.select(code.less(mine, plan.tokens), mine, code.i32(-1));
      columns.lse2[e] = LLVM::ExtractElementOp::create(code.builder, code.loc, lses, code.i32(e));
      columns.delta[e] =
          LLVM::ExtractElementOp::create(code.builder, code.loc, deltas, code.i32(e));
    }
    return columns;
  }

  Value lastAny, dk, dv, key;
};

} // namespace

std::string smelt::whyNotWarpAttention(kernel::AttentionBackwardOp op,
                                       const GPUEmission &emission) {
  if (emission.getTarget().hasWarpgroupMMA())
    return "the target has wgmma";
  if (std::string why = whyNotGradientTensors(op, emission); !why.empty())
    return why;
  return AttentionPlan::whyNotOperands(op, emission);
}

LogicalResult smelt::emitWarpAttention(kernel::AttentionBackwardOp op, GPUEmission &emission) {
  AttentionPlan plan = AttentionPlan::make(op, emission);
  PreparedAttention places = PreparedAttention::allocate(emission, plan);
  emitAttentionPrepare(op, emission, plan, places);
  WarpAttentionQueries(op, emission, plan, places).emit();
  WarpAttentionKeys(op, emission, plan, places).emit();
  return success();
}
