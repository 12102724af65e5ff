//===- UpdateProgram.h - What an optimiser writes its update into ---------===//
//
// smelt-apply-optimizers collects the groups (ApplyOptimizers.cpp) and calls one build function per
// group, in a file of its own per optimiser (Update<Kind>.cpp). An UpdateProgram is the function
// that they write into.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_TRANSFORMS_OPTIMIZERS_UPDATEPROGRAM_H
#define SMELT_COMPILER_TRANSFORMS_OPTIMIZERS_UPDATEPROGRAM_H

#include "dialects/LM/LMOps.h"
#include "dialects/Train/TrainOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace smelt {

/// One parameter of a group, complete before anything is built.
struct UpdateMember {
  mlir::StringAttr symbol;
  mlir::RankedTensorType type;
  double lrScale; ///< The group's peak rate times the parameter's scale.
  double weightDecay;
  int64_t splits;
};

/// One train.optimizer and its parameters that have a gradient.
struct UpdateGroup {
  mlir::train::OptimizerOp op;
  mlir::Type lrType;
  llvm::SmallVector<UpdateMember> members;
};

/// A number of an optimiser's config.
double getNumber(mlir::DictionaryAttr config, llvm::StringRef key, double otherwise);

/// The function that updates parameters, while it is written; ops go to the end of its body.
class UpdateProgram {
public:
  UpdateProgram(mlir::ModuleOp module, mlir::Location loc, llvm::StringRef name);

  mlir::Value read(mlir::FlatSymbolRefAttr symbol, mlir::Type type, mlir::Location loc,
                   int64_t firstRow = 0);
  /// Declares the state `<prefix><member>` before the function.
  mlir::FlatSymbolRefAttr declareState(llvm::StringRef prefix, const UpdateMember &member,
                                       mlir::Location loc);

  mlir::FlatSymbolRefAttr declareState(llvm::StringRef prefix, const UpdateMember &member,
                                       mlir::Type type, mlir::Location loc);
  /// The symbol of the members' rows below each other: a train.bank, or the only member itself.
  mlir::FlatSymbolRefAttr declareBank(llvm::StringRef name,
                                      llvm::ArrayRef<mlir::FlatSymbolRefAttr> members,
                                      mlir::Type type, mlir::Location loc);

  mlir::ModuleOp module;
  mlir::OpBuilder builder;

private:
  mlir::Operation *stateInsertionPoint;
};

void buildAdamWUpdate(UpdateProgram &program, UpdateGroup &group);
/// muon and normuon.
void buildMuonUpdate(UpdateProgram &program, UpdateGroup &group);

} // namespace smelt

#endif
