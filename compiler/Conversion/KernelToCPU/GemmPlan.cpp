//===- GemmPlan.cpp - Choice of tiles and schedule --------------------------===//
#include "compiler/Conversion/KernelToCPU/GemmPlan.h"
#include "compiler/Conversion/KernelToCPU/EmitKernels.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace smelt {
namespace {

int64_t roundUp(int64_t value, int64_t multiple) { return llvm::divideCeil(value, multiple) * multiple; }

/// K is cut into equal parts of at most this: a panel's part (128 or 64 bytes wide) stays in the first-level cache.
constexpr int64_t maxBlockK = 320;
/// Rows of a block of C: its part of A stays in the second-level cache while all panels pass by.
constexpr int64_t rowsPerBlock = 64;
/// An item of the splitK schedule has at most this many rows and columns: A's and B's slabs and C fill half of a 2 MB cache.
constexpr int64_t splitRows = 256, splitColumns = 512;
/// There should be at least this many items, so that few threads are evenly loaded; ranges of K shorter than this cost more than they give.
constexpr int64_t wantedItems = 12, shortestSplit = 256;
/// Scratch of all threads together.
constexpr int64_t scratchLimit = int64_t(64) << 20;

} // namespace

GemmPlan::GemmPlan(kernel::GemmOp op, const CPUTarget &target)
    : m(op.getM()), n(op.getN()), k(op.getK()), transposeA(op.getTransposeA()), transposeB(op.getTransposeB()), lanes(target.lanes),
      identityA(kernel::isIdentityRegion(op.getA())), identityB(kernel::isIdentityRegion(op.getB())),
      identityResult(kernel::isIdentityRegion(op.getResult())), programA(op.getA(), target.lanes), programB(op.getB(), target.lanes),
      programResult(op.getResult(), target.lanes) {
  // 16 accumulators of 32 registers hide the latency of two fused multiply-adds per cycle; AVX2 has 16 registers, 12 of them accumulate.
  tileRows = lanes == 16 ? 8 : 6;
  panelVectors = n <= lanes ? 1 : 2;
  panelWidth = panelVectors * lanes;
  panels = llvm::divideCeil(n, panelWidth);
  paddedN = panels * panelWidth;
  blockK = roundUp(llvm::divideCeil(k, llvm::divideCeil(k, maxBlockK)), 4);

  splitK = transposeA;
  materialiseA = splitK && !identityA;
  materialiseB = !identityB;
  if (splitK) {
    blockM = std::min(roundUp(splitRows, tileRows), roundUp(m, tileRows));
    blockPanels = std::min(panels, std::max<int64_t>(1, splitColumns / panelWidth));
    while (splits < 16 && rowBlocks() * columnBlocks() * splits < wantedItems && k / (splits * 2) >= shortestSplit)
      splits *= 2;
    splitLength = splits == 1 ? k : roundUp(llvm::divideCeil(k, splits), blockK);
    splits = llvm::divideCeil(k, splitLength);
    localPanels = !transposeB;
  } else {
    blockM = (m >= 8 * rowsPerBlock ? rowsPerBlock : rowsPerBlock / 2) / tileRows * tileRows;
    blockM = std::min(blockM, roundUp(m, tileRows));
  }

  if (!identityResult)
    reach = programResult.getReach(0);
  resultBlock = splitK ? 16 : blockM;
  resultBlocks = llvm::divideCeil(m, resultBlock);

  int64_t next = 0;
  auto reserve = [&](int64_t floats) {
    int64_t offset = next;
    next = roundUp(next + floats * 4, 64);
    return offset;
  };
  if (!localPanels)
    panelsOffset = reserve(k * paddedN);
  if (materialiseA)
    operandAOffset = reserve(m * k);
  if (materialiseB)
    operandBOffset = reserve(n * k);
  if (splitK && (splits > 1 || !identityResult))
    partialCOffset = reserve(splits * m * paddedN);
  if (programResult.getPartialFloats())
    totalsOffset = reserve(resultBlocks * programResult.getPartialFloats());

  int64_t items = splitK ? rowBlocks() * columnBlocks() * splits : rowBlocks();
  if (splitK) {
    scratchA = blockM * blockK;
    scratchB = localPanels ? blockK * blockPanels * panelWidth : 0;
  } else {
    scratchRows = blockM + reach.before + reach.after;
    scratchA = identityA ? 0 : roundUp(scratchRows * k, 16);
    scratchC = identityResult ? 0 : roundUp(scratchRows * paddedN + lanes, 16); // A vector may start at the last column.
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
  if (!op.getAType().getElementType().isF32() || !op.getBType().getElementType().isF32())
    whyNot = "the CPU multiplies f32 matrices only";
}

int64_t getWorkspaceBytes(kernel::GemmOp op, const CPUTarget &target) { return GemmPlan(op, target).bytes; }

} // namespace smelt
