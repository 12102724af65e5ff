//===- Autodiff.cpp - Add the backward pass to every training program -----===//
//
// For each function with smelt.role = "train": differentiates result 0 with respect to the
// parameters that it reads and hands every gradient to a train.gradient op, placed right after the
// op that completes it. IR before and after: Passes.td.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Autodiff/Passes.h"
#include "compiler/Transforms/Autodiff/ReverseMode.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace smelt {
#define GEN_PASS_DEF_AUTODIFFPASS
#include "compiler/Transforms/Autodiff/Passes.h.inc"
} // namespace smelt

namespace {

/// A training program, complete before anything is built.
struct TrainingProgram {
  func::ReturnOp terminator;
  Value objective;
  /// The reads of each parameter, in the order of the first read.
  llvm::MapVector<StringAttr, SmallVector<Value>> reads;
};

bool isTrainingProgram(func::FuncOp function) {
  auto role = function->getAttrOfType<StringAttr>("smelt.role");
  return role && role.getValue() == "train";
}

FailureOr<TrainingProgram> match(func::FuncOp function, SymbolTable &symbols) {
  if (!function.getBody().hasOneBlock())
    return function.emitError("a training program must be one block");
  TrainingProgram program;
  program.terminator = cast<func::ReturnOp>(function.getBody().front().getTerminator());
  if (program.terminator.getNumOperands() == 0)
    return function.emitError("a training program must return its objective");
  program.objective = program.terminator.getOperand(0);
  for (auto read : function.getOps<lm::ReadOp>())
    if (auto parameter = symbols.lookup<lm::ParameterOp>(read.getSymbol())) {
      if (read.getType() != parameter.getType())
        return read.emitError("a training program must read the whole parameter, ")
               << parameter.getType();
      program.reads[read.getSymbolAttr().getAttr()].push_back(read);
    }
  return program;
}

/// Several reads of one parameter are several uses of it: their gradients add up.
Value addGradients(OpBuilder &builder, ArrayRef<Value> gradients) {
  Value sum;
  for (Value gradient : gradients)
    if (gradient)
      sum = sum ? Value(lm::AddOp::create(builder, gradient.getLoc(), sum, gradient)) : gradient;
  return sum;
}

struct AutodiffPass : smelt::impl::AutodiffPassBase<AutodiffPass> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (isTrainingProgram(function) && failed(differentiate(function, symbols)))
        return signalPassFailure();
  }

  LogicalResult differentiate(func::FuncOp function, SymbolTable &symbols) {
    FailureOr<TrainingProgram> program = match(function, symbols);
    if (failed(program))
      return failure();
    OpBuilder builder(program->terminator);
    SmallVector<Value> sources;
    for (auto &[symbol, reads] : program->reads)
      llvm::append_range(sources, reads);
    auto built = smelt::buildReverseMode(builder.saveInsertionPoint(), program->objective, sources);
    if (failed(built))
      return failure();

    ArrayRef<Value> gradients = *built;
    for (auto &[symbol, reads] : program->reads) {
      Value gradient = addGradients(builder, gradients.take_front(reads.size()));
      gradients = gradients.drop_front(reads.size());
      if (!gradient)
        continue; // The objective does not depend on this parameter.
      OpBuilder after(builder.getContext());
      after.setInsertionPointAfterValue(gradient);
      train::GradientOp::create(after, gradient.getLoc(), FlatSymbolRefAttr::get(symbol), gradient);
      ++this->gradients;
    }
    ++programs;
    return success();
  }
};

} // namespace
