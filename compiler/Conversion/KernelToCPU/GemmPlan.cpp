//===- GemmPlan.cpp - Choice of tiles and schedule --------------------------===//
#include "compiler/Conversion/KernelToCPU/GemmPlan.h"
#include "compiler/Conversion/KernelToCPU/EmitKernels.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace smelt {
namespace {

int64_t roundUp(int64_t value, int64_t multiple) {
  return llvm::divideCeil(value, multiple) * multiple;
}

/// K is cut into equal parts of at most this: a panel's part (128 or 64 bytes wide) stays in the
/// first-level cache.
constexpr int64_t maxBlockK = 320;
/// The same for the splitK schedule, whose slabs of both operands should leave room for a large
/// block of C.
constexpr int64_t maxSlabK = 192;
/// Rows of a block of C: its part of A stays in the second-level cache while all panels pass by.
constexpr int64_t rowsPerBlock = 64;
/// An item of the splitK schedule may keep this many floats (A's and B's slabs and C) in a cache of
/// 2 MB.
constexpr int64_t splitFloats = 288 << 10;
/// There should be at least this many items, so that few threads are evenly loaded; ranges of K
/// shorter than this cost more than they give.
constexpr int64_t wantedItems = 8, shortestSplit = 256;
/// Scratch of all threads together.
constexpr int64_t scratchLimit = int64_t(64) << 20;

/// Both operands are the same matrix, once transposed.
bool isProductWithItself(kernel::GemmOp op) {
  return !op.getTransposeA() && op.getTransposeB() && op.getAInputs() == op.getBInputs() &&
         OperationEquivalence::isRegionEquivalentTo(&op.getA(), &op.getB(),
                                                    OperationEquivalence::IgnoreLocations);
}

/// The yielded argument is f32 as it lies in memory.
bool isLoadedAsF32(Region &region) {
  return getElementTypeOrSelf(getLoadedArgument(region)).isF32();
}

/// A row stride for scratch of `width` columns: not a multiple of half a page, which would put a
/// tile's rows into the same cache sets.
int64_t getScratchStride(int64_t width) { return width % 512 ? width : width + 16; }

} // namespace

BlockArgument getLoadedArgument(Region &region) {
  Block &block = region.front();
  if (block.getTerminator()->getNumOperands() != 1)
    return {};
  Value value = block.getTerminator()->getOperand(0);
  if (auto cast = value.getDefiningOp<lm::CastOp>(); cast && getElementTypeOrSelf(value).isF32())
    value = cast.getX();
  return dyn_cast<BlockArgument>(value);
}

/// Chooses the item's size and the number of ranges of K that move the least memory.
void GemmPlan::chooseSplit() {
  double best = 0;
  for (int64_t rows : {64, 128, 256})
    for (int64_t columns : {64, 128, 256, 512})
      for (int64_t parts : {1, 2, 4, 8, 16}) {
        int64_t blockRows = std::min(roundUp(rows, tileRows), roundUp(m, tileRows)),
                blockColumns = std::min(roundUp(columns, panelWidth), paddedN);
        if (blockRows * blockColumns + blockRows * blockK +
                (transposeB ? 0 : blockColumns * blockK) >
            splitFloats)
          continue;
        if (parts > 1 && k / parts < shortestSplit)
          continue;
        int64_t rowBlocks = llvm::divideCeil(m, blockRows),
                columnBlocks = llvm::divideCeil(paddedN, blockColumns),
                items = groups * rowBlocks * columnBlocks * parts;
        // Every item reads its slabs; partial results are written and read.
        double traffic = double(k) * (double(m) * columnBlocks + double(n) * rowBlocks);
        if (parts > 1 || !identityResult)
          traffic += 2.0 * parts * m * paddedN;
        // As seen by two threads; too few items would leave more threads without work.
        traffic *= double(items + items % 2) / items;
        if (items < wantedItems)
          traffic *= double(wantedItems) / items;
        if (best == 0 || traffic < best) {
          best = traffic;
          blockM = blockRows;
          blockPanels = blockColumns / panelWidth;
          splits = parts;
        }
      }
  splitLength = splits == 1 ? k : roundUp(llvm::divideCeil(k, splits), blockK);
  splits = llvm::divideCeil(k, splitLength);
}

/// With whole rows per thread, each of two threads fetches half of the panels from the other's
/// cache (seen at 512x512x512: 5 to 10 % of the time); with half of the columns per thread, it
/// fetches half of A once more. So columns are cut where C is at least as wide as high. A result
/// region that wants whole rows, or a region `a` that would be evaluated twice, forbids it.
void GemmPlan::chooseColumnGroups() {
  constexpr int64_t narrowest = 256;
  if (groups > 1 || splitK || symmetric || !identityA || copyA || !(identityResult || finishTiles) || n < m ||
      n < narrowest || panels % 2)
    return;
  columnGroups = 2;
  panelsPerGroup = panels / columnGroups;
}

GemmPlan::GemmPlan(kernel::GemmOp op, const CPUTarget &target)
    : groups(op.getGroups()), m(op.getM()), n(op.getN()), k(op.getK()), transposeA(op.getTransposeA()),
      transposeB(op.getTransposeB()), lanes(target.lanes),
      identityA(getLoadedArgument(op.getA()) && (transposeA || isLoadedAsF32(op.getA()))),
      identityB(bool(getLoadedArgument(op.getB()))),
      identityResult(kernel::isIdentityRegion(op.getResult()) && isLoadedAsF32(op.getResult())),
      programA(op.getA(), target.lanes), programB(op.getB(), target.lanes),
      programResult(op.getResult(), target.lanes) {
  // 16 accumulators of 32 registers hide the latency of two fused multiply-adds per cycle; AVX2 has
  // 16 registers, 12 of them accumulate.
  tileRows = lanes == 16 ? 8 : 6;
  panelVectors = n <= lanes ? 1 : 2;
  panelWidth = panelVectors * lanes;
  panels = llvm::divideCeil(n, panelWidth);
  paddedN = panels * panelWidth;
  splitK = transposeA;
  blockK = roundUp(llvm::divideCeil(k, llvm::divideCeil(k, splitK ? maxSlabK : maxBlockK)),
                   splitK ? 8 : 4);
  materialiseA = splitK && !identityA;
  materialiseB = !identityB;
  if (splitK) {
    chooseSplit();
    localPanels = !transposeB;
  } else {
    blockM = (m >= 8 * rowsPerBlock ? rowsPerBlock : rowsPerBlock / 2) / tileRows * tileRows;
    blockM = std::min(blockM, roundUp(m, tileRows));
  }

  // The copy goes by whole vectors, and panels start where blocks do.
  symmetric = identityResult && n % lanes == 0 && rowBlocks() > 1 && blockM % panelWidth == 0 &&
              isProductWithItself(op);
  if (!identityResult) {
    reach = programResult.getReach(0);
    elementwiseResult = programResult.isElementwiseIn(0);
    for (Value yielded : programResult.getTerminator()->getOperands())
      elementwiseResult &=
          programResult.getFeatures(yielded) == n && !programResult.isTotal(yielded);
    // Unrolled over a tile's vectors: what costs more per element than this is worth a loop of its
    // own.
    constexpr int64_t cheap = 24;
    finishTiles = elementwiseResult && programResult.getRowCost() <= cheap * n && splits == 1;
  }
  copyA = !splitK && identityA && k % 1024 == 0;
  panelsPerGroup = panels;
  chooseColumnGroups();
  strideC = getScratchStride(panelsPerGroup * panelWidth);
  resultBlock = splitK ? 16 : blockM;
  resultBlocks = llvm::divideCeil(m, resultBlock);

  int64_t next = 0;
  auto reserve = [&](int64_t floats) {
    int64_t offset = next;
    next = roundUp(next + floats * 4, 64);
    return offset;
  };
  if (!localPanels)
    panelsOffset = reserve(groups * k * paddedN);
  if (materialiseA)
    operandAOffset = reserve(groups * m * k);
  if (materialiseB)
    operandBOffset = reserve(groups * n * k);
  if (splitK && (splits > 1 || !identityResult) && !(finishTiles && k <= blockK))
    partialCOffset =
        reserve(splits * rows() * strideC + lanes); // A vector may start at the last column.
  if (programResult.getPartialFloats())
    totalsOffset = reserve(groups * resultBlocks * programResult.getPartialFloats());

  int64_t items =
      groups * (splitK ? rowBlocks() * columnBlocks() * splits : rowBlocks() * columnGroups);
  if (splitK) {
    scratchA = blockM * blockK;
    scratchB = localPanels ? blockK * blockPanels * panelWidth : 0;
  } else {
    scratchRows = blockM + reach.before + reach.after;
    strideA = getScratchStride(copyA ? blockK : k);
    scratchA = identityA && !copyA ? 0 : roundUp(scratchRows * strideA, 16);
    scratchC =
        identityResult || (finishTiles && k <= blockK)
            ? 0
            : roundUp(scratchRows * strideC + lanes, 16); // A vector may start at the last column.
  }
  threads = std::min(maxThreadsPerKernel, items);
  // The other phases have at least this much to share.
  if (scratchFloats())
    threads = std::max<int64_t>(1, std::min(threads, scratchLimit / (scratchFloats() * 4)));
  scratchOffset = reserve(threads * scratchFloats());
  bytes = next;

  auto check = [&](const char *region, const RowProgram &program) {
    if (whyNot.empty() && !program.whyNot().empty())
      whyNot = (Twine("region '") + region + "': " + program.whyNot()).str();
  };
  check("a", programA);
  check("b", programB);
  check("result", programResult);
  if (groups > 1 && (reach.before || reach.after))
    whyNot = "a group's result needs rows of the group beside it";
  if (programResult.getGroups() && programResult.getGroups() != groups)
    whyNot = "sums over groups of rows that are not the products'";
}

int64_t getWorkspaceBytes(kernel::GemmOp op, const CPUTarget &target) {
  return GemmPlan(op, target).bytes;
}

} // namespace smelt
