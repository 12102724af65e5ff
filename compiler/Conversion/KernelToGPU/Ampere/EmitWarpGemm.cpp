//===- EmitWarpGemm.cpp - GEMM with mma.sync and cp.async -----------------===//
//
// For every GPU without wgmma: a block of four warps makes one tile of 128 × 128 (WarpMainLoop).
// Parts of k (splits) leave f32 products in the workspace; a second launch adds them in order and
// runs the result region. A region that is not evaluated on fragments runs as launches of its own.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/Ampere/WarpMainLoop.h"
#include "compiler/Conversion/KernelToGPU/Ampere/WarpResult.h"
#include "compiler/Conversion/KernelToGPU/EmitKernels.h"
#include "compiler/Conversion/KernelToGPU/Hopper/SplitSums.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

namespace {

constexpr int64_t threads = WarpMainLoop::threads;

/// A tile's place and part of k, as values of the running kernel.
struct Work {
  Value split;
  WarpTilePlace tile;
};

Work locate(CodeBuilder &code, const WarpGemmPlan &plan, Value number) {
  Value split = plan.splits > 1 ? code.div(number, plan.tiles()) : code.i32(0);
  Value inSplit = plan.splits > 1 ? code.rem(number, plan.tiles()) : number;
  int64_t perGroup = plan.tilesM() * plan.tilesN();
  Value group = plan.groups > 1 ? code.div(inSplit, perGroup) : Value();
  Value inGroup = plan.groups > 1 ? code.rem(inSplit, perGroup) : inSplit;
  return {split,
          {code.mul(code.div(inGroup, plan.tilesN()), tileRows),
           code.mul(code.rem(inGroup, plan.tilesN()), tileColumns), group}};
}

class WarpGemm {
public:
  WarpGemm(kernel::GemmOp op, GPUEmission &emission, const WarpGemmPlan &plan, int64_t partials,
           const GPURowBuffer &raw)
      : plan(plan), function(emission, "gemm", threads), code(function.builder(), op.getLoc()),
        mainLoop(code, function, plan.a, plan.b) {
    if (plan.splits == 1)
      result.emplace(code, function, op, plan, raw);
    else
      partialProducts = function.getWorkspace(partials);
  }

  void emit() {
    fragment = getFragmentThread(code, code.threadIndex());
    Work work = locate(code, plan, code.blockIndex());
    mainLoop.begin(fragment, work.tile.row, work.tile.column, work.tile.group);
    Value first = code.mul(work.split, plan.blocksPerSplit), count = code.i32(plan.blocksPerSplit);
    if (plan.splits > 1) {
      Value left = code.sub(code.i32(plan.blocks()), first);
      count = code.select(code.less(left, plan.blocksPerSplit), left, count);
    }
    SmallVector<Value> sums = mainLoop.run(first, count);
    auto product = [&](Cell cell) { return sums[cell.index()]; };
    if (result) {
      Value area = mainLoop.reuse(warpAreaBytes);
      result->begin();
      result->run(work.tile, fragment, product, area);
    } else {
      storePartial(work, product);
    }
    function.finish({plan.tiles() * plan.splits, 1, 1}, WarpMainLoop::sharedBytes);
  }

private:
  /// An f32 product of a part of k: [splits, groups, m, n] in the workspace.
  void storePartial(const Work &work, CellValue product) {
    Value matrix = work.split;
    if (work.tile.group)
      matrix = code.add(code.mul(matrix, plan.groups), work.tile.group);
    Value base = code.atElement(partialProducts, matrix, plan.m * plan.n, code.i32(0), 4);
    storePairs(code, base, code.f32Type(), plan.m, plan.n, code.add(work.tile.row, fragment.row),
               code.add(work.tile.column, fragment.pair), product);
  }

  const WarpGemmPlan &plan;
  GPUFunction function;
  CodeBuilder code;
  WarpMainLoop mainLoop;
  std::optional<WarpResult> result;
  Value partialProducts;
  FragmentThread fragment;
};

/// Adds the parts in order and runs the result region, four warps per tile, or per 16 columns of it
/// where nothing in the region looks beyond an element's own pair.
void emitSum(kernel::GemmOp op, GPUEmission &emission, const WarpGemmPlan &plan, int64_t partials,
             const GPURowBuffer &raw) {
  GPUFunction function(emission, "gemm sum of splits", threads);
  CodeBuilder code(function.builder(), op.getLoc());
  Value pointer = function.getWorkspace(partials);
  WarpResult result(code, function, op, plan, raw);
  FragmentThread fragment = getFragmentThread(code, code.threadIndex());
  result.begin();
  bool isElementwise = plan.isRaw() || !FragmentRegion::looksAcross(op);
  int blocks = isElementwise ? 2 : 16;
  int64_t pieces = 16 / blocks;
  WarpTilePlace tile = locate(code, plan, code.div(code.blockIndex(), pieces)).tile;
  // The pair of columns moves by whole blocks; the tile, which decides the range, does not.
  fragment.pair =
      code.add(fragment.pair, code.mul(code.rem(code.blockIndex(), pieces), 8 * blocks));
  Value row = code.add(tile.row, fragment.row), column = code.add(tile.column, fragment.pair);
  Value first =
      tile.group ? code.atElement(pointer, tile.group, plan.m * plan.n, code.i32(0), 4) : pointer;
  SplitSums sums(code, {plan.m, plan.n, plan.groups, plan.splits}, first, row, column);
  auto load = [&](Cell cell) { return sums.get(cell); };
  result.run(tile, fragment, load, Value(), blocks);
  function.finish({plan.tiles() * pieces, 1, 1});
}

} // namespace

std::string smelt::whyNotWarpGemm(kernel::GemmOp op, const GPUEmission &emission) {
  if (emission.getTarget().hasWarpgroupMMA())
    return "the target has wgmma";
  return WarpGemmPlan::whyNot(op);
}

LogicalResult smelt::emitWarpGemm(kernel::GemmOp op, GPUEmission &emission) {
  WarpGemmPlan plan = WarpGemmPlan::make(op, emission);
  GPUResultRegion rows(cast<kernel::KernelOpInterface>(op.getOperation()), 2, op.getOutputs());
  GPURowBuffer raw;
  if (plan.isRaw())
    raw = rows.prepareWhole(emission);
  int64_t partials = 0;
  if (plan.splits > 1)
    partials = emission.allocateWorkspace(plan.splits * plan.groups * plan.m * plan.n * 4);
  WarpGemm(op, emission, plan, partials, raw).emit();
  if (plan.splits > 1)
    emitSum(op, emission, plan, partials, raw);
  if (plan.isRaw())
    rows.finish(emission);
  return success();
}
