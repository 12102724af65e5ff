//===- EmitEmbeddingBackward.cpp - kernel.embedding_backward --------------===//
//
// A warp has up to 1024 features of one row of the table. Blocks of 8 warps bring the list of
// tokens through shared memory; a warp compares 32 tokens at a time with its row's number and adds
// the rows of dy whose token it is, in order. No atomics, no sorting.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/EmitKernels.h"
#include "compiler/Conversion/KernelToGPU/GPURegion.h"

using namespace mlir;

namespace smelt {
namespace {

constexpr int64_t kThreads = 256, kWarps = kThreads / 32, kStage = 2048, kMostFeatures = 1024;

} // namespace

LogicalResult emitGeneric(kernel::EmbeddingBackwardOp op, GPUEmission &emission) {
  using Values = GPUBuilder::Values;
  auto interface = cast<kernel::KernelOpInterface>(op.getOperation());
  GPUOperandRegion dy(interface, 0);
  GPUResultRegion result(interface, 1, op.getOutputs());
  for (const std::string &why : {dy.whyNot(), result.whyNot()})
    if (!why.empty())
      return op.emitOpError("cannot be generated for GPUs: ") << why;
  dy.prepare(emission);
  result.prepare(emission);
  auto table = cast<RankedTensorType>(op.getResult().front().getArgument(0).getType());
  int64_t entries = table.getDimSize(0), width = table.getNumElements() / entries,
          tokens = cast<RankedTensorType>(op.getTokens().getType()).getDimSize(0);
  int64_t parts = llvm::divideCeil(width, kMostFeatures),
          ofPart = llvm::alignTo(llvm::divideCeil(width, parts), 32);
  // Neighbouring features of a lane, if all lanes have whole ones.
  int64_t each = ofPart % 128 == 0 && width % ofPart == 0 && dy.getVector() == 4 &&
                         (result.getVector() == 4 || !result.isElementwise())
                     ? 4
                     : 1;
  int64_t rounds = ofPart / (32 * each);

  GPUFunction function(emission, "table gradient", kThreads);
  GPUBuilder g(function.builder());
  Value thread = g.thread(), lane = g.rem(thread, 32);
  Value warp = g.add(g.mul(g.block(), kWarps), g.div(thread, 32));
  Value entry = g.div(warp, parts), firstFeature = g.mul(g.rem(warp, parts), ofPart);
  Value stage = function.allocateShared(kStage * 4);
  Value list = function.getPointer(op.getTokens());
  dy.bind(function);
  result.bind(function);
  auto chunkOf = [&](int64_t round) {
    Value feature = g.add(g.add(firstFeature, g.mul(lane, each)), round * 32 * each);
    return GPUChunk::at(g.min(feature, g.integer(width - each)), 0, width, each);
  };

  Values zeros(rounds * each, g.number(0));
  Values sums = g.loop(
      g.integer(0), g.integer(tokens), g.integer(kStage), zeros,
      [&](Value base, ValueRange before) -> Values {
        for (int64_t i = 0; i < kStage; i += kThreads) {
          Value at = g.add(thread, i);
          Value token = g.add(base, at);
          Value safe = g.min(token, g.integer(tokens - 1));
          Value read = g.load(g.offset(list, g.i32(), safe), g.i32(), 4);
          g.store(g.select(g.less(token, tokens), read, g.integer(-1)),
                  g.offset(stage, g.i32(), at), 4);
        }
        g.barrier();
        Values after = g.loop(
            g.integer(0), g.integer(kStage), g.integer(32), before,
            [&](Value group, ValueRange inner) -> Values {
              Value token = g.load(g.offset(stage, g.i32(), g.add(group, lane)), g.i32(), 4);
              Value hits = g.voteBallot(g.equal(token, entry));
              Value count = LLVM::CtPopOp::create(g.base(), g.i32(), hits);
              Values carried{hits};
              carried.append(inner.begin(), inner.end());
              Values added = g.loop(
                  g.integer(0), count, g.integer(1), carried,
                  [&](Value, ValueRange state) -> Values {
                    Value bits = state[0];
                    Value bit = LLVM::CountTrailingZerosOp::create(g.base(), g.i32(), bits,
                                                                   /*is_zero_poison=*/false);
                    Value row = g.add(g.add(base, group), bit);
                    Values next{g.both(bits, g.add(bits, -1))};
                    dy.start();
                    for (int64_t round = 0; round < rounds; ++round)
                      for (auto [i, value] : llvm::enumerate(dy.get(row, chunkOf(round))))
                        next.push_back(g.addf(state[1 + round * each + i], value));
                    return next;
                  });
              return Values(added.begin() + 1, added.end());
            });
        g.barrier(); // The stage is filled again.
        return after;
      });
  for (int64_t round = 0; round < rounds; ++round) {
    Value feature = g.add(g.add(firstFeature, g.mul(lane, each)), round * 32 * each);
    g.when(g.both(g.less(entry, entries), g.less(feature, width)), [&] {
      result.storeElements(entry, chunkOf(round), ArrayRef(sums).slice(round * each, each));
    });
  }
  int64_t blocks = llvm::divideCeil(entries * parts, kWarps);
  function.finish({blocks, 1, 1});
  result.finish(emission);
  return success();
}

} // namespace smelt
