//===- ReverseMode.cpp - Reverse-mode differentiation of a block ----------===//
//
// Walks a block's ops backwards from the objective. Each op on a path from a source to the
// objective turns the gradients of its results into those of its operands
// (lm.DifferentiableOpInterface). A value with several uses adds its contributions by lm.add, in
// reverse order of the uses, so the result does not depend on anything but the program.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Autodiff/ReverseMode.h"
#include "dialects/LM/LMOps.h"
#include "llvm/ADT/DenseSet.h"

using namespace mlir;

namespace {

/// Marks every op built here as gradient code, around the forward op's own location (which holds
/// the path of the spec's step).
struct MarkAsGradient : OpBuilder::Listener {
  void notifyOperationInserted(Operation *op, OpBuilder::InsertPoint) override {
    MLIRContext *context = op->getContext();
    op->setLoc(FusedLoc::get(context, {op->getLoc()}, StringAttr::get(context, "gradient")));
  }
};

class ReverseMode {
public:
  ReverseMode(OpBuilder::InsertPoint insertionPoint, Value objective)
      : builder(objective.getContext(), &listener), objective(objective) {
    builder.restoreInsertionPoint(insertionPoint);
  }

  FailureOr<SmallVector<Value>> run(ArrayRef<Value> sources) {
    Operation *root = objective.getDefiningOp();
    if (!root || cast<ShapedType>(objective.getType()).getRank() != 0)
      return emitError(objective.getLoc())
             << "only a computed value of rank 0 can be differentiated";
    markActive(sources);
    if (active.contains(objective)) {
      add(objective, lm::ConstantOp::create(builder, root->getLoc(),
                                            cast<RankedTensorType>(objective.getType()), 1.0));
      for (Operation *op = root; op; op = op->getPrevNode())
        if (failed(differentiate(op)))
          return failure();
    }
    return llvm::map_to_vector(sources, [&](Value source) { return gradients.lookup(source); });
  }

private:
  /// A value is active if it depends on a source.
  void markActive(ArrayRef<Value> sources) {
    active.insert_range(sources);
    for (Operation &op : *objective.getParentBlock())
      if (llvm::any_of(op.getOperands(), [&](Value operand) { return active.contains(operand); }))
        active.insert_range(op.getResults());
  }

  LogicalResult differentiate(Operation *op) {
    auto results = llvm::map_to_vector(op->getResults(),
                                       [&](Value result) { return gradients.lookup(result); });
    auto needed = llvm::map_to_vector(op->getOperands(),
                                      [&](Value operand) { return active.contains(operand); });
    if (llvm::none_of(results, [](Value gradient) { return bool(gradient); }) ||
        !llvm::is_contained(needed, true))
      return success();
    auto differentiable = dyn_cast<lm::DifferentiableOpInterface>(op);
    if (!differentiable)
      return op->emitOpError("has no gradient, but a parameter reaches the objective through it");
    FailureOr<SmallVector<Value>> operands =
        differentiable.buildGradients(builder, results, needed);
    if (failed(operands))
      return failure();
    for (auto [operand, gradient] : llvm::zip_equal(op->getOperands(), *operands))
      if (gradient)
        add(operand, gradient, op);
    return success();
  }

  /// Adds a contribution to the gradient of `value`; `user` is the forward op that it comes from.
  void add(Value value, Value contribution, Operation *user = nullptr) {
    Value &sum = gradients[value];
    sum = sum ? Value(lm::AddOp::create(builder, user->getLoc(), sum, contribution)) : contribution;
  }

  MarkAsGradient listener;
  OpBuilder builder;
  Value objective;
  DenseSet<Value> active;
  DenseMap<Value, Value> gradients;
};

} // namespace

FailureOr<SmallVector<Value>> smelt::buildReverseMode(OpBuilder::InsertPoint insertionPoint,
                                                      Value objective, ArrayRef<Value> sources) {
  return ReverseMode(insertionPoint, objective).run(sources);
}
