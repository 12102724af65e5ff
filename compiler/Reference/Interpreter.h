//===- Interpreter.h - What programs mean, in double precision --*- C++ -*-===//
#ifndef SMELT_COMPILER_REFERENCE_INTERPRETER_H
#define SMELT_COMPILER_REFERENCE_INTERPRETER_H

#include "compiler/Reference/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/LLVM.h"
#include <map>
#include <string>

namespace smelt::reference {

struct InterpreterOptions {
  /// Round every result to the element type of its tensor, as a lowering does that stores it. Off:
  /// everything is a double.
  bool roundResults = false;
};

/// Runs functions of a module at the lm, train and kernel phases. Errors (an op without a meaning
/// here, a missing tensor, a token outside its table) are diagnostics at the op.
class Interpreter {
public:
  explicit Interpreter(mlir::ModuleOp module, InterpreterOptions options = {})
      : module(module), options(options) {}

  /// What lm.read and lm.setting give, and what train.write sets: parameters, states and settings
  /// by name. A train.state that is not here is zero.
  std::map<std::string, Tensor> tensors;

  /// What train.gradient gave, by parameter; train.read_gradient reads it. Each train.gradient adds
  /// to what is here, so clear it (or not) between micro-batches as the run demands.
  std::map<std::string, Tensor> gradients;

  mlir::FailureOr<std::vector<Tensor>> run(llvm::StringRef function, llvm::ArrayRef<Tensor> inputs);

  /// Runs a region of one block; `inputs` are its arguments. Returns the operands of the
  /// terminator.
  mlir::FailureOr<std::vector<Tensor>> run(mlir::Region &region, llvm::ArrayRef<Tensor> inputs);

  mlir::ModuleOp getModule() const { return module; }

private:
  mlir::ModuleOp module;
  InterpreterOptions options;
};

} // namespace smelt::reference

#endif
