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
#include <compare>
#include <string>

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

/// When a program runs: after the steps s (from 0) with s mod `every` = `offset`.
struct UpdatePeriod {
  int64_t every = 1, offset = 0;
  bool isOuter = false; ///< After all inner updates of the step.

  static UpdatePeriod of(mlir::train::OptimizerOp op);
  auto operator<=>(const UpdatePeriod &) const = default;
  /// "update", "update.every2", "outer.every28"; with the offset where it is not the usual one.
  std::string getProgramName() const;
  /// What comes after "accumulate" and "step" in the names of this period's settings: "", ".2", or
  /// ".P.O" if the update is not the last step of its period.
  std::string getSettingSuffix() const;
};

/// The function that updates parameters, while it is written; ops go to the end of its body.
class UpdateProgram {
public:
  UpdateProgram(mlir::ModuleOp module, mlir::Location loc, UpdatePeriod period);

  mlir::Value read(mlir::FlatSymbolRefAttr symbol, mlir::Type type, mlir::Location loc,
                   int64_t firstRow = 0);
  /// Declares the state `<prefix><member>` before the function, of the member's type or another one;
  /// with `isCopy` it begins as the member's initial value.
  mlir::FlatSymbolRefAttr declareState(llvm::StringRef prefix, const UpdateMember &member,
                                       mlir::Location loc);
  /// 1 − βᵗ, t the 1-based count of this program's updates: a setting that the runtime computes.
  mlir::Value readOneMinusPower(llvm::StringRef setting, double beta, mlir::Location loc);

  mlir::FlatSymbolRefAttr declareState(llvm::StringRef prefix, const UpdateMember &member,
                                       mlir::Type type, mlir::Location loc, bool isCopy = false);
  /// The symbol of the members' rows below each other: a train.bank, or the only member itself.
  mlir::FlatSymbolRefAttr declareBank(llvm::StringRef name,
                                      llvm::ArrayRef<mlir::FlatSymbolRefAttr> members,
                                      mlir::Type type, mlir::Location loc);

  const UpdatePeriod period;
  mlir::ModuleOp module;
  mlir::OpBuilder builder;

private:
  mlir::Operation *stateInsertionPoint;
};

/// Groups of kind adamw and adam.
void buildAdamUpdate(UpdateProgram &program, UpdateGroup &group);
/// Groups of kind muon and normuon.
void buildMuonUpdate(UpdateProgram &program, UpdateGroup &group);
void buildSnooUpdate(UpdateProgram &program, UpdateGroup &group);

} // namespace smelt

#endif
