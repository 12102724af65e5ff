//===- ExpandQuantizedMatmul.cpp - f8 products in pieces ------------------===//
//
// IR before and after: Passes.td. The pieces are those of the op's gradient (NumberFormats.h), in
// the same order, so that equal ones are one.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Precision/Passes.h"
#include "dialects/LM/NumberFormats.h"

using namespace mlir;

namespace smelt {
#define GEN_PASS_DEF_EXPANDQUANTIZEDMATMULPASS
#include "compiler/Transforms/Precision/Passes.h.inc"
} // namespace smelt

namespace {

void expand(lm::QuantizedMatmulOp op) {
  OpBuilder builder(op);
  Location loc = op.getLoc();
  Type e4m3 = Float8E4M3FNType::get(op.getContext());
  double xScale = op.getXScale().convertToDouble(), wScale = op.getWScale().convertToDouble();
  Value x = lm::buildQuantize(builder, loc, op.getX(), e4m3, xScale);
  Value w = lm::buildQuantize(builder, loc, op.getW(), e4m3, wScale);
  Value product = lm::buildQuantizedProduct(builder, loc, op.getType(), x, w, /*transposeA=*/false,
                                            /*transposeB=*/true, xScale * wScale);
  op.replaceAllUsesWith(product);
  op.erase();
}

struct ExpandQuantizedMatmulPass
    : smelt::impl::ExpandQuantizedMatmulPassBase<ExpandQuantizedMatmulPass> {
  void runOnOperation() override {
    getOperation().walk([&](lm::QuantizedMatmulOp op) {
      expand(op);
      ++expanded;
    });
  }
};

} // namespace
