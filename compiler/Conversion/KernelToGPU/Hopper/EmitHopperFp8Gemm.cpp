//===- EmitHopperFp8Gemm.cpp - f8 products with long sums -----------------===//
//
// One block of 384 threads per multiprocessor takes tiles of 256 × 128 in turn: a producer thread
// copies operand tiles of 128 bytes of k by TMA into a ring; two consumer warp groups own 128 rows
// each and share B.
//
// Hopper's f8 products keep about 14 bits of a sum, too few for sums of tens of thousands. So each
// stage (128 of k) starts from zero in a small accumulator of 64 × 128, which is then added to the
// f32 sums in registers: what cuBLASLt does without "fast accumulation". While one group adds, the
// other multiplies.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/EmitKernels.h"
#include "compiler/Conversion/KernelToGPU/Hopper/OperandCopy.h"
#include "compiler/Conversion/KernelToGPU/Hopper/TileStore.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

namespace {

class Fp8Gemm {
public:
  Fp8Gemm(kernel::GemmOp op, GPUEmission &emission, const KMajorOperand &a, const KMajorOperand &b)
      : op(op), a(a), b(b), function(emission, "gemm", 384), code(function.builder(), op.getLoc()),
        region(code, op),
        mapA(function.addTensorMap(a.argument, a.describe(blockRows), a.byteOffset)),
        mapB(function.addTensorMap(b.argument, b.describe(tileColumns), b.byteOffset)) {
    for (auto [i, input] : llvm::enumerate(op.getResultInputs()))
      region.bindInput(i, function.getPointer(input));
    auto yield = cast<kernel::YieldOp>(op.getResult().front().getTerminator());
    for (auto [tensor, output] : llvm::zip_equal(yield.getValues(), op.getOutputs()))
      outputs.push_back({tensor, function.getPointer(output)});
  }

  void emit(int64_t multiprocessors) {
    function.getFunction()->setAttr("nvvm.minctasm", code.builder.getI32IntegerAttr(1));
    int64_t ringOffset = layout.allocate(stages * stageBytes, 1024);
    int64_t barrierOffset = layout.allocate(8 * 2 * stages, 16);
    shared = code.at(function.getDynamicShared(), ringOffset);
    sharedAddress = LLVM::PtrToIntOp::create(code.builder, code.loc, code.i32Type(), shared);
    barriers.emplace(code, function.getDynamicShared(), barrierOffset);
    ring.emplace(code, *barriers, 0, stages);
    thread = code.threadIndex();
    Value group = code.uniform(code.shiftRight(thread, 7));
    code.ifThen(code.equal(thread, 0), [&] {
      for (int64_t i = 0; i < 2 * stages; ++i)
        initialiseBarrier(code, barriers->get(i), i < stages ? 1 : consumers);
      fenceBarriers(code);
    });
    code.barrierAll();
    grid = std::min(tiles(), multiprocessors);
    code.ifElse(
        code.equal(group, 0), [&] { emitProducer(); }, [&] { emitConsumer(code.sub(group, 1)); });
    function.finish({grid, 1, 1}, layout.getBytes());
  }

private:
  static constexpr int64_t consumers = 2, blockRows = consumers * tileRows, stages = 4;
  static constexpr int64_t aBytes = blockRows * swizzleRow,
                           stageBytes = aBytes + tileColumns * swizzleRow;

  int64_t tilesN() { return (op.getN() + tileColumns - 1) / tileColumns; }
  int64_t tiles() { return (op.getM() + blockRows - 1) / blockRows * tilesN(); }
  int64_t steps() { return (op.getK() + swizzleRow - 1) / swizzleRow; }

  void emitProducer() {
    NVVM::SetMaxRegisterOp::create(code.builder, code.loc, 40,
                                   NVVM::SetMaxRegisterAction::decrease);
    Value warp = code.uniform(code.shiftRight(thread, 5));
    code.ifThen(code.equal(warp, 0), [&] {
      code.ifThen(code.elected(), [&] {
        RingPosition start = ring->start(/*producer=*/true);
        code.loop(code.blockIndex(), code.i32(tiles()), code.i32(grid), {start.stage, start.parity},
                  [&](Value tile, ValueRange carried) { return produce(tile, carried); });
      });
    });
  }

  SmallVector<Value> produce(Value tile, ValueRange start) {
    Value row = code.mul(code.div(tile, tilesN()), blockRows),
          column = code.mul(code.rem(tile, tilesN()), tileColumns);
    return code.loop(code.i32(0), code.i32(steps()), code.i32(1), start,
                     [&](Value step, ValueRange carried) -> SmallVector<Value> {
                       RingPosition at{carried[0], carried[1]};
                       waitBarrier(code, ring->empty(at.stage), at.parity);
                       Value full = ring->full(at.stage);
                       expectBytes(code, full, code.i32(stageBytes));
                       Value k = code.mul(step, swizzleRow);
                       Value stage = code.at(shared, code.mul(at.stage, stageBytes));
                       loadTile(code, mapA, stage, full, {k, row});
                       loadTile(code, mapB, code.at(stage, aBytes), full, {k, column});
                       RingPosition next = ring->advance(at);
                       return {next.stage, next.parity};
                     });
  }

  void emitConsumer(Value consumer) {
    NVVM::SetMaxRegisterOp::create(code.builder, code.loc, 232,
                                   NVVM::SetMaxRegisterAction::increase);
    FragmentThread fragment = getFragmentThread(code, thread);
    region.evaluateScalars();
    Value inBlock = code.mul(consumer, tileRows);
    Value aAddress = code.add(sharedAddress, code.mul(consumer, tileRows * swizzleRow)),
          bAddress = code.add(sharedAddress, aBytes);
    RingPosition start = ring->start(/*producer=*/false);
    code.loop(code.blockIndex(), code.i32(tiles()), code.i32(grid), {start.stage, start.parity},
              [&](Value tile, ValueRange carried) -> SmallVector<Value> {
                SmallVector<Value> state{carried[0], carried[1]};
                state.append(Cell::count, code.f32(0));
                state = code.loop(code.i32(0), code.i32(steps()), code.i32(1), state,
                                  [&](Value, ValueRange before) {
                                    return multiplyStage(before, aAddress, bAddress, fragment);
                                  });
                Value row = code.mul(code.div(tile, tilesN()), blockRows),
                      column = code.mul(code.rem(tile, tilesN()), tileColumns);
                store(code.add(code.add(row, inBlock), fragment.row),
                      code.add(column, fragment.pair), ArrayRef<Value>(state).drop_front(2));
                return {state[0], state[1]};
              });
  }

  /// 4 products of 32 of k for each 64 rows, added to the sums.
  SmallVector<Value> multiplyStage(ValueRange state, Value aAddress, Value bAddress,
                                   const FragmentThread &fragment) {
    RingPosition at{state[0], state[1]};
    waitBarrier(code, ring->full(at.stage), at.parity);
    Value offset = code.mul(at.stage, stageBytes);
    Value aTile = describeTile(code, code.add(aAddress, offset), Major::K);
    Value bTile = describeTile(code, code.add(bAddress, offset), Major::K);
    Multiply shape{tileColumns, a.type, b.type, Major::K, Major::K};
    SmallVector<Value> sums;
    for (int64_t m = 0; m < 2; ++m) {
      Value part =
          LLVM::UndefOp::create(code.builder, code.loc, getAccumulatorType(code, tileColumns));
      fenceMultiply(code);
      for (int64_t step = 0; step < 4; ++step)
        part =
            multiply(code, shape, code.add(aTile, step * getStep(Major::K) + m * (panelBytes >> 4)),
                     code.add(bTile, step * getStep(Major::K)), part, step == 0);
      commitMultiply(code);
      part = waitMultiply(code, 0, part);
      if (m == 1)
        code.ifThen(fragment.isFirst, [&] { arriveBarrier(code, ring->empty(at.stage)); });
      for (auto [i, value] : llvm::enumerate(unpackAccumulator(code, part)))
        sums.push_back(code.fadd(state[2 + m * 64 + i], value));
    }
    RingPosition next = ring->advance(at);
    SmallVector<Value> result{next.stage, next.parity};
    result.append(sums);
    return result;
  }

  void store(Value row, Value column, ArrayRef<Value> sums) {
    auto product = [&](Cell cell) { return sums[cell.index()]; };
    region.beginTile(row, column, product);
    for (auto [tensor, pointer] : outputs)
      storePairs(code, pointer, cast<RankedTensorType>(tensor.getType()).getElementType(),
                 op.getM(), op.getN(), row, column,
                 [&, tensor = tensor](Cell cell) { return region.get(tensor, cell); });
  }

  kernel::GemmOp op;
  const KMajorOperand &a, &b;
  GPUFunction function;
  CodeBuilder code;
  FragmentRegion region;
  Value mapA, mapB;
  SmallVector<std::pair<Value, Value>> outputs; ///< Tensor of the region, pointer.
  SharedLayout layout;
  std::optional<BarrierArray> barriers;
  std::optional<Ring> ring;
  Value shared, sharedAddress, thread;
  int64_t grid = 0;
};

} // namespace

std::string smelt::whyNotFp8Gemm(kernel::GemmOp op, const GPUEmission &emission) {
  if (!emission.getTarget().hasWarpgroupMMA())
    return "the target has no wgmma";
  for (unsigned index : {0, 1})
    if (gpu::getOperandType(op, index) == OperandType::BF16)
      return "an operand is not f8";
  for (unsigned index : {0, 1})
    if (std::string reason = whyNotKMajor(op, index, emission); !reason.empty())
      return reason;
  if (op.getN() % 2)
    return "rows of the product are odd";
  if (std::string reason = FragmentRegion::whyNot(op); !reason.empty())
    return reason;
  auto yield = cast<kernel::YieldOp>(op.getResult().front().getTerminator());
  for (Value output : yield.getValues())
    if (*FragmentRegion::findColumns(op, output) != ColumnRange{0, op.getN()})
      return "an output covers a part of the columns";
  return "";
}

LogicalResult smelt::emitFp8Gemm(kernel::GemmOp op, GPUEmission &emission) {
  KMajorOperand a = makeKMajor(op, 0, emission), b = makeKMajor(op, 1, emission);
  Fp8Gemm(op, emission, a, b).emit(emission.getTarget().multiprocessors);
  return success();
}
