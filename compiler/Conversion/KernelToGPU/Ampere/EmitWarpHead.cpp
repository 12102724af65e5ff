//===- EmitWarpHead.cpp - The language-model head with mma.sync -----------===//
//
// The Hopper head's launches (HeadPlan.h: sums of exp and 16-bit logits, loss, gradient, sum)
// behind a product by four warps. f8 operands are bf16 here, exactly.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/Ampere/WarpMainLoop.h"
#include "compiler/Conversion/KernelToGPU/Ampere/WarpStore.h"
#include "compiler/Conversion/KernelToGPU/EmitKernels.h"
#include "compiler/Conversion/KernelToGPU/Hopper/HeadTile.h"

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

namespace {

class WarpHead {
public:
  WarpHead(const HeadPlan &plan, const WarpOperand &a, const WarpOperand &b, GPUEmission &emission)
      : plan(plan), function(emission, "head", WarpMainLoop::threads),
        code(function.builder(), plan.op->getLoc()), product(code, function, a, b) {
    if (plan.gradient)
      logits = function.getWorkspace(plan.logits);
  }

  void emit() {
    FragmentThread fragment = getFragmentThread(code, code.threadIndex());
    HeadTile::Place place = HeadTile::locate(code, plan, code.blockIndex());
    product.begin(fragment, place.row, place.column, Value());
    int64_t steps = llvm::divideCeil(plan.depth, WarpOperandLoader::depth);
    SmallVector<Value> sums = product.run(code.i32(0), code.i32(steps));
    HeadScalars scalars(code, function, plan.op);
    HeadTile tile(code, plan, function, plan.scale ? scalars.get(plan.scale) : Value());
    Value area = plan.gradient ? product.reuse(16 * rows.rowBytes) : Value();
    tile.finish(place, fragment, sums, [&](CellValue logit) {
      for (int m = 0; m < 2; ++m)
        storeLogits(tile, place, fragment, area, m, logit);
    });
    function.finish({plan.tilesM() * plan.tilesN(), 1, 1}, WarpMainLoop::sharedBytes);
  }

private:
  static constexpr SharedTile rows{2 * tileColumns};

  void storeLogits(HeadTile &tile, const HeadTile::Place &place, const FragmentThread &fragment,
                   Value area, int m, CellValue logit) {
    WarpLine mine = WarpLine::get(code, rows, fragment.lane);
    Value row = code.add(code.add(place.row, code.mul(fragment.warpInGroup, 16)),
                         code.add(mine.line, 64 * m));
    Value column = code.add(place.column, code.mul(mine.piece, 8));
    Value target = code.atElement(logits, row, plan.columns, column, 2);
    storeWarpRows(
        code, area, rows, fragment,
        [&](int n8, int h) { return tile.pack(logit({m, n8, h, 0}), logit({m, n8, h, 1})); },
        [&](int64_t moved, Value words) {
          Value inside = code.logicalAnd(code.less(code.add(row, moved), plan.rows),
                                         code.less(column, plan.columns));
          code.ifThen(inside,
                      [&] { code.store(words, code.at(target, moved * plan.columns * 2), 16); });
        });
  }

  const HeadPlan &plan;
  GPUFunction function;
  CodeBuilder code;
  WarpMainLoop product;
  Value logits;
};

/// As what the other launches read it.
KMajorOperand describe(const WarpOperand &operand) {
  KMajorOperand result;
  result.argument = operand.argument;
  result.byteOffset = operand.byteOffset;
  result.rows = operand.rows;
  result.depth = operand.width;
  result.pitch = operand.pitch;
  return result;
}

} // namespace

std::string smelt::whyNotWarpHead(kernel::GemmOp op, const GPUEmission &emission) {
  if (emission.getTarget().hasWarpgroupMMA())
    return "the target has wgmma";
  for (unsigned index : {0, 1})
    if (std::string why = WarpOperand::whyNot(op, index); !why.empty())
      return why;
  if (op.getTransposeA() || !op.getTransposeB() || op.getGroups() != 1 || op.getK() % 8)
    return "the head's operands have no rows of k, in pieces of 16 bytes";
  HeadPlan plan;
  return HeadPlan::matchResult(op, emission, plan);
}

LogicalResult smelt::emitWarpHead(kernel::GemmOp op, GPUEmission &emission) {
  HeadPlan plan;
  [[maybe_unused]] std::string reason = HeadPlan::matchResult(op, emission, plan);
  assert(reason.empty());
  WarpOperand a = WarpOperand::make(op, 0, emission), b = WarpOperand::make(op, 1, emission);
  plan.a = describe(a);
  plan.b = describe(b);
  emitHeadLaunches(plan, emission, [&] {
    a.rows = plan.rows; // Of a chunk.
    WarpHead(plan, a, b, emission).emit();
  });
  return success();
}
