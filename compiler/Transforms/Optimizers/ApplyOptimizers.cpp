//===- ApplyOptimizers.cpp - Write the update program ---------------------===//
//
// From the train.optimizer groups of the module: optimiser state, and a function that turns
// parameters, gradients and state into the next step's. This file collects and checks the groups;
// Update<Kind>.cpp writes each group's part. IR before and after: Passes.td.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Optimizers/Passes.h"
#include "compiler/Transforms/Optimizers/UpdateProgram.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

using namespace mlir;
using namespace smelt;

namespace smelt {
#define GEN_PASS_DEF_APPLYOPTIMIZERSPASS
#include "compiler/Transforms/Optimizers/Passes.h.inc"
} // namespace smelt

namespace {

struct ApplyOptimizersPass : smelt::impl::ApplyOptimizersPassBase<ApplyOptimizersPass> {
  void runOnOperation() override {
    SmallVector<UpdateGroup> groups;
    if (failed(collect(groups)))
      return signalPassFailure();
    if (groups.empty())
      return;
    UpdateProgram program(getOperation(), groups.front().op.getLoc(), "update");
    for (UpdateGroup &group : groups) {
      if (group.members.empty())
        continue;
      switch (group.op.getKind()) {
      case train::OptimizerKind::adamw:
        buildAdamWUpdate(program, group);
        break;
      case train::OptimizerKind::muon:
      case train::OptimizerKind::normuon:
        buildMuonUpdate(program, group);
        break;
      case train::OptimizerKind::adam:
      case train::OptimizerKind::snoo:
        llvm_unreachable("refused by collect");
      }
      updated += group.members.size();
    }
  }

  LogicalResult collect(SmallVectorImpl<UpdateGroup> &groups) {
    SymbolTable symbols(getOperation());
    DenseSet<StringAttr> withGradient;
    getOperation().walk(
        [&](train::GradientOp op) { withGradient.insert(op.getParameterAttr().getAttr()); });
    DenseMap<StringAttr, train::OptimizerOp> owners;
    for (auto op : getOperation().getOps<train::OptimizerOp>()) {
      UpdateGroup group{op, {}, {}};
      auto schedule = symbols.lookup<train::ScheduleOp>(op.getLrSchedule());
      if (!schedule)
        return op.emitError("follows ") << op.getLrScheduleAttr() << ", which is no train.schedule";
      group.lrType = schedule.getType();
      bool ofMatrices = op.getKind() == train::OptimizerKind::muon ||
                        op.getKind() == train::OptimizerKind::normuon;
      if (op.getKind() != train::OptimizerKind::adamw && !ofMatrices)
        return op.emitError("has no update program yet");
      if (auto every = op.getConfig().getAs<IntegerAttr>("every"); every && every.getInt() != 1)
        return op.emitError("updates every ")
               << every.getInt() << " steps, which has no update program yet";
      if (ofMatrices && failed(checkMuon(op, symbols)))
        return failure();
      for (auto [index, attribute] : llvm::enumerate(op.getParameters())) {
        StringAttr name = cast<FlatSymbolRefAttr>(attribute).getAttr();
        auto parameter = symbols.lookup<lm::ParameterOp>(name);
        if (!parameter)
          return op.emitError("updates ") << attribute << ", which is no lm.parameter";
        if (auto [it, isNew] = owners.try_emplace(name, op); !isNew) {
          auto error = op.emitError("updates ")
                       << attribute << ", which another optimiser updates too";
          error.attachNote(it->second.getLoc()) << "the other optimiser";
          return error;
        }
        UpdateMember member{name, cast<RankedTensorType>(parameter.getType()),
                            op.getLr().convertToDouble() * op.getLrScales()[index],
                            getNumber(op.getConfig(), "weight_decay", 0) *
                                op.getWeightDecayScales()[index],
                            op.getSplits()[index]};
        if (ofMatrices && failed(checkMatrix(op, member)))
          return failure();
        if (withGradient.contains(name))
          group.members.push_back(member);
      }
      groups.push_back(std::move(group));
    }
    return success();
  }

  static LogicalResult checkMuon(train::OptimizerOp op, SymbolTable &symbols) {
    auto momentum = op.getConfig().getAs<FlatSymbolRefAttr>("momentum_schedule");
    if (!momentum || !symbols.lookup<train::ScheduleOp>(momentum.getAttr()))
      return op.emitError("has no momentum_schedule that names a train.schedule");
    if (!op.getConfig().getAs<DenseF64ArrayAttr>("coefficients"))
      return op.emitError("has no coefficients");
    auto axes = op.getConfig().getAs<DenseI64ArrayAttr>("variance_axes");
    if (axes && axes.size() != int64_t(op.getParameters().size()))
      return op.emitError("needs one variance axis per parameter");
    auto master = op.getConfig().getAs<StringAttr>("master");
    if (master && master.getValue() != "parameter" && master.getValue() != "bf16_plus_16")
      return op.emitError("keeps masters of matrices in the parameter or as bf16_plus_16, not ")
             << master;
    return success();
  }

  static LogicalResult checkMatrix(train::OptimizerOp op, const UpdateMember &member) {
    if (member.type.getRank() != 2)
      return op.emitError("orthogonalises matrices, but @")
             << member.symbol.getValue() << " is " << member.type;
    if (member.splits < 1 || member.type.getDimSize(0) % member.splits)
      return op.emitError("cannot cut the ")
             << member.type.getDimSize(0) << " rows of @" << member.symbol.getValue() << " into "
             << member.splits << " equal blocks";
    return success();
  }
};

} // namespace
