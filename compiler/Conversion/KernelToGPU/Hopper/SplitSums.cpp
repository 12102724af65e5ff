//===- SplitSums.cpp - Products whose k is cut into parts -----------------===//
#include "compiler/Conversion/KernelToGPU/Hopper/SplitSums.h"
#include "llvm/Support/MathExtras.h"
#include <limits>

using namespace mlir;
using namespace smelt;
using namespace smelt::gpu;

int64_t smelt::gpu::chooseSplits(int64_t tiles, int64_t concurrent, int64_t steps, int64_t elements,
                                 const SplitCosts &costs) {
  constexpr int64_t most = 16;
  double best = std::numeric_limits<double>::max();
  int64_t chosen = 1;
  for (int64_t splits = 1;
       splits <= std::max<int64_t>(1, std::min(most, steps / costs.fewestSteps)); ++splits) {
    int64_t rounds = llvm::divideCeil(tiles * splits, concurrent);
    double cost =
        double(rounds) * double(int64_t(llvm::divideCeil(steps, splits)) + costs.fixedSteps);
    if (splits > 1)
      cost += double(costs.sumSteps) + double(8 * splits * elements) / costs.bytesPerStep;
    if (cost < best) {
      best = cost;
      chosen = splits;
    }
  }
  return chosen;
}

Value SplitSums::get(Cell cell) {
  Value &sum = sums[Cell{cell.m, cell.n8, cell.h, 0}.index()];
  if (!sum) {
    auto pair = VectorType::get(2, code.f32Type());
    Value r = code.add(row, 64 * cell.m + 8 * cell.h), c = code.add(column, 8 * cell.n8);
    if (product.m % tileRows)
      r = code.select(code.less(r, product.m), r, code.i32(product.m - 1));
    if (product.n % tileColumns)
      c = code.select(code.less(c, product.n), c, code.i32(product.n - 2));
    Value address = code.atElement(first, r, product.n, c, 4);
    for (int64_t split = 0; split < product.splits; ++split) {
      int64_t apart = split * product.groups * product.m * product.n * 4;
      Value part = code.load(pair, code.at(address, apart), 8);
      sum = sum ? code.fadd(sum, part) : part;
    }
  }
  return LLVM::ExtractElementOp::create(code.builder, code.loc, sum, code.i32(cell.p));
}
