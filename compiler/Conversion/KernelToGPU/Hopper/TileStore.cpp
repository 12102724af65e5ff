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

void smelt::gpu::storePair(CodeBuilder &code, Type element, Value low, Value high, Value address) {
  if (element.isBF16())
    return code.store(code.packBF16(low, high), address, 4);
  auto pair = VectorType::get(2, code.f32Type());
  Value both = LLVM::UndefOp::create(code.builder, code.loc, pair);
  both = LLVM::InsertElementOp::create(code.builder, code.loc, both, low, code.i32(0));
  both = LLVM::InsertElementOp::create(code.builder, code.loc, both, high, code.i32(1));
  code.store(both, address, 8);
}

SmallVector<Value> smelt::gpu::loadMatrices(CodeBuilder &code, Value address,
                                            NVVM::MMALayout layout) {
  MLIRContext *context = code.builder.getContext();
  SmallVector<Type> four(4, code.i32Type());
  Value loaded = NVVM::LdMatrixOp::create(
      code.builder, code.loc, LLVM::LLVMStructType::getLiteral(context, four), address, uint32_t(4),
      layout, NVVM::LdStMatrixShapeAttr::get(context, 8, 8), NVVM::LdStMatrixEltType::B16);
  SmallVector<Value> words;
  for (int64_t i = 0; i < 4; ++i)
    words.push_back(
        LLVM::ExtractValueOp::create(code.builder, code.loc, loaded, ArrayRef<int64_t>{i}));
  return words;
}

void smelt::gpu::storeMatrices(CodeBuilder &code, Value address, ArrayRef<Value> words,
                               NVVM::MMALayout layout) {
  MLIRContext *context = code.builder.getContext();
  NVVM::StMatrixOp::create(code.builder, code.loc, address, words, layout,
                           NVVM::LdStMatrixShapeAttr::get(context, 8, 8),
                           NVVM::LdStMatrixEltType::B16);
}

void smelt::gpu::storePairs(CodeBuilder &code, Value pointer, Type element, int64_t rows,
                            int64_t columns, Value row, Value column, CellValue value,
                            TileExtent extent) {
  int64_t bytes = element.getIntOrFloatBitWidth() / 8;
  Value base = code.atElement(pointer, row, columns, column, bytes);
  SmallVector<Cell> cells;
  for (int m = 0; m < extent.rowBlocks; ++m)
    for (int h = 0; h < 2; ++h)
      for (int n8 = 0; n8 < extent.columnBlocks; ++n8)
        cells.push_back({m, n8, h, 0});
  // What a value is read from may be stored over, so no load passes a store: the loads of 16 pairs
  // go together, else each would wait for the one before.
  constexpr size_t together = 16;
  for (ArrayRef<Cell> rest = cells; !rest.empty();) {
    ArrayRef<Cell> batch = rest.take_front(together);
    rest = rest.drop_front(batch.size());
    SmallVector<std::pair<Value, Value>> pairs;
    for (Cell cell : batch) {
      Value low = value(cell);
      pairs.push_back({low, value({cell.m, cell.n8, cell.h, 1})});
    }
    for (auto [cell, pair] : llvm::zip_equal(batch, pairs)) {
      Value inside;
      if (rows % tileRows)
        inside = code.less(code.add(row, 64 * cell.m + 8 * cell.h), rows);
      if (columns % tileColumns) {
        Value insideColumns = code.less(code.add(column, 8 * cell.n8), columns);
        inside = inside ? code.logicalAnd(inside, insideColumns) : insideColumns;
      }
      auto write = [&, cell = cell, pair = pair] {
        Value place = code.at(base, ((64 * cell.m + 8 * cell.h) * columns + 8 * cell.n8) * bytes);
        storePair(code, element, pair.first, pair.second, place);
      };
      inside ? code.ifThen(inside, write) : write();
    }
  }
}

void smelt::gpu::storeHeadNumbers(CodeBuilder &code, Value pointer, int64_t rows, int64_t heads,
                                  int64_t width, Value row, Value column, int firstBlock,
                                  int endBlock, CellValue value) {
  Value isLeader = code.equal(code.bitAnd(column, 7), 0), firstHead = code.div(column, width);
  Value base = code.atElement(pointer, row, heads, firstHead, 4);
  for (int m = firstBlock; m < endBlock; ++m)
    for (int head = 0; head < tileColumns / width; ++head)
      for (int h = 0; h < 2; ++h) {
        Value number = value({m, int(head * width / 8), h, 0}), inside = isLeader;
        if (rows % tileRows)
          inside = code.logicalAnd(inside, code.less(code.add(row, 64 * m + 8 * h), rows));
        if (heads * width % tileColumns)
          inside = code.logicalAnd(inside, code.less(code.add(firstHead, head), heads));
        code.ifThen(inside, [&] {
          code.store(number, code.at(base, ((64 * m + 8 * h) * heads + head) * 4), 4);
        });
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
  // Transposed, matrix 2·next + h of the warp's 16 rows has rows 8·next … and columns 16·warp + 8·h
  // ….
  Value matrix = code.shiftRight(thread.lane, 3), h = code.bitAnd(matrix, 1);
  Value mirrored = code.add(code.mul(right, 8), swizzle);
  Value columns = code.add(code.mul(thread.warpInGroup, 2), h);
  mirroredRow = code.add(code.mul(mirrored, 128), code.mul(code.bitXor(columns, swizzle), 16));
}

Value StagingArea::getChunk(unsigned slot, int m, int c) {
  return code.at(area, ((2 * m + c) % chunksPerPass() + 2 * slot) * chunkBytes);
}

Value StagingArea::getMatrixAddress(unsigned slot, int m, int n8) {
  return code.at(code.at(getChunk(slot, m, n8 / 8), matrixRow), matrixOffsets[n8 % 8 / 2]);
}

void StagingArea::reclaim() {
  code.ifThen(thread.isFirst, [&] { waitStores(code, 0, /*read=*/true); });
}

static SmallVector<Value> coordinatesOf(CodeBuilder &code, const StagingArea::Place &place, int m,
                                        int64_t column) {
  SmallVector<Value> coordinates{code.add(place.column, column), code.add(place.row, 64 * m)};
  if (place.group)
    coordinates.push_back(place.group);
  return coordinates;
}

void StagingArea::loadPass(int64_t first) {
  code.ifThen(thread.isFirst, [&] {
    int64_t count = chunksPerPass();
    expectBytes(code, arrived, code.i32(int64_t(inputs.list.size()) * count * chunkBytes));
    for (auto [slot, input] : llvm::enumerate(inputs.list))
      for (int64_t i = first; i < first + count; ++i)
        loadTile(code, input.map, getChunk(slot, int(i / 2), int(i % 2)), arrived,
                 coordinatesOf(code, input.place, int(i / 2), i % 2 * input.chunkColumns));
  });
}

void StagingArea::prefetch(const Inputs &from) {
  inputs = from;
  loadPass(0);
  inputs = {};
}

void StagingArea::beginInputs(const Inputs &from, Value firstParity) {
  inputs = from;
  parity = firstParity;
}

std::pair<Value, Value> StagingArea::readInput(unsigned index, Cell cell) {
  int first = cell.n8 / 2 * 2;
  auto key = [&](int n8, int h) { return std::pair(index, Cell{cell.m, n8, h, 0}.index()); };
  if (!words.count(key(cell.n8, cell.h))) {
    SmallVector<Value> loaded =
        loadMatrices(code, getMatrixAddress(index, cell.m, first), NVVM::MMALayout::row);
    for (int64_t i = 0; i < 4; ++i)
      words[key(first + int(i / 2), int(i % 2))] = loaded[i];
  }
  return code.unpackBF16(words.lookup(key(cell.n8, cell.h)));
}

void StagingArea::store(ArrayRef<Output> outputs, Before before) {
  size_t replaced = inputs.isBeside ? 0 : inputs.list.size(), slots = std::max<size_t>(1, replaced);
  for (int64_t first = 0; first < 4; first += chunksPerPass()) {
    words.clear();
    // An input beside the outputs was read before the last barrier.
    if (first && inputs.isBeside)
      loadPass(first);
    bool isWaiting = !inputs.list.empty();
    for (auto [number, output] : llvm::enumerate(outputs)) {
      // Before each round of the slots, but at the start, the stores before have to be read.
      if ((first || number) && number % slots == 0) {
        reclaim();
        code.barrier(barrier, 128);
        if (replaced && number == 0)
          loadPass(first);
      }
      if (isWaiting && (output.reads || replaced || before.readsInputs)) {
        waitBarrier(code, arrived, first ? code.bitXor(parity, 1) : parity);
        isWaiting = false;
      }
      if (before.run && number == 0)
        before.run(int(first / 2), int((first + chunksPerPass()) / 2));
      // What later outputs read in the place of an input is read before it is replaced.
      bool keepsInput =
          number < replaced && llvm::any_of(
                                   outputs.drop_front(number + 1),
                                   [&](const Output &later) { return later.reads >> number & 1; });
      storePass(output, keepsInput, inputs.isBeside ? 1 : number % slots, first);
    }
  }
  inputs = {};
}

/// Of an input, a thread replaces only what it has read.
void StagingArea::storePass(const Output &output, bool keepsInput, unsigned slot, int64_t first) {
  int64_t count = chunksPerPass();
  output.begin();
  SmallVector<SmallVector<Value>> steps;
  // The two elements that a rotation joins may be 64 columns apart: one half right after the other.
  for (int64_t m = first / 2; m < (first + count) / 2; ++m)
    for (int step = 0; step < 4; ++step)
      for (int c = 0; c < 2; ++c) {
        int n8 = 8 * c + 2 * step;
        SmallVector<Value> &packed = steps.emplace_back();
        for (int next = 0; next < 2; ++next)
          for (int h = 0; h < 2; ++h) {
            Value low = output.value({int(m), n8 + next, h, 0}),
                  high = output.value({int(m), n8 + next, h, 1});
            packed.push_back(code.packBF16(low, high));
          }
        if (keepsInput)
          readInput(slot, {int(m), n8, 0, 0});
        storeMatrices(code, getMatrixAddress(slot, int(m), n8), packed, NVVM::MMALayout::row);
      }
  storeChunks(output, slot, first, /*isMirrored=*/false);
  if (output.isMirrored)
    code.ifThen(output.isMirrored, [&] { storeMirrored(output, steps, slot, first); });
}

void StagingArea::storeMirrored(const Output &output, ArrayRef<SmallVector<Value>> packed,
                                unsigned slot, int64_t first) {
  reclaim();
  code.barrier(barrier, 128);
  // Chunk (m, c) is transposed in its place: 8 of its columns are 8 rows now.
  for (int64_t m = first / 2; m < (first + chunksPerPass()) / 2; ++m)
    for (int step = 0; step < 4; ++step)
      for (int c = 0; c < 2; ++c) {
        Value address =
            code.at(code.at(getChunk(slot, int(m), c), mirroredRow), 2 * step * 8 * 128);
        storeMatrices(code, address, packed.front(), NVVM::MMALayout::col);
        packed = packed.drop_front();
      }
  storeChunks(output, slot, first, /*isMirrored=*/true);
}

void StagingArea::storeChunks(const Output &output, unsigned slot, int64_t first, bool isMirrored) {
  fenceSharedWrites(code);
  code.barrier(barrier, 128);
  Place place = output.place;
  if (isMirrored)
    std::swap(place.row, place.column);
  code.ifThen(thread.isFirst, [&] {
    for (int64_t i = first; i < first + chunksPerPass(); ++i) {
      int m = int(i / 2), c = int(i % 2);
      storeTile(code, output.map, getChunk(slot, m, c),
                isMirrored ? coordinatesOf(code, place, c, 64 * m)
                           : coordinatesOf(code, place, m, 64 * c));
    }
    commitStores(code);
  });
}
