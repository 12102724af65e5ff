//===- EmitHopperLongGemm.cpp - Products with a long k --------------------===//
//
// A weight's gradient has few tiles and a long k. Blocks of 384 threads: a producer thread copies
// operand tiles by TMA into a ring, two consumer warp groups multiply one tile of 128 × 256
// together, 64 rows each (B, the larger part, is read from shared memory once for all 256 columns).
// LongGemmPlan deals steps of k to blocks; the f32 sums of each part go to a slot of the workspace
// as they lie in registers, and a second launch adds a tile's slots in the order of k and runs the
// result region: the same bits always.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/Hopper/EmitHopperLongGemm.h"
#include "compiler/Conversion/KernelToGPU/Hopper/LongGemmPlan.h"
#include "compiler/Conversion/KernelToGPU/Hopper/OperandTile.h"
#include "compiler/Conversion/KernelToGPU/Hopper/ResultStage.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

namespace {

constexpr int64_t consumers = 2, groupRows = 64, rowBlocks = groupRows / 64,
                  blockRows = consumers * groupRows, blockColumns = 256;
constexpr int64_t aBytes = blockRows * swizzleRow, stageBytes = aBytes + blockColumns * swizzleRow,
                  stages = 4;
/// A slot: the f32 sums of a tile, 4 registers (one 8-column block of 64 rows) of all threads after
/// the other.
constexpr int64_t quadBytes = consumers * 128 * 16, quads = rowBlocks * blockColumns / 8,
                  slotBytes = quads * quadBytes;

int64_t countTiles(int64_t size, int64_t tile) { return (size + tile - 1) / tile; }

class LongGemm {
public:
  LongGemm(kernel::GemmOp op, GPUEmission &emission, const GemmPlan &plan, const LongGemmPlan &deal,
           int64_t slots)
      : plan(plan), deal(deal), function(emission, "gemm", 384),
        code(function.builder(), op.getLoc()),
        mapA(function.addTensorMap(plan.aArgument, describeOperand(plan.aType, plan.aMajor, plan.m,
                                                                   plan.k, 1, blockRows))),
        mapB(function.addTensorMap(plan.bArgument, describeOperand(plan.bType, plan.bMajor, plan.n,
                                                                   plan.k, 1, blockColumns))),
        slotsPlace(function.getWorkspace(slots)) {}

  void emit() {
    function.getFunction()->setAttr("nvvm.minctasm", code.builder.getI32IntegerAttr(1));
    int64_t ringOffset = layout.allocate(stages * stageBytes, 1024);
    int64_t barrierOffset = layout.allocate(8 * 2 * stages, 16);
    shared = code.at(function.getDynamicShared(), ringOffset);
    sharedAddress = LLVM::PtrToIntOp::create(code.builder, code.loc, code.i32Type(), shared);
    barriers.emplace(code, function.getDynamicShared(), barrierOffset);
    ring.emplace(code, *barriers, 0, stages);
    addWork();
    thread = code.threadIndex();
    Value group = code.uniform(code.shiftRight(thread, 7));
    code.ifThen(code.equal(thread, 0), [&] {
      for (int64_t i = 0; i < 2 * stages; ++i)
        initialiseBarrier(code, barriers->get(i), i < stages ? 1 : consumers);
      fenceBarriers(code);
    });
    code.barrierAll();
    code.ifElse(
        code.equal(group, 0), [&] { emitProducer(); }, [&] { emitConsumer(code.sub(group, 1)); });
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
    code.loop(code.i32(0), code.i32(deal.mostParts()), code.i32(1), {start.stage, start.parity},
              [&](Value index, ValueRange carried) -> SmallVector<Value> {
                Value place = code.at(mine, code.mul(index, 16));
                Value numbers[4];
                for (int64_t i = 0; i < 4; ++i)
                  numbers[i] = code.uniform(code.load(code.i32Type(), code.at(place, 4 * i), 4));
                Part part{code.mul(code.div(numbers[0], tilesN), blockRows),
                          code.mul(code.rem(numbers[0], tilesN), blockColumns), numbers[1],
                          numbers[2], numbers[3]};
                RingPosition end = body(part, {carried[0], carried[1]});
                return {end.stage, end.parity};
              });
  }

  void emitProducer() {
    NVVM::SetMaxRegisterOp::create(code.builder, code.loc, 40,
                                   NVVM::SetMaxRegisterAction::decrease);
    Value warp = code.uniform(code.shiftRight(thread, 5));
    code.ifThen(code.equal(warp, 0), [&] {
      Value isElected = code.elected();
      forParts(ring->start(/*producer=*/true), [&](const Part &part, RingPosition start) {
        SmallVector<Value> end =
            code.loop(code.i32(0), part.count, code.i32(1), {start.stage, start.parity},
                      [&](Value step, ValueRange carried) -> SmallVector<Value> {
                        RingPosition at{carried[0], carried[1]};
                        code.ifThen(isElected, [&] { load(part, step, at); });
                        RingPosition next = ring->advance(at);
                        return {next.stage, next.parity};
                      });
        return RingPosition{end[0], end[1]};
      });
    });
  }

  void load(const Part &part, Value step, RingPosition at) {
    waitBarrier(code, ring->empty(at.stage), at.parity);
    Value full = ring->full(at.stage);
    expectBytes(code, full, code.i32(stageBytes));
    Value k = code.mul(code.add(part.first, step), plan.blockK());
    Value stage = code.at(shared, code.mul(at.stage, stageBytes));
    loadOperand(code, mapA, plan.aMajor, stage, full, part.row, k, Value(), blockRows);
    loadOperand(code, mapB, plan.bMajor, code.at(stage, aBytes), full, part.column, k, Value(),
                blockColumns);
  }

  void emitConsumer(Value consumer) {
    NVVM::SetMaxRegisterOp::create(code.builder, code.loc, 232,
                                   NVVM::SetMaxRegisterAction::increase);
    FragmentThread fragment = getFragmentThread(code, thread);
    Value a = code.add(sharedAddress, code.mul(consumer, groupRows * swizzleRow)),
          b = code.add(sharedAddress, aBytes);
    Value inGroup = code.at(slotsPlace, code.mul(code.sub(thread, 128), 16));
    forParts(ring->start(/*producer=*/false), [&](const Part &part, RingPosition at) {
      // The body of a part that there is not must not run, and its position stays.
      auto isThere = code.compare(arith::CmpIPredicate::ne, part.count, 0);
      auto op = scf::IfOp::create(code.builder, code.loc, TypeRange{code.i32Type(), code.i32Type()},
                                  isThere, true);
      OpBuilder::InsertionGuard guard(code.builder);
      code.builder.setInsertionPointToStart(op.thenBlock());
      RingPosition end = multiplyPart(part, at, a, b, fragment, inGroup);
      scf::YieldOp::create(code.builder, code.loc, ValueRange{end.stage, end.parity});
      code.builder.setInsertionPointToStart(op.elseBlock());
      scf::YieldOp::create(code.builder, code.loc, ValueRange{at.stage, at.parity});
      return RingPosition{op.getResult(0), op.getResult(1)};
    });
  }

  RingPosition multiplyPart(const Part &part, RingPosition at, Value a, Value b,
                            const FragmentThread &fragment, Value inGroup) {
    SmallVector<Value> zero(
        rowBlocks,
        LLVM::UndefOp::create(code.builder, code.loc, getAccumulatorType(code, blockColumns)));
    SmallVector<Value> state = multiplyStage(at, a, b, zero, /*first=*/true);
    RingPosition next = ring->advance(at);
    state.insert(state.begin(), {next.stage, next.parity, at.stage});
    state = code.loop(code.i32(1), part.count, code.i32(1), state,
                      [&](Value, ValueRange carried) -> SmallVector<Value> {
                        RingPosition here{carried[0], carried[1]};
                        SmallVector<Value> sums =
                            multiplyStage(here, a, b, carried.drop_front(3), /*first=*/false);
                        waitMultiply(code, 1); // The stage before has been read.
                        release(carried[2], fragment);
                        RingPosition following = ring->advance(here);
                        SmallVector<Value> result{following.stage, following.parity, here.stage};
                        result.append(sums);
                        return result;
                      });
    waitMultiply(code, 0);
    release(state[2], fragment);
    Value place = code.at(inGroup, code.mul(code.widen(part.slot), slotBytes));
    auto quad = VectorType::get(4, code.f32Type());
    for (int64_t m = 0; m < rowBlocks; ++m)
      for (int64_t n8 = 0; n8 < blockColumns / 8; ++n8) {
        Value four = LLVM::UndefOp::create(code.builder, code.loc, quad);
        for (int64_t i = 0; i < 4; ++i)
          four = LLVM::InsertElementOp::create(
              code.builder, code.loc, four,
              LLVM::ExtractValueOp::create(code.builder, code.loc, state[3 + m],
                                           ArrayRef<int64_t>{4 * n8 + i}),
              code.i32(i));
        code.store(four, code.at(place, (m * blockColumns / 8 + n8) * quadBytes), 16);
      }
    return {state[0], state[1]};
  }

  /// The multiplications of one stage: 4 steps of 32 bytes of k.
  SmallVector<Value> multiplyStage(RingPosition at, Value a, Value b, ValueRange accumulators,
                                   bool first) {
    waitBarrier(code, ring->full(at.stage), at.parity);
    Value offset = code.mul(at.stage, stageBytes);
    Value aTile = describeTile(code, code.add(a, offset), plan.aMajor);
    Value bTile = describeTile(code, code.add(b, offset), plan.bMajor);
    Multiply shape{blockColumns, plan.aType, plan.bType, plan.aMajor, plan.bMajor};
    fenceMultiply(code);
    SmallVector<Value> result(accumulators);
    for (int64_t step = 0; step < 4; ++step)
      for (int64_t m = 0; m < rowBlocks; ++m)
        result[m] = multiply(
            code, shape, code.add(aTile, step * getStep(plan.aMajor) + m * (panelBytes >> 4)),
            code.add(bTile, step * getStep(plan.bMajor)), result[m], first && step == 0);
    commitMultiply(code);
    return result;
  }

  void release(Value stage, const FragmentThread &fragment) {
    code.ifThen(fragment.isFirst, [&] { arriveBarrier(code, ring->empty(stage)); });
  }

  const GemmPlan &plan;
  const LongGemmPlan &deal;
  GPUFunction function;
  CodeBuilder code;
  Value mapA, mapB, slotsPlace, work, shared, sharedAddress, thread;
  SharedLayout layout;
  std::optional<BarrierArray> barriers;
  std::optional<Ring> ring;
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
