//===- EmitGemm.cpp - kernel.gemm by plain f32 arithmetic -----------------===//
//
// The reference of the fast generators and what runs where they do not apply: 64x64 tiles of C, a
// block of 256 threads with 4x4 numbers each, slabs of 16 of K through shared memory, every sum in
// the order of K. Any layout, size and region.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/EmitKernels.h"
#include "compiler/Conversion/KernelToGPU/GPURegion.h"

using namespace mlir;

namespace smelt {
namespace {

constexpr int64_t kTile = 64, kSlab = 16, kThreads = 256, kEach = 4, kPitch = kTile + 4;

class GemmEmitter {
public:
  GemmEmitter(kernel::GemmOp op, GPUEmission &emission)
      : op(op), emission(emission), a(cast<kernel::KernelOpInterface>(op.getOperation()), 0),
        b(cast<kernel::KernelOpInterface>(op.getOperation()), 1),
        result(cast<kernel::KernelOpInterface>(op.getOperation()), 2, op.getOutputs()) {}

  LogicalResult emit() {
    for (const std::string &why : {a.whyNot(), b.whyNot(), result.whyNot()})
      if (!why.empty())
        return op.emitOpError("cannot be generated for GPUs: ") << why;
    a.prepare(emission);
    b.prepare(emission);
    result.prepare(emission);
    int64_t tilesM = llvm::divideCeil(op.getM(), kTile), tilesN = llvm::divideCeil(op.getN(), kTile),
            groups = op.getGroups();
    GPUFunction function(emission, "gemm", kThreads);
    GPUBuilder g(function.builder());
    Value thread = g.thread(), block = g.block();
    Value tileN = g.rem(block, tilesN), rest = g.div(block, tilesN);
    Value tileM = g.rem(rest, tilesM), group = g.div(rest, tilesM);
    Value sharedA = function.allocateShared(kSlab * kPitch * 4),
          sharedB = function.allocateShared(kSlab * kPitch * 4);
    a.bind(function);
    b.bind(function);
    result.bind(function);
    Value m0 = g.mul(tileM, kTile), n0 = g.mul(tileN, kTile);
    // Threads lie 16 by 16: thread (y, x) has rows 4y… and columns 4x… of the tile.
    Value x = g.rem(thread, 16), y = g.div(thread, 16);
    Values zeros(kEach * kEach, g.number(0));
    Values sums = g.loop(
        g.integer(0), g.integer(op.getK()), g.integer(kSlab), zeros,
        [&](Value k0, ValueRange before) -> Values {
          loadSlab(g, a, op.getTransposeA(), op.getM(), group, m0, k0, thread, sharedA);
          loadSlab(g, b, !op.getTransposeB(), op.getN(), group, n0, k0, thread, sharedB);
          g.barrier();
          Values after(before.begin(), before.end());
          for (int64_t k = 0; k < kSlab; ++k) {
            auto four = [&](Value shared, Value which) {
              Value at = g.add(g.mul(which, kEach), k * kPitch);
              return g.loadNumbers(g.offset(shared, g.f32(), at), g.f32(), kEach, true);
            };
            Values as = four(sharedA, y), bs = four(sharedB, x);
            for (int64_t i = 0; i < kEach; ++i)
              for (int64_t j = 0; j < kEach; ++j)
                after[i * kEach + j] = g.fma(as[i], bs[j], after[i * kEach + j]);
          }
          g.barrier();
          return after;
        });
    storeTile(g, group, g.add(m0, g.mul(y, kEach)), g.add(n0, g.mul(x, kEach)), sums);
    function.finish({tilesM * tilesN * groups, 1, 1});
    result.finish(emission);
    return success();
  }

private:
  using Values = GPUBuilder::Values;

  /// Elements (k0 + 0…15, x0 + 0…63) of an operand to shared[k][x]. `alongX`: rows of the operand
  /// are steps of K, so that neighbours along x lie together in memory. `size` is the extent along x
  /// of one group.
  void loadSlab(GPUBuilder &g, GPUOperandRegion &operand, bool alongX, int64_t size, Value group,
                Value x0, Value k0, Value thread, Value shared) {
    int64_t depth = op.getK();
    Value k, x; // The first of the four elements that the thread loads.
    if (alongX) {
      x = g.mul(g.rem(thread, 16), kEach), k = g.div(thread, 16);
    } else {
      k = g.mul(g.rem(thread, 4), kEach), x = g.div(thread, 4);
    }
    Value atK = g.add(k0, k), atX = g.add(x0, x);
    int64_t rows = alongX ? depth : size, features = alongX ? size : depth;
    Value row = alongX ? atK : atX, feature = alongX ? atX : atK;
    Value inRow = g.less(row, rows);
    Value clamped = g.add(g.min(row, g.integer(rows - 1)), g.mul(group, rows));
    operand.start();
    bool together = features % kEach == 0 && operand.getVector() == kEach;
    Values loaded;
    if (together) {
      Value safe = g.min(feature, g.integer(features - kEach));
      Value valid = g.both(inRow, g.less(feature, features));
      for (Value each : operand.get(clamped, GPUChunk::at(safe, 0, features, kEach)))
        loaded.push_back(g.select(valid, each, g.number(0)));
    } else {
      for (int64_t i = 0; i < kEach; ++i) {
        Value mine = g.add(feature, i);
        Value safe = g.min(mine, g.integer(features - 1));
        Value valid = g.both(inRow, g.less(mine, features));
        loaded.push_back(
            g.select(valid, operand.get(clamped, GPUChunk::at(safe, 0, features))[0], g.number(0)));
      }
    }
    Value base = g.offset(shared, g.f32(), g.add(g.mul(k, kPitch), x));
    if (alongX)
      g.storeNumbers(loaded, base, g.f32(), true);
    else
      for (int64_t i = 0; i < kEach; ++i)
        g.store(loaded[i], g.offset(base, g.f32(), g.integer(i * kPitch)), 4);
  }

  void storeTile(GPUBuilder &g, Value group, Value m, Value n, ArrayRef<Value> sums) {
    int64_t columns = op.getN();
    bool together = columns % kEach == 0 && (result.getVector() == kEach || !result.isElementwise());
    Value firstRow = g.mul(group, op.getM());
    for (int64_t i = 0; i < kEach; ++i) {
      Value row = g.add(m, i);
      Value inRow = g.less(row, op.getM());
      ArrayRef<Value> mine = sums.slice(i * kEach, kEach);
      if (together) {
        g.when(g.both(inRow, g.less(n, columns)), [&] {
          result.storeElements(g.add(firstRow, row), GPUChunk::at(n, 0, columns, kEach), mine);
        });
        continue;
      }
      for (int64_t j = 0; j < kEach; ++j) {
        Value column = g.add(n, j);
        g.when(g.both(inRow, g.less(column, columns)), [&] {
          result.storeElements(g.add(firstRow, row), GPUChunk::at(column, 0, columns), mine[j]);
        });
      }
    }
  }

  kernel::GemmOp op;
  GPUEmission &emission;
  GPUOperandRegion a, b;
  GPUResultRegion result;
};

} // namespace

LogicalResult emitGeneric(kernel::GemmOp op, GPUEmission &emission) {
  return GemmEmitter(op, emission).emit();
}

} // namespace smelt
