//===- CopyMatrices.cpp - bf16 copies of f32 matrices ---------------------===//
//
// IR before and after: Passes.td. A product's operand is followed back through conversions to bf16
// and back (where a spec uses a matrix in bf16) to an f32 matrix that the program reads.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Precision/Passes.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace mlir::kernel;

namespace smelt {
#define GEN_PASS_DEF_COPYMATRICESPASS
#include "compiler/Transforms/Precision/Passes.h.inc"
} // namespace smelt

namespace {

/// Elements of the chunk that the region is written for; targets take as many as suits them.
constexpr int64_t kChunk = 1024;

/// The only op of a rowwise kernel, if it is a conversion between f32 and bf16.
lm::CastOp getOnlyCast(Operation *op) {
  auto rowwise = dyn_cast_or_null<RowwiseOp>(op);
  if (!rowwise || !llvm::hasNItems(rowwise.getBody().front(), 2))
    return {};
  auto cast = dyn_cast<lm::CastOp>(rowwise.getBody().front().front());
  auto isFloat = [](Value value) {
    Type type = getElementTypeOrSelf(value.getType());
    return type.isF32() || type.isBF16();
  };
  return cast && isFloat(cast.getX()) && isFloat(cast.getResult()) ? cast : lm::CastOp();
}

/// The f32 matrix of the program's own that `operand` is a copy of; null if it is something else.
Value findMatrix(Value operand) {
  while (getOnlyCast(operand.getDefiningOp()))
    operand = operand.getDefiningOp<RowwiseOp>().getInputs()[0];
  auto type = cast<RankedTensorType>(operand.getType());
  bool isMatrix = type.getRank() == 2 && type.getElementType().isF32();
  return isMatrix && operand.getDefiningOp<lm::ReadOp>() ? operand : Value();
}

void eraseUnread(Operation *op) {
  while (op && op->use_empty() && getOnlyCast(op)) {
    Operation *source = op->getOperand(0).getDefiningOp();
    op->erase();
    op = source;
  }
}

/// One launch that rounds all of `matrices`, at the first place behind all of them.
ForeachOp buildCopies(ArrayRef<Value> matrices) {
  Operation *last = matrices[0].getDefiningOp();
  SmallVector<Location> locations;
  SmallVector<Type> types;
  for (Value matrix : matrices) {
    if (last->isBeforeInBlock(matrix.getDefiningOp()))
      last = matrix.getDefiningOp();
    auto type = cast<RankedTensorType>(matrix.getType());
    types.push_back(type.clone(BFloat16Type::get(type.getContext())));
  }
  OpBuilder builder(last->getContext());
  builder.setInsertionPointAfter(last);
  Location loc = builder.getUnknownLoc();
  auto copies = ForeachOp::create(builder, loc, types, "bf16 copies of matrices", matrices.size(),
                                  matrices, ValueRange(), builder.getArrayAttr({}));
  auto chunk = RankedTensorType::get({1, kChunk}, builder.getF32Type());
  Block *block = builder.createBlock(&copies.getBody(), {}, chunk, loc);
  Value rounded =
      lm::CastOp::create(builder, loc, chunk.clone(builder.getBF16Type()), block->getArgument(0));
  YieldOp::create(builder, loc, rounded);
  return copies;
}

/// `operand`, which a region loads as it is, becomes `copy`; the region widens it.
void replaceOperand(OpOperand &operand, Region &region, Value copy) {
  BlockArgument argument = region.getArgument(0);
  Type wide = argument.getType();
  Operation *old = operand.get().getDefiningOp();
  operand.set(copy);
  argument.setType(copy.getType());
  OpBuilder builder = OpBuilder::atBlockBegin(&region.front());
  Value value = lm::CastOp::create(builder, argument.getLoc(), wide, argument);
  argument.replaceAllUsesExcept(value, value.getDefiningOp());
  eraseUnread(old);
}

struct CopyMatricesPass : smelt::impl::CopyMatricesPassBase<CopyMatricesPass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isDeclaration() || function.isPrivate())
      return;
    llvm::MapVector<Value, SmallVector<std::pair<OpOperand *, Region *>>> reads;
    for (auto gemm : function.getOps<GemmOp>())
      for (auto [operands, region] : {std::pair(gemm.getAInputsMutable(), &gemm.getA()),
                                      std::pair(gemm.getBInputsMutable(), &gemm.getB())})
        if (operands.size() == 1)
          if (Value matrix = findMatrix(operands[0].get()))
            reads[matrix].push_back({&operands[0], region});
    if (reads.empty())
      return;
    // Reads have no operands: all of them may stand at the beginning.
    SmallVector<Value> matrices;
    for (auto &[matrix, uses] : llvm::reverse(reads)) {
      matrix.getDefiningOp()->moveBefore(&function.getBody().front(),
                                         function.getBody().front().begin());
    }
    for (auto &[matrix, uses] : reads)
      matrices.push_back(matrix);
    ForeachOp copies = buildCopies(matrices);
    for (auto [entry, copy] : llvm::zip_equal(reads, copies.getOutputs()))
      for (auto [operand, region] : entry.second) {
        // Of a gemm with identity regions, as smelt-form-kernels makes them.
        replaceOperand(*operand, *region, copy);
      }
    copied += matrices.size();
  }
};

} // namespace
