//===- EmitHopperGemm.cpp - Persistent, warp-specialised GEMM -------------===//
//
// One block of 384 threads per multiprocessor takes tiles of 128 × 128 (TileQueue). Warp group 0 is
// the producer: one thread copies operand tiles of 128 bytes of k by TMA into a ring of shared
// memory. Warp groups 1 and 2 are consumers in ping-pong: each owns a whole tile, and named
// barriers order their multiplications, so that one stores (and runs the result region) while the
// other multiplies. Measurements and what was tried: tools/bench/RESULTS.md and README.md here.
//
// Parts of k (splits) leave f32 products in the workspace; a second launch adds them in order and
// runs the result region. Most products with a long k go to EmitHopperLongGemm instead.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/EmitKernels.h"
#include "compiler/Conversion/KernelToGPU/Hopper/EmitHopperLongGemm.h"
#include "compiler/Conversion/KernelToGPU/Hopper/OperandTile.h"
#include "compiler/Conversion/KernelToGPU/Hopper/ResultStage.h"
#include "compiler/Conversion/KernelToGPU/Hopper/SplitSums.h"
#include "compiler/Conversion/KernelToGPU/Hopper/TileQueue.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

namespace {

/// The kernel that multiplies.
class HopperGemm {
public:
  HopperGemm(kernel::GemmOp op, GPUEmission &emission, const GemmPlan &plan, int64_t partials)
      : plan(plan), function(emission, "gemm", threads), code(function.builder(), op.getLoc()),
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
    function.getFunction()->setAttr("nvvm.minctasm", code.builder.getI32IntegerAttr(1));
    int64_t ringOffset = layout.allocate(plan.stages * stageBytes, 1024);
    stagingOffset = layout.allocate(2 * plan.stagingChunks * chunkBytes, 1024);
    int64_t barrierOffset = layout.allocate(8 * (2 * plan.stages + 2), 16);
    shared = code.at(function.getDynamicShared(), ringOffset);
    sharedAddress = LLVM::PtrToIntOp::create(code.builder, code.loc, code.i32Type(), shared);
    barriers.emplace(code, function.getDynamicShared(), barrierOffset);
    ring.emplace(code, *barriers, 0, plan.stages);
    queue.emplace(code, function, layout, plan.tiles() * plan.splits, TileQueue::Consumers::InTurn,
                  multiprocessors);

    thread = code.threadIndex();
    Value group = code.uniform(code.shiftRight(thread, 7));
    code.ifThen(code.equal(thread, 0), [&] {
      for (int64_t i = 0; i < 2 * plan.stages + 2;
           ++i) // The last two: inputs of the result region, a group each.
        initialiseBarrier(code, barriers->get(i), 1);
      queue->initialise();
      fenceBarriers(code);
    });
    code.barrierAll();
    code.ifElse(
        code.equal(group, 0), [&] { emitProducer(); }, [&] { emitConsumer(code.sub(group, 1)); });
    function.finish({queue->getGrid(), 1, 1}, layout.getBytes());
  }

private:
  static constexpr int64_t threads = 384, stageBytes = 2 * GemmPlan::tileBytes;
  /// Named barriers: 1 and 2 of a consumer group's own threads, 3 and 4 order the groups'
  /// multiplications.
  static constexpr int64_t ownBarrier = 1, turnBarrier = 3;

  void emitProducer() {
    NVVM::SetMaxRegisterOp::create(code.builder, code.loc, 40,
                                   NVVM::SetMaxRegisterAction::decrease);
    Value warp = code.uniform(code.shiftRight(thread, 5));
    code.ifThen(code.equal(warp, 0), [&] {
      code.ifThen(code.elected(), [&] {
        RingPosition start = ring->start(/*producer=*/true);
        queue->produce({start.stage, start.parity}, [&](Value tile, ValueRange carried) {
          return produceTile(tile, {carried[0], carried[1]});
        });
      });
    });
  }

  SmallVector<Value> produceTile(Value tile, RingPosition start) {
    TileCoordinates place = locateTile(code, plan, tile);
    Value firstBlock = code.mul(place.split, plan.blocksPerSplit);
    return code.loop(
        code.i32(0), code.i32(plan.blocksPerSplit), code.i32(1), {start.stage, start.parity},
        [&](Value step, ValueRange carried) -> SmallVector<Value> {
          RingPosition at{carried[0], carried[1]};
          waitBarrier(code, ring->empty(at.stage), at.parity);
          Value full = ring->full(at.stage);
          expectBytes(code, full, code.i32(stageBytes));
          Value k = code.mul(code.add(firstBlock, step), plan.blockK());
          Value stage = code.at(shared, code.mul(at.stage, stageBytes));
          loadOperand(code, mapA, plan.aMajor, stage, full, place.row, k, place.group, tileRows);
          loadOperand(code, mapB, plan.bMajor, code.at(stage, GemmPlan::tileBytes), full,
                      place.column, k, place.group, tileColumns);
          RingPosition next = ring->advance(at);
          return {next.stage, next.parity};
        });
  }

  /// The multiplications of one stage: 4 steps of 32 bytes of k, 2 blocks of 64 rows.
  SmallVector<Value> multiplyStage(RingPosition at, ValueRange accumulators, bool first) {
    waitBarrier(code, ring->full(at.stage), at.parity);
    Value stage = code.add(sharedAddress, code.mul(at.stage, stageBytes));
    Value a = describeTile(code, stage, plan.aMajor);
    Value b = describeTile(code, code.add(stage, GemmPlan::tileBytes), plan.bMajor);
    Multiply shape{tileColumns, plan.aType, plan.bType, plan.aMajor, plan.bMajor};
    fenceMultiply(code);
    SmallVector<Value> result(accumulators);
    for (int64_t step = 0; step < 4; ++step) {
      Value bStep = code.add(b, step * getStep(plan.bMajor));
      for (int64_t m = 0; m < 2; ++m) {
        Value aStep = code.add(a, step * getStep(plan.aMajor) + m * (panelBytes >> 4));
        result[m] = multiply(code, shape, aStep, bStep, result[m], first && step == 0);
      }
    }
    commitMultiply(code);
    return result;
  }

  void release(Value stage, const FragmentThread &fragment) {
    code.ifThen(fragment.isFirst, [&] { arriveBarrier(code, ring->empty(stage)); });
  }

  void emitConsumer(Value consumer) {
    NVVM::SetMaxRegisterOp::create(code.builder, code.loc, 232,
                                   NVVM::SetMaxRegisterAction::increase);
    FragmentThread fragment = getFragmentThread(code, thread);
    std::optional<StagingArea> staging;
    if (plan.stagingChunks) {
      Value area = code.at(code.at(function.getDynamicShared(), stagingOffset),
                           code.mul(consumer, plan.stagingChunks * chunkBytes));
      staging.emplace(code, area, plan.stagingChunks, code.add(consumer, ownBarrier),
                      barriers->get(2 * plan.stages, consumer), fragment);
    }
    if (result)
      result->begin();
    // Consumer 1 gives consumer 0 the first turn; its own first tile lies one tile further in the
    // ring.
    Value isSecond = code.equal(consumer, 1);
    Value mine = code.add(consumer, turnBarrier),
          other = code.sub(code.i32(turnBarrier + 1), consumer);
    code.ifThen(isSecond, [&] { code.barrierArrive(code.i32(turnBarrier), 256); });
    RingPosition start = ring->start(/*producer=*/false),
                 later = ring->advance(start, plan.blocksPerSplit);
    RingPosition from{code.select(isSecond, later.stage, start.stage),
                      code.select(isSecond, later.parity, start.parity)};
    queue->consume(consumer, {from.stage, from.parity, code.i32(0)},
                   [&](Value tile, ValueRange carried) -> SmallVector<Value> {
                     TileCoordinates place = locateTile(code, plan, tile);
                     if (staging) {
                       staging->reclaim();
                       result->prefetch(place, *staging);
                     }
                     code.barrier(mine, 256);
                     RingPosition end =
                         consumeTile(place, {carried[0], carried[1]}, other, fragment,
                                     staging ? &*staging : nullptr, carried[2]);
                     // The other group's tile lies between this one and the next.
                     RingPosition next = ring->advance(end, plan.blocksPerSplit);
                     return {next.stage, next.parity,
                             result ? result->advanceParity(place, carried[2]) : carried[2]};
                   });
    if (staging)
      code.ifThen(fragment.isFirst, [&] { waitStores(code, 0, /*read=*/false); });
  }

  RingPosition consumeTile(const TileCoordinates &place, RingPosition at, Value other,
                           const FragmentThread &fragment, StagingArea *staging,
                           Value inputParity) {
    Value undefined =
        LLVM::UndefOp::create(code.builder, code.loc, getAccumulatorType(code, tileColumns));
    SmallVector<Value> first = multiplyStage(at, {undefined, undefined}, /*first=*/true);
    RingPosition next = ring->advance(at);
    SmallVector<Value> state =
        code.loop(code.i32(1), code.i32(plan.blocksPerSplit), code.i32(1),
                  {next.stage, next.parity, at.stage, first[0], first[1]},
                  [&](Value, ValueRange carried) -> SmallVector<Value> {
                    RingPosition here{carried[0], carried[1]};
                    SmallVector<Value> sums =
                        multiplyStage(here, carried.drop_front(3), /*first=*/false);
                    waitMultiply(code, 1); // The stage before has been read.
                    release(carried[2], fragment);
                    RingPosition following = ring->advance(here);
                    return {following.stage, following.parity, here.stage, sums[0], sums[1]};
                  });
    code.barrierArrive(other, 256);
    waitMultiply(code, 0);
    release(state[2], fragment);
    SmallVector<Value> registers;
    for (int m = 0; m < 2; ++m)
      for (int64_t i = 0; i < tileColumns / 2; ++i)
        registers.push_back(LLVM::ExtractValueOp::create(code.builder, code.loc, state[3 + m],
                                                         ArrayRef<int64_t>{i}));
    auto product = [&](Cell cell) {
      return registers[cell.m * 64 + 4 * cell.n8 + 2 * cell.h + cell.p];
    };
    if (result)
      result->run(place, fragment, product, staging, inputParity);
    else
      storePartial(place, fragment, product);
    return {state[0], state[1]};
  }

  /// An f32 product of a part of k: [splits, groups, m, n] in the workspace.
  void storePartial(const TileCoordinates &place, const FragmentThread &fragment,
                    CellValue product) {
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
  GPUFunction function;
  CodeBuilder code;
  Value mapA, mapB, partialProducts;
  std::optional<ResultStage> result;
  SharedLayout layout;
  std::optional<BarrierArray> barriers;
  std::optional<Ring> ring;
  std::optional<TileQueue> queue;
  int64_t stagingOffset = 0;
  Value shared, sharedAddress, thread;
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
