//===- FormKernels.cpp - One kernel op per computing lm op ----------------===//
//
// The start of fusion: afterwards every computation is a kernel op, so that fusing is only moving
// ops from region to region.
//
//   %y = lm.matmul %x, %w {transpose_b} : …      %y = kernel.gemm a(%x) b(%w) result()
//   {transpose_b} : … a {id} b {id} result {id} %z = lm.add %y, %x : …                   →   %z =
//   kernel.rowwise (%y, %x) : … { ^bb0(%0, %1): %2 = lm.add %0, %1  kernel.yield %2 }
//
// Constants that a row op uses are cloned into its region (a splat costs nothing there). What has
// no kernel stays: reads, settings, constants that other kernels load (tables of frequencies),
// gradients and writes.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Fusion/Passes.h"

#include "dialects/Train/TrainOps.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

namespace smelt {
#define GEN_PASS_DEF_FORMKERNELSPASS
#include "compiler/Transforms/Fusion/Passes.h.inc"
} // namespace smelt

using namespace mlir;
using namespace mlir::kernel;

/// A block in `region` that takes and yields one value of `type`.
static void addIdentity(OpBuilder &builder, Location loc, Region &region, Type type) {
  buildIdentityRegion(builder, loc, region, type);
}

static Operation *formGemm(OpBuilder &builder, lm::MatmulOp op) {
  auto gemm = GemmOp::create(builder, op.getLoc(), op.getResult().getType(), op.getA(), op.getB(),
                             ValueRange(), op.getTransposeA(), op.getTransposeB(), op.getGroups());
  addIdentity(builder, op.getLoc(), gemm.getA(), op.getA().getType());
  addIdentity(builder, op.getLoc(), gemm.getB(), op.getB().getType());
  addIdentity(builder, op.getLoc(), gemm.getResult(), op.getResult().getType());
  return gemm;
}

static Operation *formAttention(OpBuilder &builder, lm::AttentionOp op) {
  auto attention = AttentionOp::create(builder, op.getLoc(), TypeRange(op.getResult().getType()),
                                       op.getLse().getType(), op.getQ(), op.getK(), op.getV(),
                                       ValueRange(), op.getFirst(), op.getScale());
  for (Region &region : attention->getRegions())
    addIdentity(builder, op.getLoc(), region, op.getQ().getType());
  return attention;
}

static Operation *formAttentionBackward(OpBuilder &builder, lm::AttentionBackwardOp op) {
  auto attention = AttentionBackwardOp::create(
      builder, op.getLoc(), op.getDq().getType(), op.getDk().getType(), op.getDv().getType(),
      op.getQ(), op.getK(), op.getV(), op.getFirst(), op.getScale(), op.getOut(), op.getLse(),
      op.getDout());
  for (Region &region : attention->getRegions())
    addIdentity(builder, op.getLoc(), region, op.getQ().getType());
  return attention;
}

static Operation *formEmbeddingBackward(OpBuilder &builder, lm::EmbeddingBackwardOp op) {
  auto backward =
      EmbeddingBackwardOp::create(builder, op.getLoc(), TypeRange(op.getResult().getType()),
                                  op.getTokens(), op.getDy(), ValueRange());
  addIdentity(builder, op.getLoc(), backward.getDy(), op.getDy().getType());
  addIdentity(builder, op.getLoc(), backward.getResult(), op.getResult().getType());
  return backward;
}

/// A rowwise kernel that holds `op` alone; operands that are constants are cloned into it.
static Operation *formRowwise(OpBuilder &builder, Operation *op) {
  llvm::SetVector<Value> inputs;
  llvm::SetVector<Operation *> constants;
  for (Value operand : op->getOperands())
    if (auto constant = operand.getDefiningOp<lm::ConstantOp>())
      constants.insert(constant);
    else
      inputs.insert(operand);
  auto rowwise =
      RowwiseOp::create(builder, op->getLoc(), op->getResultTypes(), inputs.getArrayRef());
  OpBuilder::InsertionGuard guard(builder);
  SmallVector<Location> locations(inputs.size(), op->getLoc());
  Block *block = builder.createBlock(&rowwise.getBody(), {},
                                     ValueRange(inputs.getArrayRef()).getTypes(), locations);
  IRMapping map;
  map.map(inputs.getArrayRef(), block->getArguments());
  for (Operation *constant : constants)
    builder.clone(*constant, map);
  Operation *inner = builder.clone(*op, map);
  YieldOp::create(builder, op->getLoc(), inner->getResults());
  return rowwise;
}

/// The kernel op for `op`, or null when `op` stays.
static Operation *formKernel(OpBuilder &builder, Operation *op) {
  if (auto matmul = dyn_cast<lm::MatmulOp>(op))
    return formGemm(builder, matmul);
  if (auto attention = dyn_cast<lm::AttentionOp>(op))
    return formAttention(builder, attention);
  if (auto backward = dyn_cast<lm::AttentionBackwardOp>(op))
    return formAttentionBackward(builder, backward);
  if (auto backward = dyn_cast<lm::EmbeddingBackwardOp>(op))
    return formEmbeddingBackward(builder, backward);
  if (auto table = dyn_cast<lm::RopeTableOp>(op))
    return RopeTableOp::create(builder, op->getLoc(), table.getTable().getType(),
                               table.getFrequencies());
  if (op->hasTrait<lm::RowOp>() && !isa<lm::ConstantOp>(op))
    return formRowwise(builder, op);
  return nullptr;
}

namespace {
struct FormKernelsPass : smelt::impl::FormKernelsPassBase<FormKernelsPass> {
  void runOnOperation() override {
    if (getOperation().isDeclaration())
      return;
    Block &block = getOperation().getBody().front();
    for (Operation &op : llvm::make_early_inc_range(block)) {
      OpBuilder builder(&op);
      // A constant that is written, returned or taken as a gradient is computed like any other
      // value.
      if (isa<train::GradientOp, train::WriteOp, func::ReturnOp>(op)) {
        for (OpOperand &operand : op.getOpOperands())
          if (Operation *constant = operand.get().getDefiningOp<lm::ConstantOp>())
            operand.set(formRowwise(builder, constant)->getResult(0)), ++formed;
        continue;
      }
      Operation *kernel = formKernel(builder, &op);
      if (!kernel)
        continue;
      op.replaceAllUsesWith(kernel->getResults());
      op.erase();
      ++formed;
    }
    for (Operation &op : llvm::make_early_inc_range(block))
      if (isa<lm::ConstantOp>(op) && op.use_empty())
        op.erase();
  }
};
} // namespace
