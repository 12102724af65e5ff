//===- EmitHopperAttentionBackward.cpp - Attention's gradients on Hopper --===//
//
// Three launches, all deterministic:
//   prepare  δ[t, h] = Σ dO·O (unless it is given) and the base-2 lse, both [H, T] with T padded to
//   whole tiles;
//            `first`, padded too; for each block of 64 keys the last queries that see all and any
//            of its keys (`first` never falls, so one query decides).
//   queries  128 queries a tile, 64 a warp group; blocks of 64 keys:
//            S = Q·Kᵀ, dP = dO·Vᵀ, dS = P∘(dP − δ), dQ += dS·K.
//   keys     128 keys a tile, 64 a warp group; blocks of 64 queries:
//            Sᵀ = K·Qᵀ, dPᵀ = V·dOᵀ, dV += Pᵀ·dO, dK += dSᵀ·Q.
// The products S and dP are made twice; in return nothing is added in an order that depends on the
// run. P = exp2(S·scale·log2 e − lse₂). A warp group masks the block on its diagonal and those at
// the edge of what it sees, and skips those beyond. Source: Dao, FlashAttention-2 (2023), §3.1.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/EmitKernels.h"
#include "compiler/Conversion/KernelToGPU/Hopper/AttentionBackwardKernel.h"
#include <numbers>

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

/// Stores `token` at the blocks j of 64 keys with here ≤ 64·j + `offset` < next.
static void storeLast(CodeBuilder &code, Value table, Value here, Value next, Value token,
                      int64_t offset) {
  int64_t up = blockRows - 1 - offset;
  code.loop(code.shiftRight(code.add(here, up), 6), code.shiftRight(code.add(next, up), 6),
            code.i32(1), {}, [&](Value block, ValueRange) -> SmallVector<Value> {
              code.store(token, code.at(table, code.mul(block, 4)), 4);
              return {};
            });
}

namespace {

/// A warp per token and head, or a thread where δ is given; the first of a token also settles the
/// blocks whose keys it is the last to see.
class Prepare {
public:
  Prepare(kernel::AttentionBackwardOp op, GPUEmission &emission, const AttentionPlan &plan,
          const PreparedAttention &places)
      : plan(plan), isSummed(op.getOut().getType().getRank() == 2),
        function(emission, "attention backward: prepare", threads),
        code(function.builder(), op.getLoc()), out(function.getPointer(op.getOut())),
        dout(isSummed ? Value() : function.getPointer(op.getDout())),
        lse(function.getPointer(op.getLse())), first(function.getPointer(op.getFirst())),
        delta(function.getWorkspace(places.delta)), lse2(function.getWorkspace(places.lse)),
        lastWhole(function.getWorkspace(places.lastWhole)),
        lastAny(function.getWorkspace(places.lastAny)),
        padded(function.getWorkspace(places.first)) {}

  void emit() {
    Value thread = code.threadIndex(), lane = code.bitAnd(thread, 31);
    int64_t perBlock = isSummed ? threads : threads / 32, rows = plan.tokens * plan.heads;
    // token · H + head
    Value row = code.add(code.mul(code.blockIndex(), perBlock),
                         isSummed ? thread : code.shiftRight(thread, 5));
    code.ifThen(code.less(row, rows), [&] {
      if (isSummed)
        return finishRow(row, code.load(code.f32Type(), code.at(out, code.mul(row, 4)), 4));
      Value sum = addUp(row, lane);
      code.ifThen(code.equal(lane, 0), [&] { finishRow(row, sum); });
    });
    function.finish({(rows + perBlock - 1) / perBlock, 1, 1});
  }

private:
  static constexpr int64_t threads = 256;

  /// Σ dO·O by the warp: a lane has pairs of features, d/2 pairs over 32 lanes.
  Value addUp(Value row, Value lane) {
    Value sum = code.f32(0);
    for (int64_t i = 0; i < plan.width / 64; ++i) {
      Value column = code.add(code.mul(lane, 2), 64 * i);
      auto pair = [&](Value matrix) {
        return code.unpackBF16(
            code.load(code.i32Type(), code.atElement(matrix, row, plan.width, column, 2), 4));
      };
      auto [o0, o1] = pair(out);
      auto [g0, g1] = pair(dout);
      sum = code.fma(o0, g0, code.fma(o1, g1, sum));
    }
    for (unsigned distance : {1u, 2u, 4u, 8u, 16u})
      sum = code.fadd(sum, code.shuffleXor(sum, distance));
    return sum;
  }

  void finishRow(Value row, Value sum) {
    Value token = code.div(row, plan.heads), head = code.rem(row, plan.heads);
    Value place = code.mul(code.add(code.mul(head, getPadded(plan)), token), 4);
    code.store(sum, code.at(delta, place), 4);
    Value natural = code.load(code.f32Type(), code.at(lse, code.mul(row, 4)), 4);
    code.store(code.fmul(natural, code.f32(std::numbers::log2e)), code.at(lse2, place), 4);
    code.ifThen(code.equal(head, 0), [&] {
      // Query t is the last that sees key κ when first[t] ≤ κ < first[t + 1]; beyond the end
      // nothing does.
      auto load = [&](Value t) {
        return code.load(code.i32Type(), code.at(first, code.mul(t, 4)), 4);
      };
      Value isEnd = code.equal(token, plan.tokens - 1);
      Value here = load(token);
      Value next = load(code.select(isEnd, token, code.add(token, 1)));
      next = code.select(isEnd, code.i32(getPadded(plan)), next);
      code.store(here, code.at(padded, code.mul(token, 4)), 4);
      storeLast(code, lastWhole, here, next, token, 0);
      storeLast(code, lastAny, here, next, token, blockRows - 1);
    });
  }

  const AttentionPlan &plan;
  bool isSummed;
  GPUFunction function;
  CodeBuilder code;
  Value out, dout, lse, first, delta, lse2, lastWhole, lastAny, padded;
};

} // namespace

void smelt::gpu::emitAttentionPrepare(kernel::AttentionBackwardOp op, GPUEmission &emission,
                                      const AttentionPlan &plan, const PreparedAttention &places) {
  Prepare(op, emission, plan, places).emit();
}

std::string smelt::gpu::whyNotGradientTensors(kernel::AttentionBackwardOp op,
                                              const GPUEmission &emission) {
  bool isSummed = op.getOut().getType().getRank() == 2;
  if (isSummed && !op.getOut().getType().getElementType().isF32())
    return "the sums of output and gradient are not f32";
  SmallVector<Value> tensors{op.getDout(), op.getDq(), op.getDk(), op.getDv()};
  if (!isSummed)
    tensors.push_back(op.getOut());
  for (Value tensor : tensors) {
    if (!cast<RankedTensorType>(tensor.getType()).getElementType().isBF16())
      return "an output or its gradient is not stored in bf16";
    if (emission.getAlignment(emission.getArgument(tensor)) % 16)
      return "a gradient does not begin at a multiple of 16 bytes";
  }
  return "";
}

std::string smelt::whyNotFastAttention(kernel::AttentionBackwardOp op,
                                       const GPUEmission &emission) {
  if (std::string why = whyNotGradientTensors(op, emission); !why.empty())
    return why;
  return AttentionPlan::whyNot(op, emission);
}

LogicalResult smelt::emitFastAttention(kernel::AttentionBackwardOp op, GPUEmission &emission) {
  AttentionPlan plan = AttentionPlan::make(op, emission);
  PreparedAttention places = PreparedAttention::allocate(emission, plan);
  emitAttentionPrepare(op, emission, plan, places);
  emitAttentionQueries(op, emission, plan, places);
  emitAttentionKeys(op, emission, plan, places);
  return success();
}
