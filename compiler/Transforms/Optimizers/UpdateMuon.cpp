//===- UpdateMuon.cpp - The muon and normuon groups' part of the update ---===//
//
// The matrices of a group that have one shape are a bank: a parameter that is split gives several.
// Each bank is updated by one train.muon or train.normuon on all its matrices at once.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Optimizers/UpdateProgram.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace smelt;

namespace {

/// Matrices that lie below each other; complete before anything is built.
struct Bank {
  SmallVector<UpdateMember *> members;
  int64_t rows = 0, columns = 0; ///< Of one matrix.
  int64_t varianceAxis = 1;
  SmallVector<double> lrScales, weightDecays; ///< Of each matrix; without the group's peak rate.

  int64_t getGroups() const { return lrScales.size(); }
  RankedTensorType getType(Type element) const {
    return RankedTensorType::get({getGroups() * rows, columns}, element);
  }
};

SmallVector<Bank> collectBanks(UpdateGroup &group) {
  llvm::MapVector<std::tuple<int64_t, int64_t, Type, int64_t>, Bank> banks;
  llvm::DenseMap<Attribute, size_t> indices;
  for (auto [index, parameter] : llvm::enumerate(group.op.getParameters()))
    indices[cast<FlatSymbolRefAttr>(parameter).getAttr()] = index;
  auto axes = group.op.getConfig().getAs<DenseI64ArrayAttr>("variance_axes");
  for (UpdateMember &member : group.members) {
    int64_t rows = member.type.getDimSize(0) / member.splits, columns = member.type.getDimSize(1);
    size_t index = indices.lookup(member.symbol);
    int64_t axis = axes ? axes[index] : 1;
    Bank &bank = banks[{rows, columns, member.type.getElementType(), axis}];
    bank.rows = rows, bank.columns = columns, bank.varianceAxis = axis;
    bank.members.push_back(&member);
    bank.lrScales.append(member.splits, group.op.getLrScales()[index]);
    bank.weightDecays.append(member.splits, member.weightDecay);
  }
  return llvm::map_to_vector(banks, [](auto &entry) { return entry.second; });
}

/// Reads a bank's tensors as f32, updates them and writes them back as they are stored.
class BankUpdate {
public:
  BankUpdate(UpdateProgram &program, UpdateGroup &group, Bank &bank, Value lr, Value mu)
      : program(program), group(group), bank(bank), config(group.op.getConfig()), lr(lr), mu(mu),
        builder(program.builder), loc(group.op.getLoc()),
        stored(bank.members.front()->type.getElementType()),
        wide(bank.getType(stored.getIntOrFloatBitWidth() < 32 ? builder.getF32Type() : stored)),
        name(chooseName(program.module)) {}

  void build() {
    SmallVector<FlatSymbolRefAttr> symbols = llvm::map_to_vector(
        bank.members, [](UpdateMember *member) { return FlatSymbolRefAttr::get(member->symbol); });
    parameters = program.declareBank(name, symbols, bank.getType(stored), loc);
    auto master = config.getAs<StringAttr>("master");
    if (master && master.getValue() == "bf16_plus_16" && stored.isBF16())
      low = declareState("master.low.", builder.getIntegerType(16));
    Value gradient = widen(
        train::ReadGradientOp::create(builder, loc, bank.getType(stored), parameters.getValue()));
    group.op.getKind() == train::OptimizerKind::muon ? buildMuon(gradient) : buildNorMuon(gradient);
  }

private:
  static std::string chooseName(ModuleOp module) {
    for (unsigned i = 0;; ++i)
      if (std::string name = "bank." + std::to_string(i); !module.lookupSymbol(name))
        return name;
  }

  void buildMuon(Value gradient) {
    auto momentumSymbol = declareState("muon.m.", wide.getElementType());
    Value momentum = program.read(momentumSymbol, wide, loc), smoothed;
    double smoothing = getNumber(config, "update_smoothing", 0);
    FlatSymbolRefAttr smoothedSymbol;
    SmallVector<Type> results{wide, wide};
    if (smoothing != 0) {
      smoothedSymbol = declareState("muon.s.", stored);
      results.push_back(bank.getType(stored));
      smoothed = program.read(smoothedSymbol, results.back(), loc);
    }
    double peak = group.op.getLr().convertToDouble();
    SmallVector<double> lrScales =
        llvm::map_to_vector(bank.lrScales, [&](double scale) { return scale * peak; });
    auto update = train::MuonOp::create(
        builder, loc, results, readParameters(), gradient, momentum, smoothed, lr, mu,
        builder.getI64IntegerAttr(bank.getGroups()),
        lm::NumbersAttr::get(builder.getContext(), lrScales),
        lm::NumbersAttr::get(builder.getContext(), bank.weightDecays), getNesterov(),
        builder.getF64FloatAttr(getNumber(config, "norm_scale", 1.0 + 1.0 / 64)),
        builder.getF64FloatAttr(getNumber(config, "norm_eps", 1e-7)),
        builder.getF64FloatAttr(smoothing), config.getAs<lm::NumbersAttr>("coefficients"),
        builder.getI64IntegerAttr(1));
    writeParameters(update.getNewParameter());
    train::WriteOp::create(builder, loc, momentumSymbol.getValue(), update.getNewMomentum());
    if (smoothed)
      train::WriteOp::create(builder, loc, smoothedSymbol.getValue(), update.getNewSmoothed());
  }

  void buildNorMuon(Value gradient) {
    auto momentumSymbol = declareState("normuon.m.", stored), secondSymbol = declareSecond();
    Value momentum = widen(program.read(momentumSymbol, bank.getType(stored), loc));
    Value second = widen(program.read(secondSymbol, getSecondType(stored), loc));
    auto cautious = config.getAs<BoolAttr>("cautious");
    auto update = train::NorMuonOp::create(
        builder, loc, wide, wide, second.getType(), readParameters(), gradient, momentum, second,
        lr, mu, builder.getI64IntegerAttr(bank.getGroups()), group.op.getLrAttr(),
        lm::NumbersAttr::get(builder.getContext(), bank.lrScales),
        lm::NumbersAttr::get(builder.getContext(), bank.weightDecays), getNesterov(),
        builder.getF64FloatAttr(getNumber(config, "beta2", 0.95)),
        builder.getBoolAttr(cautious && cautious.getValue()),
        builder.getI64IntegerAttr(bank.varianceAxis),
        builder.getF64FloatAttr(getNumber(config, "norm_scale", 1.02)),
        builder.getF64FloatAttr(getNumber(config, "norm_eps", 1e-6)),
        config.getAs<lm::NumbersAttr>("coefficients"), builder.getI64IntegerAttr(1));
    writeParameters(update.getNewParameter());
    train::WriteOp::create(builder, loc, momentumSymbol.getValue(),
                           narrow(update.getNewMomentum()));
    train::WriteOp::create(builder, loc, secondSymbol.getValue(), narrow(update.getNewSecond()));
  }

  BoolAttr getNesterov() {
    auto nesterov = config.getAs<BoolAttr>("nesterov");
    return builder.getBoolAttr(!nesterov || nesterov.getValue());
  }

  //===- States -------------------------------------------------------------===//

  /// One state per member, of the member's shape; their bank's symbol.
  FlatSymbolRefAttr declareState(StringRef prefix, Type element) {
    SmallVector<FlatSymbolRefAttr> states;
    for (UpdateMember *member : bank.members)
      states.push_back(program.declareState(
          prefix, *member, RankedTensorType::get(member->type.getShape(), element), loc));
    return program.declareBank((prefix + name).str(), states, bank.getType(element), loc);
  }

  /// Second moments: one per row, or one per column and matrix.
  RankedTensorType getSecondType(Type element) const {
    return bank.varianceAxis == 1
               ? RankedTensorType::get({bank.getGroups() * bank.rows}, element)
               : RankedTensorType::get({bank.getGroups(), bank.columns}, element);
  }

  FlatSymbolRefAttr declareSecond() {
    constexpr StringLiteral prefix = "normuon.v.";
    SmallVector<FlatSymbolRefAttr> states;
    for (UpdateMember *member : bank.members) {
      auto type = bank.varianceAxis == 1
                      ? RankedTensorType::get({member->type.getDimSize(0)}, stored)
                      : RankedTensorType::get({member->splits, bank.columns}, stored);
      states.push_back(program.declareState(prefix, *member, type, loc));
    }
    return program.declareBank((prefix + name).str(), states, getSecondType(stored), loc);
  }

  //===- Number formats -----------------------------------------------------===//

  Value cast(Value x, Type element) {
    auto type =
        RankedTensorType::get(llvm::cast<RankedTensorType>(x.getType()).getShape(), element);
    return x.getType() == type ? x : Value(lm::CastOp::create(builder, loc, type, x));
  }
  Value widen(Value x) { return cast(x, wide.getElementType()); }
  Value narrow(Value x) { return cast(x, stored); }

  Value readParameters() {
    Value high = program.read(parameters, bank.getType(stored), loc);
    if (!low)
      return widen(high);
    Value rest = program.read(low, bank.getType(builder.getIntegerType(16)), loc);
    return lm::JoinMasterOp::create(builder, loc, wide, high, rest);
  }

  void writeParameters(Value value) {
    if (!low) {
      train::WriteOp::create(builder, loc, parameters.getValue(), narrow(value));
      return;
    }
    auto split = lm::SplitMasterOp::create(builder, loc, bank.getType(stored),
                                           bank.getType(builder.getIntegerType(16)), value);
    train::WriteOp::create(builder, loc, parameters.getValue(), split.getHigh());
    train::WriteOp::create(builder, loc, low.getValue(), split.getLow());
  }

  UpdateProgram &program;
  UpdateGroup &group;
  Bank &bank;
  DictionaryAttr config;
  Value lr, mu;
  OpBuilder &builder;
  Location loc;
  Type stored;           ///< Element type of the parameters.
  RankedTensorType wide; ///< The bank as it is computed with.
  std::string name;
  FlatSymbolRefAttr parameters, low;
};

} // namespace

void smelt::buildMuonUpdate(UpdateProgram &program, UpdateGroup &group) {
  OpBuilder &builder = program.builder;
  Location loc = group.op.getLoc();
  auto schedule = group.op.getConfig().getAs<FlatSymbolRefAttr>("momentum_schedule");
  Value lr = lm::SettingOp::create(builder, loc, group.lrType, group.op.getLrScheduleAttr());
  Value mu = lm::SettingOp::create(
      builder, loc, cast<train::ScheduleOp>(program.module.lookupSymbol(schedule)).getType(),
      schedule);
  for (Bank &bank : collectBanks(group))
    BankUpdate(program, group, bank, lr, mu).build();
}
