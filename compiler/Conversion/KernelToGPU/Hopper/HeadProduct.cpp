//===- HeadProduct.cpp - The head's GEMM and its sums of exp --------------===//
//
// A PingPongProduct with the head's own result (HeadTile). f8 products are summed by
// the tensor cores alone ("fast accumulation", as in the records): k is a model's width here.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/Hopper/HeadTile.h"
#include "compiler/Conversion/KernelToGPU/Hopper/PingPongProduct.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

namespace {

class HeadProduct : PingPongProduct {
public:
  HeadProduct(const HeadPlan &plan, GPUEmission &emission)
      : PingPongProduct(emission, "head", plan.op->getLoc(),
                        {tileColumns, plan.a.type, plan.b.type, Major::K, Major::K}, 6,
                        countSteps(plan)),
        plan(plan),
        mapA(function.addTensorMap(plan.a.argument, plan.a.describe(tileRows), plan.a.byteOffset)),
        mapB(function.addTensorMap(plan.b.argument, plan.b.describe(tileColumns),
                                   plan.b.byteOffset)) {
    if (plan.gradient)
      logits =
          function.addTensorMap(emission.getWorkspaceArgument(), describeLogits(), plan.logits);
  }

  void emit(int64_t multiprocessors) {
    stagingOffset = plan.gradient ? layout.allocate(2 * chunks * chunkBytes, 1024) : 0;
    addRing(/*releases=*/1);
    queue.emplace(code, function, layout, plan.tilesM() * plan.tilesN(),
                  TileQueue::Consumers::InTurn, multiprocessors);
    emitRoles(Producer::Thread, [&] { produce(); }, [&] { consume(); });
    function.finish({queue->getGrid(), 1, 1}, layout.getBytes());
  }

private:
  static constexpr int64_t chunks = 2;
  using Place = HeadTile::Place;

  static int64_t countSteps(const HeadPlan &plan) {
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

  void produce() {
    produceTiles([&](Value tile, RingPosition at) {
      Place place = HeadTile::locate(code, plan, tile);
      return fillStages(at, countSteps(plan), [&](Value step, Value slot, Value full) {
        Value k = code.mul(step, swizzleRow / getBytes(plan.a.type));
        Value stage = placeOf(slot);
        loadTile(code, mapA, stage, full, {k, place.row});
        loadTile(code, mapB, code.at(stage, stages.aBytes()), full, {k, place.column});
      });
    });
  }

  void consume() {
    HeadScalars scalars(code, function, plan.op);
    tileResult.emplace(code, plan, function, plan.scale ? scalars.get(plan.scale) : Value());
    if (plan.gradient)
      prepareStaging();
    consumeTiles(
        {},
        [&](Value tile, ValueRange, MultiplyTile multiply) {
          Place place = HeadTile::locate(code, plan, tile);
          if (plan.gradient)
            reclaim();
          SmallVector<Value> registers = multiply();
          tileResult->finish(place, fragment, registers,
                             [&](CellValue value) { storeLogits(place, value); });
        },
        [](ValueRange) { return SmallVector<Value>(); });
    if (plan.gradient)
      finishStores();
  }

  //===- Logits through shared memory: 64 rows in two chunks of 64 columns --===//

  void prepareStaging() {
    area = code.at(code.at(shared, stagingOffset), code.mul(consumer, chunks * chunkBytes));
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
  void reclaim() {
    code.ifThen(fragment.isFirst, [&] { waitStores(code, 0, /*read=*/true); });
  }

  /// The area was reclaimed and a barrier passed.
  void storeLogits(const Place &place, CellValue value) {
    for (int m = 0; m < 2; ++m) {
      if (m) {
        reclaim();
        code.barrier(areaBarrier, 128);
      }
      for (int n8 = 0; n8 < 16; n8 += 2) {
        SmallVector<Value> packed;
        for (int next = 0; next < 2; ++next)
          for (int h = 0; h < 2; ++h) {
            Value low = value({m, n8 + next, h, 0}), high = value({m, n8 + next, h, 1});
            packed.push_back(tileResult->pack(low, high));
          }
        storeMatrices(code,
                      code.at(code.at(matrixRow, n8 / 8 * chunkBytes), matrixOffsets[n8 % 8 / 2]),
                      packed);
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
  int64_t stagingOffset = 0;
  Value mapA, mapB, logits;
  std::optional<HeadTile> tileResult;
  Value area, areaBarrier, matrixRow, matrixOffsets[4];
};

} // namespace

void smelt::gpu::emitHeadProduct(const HeadPlan &plan, GPUEmission &emission) {
  HeadProduct(plan, emission).emit(emission.getTarget().multiprocessors);
}
