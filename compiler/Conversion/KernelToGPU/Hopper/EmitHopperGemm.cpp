//===- EmitHopperGemm.cpp - Persistent, warp-specialised GEMM -------------===//
//
// A PingPongProduct whose consumers run a result region (ResultStage) on their tiles of 128 × 128
// and store its outputs. Measurements and what was tried: tools/bench/RESULTS.md and README.md
// here.
//
// Parts of k (splits) leave f32 products in the workspace; a second launch adds them in order and
// runs the result region. Most products with a long k go to EmitHopperLongGemm instead.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/EmitKernels.h"
#include "compiler/Conversion/KernelToGPU/Hopper/EmitHopperLongGemm.h"
#include "compiler/Conversion/KernelToGPU/Hopper/OperandTile.h"
#include "compiler/Conversion/KernelToGPU/Hopper/PingPongProduct.h"
#include "compiler/Conversion/KernelToGPU/Hopper/ResultStage.h"
#include "compiler/Conversion/KernelToGPU/Hopper/SplitSums.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

namespace {

/// The kernel that multiplies.
class HopperGemm : PingPongProduct {
public:
  HopperGemm(kernel::GemmOp op, GPUEmission &emission, const GemmPlan &plan, int64_t partials)
      : PingPongProduct(
            emission, "gemm", op.getLoc(),
            {tileColumns, plan.aType, plan.bType, plan.aMajor, plan.bMajor, /*movesBFirst=*/true},
            plan.stages, plan.blocksPerSplit),
        plan(plan),
        mapA(function.addTensorMap(plan.aArgument, describeOperand(plan.aType, plan.aMajor, plan.m,
                                                                   plan.k, plan.groups, tileRows))),
        mapB(function.addTensorMap(
            plan.bArgument,
            describeOperand(plan.bType, plan.bMajor, plan.n, plan.k, plan.groups, tileColumns))) {
    if (plan.splits == 1)
      result.emplace(code, function, op, plan, /*mayStage=*/plan.stagingChunks > 0);
    else
      partialProducts = function.getWorkspace(partials);
  }

  void emit(int64_t multiprocessors) {
    stagingOffset = layout.allocate(2 * plan.stagingChunks * chunkBytes, 1024);
    addRing(/*releases=*/1);
    inputs.emplace(code, shared, layout, consumers);
    queue.emplace(code, function, layout, plan.tiles() * plan.splits, TileQueue::Consumers::InTurn,
                  multiprocessors);
    emitRoles(
        Producer::Thread, [&] { produce(); }, [&] { consume(); },
        [&] {
          for (int64_t group = 0; group < consumers; ++group)
            initialiseBarrier(code, inputs->get(group), 1);
        });
    function.finish({queue->getGrid(), 1, 1}, layout.getBytes());
  }

private:
  void produce() {
    produceTiles([&](Value tile, RingPosition at) {
      TileCoordinates place = locateTile(code, plan, tile);
      Value firstBlock = code.mul(place.split, plan.blocksPerSplit);
      return fillStages(at, plan.blocksPerSplit, [&](Value step, Value slot, Value full) {
        Value k = code.mul(code.add(firstBlock, step), plan.blockK());
        Value stage = placeOf(slot);
        loadOperand(code, mapA, plan.aMajor, stage, full, place.row, k, place.group, tileRows);
        loadOperand(code, mapB, plan.bMajor, code.at(stage, stages.aBytes()), full, place.column, k,
                    place.group, tileColumns);
      });
    });
  }

  void consume() {
    std::optional<StagingArea> staging;
    if (plan.stagingChunks) {
      Value area = code.at(code.at(shared, stagingOffset),
                           code.mul(consumer, plan.stagingChunks * chunkBytes));
      staging.emplace(code, area, plan.stagingChunks, code.add(consumer, ownBarrier),
                      inputs->get(0, consumer), fragment);
    }
    if (result)
      result->begin();
    // Carried: the parity of the inputs' barrier.
    TileCoordinates place;
    consumeTiles(
        {code.i32(0)},
        [&](Value tile, ValueRange carried, MultiplyTile multiply) {
          place = locateTile(code, plan, tile);
          if (staging) {
            staging->reclaim();
            result->prefetch(place, *staging);
          }
          if (result) {
            result->prefetchFactors(place, fragment);
            result->storeBeside(place, fragment);
          }
          SmallVector<Value> registers = multiply();
          auto product = [&](Cell cell) { return registers[cell.index()]; };
          if (result)
            result->run(place, fragment, product, staging ? &*staging : nullptr, carried[0]);
          else
            storePartial(place, product);
        },
        [&](ValueRange carried) -> SmallVector<Value> {
          return {result ? result->advanceParity(place, carried[0]) : carried[0]};
        });
    if (staging)
      finishStores();
  }

  /// An f32 product of a part of k: [splits, groups, m, n] in the workspace.
  void storePartial(const TileCoordinates &place, CellValue product) {
    Value matrix = place.split;
    if (place.group)
      matrix = code.add(code.mul(matrix, plan.groups), place.group);
    Value base = LLVM::GEPOp::create(code.builder, code.loc, partialProducts.getType(),
                                     code.f32Type(), partialProducts,
                                     ArrayRef<LLVM::GEPArg>{code.mul(matrix, plan.m * plan.n)});
    storePairs(code, base, code.f32Type(), plan.m, plan.n, code.add(place.row, fragment.row),
               code.add(place.column, fragment.pair), product);
  }

  const GemmPlan &plan;
  Value mapA, mapB, partialProducts;
  std::optional<ResultStage> result;
  int64_t stagingOffset = 0;
  std::optional<BarrierArray> inputs; ///< Of the result region: they have come, a group each.
};

/// Adds the parts in order and runs the result region, a warp group per tile, or per 16 columns of
/// it.
void emitSum(kernel::GemmOp op, GPUEmission &emission, const GemmPlan &plan, int64_t partials) {
  GPUFunction function(emission, "gemm sum of splits", 128);
  CodeBuilder code(function.builder(), op.getLoc());
  Value pointer = function.getWorkspace(partials);
  ResultStage result(code, function, op, plan, /*mayStage=*/false);
  FragmentThread fragment = getFragmentThread(code, code.threadIndex());
  result.begin();
  int blocks = plan.isElementwise ? 2 : 16;
  int64_t pieces = 16 / blocks;
  TileCoordinates place = locateTile(code, plan, code.div(code.blockIndex(), pieces));
  // The pair of columns moves by whole blocks; the tile, which decides the range, does not.
  fragment.pair =
      code.add(fragment.pair, code.mul(code.rem(code.blockIndex(), pieces), 8 * blocks));
  Value row = code.add(place.row, fragment.row), column = code.add(place.column, fragment.pair);
  Value first =
      place.group ? code.atElement(pointer, place.group, plan.m * plan.n, code.i32(0), 4) : pointer;
  SplitSums sums(code, {plan.m, plan.n, plan.groups, plan.splits}, first, row, column);
  auto load = [&](Cell cell) { return sums.get(cell); };
  result.storeBeside(place, fragment, {2, blocks});
  result.run(place, fragment, load, nullptr, Value(), {2, blocks});
  function.finish({plan.tiles() * pieces, 1, 1});
}

} // namespace

std::string smelt::whyNotFastGemm(kernel::GemmOp op, const GPUEmission &emission) {
  return GemmPlan::whyNot(op, emission);
}

LogicalResult smelt::emitFastGemm(kernel::GemmOp op, GPUEmission &emission) {
  GemmPlan plan = GemmPlan::make(op, emission);
  if (isLongGemm(plan)) {
    emitLongGemm(op, emission, plan);
    return success();
  }
  int64_t partials = 0;
  if (plan.splits > 1)
    partials = emission.allocateWorkspace(plan.splits * plan.groups * plan.m * plan.n * 4);
  HopperGemm(op, emission, plan, partials).emit(emission.getTarget().multiprocessors);
  if (plan.splits > 1)
    emitSum(op, emission, plan, partials);
  return success();
}
