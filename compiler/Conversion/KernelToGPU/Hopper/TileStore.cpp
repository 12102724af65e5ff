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
                            int64_t columns, Value row, Value column, CellValue value, int blocks) {
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
      for (int n8 = 0; n8 < blocks; ++n8) {
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

StagingArea::StagingArea(CodeBuilder &code, Value area, int64_t chunks, Value barrier,
                         Value arrived, const FragmentThread &thread)
    : code(code), area(area), chunks(chunks), barrier(barrier), arrived(arrived), thread(thread) {
  // ldmatrix and stmatrix: lane l gives the address of row l mod 16 of the warp's 16, 8 columns to
  // the right from lane 16 on.
  Value row = code.add(code.mul(thread.warpInGroup, 16), code.bitAnd(thread.lane, 15));
  matrixRow = code.mul(row, 128);
  Value right = code.shiftRight(thread.lane, 4), swizzle = code.bitAnd(thread.lane, 7);
  for (int step = 0; step < 4; ++step)
    matrixOffsets[step] = code.mul(code.bitXor(code.add(right, 2 * step), swizzle), 16);
}

/// Outputs lie where the first input lay: a thread reads what it is about to overwrite.
Value StagingArea::getChunk(unsigned input, int m, int c) {
  return code.at(area, ((2 * m + c) % chunksPerPass() + 2 * input) * chunkBytes);
}

Value StagingArea::getMatrixAddress(unsigned input, int m, int n8) {
  return code.at(code.at(getChunk(input, m, n8 / 8), matrixRow), matrixOffsets[n8 % 8 / 2]);
}

void StagingArea::reclaim() {
  code.ifThen(thread.isFirst, [&] { waitStores(code, 0, /*read=*/true); });
}

static SmallVector<Value> coordinatesOf(CodeBuilder &code, const StagingArea::Place &place, int m,
                                        int c) {
  SmallVector<Value> coordinates{code.add(place.column, 64 * c), code.add(place.row, 64 * m)};
  if (place.group)
    coordinates.push_back(place.group);
  return coordinates;
}

void StagingArea::loadPass(ArrayRef<Value> maps, const Place &place, int64_t first) {
  int64_t count = chunksPerPass();
  expectBytes(code, arrived, code.i32(int64_t(maps.size()) * count * chunkBytes));
  for (auto [index, map] : llvm::enumerate(maps))
    for (int64_t i = first; i < first + count; ++i)
      loadTile(code, map, getChunk(index, int(i / 2), int(i % 2)), arrived,
               coordinatesOf(code, place, int(i / 2), int(i % 2)));
}

void StagingArea::prefetch(ArrayRef<Value> inputMaps, const Place &place) {
  inputs.assign(inputMaps.begin(), inputMaps.end());
  code.ifThen(thread.isFirst, [&] { loadPass(inputs, place, 0); });
  inputs.clear();
}

void StagingArea::beginInputs(ArrayRef<Value> inputMaps, const Place &place, Value firstParity) {
  inputs.assign(inputMaps.begin(), inputMaps.end());
  inputPlace = place;
  parity = firstParity;
}

std::pair<Value, Value> StagingArea::readInput(unsigned index, Cell cell) {
  int first = cell.n8 / 2 * 2;
  auto key = [&](int n8, int h) { return std::pair(index, Cell{cell.m, n8, h, 0}.index()); };
  if (!words.count(key(cell.n8, cell.h))) {
    MLIRContext *context = code.builder.getContext();
    SmallVector<Type> four(4, code.i32Type());
    auto type = LLVM::LLVMStructType::getLiteral(context, four);
    Value loaded = NVVM::LdMatrixOp::create(
        code.builder, code.loc, type, getMatrixAddress(index, cell.m, first), uint32_t(4),
        NVVM::MMALayout::row, NVVM::LdStMatrixShapeAttr::get(context, 8, 8),
        NVVM::LdStMatrixEltType::B16);
    for (int64_t i = 0; i < 4; ++i)
      words[key(first + int(i / 2), int(i % 2))] =
          LLVM::ExtractValueOp::create(code.builder, code.loc, loaded, ArrayRef<int64_t>{i});
  }
  return code.unpackBF16(words.lookup(key(cell.n8, cell.h)));
}

void StagingArea::store(Value map, const Place &place, bool isFree, CellValue value) {
  MLIRContext *context = code.builder.getContext();
  int64_t count = chunksPerPass();
  for (int64_t first = 0; first < 4; first += count) {
    words.clear();
    if (first || !isFree) {
      reclaim();
      code.barrier(barrier, 128);
      if (first && !inputs.empty())
        code.ifThen(thread.isFirst, [&] { loadPass(inputs, inputPlace, first); });
    }
    if (!inputs.empty())
      waitBarrier(code, arrived, first ? code.bitXor(parity, 1) : parity);
    for (int64_t i = first; i < first + count; ++i) {
      int m = int(i / 2), c = int(i % 2);
      for (int n8 = 8 * c; n8 < 8 * c + 8; n8 += 2) {
        SmallVector<Value> packed;
        for (int next = 0; next < 2; ++next)
          for (int h = 0; h < 2; ++h) {
            Value low = value({m, n8 + next, h, 0}), high = value({m, n8 + next, h, 1});
            packed.push_back(code.packBF16(low, high));
          }
        NVVM::StMatrixOp::create(
            code.builder, code.loc, getMatrixAddress(0, m, n8), packed, NVVM::MMALayout::row,
            NVVM::LdStMatrixShapeAttr::get(context, 8, 8), NVVM::LdStMatrixEltType::B16);
      }
    }
    fenceSharedWrites(code);
    code.barrier(barrier, 128);
    code.ifThen(thread.isFirst, [&] {
      for (int64_t i = first; i < first + count; ++i)
        storeTile(code, map, getChunk(0, int(i / 2), int(i % 2)),
                  coordinatesOf(code, place, int(i / 2), int(i % 2)));
      commitStores(code);
    });
  }
  inputs.clear();
}
