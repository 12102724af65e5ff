//===- ApplyOptimizers.cpp - Write the update program ---------------------===//
//
// From the train.optimizer groups of the module: optimiser state, and a function that turns parameters, gradients and state into the
// next step's. IR before and after: Passes.td.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Optimizers/Passes.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

using namespace mlir;

namespace smelt {
#define GEN_PASS_DEF_APPLYOPTIMIZERSPASS
#include "compiler/Transforms/Optimizers/Passes.h.inc"
} // namespace smelt

namespace {

/// One parameter of a group, complete before anything is built.
struct Member {
  StringAttr symbol;
  RankedTensorType type;
  double lrScale; ///< The group's peak rate times the parameter's scale.
  double weightDecay;
  int64_t splits;
};

struct Group {
  train::OptimizerOp op;
  Type lrType;
  SmallVector<Member> members;
};

double getNumber(DictionaryAttr config, StringRef key, double otherwise) {
  auto value = config.getAs<FloatAttr>(key);
  return value ? value.getValueAsDouble() : otherwise;
}

/// Reads, transforms and writes: builds the body of @update.
class UpdateBuilder {
public:
  UpdateBuilder(ModuleOp module, Location loc) : module(module), builder(module.getContext()) {
    builder.setInsertionPointToEnd(module.getBody());
    auto function = func::FuncOp::create(builder, loc, "update", builder.getFunctionType({}, {}));
    function->setAttr("smelt.role", builder.getStringAttr("update"));
    stateInsertionPoint = function;
    Block *body = function.addEntryBlock();
    builder.setInsertionPointToStart(body);
    func::ReturnOp::create(builder, loc);
    builder.setInsertionPoint(body->getTerminator());
  }

  void buildAdamW(Group &group) {
    Location loc = group.op.getLoc();
    DictionaryAttr config = group.op.getConfig();
    SmallVector<Value> parameters, gradients, first, second;
    SmallVector<double> lrScales, weightDecays;
    SmallVector<FlatSymbolRefAttr> symbols, firstSymbols, secondSymbols;
    for (Member &member : group.members) {
      symbols.push_back(FlatSymbolRefAttr::get(member.symbol));
      firstSymbols.push_back(declareState("adamw.m.", member, loc));
      secondSymbols.push_back(declareState("adamw.v.", member, loc));
      parameters.push_back(read(symbols.back(), member.type, loc));
      gradients.push_back(train::ReadGradientOp::create(builder, loc, member.type, symbols.back()));
      first.push_back(read(firstSymbols.back(), member.type, loc));
      second.push_back(read(secondSymbols.back(), member.type, loc));
      lrScales.push_back(member.lrScale);
      weightDecays.push_back(member.weightDecay);
    }
    Value lr = lm::SettingOp::create(builder, loc, group.lrType, group.op.getLrScheduleAttr());
    Value step = lm::SettingOp::create(builder, loc, RankedTensorType::get({}, builder.getF32Type()),
                                       FlatSymbolRefAttr::get(builder.getContext(), "step"));
    SmallVector<Type> types = llvm::map_to_vector(parameters, [](Value value) { return value.getType(); });
    auto update = train::AdamWOp::create(
        builder, loc, types, types, types, parameters, gradients, first, second, lr, step, builder.getDenseF64ArrayAttr(lrScales),
        builder.getDenseF64ArrayAttr(weightDecays), builder.getF64FloatAttr(getNumber(config, "beta1", 0.9)),
        builder.getF64FloatAttr(getNumber(config, "beta2", 0.95)), builder.getF64FloatAttr(getNumber(config, "eps", 1e-8)));
    for (size_t i = 0; i < symbols.size(); ++i) {
      train::WriteOp::create(builder, loc, symbols[i], update.getNewParameters()[i]);
      train::WriteOp::create(builder, loc, firstSymbols[i], update.getNewFirstMoments()[i]);
      train::WriteOp::create(builder, loc, secondSymbols[i], update.getNewSecondMoments()[i]);
    }
  }

  void buildMuon(Group &group) {
    Location loc = group.op.getLoc();
    DictionaryAttr config = group.op.getConfig();
    auto scheduleOf = config.getAs<FlatSymbolRefAttr>("momentum_schedule");
    Value lr = lm::SettingOp::create(builder, loc, group.lrType, group.op.getLrScheduleAttr());
    Value mu = lm::SettingOp::create(builder, loc, cast<train::ScheduleOp>(module.lookupSymbol(scheduleOf)).getType(), scheduleOf);
    auto nesterov = config.getAs<BoolAttr>("nesterov");
    for (Member &member : group.members) {
      auto symbol = FlatSymbolRefAttr::get(member.symbol);
      auto state = declareState("muon.m.", member, loc);
      int64_t rows = member.type.getDimSize(0) / member.splits;
      auto type = RankedTensorType::get({rows, member.type.getDimSize(1)}, member.type.getElementType());
      for (int64_t row = 0; row < member.type.getDimSize(0); row += rows) {
        Value parameter = read(symbol, type, loc, row);
        Value gradient = train::ReadGradientOp::create(builder, loc, type, symbol.getValue(), row);
        Value momentum = read(state, type, loc, row);
        auto update = train::MuonOp::create(builder, loc, type, type, parameter, gradient, momentum, lr, mu,
                                            builder.getF64FloatAttr(member.lrScale), builder.getF64FloatAttr(member.weightDecay),
                                            builder.getBoolAttr(!nesterov || nesterov.getValue()),
                                            config.getAs<DenseF64ArrayAttr>("coefficients"));
        train::WriteOp::create(builder, loc, symbol.getValue(), update.getNewParameter(), row);
        train::WriteOp::create(builder, loc, state.getValue(), update.getNewMomentum(), row);
      }
    }
  }

private:
  Value read(FlatSymbolRefAttr symbol, Type type, Location loc, int64_t firstRow = 0) {
    return lm::ReadOp::create(builder, loc, type, symbol.getValue(), firstRow);
  }

  FlatSymbolRefAttr declareState(StringRef prefix, const Member &member, Location loc) {
    OpBuilder atModule(stateInsertionPoint);
    auto name = builder.getStringAttr(prefix + member.symbol.getValue());
    train::StateOp::create(atModule, loc, name, TypeAttr::get(member.type), /*derived=*/UnitAttr());
    return FlatSymbolRefAttr::get(name);
  }

  ModuleOp module;
  OpBuilder builder;
  Operation *stateInsertionPoint;
};

struct ApplyOptimizersPass : smelt::impl::ApplyOptimizersPassBase<ApplyOptimizersPass> {
  void runOnOperation() override {
    SmallVector<Group> groups;
    if (failed(collect(groups)))
      return signalPassFailure();
    if (groups.empty())
      return;
    UpdateBuilder update(getOperation(), groups.front().op.getLoc());
    for (Group &group : groups) {
      if (group.members.empty())
        continue;
      group.op.getKind() == train::OptimizerKind::adamw ? update.buildAdamW(group) : update.buildMuon(group);
      updated += group.members.size();
    }
  }

  LogicalResult collect(SmallVectorImpl<Group> &groups) {
    SymbolTable symbols(getOperation());
    DenseSet<StringAttr> withGradient;
    getOperation().walk([&](train::GradientOp op) { withGradient.insert(op.getParameterAttr().getAttr()); });
    DenseMap<StringAttr, train::OptimizerOp> owners;
    for (auto op : getOperation().getOps<train::OptimizerOp>()) {
      Group group{op, {}, {}};
      auto schedule = symbols.lookup<train::ScheduleOp>(op.getLrSchedule());
      if (!schedule)
        return op.emitError("follows ") << op.getLrScheduleAttr() << ", which is no train.schedule";
      group.lrType = schedule.getType();
      if (op.getKind() == train::OptimizerKind::muon && failed(checkMuon(op, symbols)))
        return failure();
      for (auto [index, attribute] : llvm::enumerate(op.getParameters())) {
        StringAttr name = cast<FlatSymbolRefAttr>(attribute).getAttr();
        auto parameter = symbols.lookup<lm::ParameterOp>(name);
        if (!parameter)
          return op.emitError("updates ") << attribute << ", which is no lm.parameter";
        if (auto [it, isNew] = owners.try_emplace(name, op); !isNew) {
          auto error = op.emitError("updates ") << attribute << ", which another optimiser updates too";
          error.attachNote(it->second.getLoc()) << "the other optimiser";
          return error;
        }
        Member member{name, cast<RankedTensorType>(parameter.getType()), op.getLr().convertToDouble() * op.getLrScales()[index],
                      getNumber(op.getConfig(), "weight_decay", 0) * op.getWeightDecayScales()[index], op.getSplits()[index]};
        if (op.getKind() == train::OptimizerKind::muon && failed(checkMatrix(op, member)))
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
    return success();
  }

  static LogicalResult checkMatrix(train::OptimizerOp op, const Member &member) {
    if (member.type.getRank() != 2)
      return op.emitError("orthogonalises matrices, but @") << member.symbol.getValue() << " is " << member.type;
    if (member.splits < 1 || member.type.getDimSize(0) % member.splits)
      return op.emitError("cannot cut the ") << member.type.getDimSize(0) << " rows of @" << member.symbol.getValue() << " into "
                                             << member.splits << " equal blocks";
    return success();
  }
};

} // namespace
