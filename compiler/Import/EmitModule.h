//===- EmitModule.h - A checked spec as a module of lm and train ops ----*- C++ -*-===//
#ifndef SMELT_COMPILER_IMPORT_EMITMODULE_H
#define SMELT_COMPILER_IMPORT_EMITMODULE_H

#include "compiler/Import/Schedules.h"
#include "compiler/Import/Spec.h"
#include "compiler/Import/SpecDiagnostics.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"

namespace smelt {

/// Holds the module while its functions are emitted; parameters and schedules come into being at
/// their first use.
class ModuleEmitter {
public:
  ModuleEmitter(mlir::ModuleOp module, const Spec &spec, SpecDiagnostics &diagnostics);

  /// All programs, then what training needs. May report parameters that no optimiser selects, or
  /// two.
  void emit();

  /// Declares the parameter if it is new; `fanIn` turns uniform_std into a bound.
  mlir::RankedTensorType getParameter(llvm::StringRef name, llvm::ArrayRef<int64_t> shape,
                                      const Init &init, int64_t fanIn, DType dtype,
                                      mlir::Location loc, Mark mark);
  /// Declares a schedule if it is new.
  void getSchedule(llvm::StringRef name, mlir::Type elementType, llvm::ArrayRef<Segment> segments,
                   mlir::Location loc);
  void getSchedule(llvm::StringRef name, mlir::Type elementType, llvm::ArrayRef<Piece> pieces,
                   mlir::Location loc);
  mlir::FloatType getType(DType dtype);
  /// The setting of a softmax scale with this start and growth: "attention_scale", then
  /// "attention_scale.1" …
  std::string nameScale(double init, double growth);

  /// Declarations stand before the first function.
  void declareBefore(mlir::Operation *function) {
    if (!hasFunction)
      builder.setInsertionPoint(function);
    hasFunction = true;
  }

  struct Parameter {
    std::string name;
    std::vector<int64_t> shape;
    DType dtype;
    Mark mark;
  };
  const std::vector<Parameter> &getParameters() const { return parameters; }

  mlir::ModuleOp module;
  const Spec &spec;
  SpecDiagnostics &diagnostics;
  mlir::OpBuilder builder; // stands at the end of the declarations

private:
  bool hasFunction = false;
  llvm::StringMap<size_t> parameterIndex;
  llvm::StringMap<bool> schedules;
  std::vector<std::pair<double, double>> scales;
  std::vector<Parameter> parameters;
};

/// One program: `role` is train, evaluate or generate.
void emitProgram(ModuleEmitter &emitter, llvm::StringRef role, int64_t tokens);

/// Optimisers, the learning rate and the run.
void emitTraining(ModuleEmitter &emitter);
void emitRun(ModuleEmitter &emitter);

} // namespace smelt
#endif
