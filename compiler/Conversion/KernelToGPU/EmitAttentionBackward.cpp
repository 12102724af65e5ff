//===- EmitAttentionBackward.cpp - kernel.attention_backward, plainly -----===//
//
// Three launches, no atomics, every sum in order: D = Σ dout·out per token and head; dq, a warp a
// query; dk and dv, a warp a key. The queries that see key j are those from j to the last one whose
// first key is not after j: `first` never falls from one token to the next (documents and windows
// only move on), so that one is found by bisection.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/GPUAttention.h"

using namespace mlir;

namespace smelt {
namespace {

class BackwardEmitter {
public:
  BackwardEmitter(kernel::AttentionBackwardOp op, GPUEmission &emission)
      : op(op), emission(emission), type(op.getHeadsType()), q(interface(), 0), k(interface(), 1),
        v(interface(), 2) {}

  LogicalResult emit() {
    for (const std::string &why : {q.whyNot(), k.whyNot(), v.whyNot()})
      if (!why.empty())
        return op.emitOpError("cannot be generated for GPUs: ") << why;
    for (GPUOperandRegion *region : {&q, &k, &v})
      region->prepare(emission);
    if (!isSummed()) {
      deltaOffset = emission.allocateWorkspace(type.getDimSize(0) * type.getDimSize(1) * 4);
      emitDelta();
    }
    emitQueries();
    emitKeys();
    return success();
  }

private:
  /// The kernel is given Σ dout·out instead of out.
  bool isSummed() { return op.getOut().getType().getRank() == 2; }

  kernel::KernelOpInterface interface() {
    return cast<kernel::KernelOpInterface>(op.getOperation());
  }

  void emitDelta() {
    AttentionWarps warps(type, emission, "attention backward: rows");
    GPUBuilder &g = warps.g;
    Value delta = warps.function.getWorkspace(deltaOffset);
    warps.forEachRow([&](Value token, Value head) {
      Value sum =
          warps.dot(warps.loadRow(op.getOut(), token, head), warps.loadRow(op.getDout(), token, head));
      g.when(g.equal(warps.lane, 0), [&] {
        Value at = g.add(g.mul(token, warps.heads), head);
        g.store(sum, g.offset(delta, g.f32(), at), 4);
      });
    });
    warps.finish();
  }

  void bind(AttentionWarps &warps) {
    for (GPUOperandRegion *region : {&q, &k, &v})
      region->bind(warps.function);
    delta = isSummed() ? warps.function.getPointer(op.getOut())
                       : warps.function.getWorkspace(deltaOffset);
    lse = warps.function.getPointer(op.getLse());
    scale = warps.loadScalar(op.getScale());
  }

  /// P and dS (already times the scale) of a query and a key.
  std::pair<Value, Value> getSlopes(AttentionWarps &warps, Value query, Value head,
                                    ArrayRef<Value> qs, ArrayRef<Value> ks, ArrayRef<Value> vs,
                                    ArrayRef<Value> douts) {
    GPUBuilder &g = warps.g;
    Type lseType = cast<RankedTensorType>(op.getLse().getType()).getElementType();
    Value score = g.mulf(warps.dot(qs, ks), scale);
    Value p = g.exp(g.subf(score, warps.loadStatistic(lse, lseType, query, head)));
    Value dp = warps.dot(douts, vs);
    Type deltaType = isSummed() ? op.getOut().getType().getElementType() : Type(g.f32());
    Value ds = g.mulf(p, g.subf(dp, warps.loadStatistic(delta, deltaType, query, head)));
    return {p, g.mulf(ds, scale)};
  }

  void emitQueries() {
    AttentionWarps warps(type, emission, "attention backward: queries");
    GPUBuilder &g = warps.g;
    bind(warps);
    warps.forEachRow([&](Value query, Value head) {
      Values qs = warps.loadRow(q, query, head), douts = warps.loadRow(op.getDout(), query, head);
      Value first = warps.loadIndex(op.getFirst(), query);
      Values sums = g.loop(first, g.add(query, 1), g.integer(1), Values(qs.size(), g.number(0)),
                           [&](Value key, ValueRange before) -> Values {
                             Values ks = warps.loadRow(k, key, head),
                                    vs = warps.loadRow(v, key, head);
                             Value ds = getSlopes(warps, query, head, qs, ks, vs, douts).second;
                             Values after;
                             for (auto [i, each] : llvm::enumerate(ks))
                               after.push_back(g.fma(ds, each, before[i]));
                             return after;
                           });
      warps.storeRow(op.getDq(), query, head, sums);
    });
    warps.finish();
  }

  /// The query after the last one that sees `key`.
  Value findEnd(AttentionWarps &warps, Value key) {
    GPUBuilder &g = warps.g;
    int64_t rounds = llvm::Log2_64_Ceil(warps.tokens + 1) + 1;
    // Queries before `low` see the key (from the key on), those from `high` on do not.
    Values bounds = g.loop(g.integer(0), g.integer(rounds), g.integer(1),
                           {g.add(key, 1), g.integer(warps.tokens)},
                           [&](Value, ValueRange before) -> Values {
                             Value low = before[0], high = before[1];
                             Value middle = g.div(g.add(low, high), 2);
                             Value inside = g.min(middle, g.integer(warps.tokens - 1));
                             Value sees =
                                 g.atLeast(key, warps.loadIndex(op.getFirst(), inside));
                             Value open = g.less(low, high);
                             return {g.select(g.both(open, sees), g.add(middle, 1), low),
                                     g.select(open, g.select(sees, high, middle), high)};
                           });
    return bounds[0];
  }

  void emitKeys() {
    AttentionWarps warps(type, emission, "attention backward: keys");
    GPUBuilder &g = warps.g;
    bind(warps);
    warps.forEachRow([&](Value key, Value head) {
      Values ks = warps.loadRow(k, key, head), vs = warps.loadRow(v, key, head);
      size_t count = ks.size();
      Values sums = g.loop(
          key, findEnd(warps, key), g.integer(1), Values(2 * count, g.number(0)),
          [&](Value query, ValueRange before) -> Values {
            Values qs = warps.loadRow(q, query, head),
                   douts = warps.loadRow(op.getDout(), query, head), after;
            auto [p, ds] = getSlopes(warps, query, head, qs, ks, vs, douts);
            for (size_t i = 0; i < count; ++i)
              after.push_back(g.fma(ds, qs[i], before[i]));
            for (size_t i = 0; i < count; ++i)
              after.push_back(g.fma(p, douts[i], before[count + i]));
            return after;
          });
      warps.storeRow(op.getDk(), key, head, ArrayRef(sums).take_front(count));
      warps.storeRow(op.getDv(), key, head, ArrayRef(sums).drop_front(count));
    });
    warps.finish();
  }

  kernel::AttentionBackwardOp op;
  GPUEmission &emission;
  RankedTensorType type;
  GPUOperandRegion q, k, v;
  int64_t deltaOffset = 0;
  Value delta, lse, scale;
};

} // namespace

LogicalResult emitGeneric(kernel::AttentionBackwardOp op, GPUEmission &emission) {
  return BackwardEmitter(op, emission).emit();
}

} // namespace smelt
