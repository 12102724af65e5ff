//===- EmitHopperLongGemm.cpp - Products with a long k --------------------===//
//
// A weight's gradient has few tiles and a long k. A ProductKernel whose two consumer warp groups
// multiply one tile of 128 × 256 together, 64 rows each (B, the larger part, is read from shared
// memory once for all 256 columns). LongGemmPlan deals steps of k to blocks; the f32 sums of each
// part go to a slot of the workspace as they lie in registers, and a second launch adds a tile's
// slots in the order of k and runs the result region: the same bits always.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/Hopper/EmitHopperLongGemm.h"
#include "compiler/Conversion/KernelToGPU/Hopper/LongGemmPlan.h"
#include "compiler/Conversion/KernelToGPU/Hopper/OperandTile.h"
#include "compiler/Conversion/KernelToGPU/Hopper/ProductKernel.h"
#include "compiler/Conversion/KernelToGPU/Hopper/ResultStage.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

namespace {

constexpr int64_t consumers = 2, groupRows = 64, rowBlocks = groupRows / 64,
                  blockRows = consumers * groupRows, blockColumns = 256;
/// A slot: the f32 sums of a tile, 4 registers (one 8-column block of 64 rows) of all threads after
/// the other.
constexpr int64_t quadBytes = consumers * 128 * 16, quads = rowBlocks * blockColumns / 8,
                  slotBytes = quads * quadBytes;

int64_t countTiles(int64_t size, int64_t tile) { return (size + tile - 1) / tile; }

class LongGemm : ProductKernel {
public:
  LongGemm(kernel::GemmOp op, GPUEmission &emission, const GemmPlan &plan, const LongGemmPlan &deal,
           int64_t slots)
      : ProductKernel(emission, "gemm", op.getLoc(), {4, blockRows, blockColumns}), plan(plan),
        deal(deal),
        mapA(function.addTensorMap(plan.aArgument, describeOperand(plan.aType, plan.aMajor, plan.m,
                                                                   plan.k, 1, blockRows))),
        mapB(function.addTensorMap(plan.bArgument, describeOperand(plan.bType, plan.bMajor, plan.n,
                                                                   plan.k, 1, blockColumns))),
        slotsPlace(function.getWorkspace(slots)) {}

  void emit() {
    addRing(/*releases=*/consumers);
    addWork();
    emitRoles(Producer::Warp, [&] { produce(); }, [&] { consume(); });
    function.finish({int64_t(deal.work.size()), 1, 1}, layout.getBytes());
  }

private:
  /// A part as values of the running kernel.
  struct Part {
    Value row, column, first, count, slot;
  };

  /// Four numbers a part; a block's unused parts have count 0.
  void addWork() {
    SmallVector<int32_t> numbers;
    for (const auto &parts : deal.work)
      for (size_t i = 0; i < size_t(deal.mostParts()); ++i) {
        LongGemmPart part = i < parts.size() ? parts[i] : LongGemmPart();
        for (int64_t number : {part.tile, part.first, part.count, part.slot})
          numbers.push_back(int32_t(number));
      }
    work = function.addTable(numbers);
  }

  /// Runs `body` for each part of this block.
  void forParts(RingPosition start,
                llvm::function_ref<RingPosition(const Part &, RingPosition)> body) {
    Value mine = code.at(work, code.mul(code.blockIndex(), deal.mostParts() * 16));
    int64_t tilesN = countTiles(plan.n, blockColumns);
    loopState(code, code.i32(0), code.i32(deal.mostParts()), start,
              [&](Value index, RingPosition at) {
                Value place = code.at(mine, code.mul(index, 16));
                Value numbers[4];
                for (int64_t i = 0; i < 4; ++i)
                  numbers[i] = code.uniform(code.load(code.i32Type(), code.at(place, 4 * i), 4));
                Part part{code.mul(code.div(numbers[0], tilesN), blockRows),
                          code.mul(code.rem(numbers[0], tilesN), blockColumns), numbers[1],
                          numbers[2], numbers[3]};
                return body(part, at);
              });
  }

  /// The whole warp goes from part to part, since it loads their numbers together.
  void produce() {
    Value isElected = code.elected();
    forParts(ring->start(/*producer=*/true), [&](const Part &part, RingPosition start) {
      return loopState(code, code.i32(0), part.count, start, [&](Value step, RingPosition at) {
        code.ifThen(isElected, [&] { load(part, step, at); });
        return ring->advance(at);
      });
    });
  }

  void load(const Part &part, Value step, RingPosition at) {
    fillStage(step, at, [&](Value, Value slot, Value full) {
      Value k = code.mul(code.add(part.first, step), plan.blockK());
      Value stage = placeOf(slot);
      loadOperand(code, mapA, plan.aMajor, stage, full, part.row, k, Value(), blockRows);
      loadOperand(code, mapB, plan.bMajor, code.at(stage, stages.aBytes()), full, part.column, k,
                  Value(), blockColumns);
    });
  }

  void consume() {
    Value a = code.add(sharedAddress, code.mul(consumer, groupRows * swizzleRow)),
          b = code.add(sharedAddress, stages.aBytes());
    Value inGroup = code.at(slotsPlace, code.mul(code.sub(thread, 128), 16));
    forParts(ring->start(/*producer=*/false), [&](const Part &part, RingPosition at) {
      // The body of a part that there is not must not run, and its position stays.
      auto isThere = code.compare(arith::CmpIPredicate::ne, part.count, 0);
      SmallVector<Value> end = code.choose(
          isThere, 2,
          [&] {
            RingPosition end = multiplyPart(part, at, a, b, inGroup);
            return SmallVector<Value>{end.stage, end.parity};
          },
          [&] { return SmallVector<Value>{at.stage, at.parity}; });
      return RingPosition{end[0], end[1]};
    });
  }

  RingPosition multiplyPart(const Part &part, RingPosition at, Value a, Value b, Value inGroup) {
    Sums sums = multiplyStages(at, part.count, rowBlocks, blockColumns,
                               [&](RingPosition here, ValueRange blocks, bool first) {
                                 return multiplyStage(here, a, b, blocks, first);
                               });
    finish(sums);
    Value place = code.at(inGroup, code.mul(code.widen(part.slot), slotBytes));
    auto quad = VectorType::get(4, code.f32Type());
    for (int64_t m = 0; m < rowBlocks; ++m)
      for (int64_t n8 = 0; n8 < blockColumns / 8; ++n8) {
        Value four = LLVM::UndefOp::create(code.builder, code.loc, quad);
        for (int64_t i = 0; i < 4; ++i)
          four = LLVM::InsertElementOp::create(
              code.builder, code.loc, four,
              LLVM::ExtractValueOp::create(code.builder, code.loc, sums.blocks[m],
                                           ArrayRef<int64_t>{4 * n8 + i}),
              code.i32(i));
        code.store(four, code.at(place, (m * blockColumns / 8 + n8) * quadBytes), 16);
      }
    return sums.end;
  }

  SmallVector<Value> multiplyStage(RingPosition at, Value a, Value b, ValueRange blocks,
                                   bool first) {
    waitBarrier(code, ring->full(at.stage), at.parity);
    Value offset = code.mul(at.stage, stages.bytes());
    Value aTile = describeTile(code, code.add(a, offset), plan.aMajor);
    Value bTile = describeTile(code, code.add(b, offset), plan.bMajor);
    return multiplyBlocks(code, {blockColumns, plan.aType, plan.bType, plan.aMajor, plan.bMajor},
                          aTile, bTile, blocks, first);
  }

  const GemmPlan &plan;
  const LongGemmPlan &deal;
  Value mapA, mapB, slotsPlace, work;
};

/// Adds a tile's slots in order and runs the result region: a warp group per 64 × 32 of the
/// product.
void emitSum(kernel::GemmOp op, GPUEmission &emission, const GemmPlan &plan,
             const LongGemmPlan &deal, int64_t slots) {
  constexpr int64_t pieceColumns = 32;
  GPUFunction function(emission, "gemm sum of splits", 128);
  CodeBuilder code(function.builder(), op.getLoc());
  Value pointer = function.getWorkspace(slots);
  Value firstSlot = function.addTable(llvm::to_vector_of<int32_t>(deal.firstSlot));
  ResultStage result(code, function, op, plan, /*mayStage=*/false);
  Value thread = code.threadIndex();
  FragmentThread fragment = getFragmentThread(code, thread);
  result.begin();
  int64_t piecesN = countTiles(plan.n, pieceColumns);
  Value rowPiece = code.div(code.blockIndex(), piecesN),
        columnPiece = code.rem(code.blockIndex(), piecesN);
  Value tile =
      code.add(code.mul(code.div(rowPiece, blockRows / 64), countTiles(plan.n, blockColumns)),
               code.div(columnPiece, blockColumns / pieceColumns));
  Value inTile = code.rem(rowPiece, blockRows / 64), consumer = code.div(inTile, rowBlocks);
  Value firstQuad =
      code.add(code.mul(code.rem(inTile, rowBlocks), blockColumns / 8),
               code.mul(code.rem(columnPiece, blockColumns / pieceColumns), pieceColumns / 8));
  Value place = code.at(pointer, code.add(code.mul(firstQuad, quadBytes),
                                          code.mul(code.add(code.mul(consumer, 128), thread), 16)));
  auto slotOf = [&](Value index) {
    return code.load(code.i32Type(), code.at(firstSlot, code.mul(index, 4)), 4);
  };
  auto quad = VectorType::get(4, code.f32Type());
  auto loadQuads = [&](Value slot) {
    SmallVector<Value> values;
    Value address = code.at(place, code.mul(code.widen(slot), slotBytes));
    for (int64_t n8 = 0; n8 < pieceColumns / 8; ++n8)
      values.push_back(code.load(quad, code.at(address, n8 * quadBytes), 16));
    return values;
  };
  Value begin = slotOf(tile);
  SmallVector<Value> sums =
      code.loop(code.add(begin, 1), slotOf(code.add(tile, 1)), code.i32(1), loadQuads(begin),
                [&](Value slot, ValueRange carried) -> SmallVector<Value> {
                  SmallVector<Value> values = loadQuads(slot);
                  for (auto [value, sum] : llvm::zip_equal(values, carried))
                    value = code.fadd(sum, value);
                  return values;
                });
  auto product = [&](Cell cell) -> Value {
    return LLVM::ExtractElementOp::create(code.builder, code.loc, sums[cell.n8],
                                          code.i32(2 * cell.h + cell.p));
  };
  TileCoordinates where{Value(), code.mul(rowPiece, 64), code.mul(columnPiece, pieceColumns),
                        Value()};
  result.storeBeside(where, fragment, {1, pieceColumns / 8});
  result.run(where, fragment, product, nullptr, Value(), {1, pieceColumns / 8});
  function.finish({countTiles(plan.m, 64) * piecesN, 1, 1});
}

} // namespace

bool smelt::gpu::isLongGemm(const GemmPlan &plan) {
  return plan.splits > 1 && plan.groups == 1 && plan.isElementwise &&
         plan.aType == OperandType::BF16 && plan.bType == OperandType::BF16;
}

void smelt::gpu::emitLongGemm(kernel::GemmOp op, GPUEmission &emission, const GemmPlan &plan) {
  LongGemmPlan deal =
      LongGemmPlan::make(countTiles(plan.m, blockRows) * countTiles(plan.n, blockColumns),
                         countTiles(plan.k, plan.blockK()), emission.getTarget().multiprocessors);
  int64_t slots = emission.allocateWorkspace(deal.countSlots() * slotBytes);
  LongGemm(op, emission, plan, deal, slots).emit();
  emitSum(op, emission, plan, deal, slots);
}
