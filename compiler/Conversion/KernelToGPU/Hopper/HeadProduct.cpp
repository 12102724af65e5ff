//===- HeadProduct.cpp - The head's GEMM and its sums of exp --------------===//
//
// The persistent ping-pong kernel of EmitHopperGemm.cpp (128 × 128 tiles, one producer thread, two
// consumer warp groups in turns) with the head's own result (HeadTile). f8 products are summed by
// the tensor cores alone ("fast accumulation", as in the records): k is a model's width here.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/Hopper/HeadTile.h"
#include "compiler/Conversion/KernelToGPU/Hopper/TileQueue.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

namespace {

class HeadProduct {
public:
  HeadProduct(const HeadPlan &plan, GPUEmission &emission)
      : plan(plan), function(emission, "head", 384), code(function.builder(), plan.op->getLoc()),
        mapA(function.addTensorMap(plan.a.argument, plan.a.describe(tileRows), plan.a.byteOffset)),
        mapB(function.addTensorMap(plan.b.argument, plan.b.describe(tileColumns),
                                   plan.b.byteOffset)) {
    if (plan.gradient)
      logits =
          function.addTensorMap(emission.getWorkspaceArgument(), describeLogits(), plan.logits);
  }

  void emit(int64_t multiprocessors) {
    function.getFunction()->setAttr("nvvm.minctasm", code.builder.getI32IntegerAttr(1));
    SharedLayout layout;
    int64_t ringOffset = layout.allocate(stages * stageBytes, 1024);
    int64_t stagingOffset = plan.gradient ? layout.allocate(2 * chunks * chunkBytes, 1024) : 0;
    int64_t barrierOffset = layout.allocate(8 * (2 * stages), 16);
    shared = code.at(function.getDynamicShared(), ringOffset);
    staging = code.at(function.getDynamicShared(), stagingOffset);
    sharedAddress = LLVM::PtrToIntOp::create(code.builder, code.loc, code.i32Type(), shared);
    barriers.emplace(code, function.getDynamicShared(), barrierOffset);
    ring.emplace(code, *barriers, 0, stages);
    queue.emplace(code, function, layout, tiles(), TileQueue::Consumers::InTurn, multiprocessors);
    thread = code.threadIndex();
    Value group = code.uniform(code.shiftRight(thread, 7));
    code.ifThen(code.equal(thread, 0), [&] {
      for (int64_t i = 0; i < 2 * stages; ++i)
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
  static constexpr int64_t stages = 6, stageBytes = 2 * tileRows * swizzleRow, chunks = 2;
  /// Named barriers: 1 and 2 of a consumer group's own threads, 3 and 4 order the groups.
  static constexpr int64_t ownBarrier = 1, turnBarrier = 3;

  int64_t tiles() const { return plan.tilesM() * plan.tilesN(); }
  int64_t steps() const {
    return (plan.depth * getBytes(plan.a.type) + swizzleRow - 1) / swizzleRow;
  }

  GPUTensorMap describeLogits() const {
    GPUTensorMap map;
    map.element = plan.storesF16() ? GPUTensorMap::Element::F16 : GPUTensorMap::Element::BF16;
    map.sizes = {plan.columns, plan.rows};
    map.strides = {plan.columns * 2};
    map.box = {64, 64};
    map.swizzle = 128;
    return map;
  }

  using Place = HeadTile::Place;

  void emitProducer() {
    NVVM::SetMaxRegisterOp::create(code.builder, code.loc, 40,
                                   NVVM::SetMaxRegisterAction::decrease);
    Value warp = code.uniform(code.shiftRight(thread, 5));
    code.ifThen(code.equal(warp, 0), [&] {
      code.ifThen(code.elected(), [&] {
        RingPosition start = ring->start(/*producer=*/true);
        queue->produce({start.stage, start.parity},
                       [&](Value tile, ValueRange carried) { return produce(tile, carried); });
      });
    });
  }

  SmallVector<Value> produce(Value tile, ValueRange start) {
    Place place = HeadTile::locate(code, plan, tile);
    int64_t blockK = swizzleRow / getBytes(plan.a.type);
    return code.loop(code.i32(0), code.i32(steps()), code.i32(1), start,
                     [&](Value step, ValueRange carried) -> SmallVector<Value> {
                       RingPosition at{carried[0], carried[1]};
                       waitBarrier(code, ring->empty(at.stage), at.parity);
                       Value full = ring->full(at.stage);
                       expectBytes(code, full, code.i32(stageBytes));
                       Value k = code.mul(step, blockK);
                       Value stage = code.at(shared, code.mul(at.stage, stageBytes));
                       loadTile(code, mapA, stage, full, {k, place.row});
                       loadTile(code, mapB, code.at(stage, stageBytes / 2), full,
                                {k, place.column});
                       RingPosition next = ring->advance(at);
                       return {next.stage, next.parity};
                     });
  }

  SmallVector<Value> multiplyStage(RingPosition at, ValueRange accumulators, bool first) {
    waitBarrier(code, ring->full(at.stage), at.parity);
    Value stage = code.add(sharedAddress, code.mul(at.stage, stageBytes));
    Value a = describeTile(code, stage, Major::K);
    Value b = describeTile(code, code.add(stage, stageBytes / 2), Major::K);
    Multiply shape{tileColumns, plan.a.type, plan.b.type, Major::K, Major::K};
    fenceMultiply(code);
    SmallVector<Value> result(accumulators);
    for (int64_t step = 0; step < 4; ++step)
      for (int64_t m = 0; m < 2; ++m)
        result[m] =
            multiply(code, shape, code.add(a, step * getStep(Major::K) + m * (panelBytes >> 4)),
                     code.add(b, step * getStep(Major::K)), result[m], first && step == 0);
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
    HeadScalars scalars(code, function, plan.op);
    tileResult.emplace(code, plan, function, plan.scale ? scalars.get(plan.scale) : Value());
    if (plan.gradient)
      prepareStaging(consumer, fragment);
    // Consumer 1 gives consumer 0 the first turn; its own first tile lies one tile further in the
    // ring.
    Value isSecond = code.equal(consumer, 1);
    Value mine = code.add(consumer, turnBarrier),
          other = code.sub(code.i32(turnBarrier + 1), consumer);
    code.ifThen(isSecond, [&] { code.barrierArrive(code.i32(turnBarrier), 256); });
    RingPosition start = ring->start(/*producer=*/false), later = ring->advance(start, steps());
    RingPosition from{code.select(isSecond, later.stage, start.stage),
                      code.select(isSecond, later.parity, start.parity)};
    queue->consume(consumer, {from.stage, from.parity},
                   [&](Value tile, ValueRange carried) -> SmallVector<Value> {
                     Place place = HeadTile::locate(code, plan, tile);
                     if (plan.gradient)
                       reclaim(fragment);
                     code.barrier(mine, 256);
                     RingPosition end =
                         consumeTile(place, {carried[0], carried[1]}, other, fragment);
                     RingPosition next = ring->advance(end, steps());
                     return {next.stage, next.parity};
                   });
    if (plan.gradient)
      code.ifThen(fragment.isFirst, [&] { waitStores(code, 0, /*read=*/false); });
  }

  RingPosition consumeTile(const Place &place, RingPosition at, Value other,
                           const FragmentThread &fragment) {
    Value undefined =
        LLVM::UndefOp::create(code.builder, code.loc, getAccumulatorType(code, tileColumns));
    SmallVector<Value> first = multiplyStage(at, {undefined, undefined}, /*first=*/true);
    RingPosition next = ring->advance(at);
    SmallVector<Value> state = code.loop(
        code.i32(1), code.i32(steps()), code.i32(1),
        {next.stage, next.parity, at.stage, first[0], first[1]},
        [&](Value, ValueRange carried) -> SmallVector<Value> {
          RingPosition here{carried[0], carried[1]};
          SmallVector<Value> products = multiplyStage(here, carried.drop_front(3), /*first=*/false);
          waitMultiply(code, 1); // The stage before has been read.
          release(carried[2], fragment);
          RingPosition following = ring->advance(here);
          return {following.stage, following.parity, here.stage, products[0], products[1]};
        });
    code.barrierArrive(other, 256);
    waitMultiply(code, 0);
    release(state[2], fragment);
    SmallVector<Value> registers = unpackAccumulator(code, state[3]);
    registers.append(unpackAccumulator(code, state[4]));
    tileResult->finish(place, fragment, registers,
                       [&](CellValue value) { storeLogits(place, fragment, value); });
    return {state[0], state[1]};
  }

  //===- Logits through shared memory: 64 rows in two chunks of 64 columns --===//

  void prepareStaging(Value consumer, const FragmentThread &fragment) {
    area = code.at(staging, code.mul(consumer, chunks * chunkBytes));
    areaBarrier = code.add(consumer, ownBarrier);
    // stmatrix: lane l gives the address of row l mod 16 of the warp's 16, 8 columns to the right
    // from lane 16 on; 16-byte pieces are swizzled as TMA wants them.
    Value row = code.add(code.mul(fragment.warpInGroup, 16), code.bitAnd(fragment.lane, 15));
    matrixRow = code.at(area, code.mul(row, 128));
    Value right = code.shiftRight(fragment.lane, 4), swizzle = code.bitAnd(fragment.lane, 7);
    for (int step = 0; step < 4; ++step)
      matrixOffsets[step] = code.mul(code.bitXor(code.add(right, 2 * step), swizzle), 16);
  }

  /// Thread 0 waits until the area has been read; the others learn it at their next barrier.
  void reclaim(const FragmentThread &fragment) {
    code.ifThen(fragment.isFirst, [&] { waitStores(code, 0, /*read=*/true); });
  }

  /// The area was reclaimed and a barrier passed.
  void storeLogits(const Place &place, const FragmentThread &fragment, CellValue value) {
    for (int m = 0; m < 2; ++m) {
      if (m) {
        reclaim(fragment);
        code.barrier(areaBarrier, 128);
      }
      for (int n8 = 0; n8 < 16; n8 += 2) {
        SmallVector<Value> packed;
        for (int next = 0; next < 2; ++next)
          for (int h = 0; h < 2; ++h) {
            Value low = value({m, n8 + next, h, 0}), high = value({m, n8 + next, h, 1});
            packed.push_back(tileResult->pack(low, high));
          }
        NVVM::StMatrixOp::create(
            code.builder, code.loc,
            code.at(code.at(matrixRow, n8 / 8 * chunkBytes), matrixOffsets[n8 % 8 / 2]), packed,
            NVVM::MMALayout::row, NVVM::LdStMatrixShapeAttr::get(code.builder.getContext(), 8, 8),
            NVVM::LdStMatrixEltType::B16);
      }
      fenceSharedWrites(code);
      code.barrier(areaBarrier, 128);
      code.ifThen(fragment.isFirst, [&] {
        for (int64_t c = 0; c < chunks; ++c)
          storeTile(code, logits, code.at(area, c * chunkBytes),
                    {code.add(place.column, 64 * c), code.add(place.row, 64 * m)});
        commitStores(code);
      });
    }
  }

  const HeadPlan &plan;
  GPUFunction function;
  CodeBuilder code;
  Value mapA, mapB, logits;
  std::optional<HeadTile> tileResult;
  std::optional<BarrierArray> barriers;
  std::optional<Ring> ring;
  std::optional<TileQueue> queue;
  Value shared, staging, sharedAddress, thread, area, areaBarrier, matrixRow, matrixOffsets[4];
};

} // namespace

void smelt::gpu::emitHeadProduct(const HeadPlan &plan, GPUEmission &emission) {
  HeadProduct(plan, emission).emit(emission.getTarget().multiprocessors);
}
