//===- WarpStore.cpp - Rows of bf16 from a warp's fragments ---------------===//
#include "compiler/Conversion/KernelToGPU/Ampere/WarpStore.h"

using namespace mlir;
using namespace smelt::gpu;

WarpLine WarpLine::get(CodeBuilder &code, SharedTile rows, Value lane) {
  int64_t pieces = rows.rowBytes / 16;
  return {code.div(lane, pieces), code.rem(lane, pieces)};
}

void smelt::gpu::storeWarpRows(CodeBuilder &code, Value area, SharedTile rows,
                               const FragmentThread &thread,
                               llvm::function_ref<Value(int, int)> word,
                               llvm::function_ref<void(int64_t, Value)> store) {
  Value row = code.shiftRight(thread.lane, 2), swizzle = rows.getSwizzle(code, row);
  Value start = code.add(code.mul(row, rows.rowBytes), code.mul(thread.pair, 2));
  int64_t pieces = rows.rowBytes / 16;
  for (int n8 = 0; n8 < pieces; ++n8) {
    Value place = code.at(area, code.add(start, code.mul(code.bitXor(swizzle, n8), 16)));
    for (int h = 0; h < 2; ++h)
      code.store(word(n8, h), code.at(place, 8 * h * rows.rowBytes), 4);
  }
  syncWarp(code);
  WarpLine mine = WarpLine::get(code, rows, thread.lane);
  auto quad = VectorType::get(4, code.i32Type());
  for (int64_t moved = 0; moved < 16; moved += 32 / pieces) {
    Value from = rows.getPlace(code, code.add(mine.line, moved), mine.piece);
    store(moved, code.load(quad, code.at(area, from), 16));
  }
  syncWarp(code);
}
