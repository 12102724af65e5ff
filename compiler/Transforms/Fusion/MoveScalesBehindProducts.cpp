//===- MoveScalesBehindProducts.cpp - (s·x)·w becomes s·(x·w) --------------===//
//
//   %a = lm.scale %x, %s                        %p = lm.matmul %x, %w
//   %y = lm.matmul %a, %w                  →    %y = lm.scale %p, %s
//
// For targets whose matrix unit takes operands as they are stored: a number times the product is
// free in the result, while the scaled operand would have to be stored beside the plain one, which
// others read (a gradient on its way through a residual stream). Legal always: s is one number.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Fusion/Passes.h"

namespace smelt {
#define GEN_PASS_DEF_MOVESCALESBEHINDPRODUCTSPASS
#include "compiler/Transforms/Fusion/Passes.h.inc"
} // namespace smelt

using namespace mlir;

namespace {
struct MoveScalesBehindProductsPass
    : smelt::impl::MoveScalesBehindProductsPassBase<MoveScalesBehindProductsPass> {
  void move(lm::MatmulOp product, OpOperand &operand, lm::ScaleOp scale) {
    operand.set(scale.getX());
    OpBuilder builder(product->getContext());
    builder.setInsertionPointAfter(product);
    auto scaled = lm::ScaleOp::create(builder, scale.getLoc(), product.getResult(), scale.getS());
    product.getResult().replaceAllUsesExcept(scaled.getResult(), scaled);
    if (scale->use_empty())
      scale->erase();
    ++moved;
  }

  void runOnOperation() override {
    getOperation().walk([&](lm::MatmulOp product) {
      for (OpOperand &operand : product->getOpOperands())
        if (auto scale = operand.get().getDefiningOp<lm::ScaleOp>())
          move(product, operand, scale);
    });
  }
};
} // namespace
