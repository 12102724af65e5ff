//===- RowLoops.cpp - Loops over the features of a row --------------------===//
#include "compiler/Conversion/KernelToCPU/RowEmitterScope.h"

using namespace mlir;
using namespace mlir::lm;

namespace smelt {

/// Chunks that are emitted one after another rather than in a loop.
static constexpr int64_t kStraightChunks = 8;

void RowEmitter::forChunks(int64_t features, ArrayRef<int64_t> cuts, int64_t period,
                           ChunkBody body) {
  SmallVector<int64_t> bounds(cuts.begin(), cuts.end());
  bounds.push_back(0), bounds.push_back(features);
  llvm::sort(bounds);
  bounds.erase(std::unique(bounds.begin(), bounds.end()), bounds.end());
  for (size_t i = 0; i + 1 < bounds.size(); ++i) {
    int64_t low = bounds[i], high = bounds[i + 1], full = (high - low) / lanes;
    int64_t group = std::min<int64_t>(4, full), done = 0;
    if (period && low % period == 0 && (high - low) % period == 0)
      group = period / lanes;
    if (full > kStraightChunks && full > group) {
      int64_t step = group * lanes;
      done = full / group * group;
      auto loop = scf::ForOp::create(b, loc, index(0), index(done * lanes), index(step));
      Return back{*this};
      enter(loop, loop.getBody());
      for (int64_t c = 0; c < group; ++c)
        body(FeatureChunk::at(loop.getInductionVar(), step, low + c * lanes, low, high, lanes));
    }
    for (; done < full; ++done)
      body(FeatureChunk::at(low + done * lanes, lanes));
    if (unsigned tail = (high - low) % lanes)
      body(FeatureChunk::at(low + full * lanes, tail));
  }
}

/// Chunks of a materialised value: none crosses a piece that its op is cut into.
void RowEmitter::forDomain(Value value, ChunkBody body) {
  Operation *op = value.getDefiningOp();
  int64_t features = program.getFeatures(value), width = program.getSegment(value);
  if (isa<RopeOp>(op))
    width /= 2;
  SmallVector<int64_t> cuts; // Within a segment.
  if (auto concat = dyn_cast<ConcatOp>(op)) {
    int64_t at = 0;
    for (Value part : concat.getParts())
      cuts.push_back(at += program.getSegment(part));
  }
  bool aligned =
      width % lanes == 0 && llvm::all_of(cuts, [&](int64_t cut) { return cut % lanes == 0; });
  bool isHeadConcat = isa<ConcatOp>(op) && width != features;
  if (width == features || (aligned && !isHeadConcat)) {
    SmallVector<int64_t> flatCuts;
    int64_t period = 0;
    collectCuts(value, 0, 0, features, flatCuts, period, 0);
    return forChunks(features, flatCuts, period, body);
  }
  cuts.push_back(0), cuts.push_back(width);
  llvm::sort(cuts);
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  auto loop = scf::ForOp::create(b, loc, index(0), index(features), index(width));
  Return back{*this};
  enter(loop, loop.getBody());
  for (size_t i = 0; i + 1 < cuts.size(); ++i)
    for (int64_t at = cuts[i]; at < cuts[i + 1]; at += lanes)
      body(FeatureChunk::at(loop.getInductionVar(), width, at, 0, features,
                            std::min<int64_t>(lanes, cuts[i + 1] - at)));
}

} // namespace smelt
