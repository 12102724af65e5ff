//===- Interpreter.h - What programs mean, in double precision --*- C++ -*-===//
#ifndef SMELT_COMPILER_REFERENCE_INTERPRETER_H
#define SMELT_COMPILER_REFERENCE_INTERPRETER_H

#include "compiler/Reference/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/LLVM.h"
#include <map>
#include <string>

namespace smelt::reference {

/// Which results are rounded to the element type of their tensor.
enum class Rounding {
  /// None: every number is a double. Casts and quantisation then change nothing but the scale, so
  /// that programs with them have central differences.
  none,
  /// Those narrower than f32: a bf16, f16 or f8 tensor holds only numbers of its type, f32 stands
  /// for the reals.
  narrow,
  /// All, as a lowering does that stores every result.
  all
};

struct InterpreterOptions {
  Rounding rounding = Rounding::narrow;
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
  Rounding getRounding() const { return options.rounding; }

  /// Rounds `tensor`, a value of type `type`, as the options say.
  void round(mlir::Type type, Tensor &tensor) const;

private:
  mlir::ModuleOp module;
  InterpreterOptions options;
};

} // namespace smelt::reference

#endif
