//===- SumAttentionGradients.cpp - Σ out·dout outside of attention's backward ---===//
//
// IR before and after: Passes.td. Runs on kernels of one op each, as smelt-form-kernels makes them.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Fusion/MergeKernels.h"
#include "compiler/Transforms/Fusion/Passes.h"

namespace smelt {
#define GEN_PASS_DEF_SUMATTENTIONGRADIENTSPASS
#include "compiler/Transforms/Fusion/Passes.h.inc"
} // namespace smelt

using namespace mlir;
using namespace mlir::kernel;

namespace {

/// Smaller factors are taken for this one where a sum is divided by them.
constexpr double kLeastFactor = 1e-30;

/// The two operands of the kernel's only op, if that is an `Op` on whole inputs.
template <typename Op> std::optional<std::pair<Value, Value>> matchOnly(Operation *kernel) {
  auto rowwise = dyn_cast_or_null<RowwiseOp>(kernel);
  if (!rowwise || !llvm::hasNItems(rowwise.getBody().front(), 2))
    return std::nullopt;
  auto op = dyn_cast<Op>(rowwise.getBody().front().front());
  if (!op)
    return std::nullopt;
  auto getInput = [&](Value inside) -> Value {
    return rowwise.getInputs()[cast<BlockArgument>(inside).getArgNumber()];
  };
  return std::pair(getInput(op->getOperand(0)), getInput(op->getOperand(1)));
}

/// A rowwise kernel of `inputs`; `build` makes its only result from its arguments.
Value buildRowwise(OpBuilder &builder, Location loc, Type type, ValueRange inputs,
                   llvm::function_ref<Value(Block::BlockArgListType)> build) {
  auto rowwise = RowwiseOp::create(builder, loc, TypeRange(type), inputs);
  OpBuilder::InsertionGuard guard(builder);
  SmallVector<Location> locations(inputs.size(), loc);
  Block *block = builder.createBlock(&rowwise.getBody(), {}, inputs.getTypes(), locations);
  YieldOp::create(builder, loc, build(block->getArguments()));
  return rowwise.getResult(0);
}

struct SumAttentionGradientsPass
    : smelt::impl::SumAttentionGradientsPassBase<SumAttentionGradientsPass> {
  /// Σ a·b of each head.
  Value buildSums(AttentionBackwardOp op, Value a, Value b) {
    OpBuilder builder(op);
    auto heads = cast<RankedTensorType>(a.getType());
    Type type = heads.clone(heads.getShape().drop_back());
    return buildRowwise(builder, op.getLoc(), type, {a, b}, [&](auto arguments) -> Value {
      return lm::RowDotOp::create(builder, op.getLoc(), type, arguments[0], arguments[1]);
    });
  }

  /// What reads Σ out·dy, the factor's gradient, reads `sums` / factor.
  void divideSums(Value out, Value dy, Value factor, Value sums) {
    for (Operation *user : llvm::make_early_inc_range(out.getUsers())) {
      auto dot = matchOnly<lm::RowDotOp>(user);
      if (!dot || *dot != std::pair(out, dy) || user->getResult(0).getType() != factor.getType() ||
          sums.getType() != factor.getType())
        continue;
      OpBuilder builder(user);
      builder.setInsertionPointAfter(sums.getDefiningOp());
      Location loc = user->getLoc();
      Type type = factor.getType();
      Value gradient =
          buildRowwise(builder, loc, type, {sums, factor}, [&](auto arguments) -> Value {
            Value least = lm::AtLeastOp::create(builder, loc, type, arguments[1],
                                                builder.getF64FloatAttr(kLeastFactor));
            Value inverse =
                lm::UnaryOp::create(builder, loc, type, lm::UnaryKind::reciprocal, least);
            return lm::MultiplyOp::create(builder, loc, type, arguments[0], inverse);
          });
      user->getResult(0).replaceAllUsesWith(gradient);
      user->erase();
    }
  }

  void giveSums(AttentionBackwardOp op) {
    Value out = op.getOut(), dout = op.getDout();
    ++summed;
    // dout = dy·factor, and y = out·factor is there as well: Σ out·dout = Σ y·dy.
    if (auto gradient = matchOnly<lm::RowScaleOp>(dout.getDefiningOp())) {
      auto [dy, factor] = *gradient;
      for (Operation *user : out.getUsers()) {
        auto scale = matchOnly<lm::RowScaleOp>(user);
        if (!scale || *scale != std::pair(out, factor))
          continue;
        Value sums = buildSums(op, user->getResult(0), dy);
        op.getOutMutable().assign(sums);
        divideSums(out, dy, factor, sums);
        ++gated;
        return;
      }
    }
    op.getOutMutable().assign(buildSums(op, out, dout));
  }

  void runOnOperation() override {
    if (getOperation().isDeclaration())
      return;
    for (auto op : getOperation().getOps<AttentionBackwardOp>())
      if (op.getOut().getType().getRank() == 3)
        giveSums(op);
    smelt::sortKernels(getOperation().getBody().front());
  }
};

} // namespace
