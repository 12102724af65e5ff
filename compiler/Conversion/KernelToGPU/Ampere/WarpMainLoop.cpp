//===- WarpMainLoop.cpp - A tile's product by four warps ------------------===//
#include "compiler/Conversion/KernelToGPU/Ampere/WarpMainLoop.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

WarpMainLoop::WarpMainLoop(CodeBuilder &code, GPUFunction &function, const WarpOperand &a,
                           const WarpOperand &b)
    : code(code), function(function), a(a), b(b), loadA(code, function, a),
      loadB(code, function, b) {}

void WarpMainLoop::begin(const FragmentThread &fragment, Value row, Value column, Value group) {
  shared = function.getDynamicShared();
  warp = fragment.warpInGroup;
  Value thread = code.threadIndex();
  loadA.begin(thread, row, group);
  loadB.begin(thread, column, group);
  lanesA.emplace(code, WarpOperandLoader::getTile(a), MatrixLane::Use::A, a.transposed,
                 fragment.lane);
  lanesA->moveRows(code.mul(warp, 16));
  lanesB.emplace(code, WarpOperandLoader::getTile(b), MatrixLane::Use::B, b.transposed,
                 fragment.lane);
}

SmallVector<Value> WarpMainLoop::run(Value first, Value count) {
  auto load = [&](Value step) {
    code.ifThen(code.less(step, count), [&] {
      Value k = code.mul(code.add(first, step), WarpOperandLoader::depth);
      Value stage = getStage(step);
      loadA.load(stage, k);
      loadB.load(code.at(stage, WarpOperandLoader::bytes), k);
    });
    commitCopies(code); // An empty group, too, so that all threads count alike.
  };
  for (int64_t step = 0; step < stages - 1; ++step)
    load(code.i32(step));
  SmallVector<Value> zeros(Cell::count, code.f32(0));
  return code.loop(code.i32(0), count, code.i32(1), zeros,
                   [&](Value step, ValueRange carried) -> SmallVector<Value> {
                     waitCopies(code, stages - 2);
                     code.barrierAll(); // This stage has come, and the one before is read.
                     load(code.add(step, stages - 1));
                     SmallVector<Value> sums(carried);
                     multiplyStage(getStage(step), sums);
                     return sums;
                   });
}

void WarpMainLoop::multiplyStage(Value stage, SmallVector<Value> &sums) {
  Value stageB = code.at(stage, WarpOperandLoader::bytes);
  for (int64_t k = 0; k < WarpOperandLoader::depth; k += 16) {
    SmallVector<Value> rows[2];
    for (int m = 0; m < 2; ++m)
      rows[m] = lanesA->load(stage, 64 * m, k);
    for (int n8 = 0; n8 < 16; n8 += 2) {
      SmallVector<Value> columns = lanesB->load(stageB, 8 * n8, k);
      for (int next = 0; next < 2; ++next)
        for (int m = 0; m < 2; ++m)
          multiplyWarp(code, rows[m], ArrayRef(columns).slice(2 * next, 2),
                       MutableArrayRef(sums).slice(Cell{m, n8 + next, 0, 0}.index(), 4));
    }
  }
}

Value WarpMainLoop::reuse(int64_t bytes) {
  code.barrierAll();
  return code.at(shared, code.mul(warp, bytes));
}
