//===- GemmTile.cpp - The register tile of a matrix product -----------------===//
#include "compiler/Conversion/KernelToCPU/GemmTile.h"
#include "compiler/Conversion/KernelToCPU/NumberFormats.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace smelt {
namespace {

VectorType getVectorType(KernelFunction &function) {
  return VectorType::get({function.getLanes()}, function.builder().getF32Type());
}

Value getPrefixMask(KernelFunction &function, int64_t valid) {
  ImplicitLocOpBuilder &b = function.builder();
  return vector::ConstantMaskOp::create(b, VectorType::get({function.getLanes()}, b.getI1Type()),
                                        ArrayRef<int64_t>{valid});
}

Value getZero(KernelFunction &function) {
  return arith::ConstantOp::create(function.builder(),
                                   function.builder().getZeroAttr(getVectorType(function)));
}

} // namespace

Value loadVector(KernelFunction &function, Value memory, Value index, int64_t valid) {
  ImplicitLocOpBuilder &b = function.builder();
  bool ragged = valid < function.getLanes();
  return loadNumbers(b, b.getLoc(), getVectorType(function), memory, index,
                     ragged ? getPrefixMask(function, valid) : Value());
}

void storeVector(KernelFunction &function, Value value, Value memory, Value index, int64_t valid) {
  ImplicitLocOpBuilder &b = function.builder();
  bool ragged = valid < function.getLanes();
  storeRounded(b, b.getLoc(), value, memory, index,
               ragged ? getPrefixMask(function, valid) : Value());
}

void emitGemmTile(KernelFunction &function, const GemmTile &tile) {
  ImplicitLocOpBuilder &b = function.builder();
  int64_t lanes = function.getLanes(), vectors = llvm::divideCeil(tile.columns, lanes),
          count = tile.rows * vectors;
  VectorType type = getVectorType(function);
  auto valid = [&](int64_t vector) { return std::min(lanes, tile.columns - vector * lanes); };
  auto forTile = [&](auto &&body) {
    for (int64_t i = 0; i < tile.rows; ++i)
      for (int64_t j = 0; j < vectors; ++j)
        body(i * vectors + j, function.add(tile.c.origin, i * tile.c.rowStride + j * lanes),
             valid(j));
  };

  SmallVector<Value> sums(count, getZero(function));
  if (tile.overwrite) {
    auto start = scf::IfOp::create(b, SmallVector<Type>(count, type), tile.overwrite,
                                   /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(start.thenBlock());
    scf::YieldOp::create(b, sums);
    b.setInsertionPointToStart(start.elseBlock());
    SmallVector<Value> loaded(count);
    forTile([&](int64_t at, Value index, int64_t lanesHere) {
      loaded[at] = loadVector(function, tile.c.memory, index, lanesHere);
    });
    scf::YieldOp::create(b, loaded);
    sums.assign(start.result_begin(), start.result_end());
  }

  // `unroll` steps of K per turn.
  auto emitSteps = [&](Value begin, Value end, int64_t unroll) {
    auto loop = scf::ForOp::create(b, begin, end, function.index(unroll), sums);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    SmallVector<Value> next(loop.getRegionIterArgs().begin(), loop.getRegionIterArgs().end());
    Value step = loop.getInductionVar();
    if (unroll == 8)
      tile.everyEightSteps(step);
    Value aRow = function.add(tile.a.origin, function.mul(step, tile.a.columnStride));
    Value bRow = function.add(tile.b.origin, function.mul(step, tile.b.rowStride));
    for (int64_t u = 0; u < unroll; ++u) {
      SmallVector<Value> columns(vectors);
      for (int64_t j = 0; j < vectors; ++j)
        columns[j] = vector::LoadOp::create(b, type, tile.b.memory,
                                            function.add(bRow, u * tile.b.rowStride + j * lanes));
      for (int64_t i = 0; i < tile.rows; ++i) {
        Value element = memref::LoadOp::create(
            b, tile.a.memory, function.add(aRow, i * tile.a.rowStride + u * tile.a.columnStride));
        Value spread = vector::BroadcastOp::create(b, type, element);
        for (int64_t j = 0; j < vectors; ++j)
          next[i * vectors + j] =
              vector::FMAOp::create(b, spread, columns[j], next[i * vectors + j]);
      }
    }
    scf::YieldOp::create(b, next);
    sums.assign(loop.result_begin(), loop.result_end());
  };
  int64_t unroll = tile.everyEightSteps && tile.lengthMultiple % 8 == 0 ? 8 : 4;
  Value zero = function.index(0);
  if (tile.lengthMultiple % unroll == 0) {
    emitSteps(zero, tile.length, unroll);
  } else {
    Value whole = arith::SubIOp::create(
        b, tile.length, arith::RemUIOp::create(b, tile.length, function.index(unroll)));
    emitSteps(zero, whole, unroll);
    emitSteps(whole, tile.length, 1);
  }
  auto store = [&] {
    forTile([&](int64_t at, Value index, int64_t lanesHere) {
      storeVector(function, sums[at], tile.c.memory, index, lanesHere);
    });
  };
  auto finish = [&] {
    for (int64_t at = 0; at < count; ++at)
      tile.finish(at / vectors, at % vectors, sums[at]);
  };
  if (!tile.finish)
    return store();
  if (!tile.last)
    return finish();
  auto choice = scf::IfOp::create(b, tile.last, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(choice.thenBlock());
  finish();
  b.setInsertionPointToStart(choice.elseBlock());
  store();
}

} // namespace smelt
