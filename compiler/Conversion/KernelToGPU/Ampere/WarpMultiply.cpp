//===- WarpMultiply.cpp - mma.sync, ldmatrix and cp.async -----------------===//
#include "compiler/Conversion/KernelToGPU/Ampere/WarpMultiply.h"

using namespace mlir;
using namespace smelt::gpu;

static SmallVector<Value> extract(CodeBuilder &code, Value record, int64_t count) {
  SmallVector<Value> values;
  for (int64_t i = 0; i < count; ++i)
    values.push_back(
        LLVM::ExtractValueOp::create(code.builder, code.loc, record, ArrayRef<int64_t>{i}));
  return values;
}

void smelt::gpu::multiplyWarp(CodeBuilder &code, ArrayRef<Value> a, ArrayRef<Value> b,
                              MutableArrayRef<Value> sums) {
  MLIRContext *context = code.builder.getContext();
  auto type = LLVM::LLVMStructType::getLiteral(context, SmallVector<Type>(4, code.f32Type()));
  SmallVector<Value> arguments(a);
  arguments.append(b.begin(), b.end());
  arguments.append(sums.begin(), sums.end());
  Value result = LLVM::CallIntrinsicOp::create(
                     code.builder, code.loc, type,
                     code.builder.getStringAttr("llvm.nvvm.mma.m16n8k16.row.col.bf16"), arguments)
                     .getResult(0);
  llvm::copy(extract(code, result, 4), sums.begin());
}

SmallVector<Value> smelt::gpu::loadMatrices(CodeBuilder &code, Value address, bool transposed) {
  MLIRContext *context = code.builder.getContext();
  auto type = LLVM::LLVMStructType::getLiteral(context, SmallVector<Type>(4, code.i32Type()));
  Value loaded = NVVM::LdMatrixOp::create(code.builder, code.loc, type, address, uint32_t(4),
                                          transposed ? NVVM::MMALayout::col : NVVM::MMALayout::row,
                                          NVVM::LdStMatrixShapeAttr::get(context, 8, 8),
                                          NVVM::LdStMatrixEltType::B16);
  return extract(code, loaded, 4);
}

void smelt::gpu::copyAsync(CodeBuilder &code, Value shared, Value global, Value bytes) {
  NVVM::CpAsyncOp::create(code.builder, code.loc, shared, global, 16,
                          NVVM::LoadCacheModifierKind::CG, bytes);
}

void smelt::gpu::commitCopies(CodeBuilder &code) {
  NVVM::CpAsyncCommitGroupOp::create(code.builder, code.loc);
}

void smelt::gpu::waitCopies(CodeBuilder &code, unsigned pending) {
  NVVM::CpAsyncWaitGroupOp::create(code.builder, code.loc, pending);
}

void smelt::gpu::syncWarp(CodeBuilder &code) {
  NVVM::SyncWarpOp::create(code.builder, code.loc, code.i32(-1));
}

Value SharedTile::getSwizzle(CodeBuilder &code, Value row) const {
  // 64-byte rows: two of them share a line of all banks.
  return rowBytes == 64 ? code.bitAnd(code.shiftRight(row, 1), 3) : code.bitAnd(row, 7);
}

Value SharedTile::getPlace(CodeBuilder &code, Value row, Value piece) const {
  Value place = code.mul(code.bitXor(piece, getSwizzle(code, row)), 16);
  return code.add(code.mul(row, rowBytes), place);
}

MatrixLane::MatrixLane(CodeBuilder &code, SharedTile tile, Use use, bool transposed, Value lane)
    : code(code), tile(tile), transposed(transposed) {
  // Matrices 0 and 1 are the halves of A's rows and of B's k; 2 and 3 lie behind them.
  bool isNatural = (use == Use::A) != transposed;
  Value row = isNatural ? code.bitAnd(lane, 15)
                        : code.add(code.bitAnd(lane, 7), code.mul(code.shiftRight(lane, 4), 8));
  Value right = isNatural ? code.shiftRight(lane, 4) : code.bitAnd(code.shiftRight(lane, 3), 1);
  start = code.mul(row, tile.rowBytes);
  piece = code.bitXor(right, tile.getSwizzle(code, row));
  placePieces();
}

void MatrixLane::placePieces() {
  for (int64_t i = 0; i < 4; ++i)
    offsets[i] = code.add(start, code.mul(code.bitXor(piece, 2 * i), 16));
}

void MatrixLane::moveRows(Value row) {
  if (transposed) {
    // Along a row of the tile: whole groups of 64 (8 pieces), then within one.
    Value moved = code.shiftRight(row, 3);
    start = code.add(start, code.mul(code.bitAnd(moved, ~int64_t(7)), 16));
    piece = code.bitXor(piece, code.bitAnd(moved, 7));
  } else {
    start = code.add(start, code.mul(row, tile.rowBytes));
  }
  placePieces();
}

SmallVector<Value> MatrixLane::load(Value tileBase, int64_t outer, int64_t k) {
  int64_t row = transposed ? k : outer, column = (transposed ? outer : k) / 8;
  int64_t inGroup = column % 8;
  Value address = code.at(code.at(tileBase, offsets[inGroup / 2]),
                          row * tile.rowBytes + (column - inGroup) * 16);
  return loadMatrices(code, address, transposed);
}
