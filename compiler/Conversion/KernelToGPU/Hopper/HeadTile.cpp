//===- HeadTile.cpp - What a tile of the head's product leaves ------------===//
#include "compiler/Conversion/KernelToGPU/Hopper/HeadTile.h"
#include <numbers>

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

HeadTile::HeadTile(CodeBuilder &code, const HeadPlan &plan, GPUFunction &function, Value scale)
    : code(code), plan(plan), curve(code, plan, scale), sums(function.getWorkspace(plan.sums)) {
  if (!plan.isBounded())
    maxima = function.getWorkspace(plan.maxima);
}

HeadTile::Place HeadTile::locate(CodeBuilder &code, const HeadPlan &plan, Value tile) {
  constexpr int64_t together = 16;
  Value band = code.div(tile, together * plan.tilesN()),
        inBand = code.rem(tile, together * plan.tilesN());
  Value first = code.mul(band, together), row, column;
  if (plan.tilesM() % together == 0) {
    row = code.rem(inBand, together);
    column = code.div(inBand, together);
  } else { // The last band is lower.
    Value rest = code.sub(code.i32(plan.tilesM()), first);
    Value height = code.select(code.less(rest, together), rest, code.i32(together));
    row = arith::RemUIOp::create(code.builder, code.loc, inBand, height);
    column = arith::DivUIOp::create(code.builder, code.loc, inBand, height);
  }
  return {code.mul(code.add(first, row), tileRows), code.mul(column, tileColumns), column};
}

Value HeadTile::pack(Value low, Value high) {
  if (!plan.storesF16())
    return code.packBF16(low, high);
  auto half = [&](Value x) -> Value {
    return arith::TruncFOp::create(code.builder, code.loc, code.builder.getF16Type(), x);
  };
  Value both =
      LLVM::UndefOp::create(code.builder, code.loc, VectorType::get(2, code.builder.getF16Type()));
  both = LLVM::InsertElementOp::create(code.builder, code.loc, both, half(low), code.i32(0));
  both = LLVM::InsertElementOp::create(code.builder, code.loc, both, half(high), code.i32(1));
  return LLVM::BitcastOp::create(code.builder, code.loc, code.i32Type(), both);
}

void HeadTile::finish(const Place &place, const FragmentThread &fragment, ArrayRef<Value> registers,
                      llvm::function_ref<void(CellValue)> storeLogits) {
  bool bounded = plan.isBounded();
  Value column = code.add(place.column, fragment.pair);
  /// The logit; where the tile leaves the matrix, what adds nothing to a sum of exp.
  auto logit = [&](Cell cell) {
    Value l = curve.cap(registers[cell.index()]);
    if (plan.columns % tileColumns == 0)
      return l;
    Value inside = code.less(code.add(column, 8 * cell.n8 + cell.p), plan.columns);
    return code.select(inside, l, code.f32(-1e30));
  };
  constexpr double log2e = std::numbers::log2e;
  Value shifts[4], rowMaxima[4], rowSums[4] = {};
  for (int row = 0; row < 4; ++row) {
    if (bounded) {
      shifts[row] = code.f32(-plan.getShift() * log2e);
      continue;
    }
    Value &maximum = rowMaxima[row];
    for (int n8 = 0; n8 < 16; ++n8)
      for (int p = 0; p < 2; ++p) {
        Value l = logit({row / 2, n8, row % 2, p});
        maximum = maximum ? code.fmax(maximum, l) : l;
      }
    for (unsigned mask : {1u, 2u})
      maximum = code.fmax(maximum, code.shuffleXor(maximum, mask));
    shifts[row] = code.fmul(maximum, code.f32(-log2e));
  }
  auto value = [&](Cell cell) {
    int row = 2 * cell.m + cell.h;
    Value l = logit(cell);
    Value e = code.approximate("ex2.approx.ftz.f32", code.fma(l, code.f32(log2e), shifts[row]));
    rowSums[row] = rowSums[row] ? code.fadd(rowSums[row], e) : e;
    return l;
  };
  if (plan.gradient)
    storeLogits(value);
  else
    for (int row = 0; row < 4; ++row)
      for (int n8 = 0; n8 < 16; ++n8)
        for (int p = 0; p < 2; ++p)
          value({row / 2, n8, row % 2, p});
  for (int row = 0; row < 4; ++row)
    for (unsigned mask : {1u, 2u})
      rowSums[row] = code.fadd(rowSums[row], code.shuffleXor(rowSums[row], mask));
  Value first = code.add(place.row, fragment.row);
  Value at = code.add(code.mul(place.columnTile, plan.paddedRows()), first);
  code.ifThen(code.equal(fragment.pair, 0), [&] {
    for (int row = 0; row < 4; ++row) {
      Value byte = code.mul(code.add(at, 64 * (row / 2) + 8 * (row % 2)), 4);
      code.store(rowSums[row], code.at(sums, byte), 4);
      if (!bounded)
        code.store(rowMaxima[row], code.at(maxima, byte), 4);
    }
  });
}
