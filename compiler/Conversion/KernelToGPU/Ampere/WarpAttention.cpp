//===- WarpAttention.cpp - What attention with mma.sync shares ------------===//
#include "compiler/Conversion/KernelToGPU/Ampere/WarpAttention.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

WarpAttention::WarpAttention(GPUEmission &emission, const AttentionPlan &plan, StringRef role,
                             Location loc)
    : plan(plan), function(emission, role, threads), code(function.builder(), loc),
      tile{2 * plan.width} {}

void WarpAttention::beginBlock(bool descending) {
  shared = function.getDynamicShared();
  thread = code.threadIndex();
  fragment = getFragmentThread(code, thread);
  Value block = code.blockIndex();
  blockTile = code.div(block, plan.heads);
  if (descending)
    blockTile = code.sub(code.i32(tiles() - 1), blockTile);
  head = code.rem(block, plan.heads);
  firstRow = code.mul(blockTile, warpAttentionRows);
  rowsOfA.emplace(code, tile, MatrixLane::Use::A, /*transposed=*/false, fragment.lane);
  rowsOfA->moveRows(code.mul(fragment.warpInGroup, 16));
  columnsOfB.emplace(code, tile, MatrixLane::Use::B, /*transposed=*/false, fragment.lane);
  rowsOfB.emplace(code, tile, MatrixLane::Use::B, /*transposed=*/true, fragment.lane);
}

void WarpAttention::loadRows(Value to, Value pointer, Value first, int64_t rows, bool isKey) {
  int64_t pieces = tile.rowBytes / 16, linesApart = threads / pieces;
  Value line = code.div(thread, pieces), piece = code.rem(thread, pieces);
  Value place = code.at(to, tile.getPlace(code, line, piece));
  Value column = code.add(code.mul(head, plan.width), code.mul(piece, 8));
  Value isShifted;
  if (isKey && plan.hasShift) {
    int64_t flags = 0; // A bit per piece.
    for (int64_t i = 0; i < pieces; ++i)
      flags |= int64_t(plan.k.shifted[8 * i / plan.keyGroup]) << i;
    Value bits = arith::ShRUIOp::create(code.builder, code.loc, code.i32(flags), piece);
    isShifted = code.equal(code.bitAnd(bits, 1), 1);
  }
  for (int64_t moved = 0; moved < rows; moved += linesApart) {
    Value row = clampRow(code.add(code.add(first, line), moved));
    if (isShifted) { // The first row keeps its own.
      Value before = code.select(code.equal(row, 0), row, code.sub(row, 1));
      row = code.select(isShifted, before, row);
    }
    copyAsync(code, code.at(place, moved * tile.rowBytes),
              code.atElement(pointer, row, plan.heads * plan.width, column, 2));
  }
}

SmallVector<Value> WarpAttention::loadOwnRows(Value tileBase) {
  Values words;
  for (int64_t k = 0; k < plan.width; k += 16)
    words.append(rowsOfA->load(tileBase, 0, k));
  return words;
}

void WarpAttention::multiplyHeads(ArrayRef<Value> a, Value aBase, Value b, int64_t n,
                                  Values &sums) {
  for (int64_t k = 0; k < plan.width; k += 16) {
    Values rows = a.empty() ? rowsOfA->load(aBase, 0, k) : Values(a.slice(k / 4, 4));
    for (int64_t column = 0; column < n; column += 16) {
      Values columns = columnsOfB->load(b, column, k);
      for (int64_t next = 0; next < 2; ++next)
        multiplyWarp(code, rows, ArrayRef(columns).slice(2 * next, 2),
                     MutableArrayRef(sums).slice(column / 2 + 4 * next, 4));
    }
  }
}

void WarpAttention::multiplyRows(ArrayRef<Value> words, Value b, int64_t rows, Values &sums) {
  for (int64_t k = 0; k < rows; k += 16)
    for (int64_t column = 0; column < plan.width; column += 16) {
      Values columns = rowsOfB->load(b, column, k);
      for (int64_t next = 0; next < 2; ++next)
        multiplyWarp(code, words.slice(k / 4, 4), ArrayRef(columns).slice(2 * next, 2),
                     MutableArrayRef(sums).slice(column / 2 + 4 * next, 4));
    }
}

void WarpAttention::storeOwnRows(Value tileBase, Value pointer, ArrayRef<Value> values) {
  Value area = code.at(tileBase, code.mul(fragment.warpInGroup, 16 * tile.rowBytes));
  WarpLine mine = WarpLine::get(code, tile, fragment.lane);
  Value row = code.add(code.add(firstRow, code.mul(fragment.warpInGroup, 16)), mine.line);
  Value column = code.add(code.mul(head, plan.width), code.mul(mine.piece, 8));
  Value target = code.atElement(pointer, row, plan.heads * plan.width, column, 2);
  storeWarpRows(
      code, area, tile, fragment,
      [&](int n8, int h) {
        return code.packBF16(values[4 * n8 + 2 * h], values[4 * n8 + 2 * h + 1]);
      },
      [&](int64_t moved, Value words) {
        auto store = [&] {
          code.store(words, code.at(target, moved * plan.heads * plan.width * 2), 16);
        };
        if (plan.tokens % warpAttentionRows)
          code.ifThen(code.less(code.add(row, moved), plan.tokens), store);
        else
          store();
      });
}
