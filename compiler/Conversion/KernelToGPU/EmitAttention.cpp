//===- EmitAttention.cpp - kernel.attention, a warp a query ---------------===//
//
// The reference of the fast generators, and what runs where they do not apply. A warp has one query
// of one head; lane i has features i, 32 + i …; keys are taken one after the other with an online
// softmax. Any head width, any `first`.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/GPUAttention.h"

using namespace mlir;

namespace smelt {

LogicalResult emitGeneric(kernel::AttentionOp op, GPUEmission &emission) {
  auto interface = cast<kernel::KernelOpInterface>(op.getOperation());
  GPUOperandRegion q(interface, 0), k(interface, 1), v(interface, 2);
  GPUResultRegion result(interface, 3, op.getOutputs());
  for (const std::string &why : {q.whyNot(), k.whyNot(), v.whyNot(), result.whyNot()})
    if (!why.empty())
      return op.emitOpError("cannot be generated for GPUs: ") << why;
  for (GPUOperandRegion *region : {&q, &k, &v})
    region->prepare(emission);
  result.prepare(emission);

  AttentionWarps warps(op.getHeadsType(), emission, "attention");
  GPUBuilder &g = warps.g;
  for (GPUOperandRegion *region : {&q, &k, &v})
    region->bind(warps.function);
  result.bind(warps.function);
  Value scale = warps.loadScalar(op.getScale());
  warps.forEachRow([&](Value query, Value head) {
    Values qs = warps.loadRow(q, query, head);
    for (Value &each : qs)
      each = g.mulf(each, scale);
    Value first = warps.loadIndex(op.getFirst(), query);
    Values initial{g.number(-3.0e38), g.number(0)}; // Greatest score so far, sum, output.
    initial.append(qs.size(), g.number(0));
    Values sums = g.loop(first, g.add(query, 1), g.integer(1), initial,
                         [&](Value key, ValueRange before) -> Values {
                           Value score = warps.dot(qs, warps.loadRow(k, key, head));
                           Value greatest = g.maxf(before[0], score);
                           Value shrink = g.exp(g.subf(before[0], greatest));
                           Value p = g.exp(g.subf(score, greatest));
                           Values after{greatest, g.fma(before[1], shrink, p)};
                           for (auto [i, each] : llvm::enumerate(warps.loadRow(v, key, head)))
                             after.push_back(g.fma(p, each, g.mulf(before[2 + i], shrink)));
                           return after;
                         });
    Values out;
    for (Value each : ArrayRef(sums).drop_front(2))
      out.push_back(g.divf(each, sums[1]));
    warps.forFeatures(head, [&](size_t i, const GPUChunk &chunk) {
      result.storeElements(query, chunk, out[i]);
    });
    g.when(g.equal(warps.lane, 0), [&] {
      warps.storeStatistic(op.getLse(), query, head, g.addf(sums[0], g.log(sums[1])));
    });
  });
  warps.finish();
  result.finish(emission);
  return success();
}

} // namespace smelt
