//===- TakeDotsOfMatrices.cpp - ⟨x·w, dy⟩ becomes ⟨w, xᵀ·dy⟩ ---------------===//
//
// IR before and after: Passes.td. The number s of y = s·(x·w) has the gradient Σ (x·w)·dy, a sum
// over tokens and features of a product that nothing else may want to keep. It is the same sum as
// Σ w·(xᵀ·dy) over the matrix, whose gradient is computed anyway. Legal always; done where the
// matrix is smaller than the product.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Fusion/Passes.h"

namespace smelt {
#define GEN_PASS_DEF_TAKEDOTSOFMATRICESPASS
#include "compiler/Transforms/Fusion/Passes.h.inc"
} // namespace smelt

using namespace mlir;
using lm::MatmulOp;

static int64_t countElements(Value tensor) {
  return cast<RankedTensorType>(tensor.getType()).getNumElements();
}

static bool isProduct(MatmulOp op, Value a, bool transposeA, Value b, bool transposeB) {
  return op.getA() == a && op.getTransposeA() == transposeA && op.getB() == b &&
         op.getTransposeB() == transposeB && op.getGroups() == 1;
}

/// The operand of `product` whose gradient, for the product's gradient `dy`, `op` is; null if it is
/// none.
static Value findMatrix(MatmulOp product, Value dy, MatmulOp op) {
  Value a = product.getA(), b = product.getB();
  bool transposeA = product.getTransposeA(), transposeB = product.getTransposeB();
  if (transposeB ? isProduct(op, dy, true, a, transposeA)
                 : isProduct(op, a, !transposeA, dy, false))
    return b;
  if (transposeA ? isProduct(op, b, transposeB, dy, true)
                 : isProduct(op, dy, false, b, !transposeB))
    return a;
  return {};
}

namespace {
struct TakeDotsOfMatricesPass : smelt::impl::TakeDotsOfMatricesPassBase<TakeDotsOfMatricesPass> {
  /// True if ⟨product, dy⟩ is taken of a matrix now.
  bool take(lm::DotOp dot, MatmulOp product, Value dy) {
    if (product.getGroups() != 1)
      return false;
    for (Operation *user : dy.getUsers()) {
      auto gradient = dyn_cast<MatmulOp>(user);
      Value matrix = gradient ? findMatrix(product, dy, gradient) : Value();
      if (!matrix || matrix.getType() != gradient.getType() ||
          countElements(matrix) >= countElements(dy))
        continue;
      // All that the gradient is computed from is there at the dot product, too.
      if (dot->isBeforeInBlock(gradient))
        gradient->moveBefore(dot);
      dot.getAMutable().assign(matrix);
      dot.getBMutable().assign(gradient.getResult());
      ++taken;
      return true;
    }
    return false;
  }

  void runOnOperation() override {
    getOperation().walk([&](lm::DotOp dot) {
      auto a = dot.getA().getDefiningOp<MatmulOp>(), b = dot.getB().getDefiningOp<MatmulOp>();
      if (!(a && take(dot, a, dot.getB())) && b)
        take(dot, b, dot.getA());
    });
  }
};
} // namespace
