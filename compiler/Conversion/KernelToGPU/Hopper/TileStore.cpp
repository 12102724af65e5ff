//===- TileStore.cpp - From registers to a matrix -------------------------===//
#include "compiler/Conversion/KernelToGPU/Hopper/TileStore.h"

using namespace mlir;
using namespace smelt::gpu;

FragmentThread smelt::gpu::getFragmentThread(CodeBuilder &code, Value thread) {
  FragmentThread result;
  Value inGroup = code.bitAnd(thread, 127);
  result.isFirst = code.equal(inGroup, 0);
  result.lane = code.bitAnd(thread, 31);
  result.warpInGroup = code.uniform(code.shiftRight(inGroup, 5));
  result.row = code.add(code.mul(result.warpInGroup, 16), code.shiftRight(result.lane, 2));
  result.pair = code.mul(code.bitAnd(result.lane, 3), 2);
  return result;
}

void smelt::gpu::storePairs(CodeBuilder &code, Value pointer, Type element, int64_t rows,
                            int64_t columns, Value row, Value column, CellValue value) {
  int64_t bytes = element.getIntOrFloatBitWidth() / 8;
  Value base = code.atElement(pointer, row, columns, column, bytes);
  auto storePair = [&](Cell cell, Value low, Value high) {
    Value address = code.at(base, ((64 * cell.m + 8 * cell.h) * columns + 8 * cell.n8) * bytes);
    if (element.isBF16())
      return code.store(code.packBF16(low, high), address, 4);
    auto pair = VectorType::get(2, code.f32Type());
    Value both = LLVM::UndefOp::create(code.builder, code.loc, pair);
    both = LLVM::InsertElementOp::create(code.builder, code.loc, both, low, code.i32(0));
    both = LLVM::InsertElementOp::create(code.builder, code.loc, both, high, code.i32(1));
    code.store(both, address, 8);
  };
  for (int m = 0; m < 2; ++m)
    for (int h = 0; h < 2; ++h)
      for (int n8 = 0; n8 < 16; ++n8) {
        Cell cell{m, n8, h, 0};
        Value low = value(cell), high = value({m, n8, h, 1});
        Value inside;
        if (rows % tileRows)
          inside = code.less(code.add(row, 64 * m + 8 * h), rows);
        if (columns % tileColumns) {
          Value insideColumns = code.less(code.add(column, 8 * n8), columns);
          inside = inside ? code.logicalAnd(inside, insideColumns) : insideColumns;
        }
        if (inside)
          code.ifThen(inside, [&] { storePair(cell, low, high); });
        else
          storePair(cell, low, high);
      }
}

StagedStore::StagedStore(CodeBuilder &code, Value area, int64_t chunks, Value barrier,
                         const FragmentThread &thread)
    : code(code), area(area), chunks(chunks), barrier(barrier), thread(thread) {
  // stmatrix: lane l gives the address of row l mod 16 of the warp's 16, 8 columns to the right
  // from lane 16 on.
  Value row = code.add(code.mul(thread.warpInGroup, 16), code.bitAnd(thread.lane, 15));
  matrixRow = code.mul(row, 128);
  Value right = code.shiftRight(thread.lane, 4), swizzle = code.bitAnd(thread.lane, 7);
  for (int step = 0; step < 4; ++step)
    matrixOffsets[step] = code.mul(code.bitXor(code.add(right, 2 * step), swizzle), 16);
}

void StagedStore::reclaim() {
  code.ifThen(thread.isFirst, [&] { waitStores(code, 0, /*read=*/true); });
}

void StagedStore::store(Value map, Value column, Value row, Value group, bool isFree,
                        CellValue value) {
  MLIRContext *context = code.builder.getContext();
  const int order[4][2] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}};
  for (int64_t first = 0; first < 4; first += chunks) {
    if (first || !isFree) {
      reclaim();
      code.barrier(barrier, 128);
    }
    for (int64_t i = first; i < first + chunks; ++i) {
      auto [m, c] = order[i];
      Value rows = code.at(getChunk(m, c), matrixRow);
      for (int n8 = 8 * c; n8 < 8 * c + 8; n8 += 2) {
        SmallVector<Value> words;
        for (int next = 0; next < 2; ++next)
          for (int h = 0; h < 2; ++h) {
            Value low = value({m, n8 + next, h, 0}), high = value({m, n8 + next, h, 1});
            words.push_back(code.packBF16(low, high));
          }
        NVVM::StMatrixOp::create(code.builder, code.loc, code.at(rows, matrixOffsets[n8 % 8 / 2]),
                                 words, NVVM::MMALayout::row,
                                 NVVM::LdStMatrixShapeAttr::get(context, 8, 8),
                                 NVVM::LdStMatrixEltType::B16);
      }
    }
    fenceSharedWrites(code);
    code.barrier(barrier, 128);
    code.ifThen(thread.isFirst, [&] {
      for (int64_t i = first; i < first + chunks; ++i) {
        auto [m, c] = order[i];
        SmallVector<Value> coordinates{code.add(column, 64 * c), code.add(row, 64 * m)};
        if (group)
          coordinates.push_back(group);
        storeTile(code, map, getChunk(m, c), coordinates);
      }
      commitStores(code);
    });
  }
}
