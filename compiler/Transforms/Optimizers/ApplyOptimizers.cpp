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
#include <map>
#include <memory>

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
    std::map<UpdatePeriod, std::unique_ptr<UpdateProgram>> programs; // Made at their first group.
    for (bool isOuter : {false, true}) // Outer optimisers run after the others of their step.
      for (UpdateGroup &group : groups) {
        if (group.op.isOuter() != isOuter || group.members.empty())
          continue;
        UpdatePeriod period = UpdatePeriod::of(group.op);
        std::unique_ptr<UpdateProgram> &program = programs[period];
        if (!program)
          program = std::make_unique<UpdateProgram>(getOperation(), group.op.getLoc(), period);
        build(*program, group);
        updated += group.members.size();
      }
  }

  static void build(UpdateProgram &program, UpdateGroup &group) {
    switch (group.op.getKind()) {
    case train::OptimizerKind::adamw:
    case train::OptimizerKind::adam:
      return buildAdamUpdate(program, group);
    case train::OptimizerKind::muon:
    case train::OptimizerKind::normuon:
      return buildMuonUpdate(program, group);
    case train::OptimizerKind::snoo:
      return buildSnooUpdate(program, group);
    }
  }

  LogicalResult collect(SmallVectorImpl<UpdateGroup> &groups) {
    SymbolTable symbols(getOperation());
    DenseSet<StringAttr> withGradient;
    getOperation().walk(
        [&](train::GradientOp op) { withGradient.insert(op.getParameterAttr().getAttr()); });
    std::map<std::pair<StringRef, bool>, train::OptimizerOp> owners;
    for (auto op : getOperation().getOps<train::OptimizerOp>()) {
      UpdateGroup group{op, {}, {}};
      auto schedule = symbols.lookup<train::ScheduleOp>(op.getLrSchedule());
      if (!schedule)
        return op.emitError("follows ") << op.getLrScheduleAttr() << ", which is no train.schedule";
      group.lrType = schedule.getType();
      bool ofMatrices = op.getKind() == train::OptimizerKind::muon ||
                        op.getKind() == train::OptimizerKind::normuon;
      if (ofMatrices && failed(checkMuon(op, symbols)))
        return failure();
      for (auto [index, attribute] : llvm::enumerate(op.getParameters())) {
        StringAttr name = cast<FlatSymbolRefAttr>(attribute).getAttr();
        auto parameter = symbols.lookup<lm::ParameterOp>(name);
        if (!parameter)
          return op.emitError("updates ") << attribute << ", which is no lm.parameter";
        // Inner and outer optimisers apart: an outer one updates what the others have updated.
        auto [owner, isNew] = owners.try_emplace({name, op.isOuter()}, op);
        if (!isNew) {
          auto error = op.emitError("updates ")
                       << attribute << ", which another optimiser updates too";
          error.attachNote(owner->second.getLoc()) << "the other optimiser";
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
    if (!op.getConfig().getAs<lm::NumbersAttr>("coefficients"))
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
