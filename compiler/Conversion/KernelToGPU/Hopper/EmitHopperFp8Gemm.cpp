//===- EmitHopperFp8Gemm.cpp - f8 products with long sums -----------------===//
//
// A ProductKernel with tiles of 256 × 128 (TileQueue): two consumer warp groups own 128 rows each
// and share B.
//
// Hopper's f8 products keep about 14 bits of a sum, too few for sums of tens of thousands. So every
// two stages (256 of k) start from zero in a small accumulator of 64 × 128, which is then added to
// the f32 sums in registers, in the way of cuBLASLt without "fast accumulation". While one group
// adds, the other multiplies.
//
// wgmma takes f8 from shared memory K-major only, but A also from registers: an A with rows of k
// (gᵀ of a weight's gradient) is loaded as it lies, and its fragments are put together by ldmatrix
// and byte permutations. Otherwise operands are copied K-major by launches before (OperandCopy).
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/EmitKernels.h"
#include "compiler/Conversion/KernelToGPU/Hopper/ByteTranspose.h"
#include "compiler/Conversion/KernelToGPU/Hopper/GemmPlan.h"
#include "compiler/Conversion/KernelToGPU/Hopper/OperandCopy.h"
#include "compiler/Conversion/KernelToGPU/Hopper/ProductKernel.h"
#include "compiler/Conversion/KernelToGPU/Hopper/TileStore.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

namespace {

class Fp8Gemm : ProductKernel {
public:
  /// With `a` null, A is stored with rows of k in buffer `rowsOfK`.
  Fp8Gemm(kernel::GemmOp op, GPUEmission &emission, const KMajorOperand *a, uint32_t rowsOfK,
          const KMajorOperand &b)
      : ProductKernel(emission, "gemm", op.getLoc(), {4, blockRows, tileColumns}), op(op),
        fromRegisters(!a), aType(smelt::gpu::getMultipliedType(op, 0)), bType(b.type),
        region(code, op),
        mapA(a ? function.addTensorMap(a->argument, a->describe(blockRows), a->byteOffset)
               : function.addTensorMap(rowsOfK, describeRowsOfK(op.getM(), op.getK()))),
        mapB(function.addTensorMap(b.argument, b.describe(tileColumns), b.byteOffset)) {
    for (auto [i, input] : llvm::enumerate(op.getResultInputs()))
      region.bindInput(i, function.getPointer(input));
    auto yield = cast<kernel::YieldOp>(op.getResult().front().getTerminator());
    for (auto [tensor, output] : llvm::zip_equal(yield.getValues(), op.getOutputs()))
      outputs.push_back({tensor, function.getPointer(output)});
  }

  void emit(int64_t multiprocessors) {
    addRing(/*releases=*/4 * consumers); // A warp each.
    queue.emplace(code, function, layout, tiles(), TileQueue::Consumers::Together, multiprocessors);
    emitRoles(Producer::Thread, [&] { produce(); }, [&] { consume(); });
    function.finish({queue->getGrid(), 1, 1}, layout.getBytes());
  }

private:
  static constexpr int64_t blockRows = consumers * tileRows;
  /// Stages between additions to the sums.
  static constexpr int64_t together = 2;

  /// Panels of 128 rows of the product and 128 of k, the rows of k in the order in which ldmatrix
  /// wants them: of each 16, those with bit 1 clear (0, 1, 4, 5, 8, 9, 12, 13), then the others.
  static GPUTensorMap describeRowsOfK(int64_t m, int64_t k) {
    GPUTensorMap map;
    map.element = GPUTensorMap::Element::F8;
    map.sizes = {m, 2, 4, 2, k / 16};
    map.strides = {m, 4 * m, 2 * m, 16 * m};
    map.box = {tileRows, 2, 4, 2, swizzleRow / 16};
    map.swizzle = 128;
    return map;
  }

  int64_t tilesN() { return (op.getN() + tileColumns - 1) / tileColumns; }
  int64_t tiles() { return (op.getM() + blockRows - 1) / blockRows * tilesN(); }
  int64_t steps() {
    int64_t blocks = (op.getK() + swizzleRow - 1) / swizzleRow;
    return (blocks + together - 1) / together * together;
  }

  void produce() {
    produceTiles([&](Value tile, RingPosition at) {
      Value row = code.mul(code.div(tile, tilesN()), blockRows),
            column = code.mul(code.rem(tile, tilesN()), tileColumns);
      return fillStages(at, steps(), [&](Value step, Value slot, Value full) {
        Value k = code.mul(step, swizzleRow);
        Value stage = placeOf(slot);
        if (fromRegisters)
          for (int64_t i = 0; i < consumers; ++i)
            loadTile(code, mapA, code.at(stage, i * tileRows * swizzleRow), full,
                     {code.add(row, i * tileRows), code.i32(0), code.i32(0), code.i32(0),
                      code.mul(step, swizzleRow / 16)});
        else
          loadTile(code, mapA, stage, full, {k, row});
        loadTile(code, mapB, code.at(stage, stages.aBytes()), full, {k, column});
      });
    });
  }

  void consume() {
    region.evaluateScalars();
    Value inBlock = code.mul(consumer, tileRows);
    // Fragments of A: lane l loads 16 bytes of row l of 32 rows of k, swizzled.
    Value panel = code.bitXor(fragment.warpInGroup, code.bitAnd(fragment.lane, 7));
    Value lanes = code.at(
        shared, code.add(code.mul(inBlock, swizzleRow), code.mul(fragment.lane, swizzleRow)));
    for (int64_t m = 0; m < 2; ++m)
      laneAddresses[m] = code.at(lanes, code.mul(code.bitXor(panel, 4 * m), 16));
    Value aAddress = code.add(sharedAddress, code.mul(consumer, tileRows * swizzleRow)),
          bAddress = code.add(sharedAddress, stages.aBytes());
    RingPosition start = ring->start(/*producer=*/false);
    queue->consume(consumer, {start.stage, start.parity},
                   [&](Value, ValueRange carried) -> SmallVector<Value> {
                     SmallVector<Value> state{carried[0], carried[1]};
                     state.append(Cell::count, code.f32(0));
                     state = code.loop(code.i32(0), code.i32(steps()), code.i32(together), state,
                                       [&](Value, ValueRange before) {
                                         return multiplyTogether(before, aAddress, bAddress);
                                       });
                     Value tile = queue->readAgain();
                     Value row = code.mul(code.div(tile, tilesN()), blockRows),
                           column = code.mul(code.rem(tile, tilesN()), tileColumns);
                     Value first = code.add(row, inBlock);
                     auto run = [&] {
                       store(first, code.add(column, fragment.pair),
                             ArrayRef<Value>(state).drop_front(2));
                     };
                     // The second group may have no row.
                     op.getM() % blockRows ? code.ifThen(code.less(first, op.getM()), run) : run();
                     return {state[0], state[1]};
                   });
  }

  /// 4 products of 32 of k for each 64 rows and stage, added to the sums.
  SmallVector<Value> multiplyTogether(ValueRange state, Value aAddress, Value bAddress) {
    SmallVector<RingPosition> at{{state[0], state[1]}};
    SmallVector<Value> aTiles, bTiles;
    for (int64_t i = 0; i < together; ++i) {
      waitBarrier(code, ring->full(at[i].stage), at[i].parity);
      Value offset = code.mul(at[i].stage, stages.bytes());
      aTiles.push_back(describeTile(code, code.add(aAddress, offset), Major::K));
      bTiles.push_back(describeTile(code, code.add(bAddress, offset), Major::K));
      at.push_back(ring->advance(at[i]));
    }
    Multiply multiplication{tileColumns, aType, bType, Major::K, Major::K};
    SmallVector<Value> sums;
    for (int64_t m = 0; m < 2; ++m) {
      Value part =
          LLVM::UndefOp::create(code.builder, code.loc, getAccumulatorType(code, tileColumns));
      for (int64_t i = 0; i < together; ++i) {
        SmallVector<Value> words; // Of A, four for each 32 of k.
        for (int64_t step = 0; fromRegisters && step < 4; ++step)
          words.append(loadFragment(m, at[i].stage, step));
        if (fromRegisters || i == 0)
          fenceMultiply(code);
        for (int64_t step = 0; step < 4; ++step) {
          Value b = code.add(bTiles[i], step * getStep(Major::K));
          bool isFirst = i == 0 && step == 0;
          part =
              fromRegisters
                  ? multiplyRegisters(code, multiplication,
                                      ArrayRef<Value>(words).slice(4 * step, 4), b, part, isFirst)
                  : multiply(code, multiplication,
                             code.add(aTiles[i], step * getStep(Major::K) + m * (panelBytes >> 4)),
                             b, part, isFirst);
        }
        // Two stages of fragments at once would not fit into the registers.
        if (fromRegisters || i == together - 1) {
          commitMultiply(code);
          part = waitMultiply(code, 0, part, words);
        }
      }
      if (m == 1) {
        if (fromRegisters) // Lanes have read A themselves.
          code.syncWarp();
        code.ifThen(code.equal(fragment.lane, 0), [&] {
          for (int64_t i = 0; i < together; ++i)
            arriveBarrier(code, ring->empty(at[i].stage));
        });
      }
      for (auto [i, value] : llvm::enumerate(unpackAccumulator(code, part)))
        sums.push_back(code.fadd(state[2 + m * 64 + i], value));
    }
    SmallVector<Value> result{at.back().stage, at.back().parity};
    result.append(sums);
    return result;
  }

  /// A[64, 32] of this warp group from its panel of A, whose smem rows are k: ldmatrix gives each
  /// thread pairs of neighbouring rows of A at two k, bytes are sorted by row. So the thread's row
  /// lane/4 of the fragment is row 2·(lane/4) of the warp's 16, and its row lane/4 + 8 the next
  /// one.
  SmallVector<Value> loadFragment(int64_t m, Value stage, int64_t step) {
    Value address =
        code.at(code.at(laneAddresses[m], code.mul(stage, stages.bytes())), step * 32 * swizzleRow);
    SmallVector<Value> words = loadMatrices(code, address, NVVM::MMALayout::col), result;
    for (int64_t i = 0; i < 4; i += 2)
      for (int64_t selector : {0x6420, 0x7531})
        result.push_back(permuteBytes(code, words[i], words[i + 1], selector));
    return result;
  }

  /// `first`: the group's first row; `column` the thread's.
  void store(Value first, Value column, ArrayRef<Value> sums) {
    auto product = [&](Cell cell) { return sums[cell.index()]; };
    // Rows of h = 0 and 1 lie 8 apart, or, from registers, below each other.
    Value row = code.add(first, fragment.row);
    if (fromRegisters)
      row = code.add(first, code.add(code.mul(fragment.warpInGroup, 16),
                                     code.mul(code.shiftRight(fragment.lane, 2), 2)));
    for (int h = 0; h < 2; ++h) {
      // The region takes a cell's row to be 64·m + 8·h further.
      region.beginTile(fromRegisters && h ? code.sub(row, 7) : row, column, product);
      for (int m = 0; m < 2; ++m)
        storeRow(code.add(row, 64 * m + (fromRegisters ? h : 8 * h)), column, m, h);
    }
  }

  void storeRow(Value row, Value column, int m, int h) {
    auto write = [&] {
      for (auto [tensor, pointer] : outputs) {
        Type element = cast<RankedTensorType>(tensor.getType()).getElementType();
        int64_t bytes = element.getIntOrFloatBitWidth() / 8;
        Value base = code.atElement(pointer, row, op.getN(), column, bytes);
        for (int n8 = 0; n8 < 16; ++n8) {
          Value low = region.get(tensor, {m, n8, h, 0}), high = region.get(tensor, {m, n8, h, 1});
          auto writePair = [&] {
            storePair(code, element, low, high, code.at(base, 8 * n8 * bytes));
          };
          if (op.getN() % tileColumns)
            code.ifThen(code.less(code.add(column, 8 * n8), op.getN()), writePair);
          else
            writePair();
        }
      }
    };
    op.getM() % tileRows ? code.ifThen(code.less(row, op.getM()), write) : write();
  }

  kernel::GemmOp op;
  bool fromRegisters;
  OperandType aType, bType;
  FragmentRegion region;
  Value mapA, mapB;
  SmallVector<std::pair<Value, Value>> outputs; ///< Tensor of the region, pointer.
  Value laneAddresses[2];
};

} // namespace

std::string smelt::whyNotFp8Gemm(kernel::GemmOp op, const GPUEmission &emission) {
  if (!emission.getTarget().hasWarpgroupMMA())
    return "the target has no wgmma";
  for (unsigned index : {0, 1})
    if (gpu::getMultipliedType(op, index) == OperandType::BF16)
      return "an operand is not f8";
  for (unsigned index : {0, 1})
    if (std::string reason = whyNotKMajor(op, index, emission); !reason.empty())
      return reason;
  if (op.getN() % 2)
    return "rows of the product are odd";
  if (std::string reason = FragmentRegion::whyNot(op); !reason.empty())
    return reason;
  // Rows outside the product are left out before the region runs: a norm's lanes must all run.
  if (op.getM() % tileRows && !op.getResult().front().getOps<lm::RMSNormOp>().empty())
    return "a norm of rows that do not fill the tiles";
  auto yield = cast<kernel::YieldOp>(op.getResult().front().getTerminator());
  if (llvm::any_of(yield.getValues(), countHeads))
    return "an output is a number per row and head";
  if (llvm::any_of(yield.getValues(), [&](Value v) { return FragmentRegion::isBeside(op, v); }))
    return "an output does not depend on the product";
  for (Value output : yield.getValues())
    if (*FragmentRegion::findColumns(op, output) != ColumnRange{0, op.getN()})
      return "an output covers a part of the columns";
  return "";
}

LogicalResult smelt::emitFp8Gemm(kernel::GemmOp op, GPUEmission &emission) {
  std::optional<uint32_t> rowsOfK = findRowsOfK(op, 0, emission);
  KMajorOperand a;
  if (!rowsOfK)
    a = makeKMajor(op, 0, emission);
  KMajorOperand b = makeKMajor(op, 1, emission);
  Fp8Gemm(op, emission, rowsOfK ? nullptr : &a, rowsOfK.value_or(0), b)
      .emit(emission.getTarget().multiprocessors);
  return success();
}
