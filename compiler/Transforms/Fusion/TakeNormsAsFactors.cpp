//===- TakeNormsAsFactors.cpp - norm(x)·w = r·(x·w) -----------------------===//
//
// IR before and after: Passes.td. Runs on kernels of one op each, as smelt-form-kernels makes them.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Fusion/MergeKernels.h"
#include "compiler/Transforms/Fusion/Passes.h"
#include "llvm/ADT/SetVector.h"

namespace smelt {
#define GEN_PASS_DEF_TAKENORMSASFACTORSPASS
#include "compiler/Transforms/Fusion/Passes.h.inc"
} // namespace smelt

using namespace mlir;
using namespace mlir::kernel;

namespace {

RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// The kernel's only op, if it is an `Op`.
template <typename Op> Op matchOnly(Operation *kernel) {
  auto rowwise = dyn_cast_or_null<RowwiseOp>(kernel);
  if (!rowwise || !llvm::hasNItems(rowwise.getBody().front(), 2))
    return nullptr;
  return dyn_cast<Op>(rowwise.getBody().front().front());
}

/// A product, or a sum with one: a product's launch can store what more it makes of it.
bool isMadeByProduct(Value value) {
  Operation *source = value.getDefiningOp();
  if (isa_and_nonnull<GemmOp>(source))
    return true;
  auto rowwise = dyn_cast_or_null<RowwiseOp>(source);
  return rowwise &&
         llvm::all_of(rowwise.getBody().front(),
                      llvm::IsaPred<lm::AddOp, lm::MixOp, lm::ScaleOp, lm::ConstantOp, YieldOp>) &&
         llvm::any_of(rowwise.getInputs(), isMadeByProduct);
}

/// One product of matrices that are read as they are, and yielded so.
bool isPlain(GemmOp gemm) {
  return gemm.getGroups() == 1 && gemm.getAInputs().size() == 1 && gemm.getBInputs().size() == 1 &&
         gemm.getResultInputs().empty() && gemm->getNumResults() == 1 &&
         llvm::all_of(gemm->getRegions(), [](Region &region) {
           return llvm::hasSingleElement(region.front()) &&
                  region.front().getTerminator()->getOperands() ==
                      region.front().getArguments().take_front(1);
         });
}

/// x·w, with the rows of x as rows.
bool readsAsRows(GemmOp gemm, Value x) {
  return isPlain(gemm) && gemm.getAInputs()[0] == x && gemm.getBInputs()[0] != x &&
         !gemm.getTransposeA();
}

/// The other matrix of a product that adds up rows: yᵀ·x or xᵀ·y.
Value findOtherRows(GemmOp gemm, Value x) {
  Value a = gemm.getAInputs()[0], b = gemm.getBInputs()[0];
  if (!isPlain(gemm) || !gemm.getTransposeA() || gemm.getTransposeB() || a == b)
    return {};
  return a == x ? b : b == x ? a : Value();
}

/// A loss is made of it: the head's product keeps its own way of storing.
bool feedsLoss(Value value) {
  return llvm::any_of(value.getUsers(), [](Operation *user) {
    auto rowwise = dyn_cast<RowwiseOp>(user);
    if (!rowwise)
      return false;
    if (!rowwise.getBody().getOps<lm::CrossEntropyOp>().empty())
      return true;
    return llvm::all_of(rowwise.getBody().front(),
                        llvm::IsaPred<lm::ScaleOp, lm::SoftcapOp, lm::CastOp, YieldOp>) &&
           feedsLoss(rowwise.getResult(0));
  });
}

/// What is to be done with one norm.
struct Plan {
  SmallVector<GemmOp> products;           ///< norm(x)·w
  SmallVector<GemmOp> sums;               ///< yᵀ·norm(x)
  llvm::SetVector<Value> gradients;       ///< The y of sums.
  llvm::SetVector<Operation *> backwards; ///< y·wᵀ
  SmallVector<RowwiseOp> gates;           ///< Of a few features.

  /// Why a norm's readers do not all take a factor; empty if they do.
  StringRef make(Value norm) {
    for (Operation *user : norm.getUsers()) {
      if (matchOnly<lm::GateOp>(user) || matchOnly<lm::GateBackwardOp>(user)) {
        gates.push_back(cast<RowwiseOp>(user));
        continue;
      }
      auto gemm = dyn_cast<GemmOp>(user);
      if (!gemm)
        return "a kernel reads it that is neither a product nor a gate";
      if (readsAsRows(gemm, norm)) {
        if (feedsLoss(gemm->getResult(0)))
          return "the loss is made of a product that reads it";
        products.push_back(gemm);
      } else if (Value other = isPlain(gemm) ? findOtherRows(gemm, norm) : Value()) {
        sums.push_back(gemm);
        gradients.insert(other);
      } else {
        return "a product reads it that is neither norm(x)·w nor yᵀ·norm(x)";
      }
    }
    if (products.empty())
      return "no product reads it as its rows";
    for (Value gradient : gradients) {
      if (!gradient.getDefiningOp())
        return "what it is multiplied with for a weight's gradient comes from outside";
      for (Operation *user : gradient.getUsers()) {
        auto gemm = dyn_cast<GemmOp>(user);
        if (gemm && llvm::is_contained(sums, gemm))
          continue;
        if (!gemm || !readsAsRows(gemm, gradient))
          return "what it is multiplied with for a weight's gradient is read by others too";
        backwards.insert(gemm);
      }
    }
    return {};
  }
};

struct TakeNormsAsFactorsPass : smelt::impl::TakeNormsAsFactorsPassBase<TakeNormsAsFactorsPass> {
  using Base::Base;

  /// Columns whose squares are added by one tile.
  int64_t choosePart(int64_t features) const {
    if (part)
      return features % part ? 0 : int64_t(part);
    return features % 128 == 0 ? 128 : features % 64 == 0 ? 64 : 0;
  }

  using Build = llvm::function_ref<Value(OpBuilder &, Location, Block::BlockArgListType)>;
  /// A rowwise kernel behind the last of its inputs; `build` makes its only result.
  Value buildRowwise(Location loc, Operation *behind, Type type, ValueRange inputs, Build build) {
    OpBuilder builder(behind->getContext());
    builder.setInsertionPointAfter(behind);
    auto rowwise = RowwiseOp::create(builder, loc, TypeRange(type), inputs);
    SmallVector<Location> locations(inputs.size(), loc);
    Block *block = builder.createBlock(&rowwise.getBody(), {}, inputs.getTypes(), locations);
    YieldOp::create(builder, loc, build(builder, loc, block->getArguments()));
    return rowwise.getResult(0);
  }

  Value buildConstant(OpBuilder &builder, Location loc, RankedTensorType type, double value) {
    return lm::ConstantOp::create(
        builder, loc, type,
        DenseElementsAttr::get(type, cast<Attribute>(builder.getF32FloatAttr(float(value)))));
  }

  /// rsqrt(mean(x²) + eps) of each row: squares are added in parts, where x is made.
  Value buildFactor(Value x, double eps, int64_t columns, Location loc) {
    RankedTensorType type = typeOf(x);
    int64_t rows = type.getDimSize(0), features = type.getDimSize(1), parts = features / columns;
    auto heads = type.clone({rows, parts, columns}), sums = type.clone({rows, parts}),
         numbers = type.clone({rows}), number = type.clone(ArrayRef<int64_t>());
    Value squares = buildRowwise(
        loc, x.getDefiningOp(), sums, x, [&](OpBuilder &builder, Location, auto arguments) {
          Value shaped = lm::ReshapeOp::create(builder, loc, heads, arguments[0]);
          return lm::RowDotOp::create(builder, loc, sums, shaped, shaped).getResult();
        });
    return buildRowwise(
        loc, squares.getDefiningOp(), numbers, squares,
        [&](OpBuilder &builder, Location, auto arguments) {
          Value ones = buildConstant(builder, loc, sums, 1);
          Value sum = lm::RowDotOp::create(builder, loc, numbers, arguments[0], ones);
          Value share = buildConstant(builder, loc, number, 1.0 / double(features));
          Value mean = lm::ScaleOp::create(builder, loc, sum, share);
          Value least = buildConstant(builder, loc, number, eps);
          least = lm::BroadcastOp::create(builder, loc, numbers, least);
          Value moved = lm::AddOp::create(builder, loc, mean, least);
          Value root = lm::UnaryOp::create(builder, loc, numbers, lm::UnaryKind::sqrt, moved);
          return lm::UnaryOp::create(builder, loc, numbers, lm::UnaryKind::reciprocal, root)
              .getResult();
        });
  }

  /// value · factor, or value / factor, for `users` alone; null: for all.
  Value scaleRows(Value value, Value factor, bool divide, Operation *user = nullptr) {
    Location loc = user ? user->getLoc() : value.getLoc();
    SmallVector<OpOperand *> uses;
    for (OpOperand &use : value.getUses())
      if (!user || use.getOwner() == user)
        uses.push_back(&use);
    Value scaled = buildRowwise(
        loc, value.getDefiningOp(), value.getType(), {value, factor},
        [&](OpBuilder &builder, Location, auto arguments) {
          Value by = arguments[1];
          if (divide)
            by = lm::UnaryOp::create(builder, loc, by.getType(), lm::UnaryKind::reciprocal, by);
          return lm::RowScaleOp::create(builder, loc, arguments[0], by).getResult();
        });
    for (OpOperand *use : uses)
      use->set(scaled);
    return scaled;
  }

  void take(RowwiseOp kernel, lm::RMSNormOp norm, const Plan &plan, int64_t columns) {
    Value x = kernel.getInputs()[0];
    Value factor = buildFactor(x, norm.getEps().convertToDouble(), columns, kernel.getLoc());
    kernel.getResult(0).replaceAllUsesWith(x);
    for (GemmOp product : plan.products)
      scaleRows(product->getResult(0), factor, /*divide=*/false);
    for (RowwiseOp gate : plan.gates)
      scaleRows(x, factor, /*divide=*/false, gate);
    // (r·y)ᵀ·x, and from r·y also y·wᵀ = (r·y)·wᵀ / r.
    for (Value gradient : plan.gradients)
      scaleRows(gradient, factor, /*divide=*/false);
    for (Operation *backward : plan.backwards)
      scaleRows(backward->getResult(0), factor, /*divide=*/true);
    kernel.erase();
    ++taken;
  }

  void runOnOperation() override {
    if (getOperation().isDeclaration())
      return;
    SmallVector<RowwiseOp> kernels(getOperation().getOps<RowwiseOp>());
    for (RowwiseOp kernel : kernels) {
      auto norm = matchOnly<lm::RMSNormOp>(kernel);
      if (!norm || typeOf(norm.getX()).getRank() != 2 ||
          !typeOf(norm.getX()).getElementType().isF32())
        continue;
      int64_t columns = choosePart(typeOf(norm.getX()).getDimSize(1));
      Plan plan;
      if (columns && isMadeByProduct(kernel.getInputs()[0]) &&
          plan.make(kernel.getResult(0)).empty())
        take(kernel, norm, plan, columns);
    }
    smelt::sortKernels(getOperation().getBody().front());
  }
};

} // namespace
