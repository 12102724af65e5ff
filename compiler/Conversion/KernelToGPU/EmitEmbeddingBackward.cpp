//===- EmitEmbeddingBackward.cpp - kernel.embedding_backward --------------===//
//
// The tokens are sorted (GPUTokenSort); then a warp has up to 1024 features of one row of the table
// and adds the rows of dy whose token it is, in order. What fills whole pieces of 32 places of the
// sorted list was added before, by a warp a piece: frequent tokens hold nobody up. No atomics.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/EmitKernels.h"
#include "compiler/Conversion/KernelToGPU/GPURegion.h"
#include "compiler/Conversion/KernelToGPU/GPUTokenSort.h"

using namespace mlir;

namespace smelt {
namespace {

constexpr int64_t kThreads = 256, kWarps = kThreads / 32, kMostFeatures = 1024, kPiece = 32,
                  kAtOnce = 4;

class TableGradient {
public:
  TableGradient(kernel::EmbeddingBackwardOp op, GPUEmission &emission)
      : op(op), emission(emission), dy(interface(), 0), result(interface(), 1, op.getOutputs()) {}

  LogicalResult emit() {
    for (const std::string &why : {dy.whyNot(), result.whyNot()})
      if (!why.empty())
        return op.emitOpError("cannot be generated for GPUs: ") << why;
    dy.prepare(emission);
    result.prepare(emission);
    auto table = cast<RankedTensorType>(op.getResult().front().getArgument(0).getType());
    entries = table.getDimSize(0), width = table.getNumElements() / entries;
    tokens = cast<RankedTensorType>(op.getTokens().getType()).getDimSize(0);
    parts = llvm::divideCeil(width, kMostFeatures);
    ofPart = llvm::alignTo(llvm::divideCeil(width, parts), 32);
    // Neighbouring features of a lane, if all lanes have whole ones.
    each = ofPart % 128 == 0 && width % ofPart == 0 && dy.getVector() == 4 &&
                   (result.getVector() == 4 || !result.isElementwise())
               ? 4
               : 1;
    rounds = ofPart / (32 * each);
    sorted = emitTokenSort(emission, op.getTokens(), tokens, entries);
    pieces = tokens / kPiece;
    if (pieces) {
      partials = emission.allocateWorkspace(pieces * width * 4);
      emitPieces();
    }
    emitEntries();
    result.finish(emission);
    return success();
  }

private:
  using Values = GPUBuilder::Values;

  kernel::KernelOpInterface interface() {
    return cast<kernel::KernelOpInterface>(op.getOperation());
  }

  /// The warp's share of the work: `which` of `count`, and a part of its features.
  void start(GPUFunction &function, GPUBuilder &g, int64_t count, Value &which, Value &inside) {
    Value thread = g.thread();
    lane = g.rem(thread, 32);
    Value warp = g.add(g.mul(g.block(), kWarps), g.div(thread, 32));
    which = g.div(warp, parts), firstFeature = g.mul(g.rem(warp, parts), ofPart);
    inside = g.less(which, count);
    order = function.getWorkspace(sorted.positions);
    if (pieces)
      sums = function.getWorkspace(partials);
  }
  int64_t countBlocks(int64_t count) { return llvm::divideCeil(count * parts, kWarps); }

  Value getFeature(GPUBuilder &g, int64_t round) {
    return g.add(g.add(firstFeature, g.mul(lane, each)), round * 32 * each);
  }
  GPUChunk getChunk(GPUBuilder &g, int64_t round) {
    return GPUChunk::at(g.min(getFeature(g, round), g.integer(width - each)), 0, width, each);
  }

  /// Adds `load(i)` for i from 0 to `count`, in order; the loads of a few are on their way
  /// together.
  Values addUp(GPUBuilder &g, Value count, ValueRange initial,
               llvm::function_ref<Values(Value)> load) {
    return g.loop(g.integer(0), count, g.integer(kAtOnce), initial,
                  [&](Value base, ValueRange before) -> Values {
                    SmallVector<Values> loaded;
                    for (int64_t i = 0; i < kAtOnce; ++i)
                      loaded.push_back(load(g.min(g.add(base, i), g.add(count, -1))));
                    Values after(before.begin(), before.end());
                    for (int64_t i = 0; i < kAtOnce; ++i) {
                      Value valid = g.less(g.add(base, i), count);
                      for (auto [sum, term] : llvm::zip(after, loaded[i]))
                        sum = g.addf(sum, g.select(valid, term, g.number(0)));
                    }
                    return after;
                  });
  }

  /// Adds the rows of dy at places [begin, end) of the sorted list, at most 32.
  Values addRows(GPUBuilder &g, Value begin, Value end, ValueRange initial) {
    Value mine = g.min(g.add(begin, lane), g.integer(tokens - 1));
    Value rows = g.load(g.offset(order, g.i32(), mine), g.i32(), 4);
    return addUp(g, g.sub(end, begin), initial, [&](Value i) {
      Value row = NVVM::ShflOp::create(g.base(), g.i32(), g.integer(-1), rows, i, g.integer(31),
                                       NVVM::ShflKind::idx, UnitAttr());
      Values values;
      dy.start();
      for (int64_t round = 0; round < rounds; ++round)
        values.append(dy.get(row, getChunk(g, round)));
      return values;
    });
  }

  Value getPartial(GPUBuilder &g, Value piece, int64_t round) {
    Value base = g.offset(sums, g.f32(), g.mul(g.widen(piece), g.integer64(width)));
    return g.offset(base, g.f32(), getChunk(g, round).dynamic);
  }

  /// The sum of each piece that is all one token.
  void emitPieces() {
    GPUFunction function(emission, "table gradient: pieces", kThreads);
    GPUBuilder g(function.builder());
    Value piece, inside;
    start(function, g, pieces, piece, inside);
    dy.bind(function);
    g.when(inside, [&] {
      Value begin = g.mul(piece, kPiece), keys = function.getWorkspace(sorted.keys);
      auto key = [&](int64_t i) {
        return g.load(g.offset(keys, g.i32(), g.add(begin, i)), g.i32(), 4);
      };
      g.when(g.equal(key(0), key(kPiece - 1)), [&] {
        Values zeros(rounds * each, g.number(0));
        Values total = addRows(g, begin, g.add(begin, kPiece), zeros);
        for (int64_t round = 0; round < rounds; ++round)
          g.when(g.less(getFeature(g, round), width), [&] {
            g.storeNumbers(ArrayRef(total).slice(round * each, each), getPartial(g, piece, round),
                           g.f32(), true);
          });
      });
    });
    function.finish({countBlocks(pieces), 1, 1});
  }

  void emitEntries() {
    GPUFunction function(emission, "table gradient", kThreads);
    GPUBuilder g(function.builder());
    Value entry, inside;
    start(function, g, entries, entry, inside);
    Value starts = function.getWorkspace(sorted.starts);
    dy.bind(function);
    result.bind(function);
    g.when(inside, [&] {
      Value begin = g.load(g.offset(starts, g.i32(), entry), g.i32(), 4),
            end = g.load(g.offset(starts, g.i32(), g.add(entry, 1)), g.i32(), 4);
      // Rows up to the first whole piece, pieces, rows after the last one.
      Value firstPiece = g.div(g.add(begin, kPiece - 1), kPiece), lastPiece = g.div(end, kPiece);
      Value headEnd = g.min(end, g.mul(firstPiece, kPiece));
      Values total = addRows(g, begin, headEnd, Values(rounds * each, g.number(0)));
      if (pieces)
        total = addUp(g, g.sub(lastPiece, firstPiece), total, [&](Value i) {
          Values values;
          for (int64_t round = 0; round < rounds; ++round)
            values.append(
                g.loadNumbers(getPartial(g, g.add(firstPiece, i), round), g.f32(), each, true));
          return values;
        });
      Value tail = g.max(headEnd, g.mul(lastPiece, kPiece));
      total = addRows(g, tail, end, total);
      for (int64_t round = 0; round < rounds; ++round)
        g.when(g.less(getFeature(g, round), width), [&] {
          result.storeElements(entry, getChunk(g, round),
                               ArrayRef(total).slice(round * each, each));
        });
    });
    function.finish({countBlocks(entries), 1, 1});
  }

  kernel::EmbeddingBackwardOp op;
  GPUEmission &emission;
  GPUOperandRegion dy;
  GPUResultRegion result;
  SortedTokens sorted;
  int64_t entries = 0, width = 0, tokens = 0, parts = 1, ofPart = 0, each = 1, rounds = 0,
          pieces = 0, partials = 0;
  Value lane, firstFeature, order, sums;
};

} // namespace

LogicalResult emitGeneric(kernel::EmbeddingBackwardOp op, GPUEmission &emission) {
  return TableGradient(op, emission).emit();
}

} // namespace smelt
