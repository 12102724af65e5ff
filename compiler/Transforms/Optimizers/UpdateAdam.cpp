//===- UpdateAdam.cpp - The AdamW and Adam groups' part of an update ------===//
//
// One train.adamw or train.adam for the whole group: its kernel is one launch over many parameters.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Optimizers/UpdateProgram.h"

using namespace mlir;
using namespace smelt;

namespace {
/// What the group's op takes, one entry per member.
struct AdamOperands {
  SmallVector<Value> parameters, gradients, first, second;
  SmallVector<double> lrScales, weightDecays;
  SmallVector<FlatSymbolRefAttr> symbols, firstSymbols, secondSymbols;
};

/// The moments' element type; null: each parameter's own, as PyTorch has it.
Type getStateType(train::OptimizerOp op) {
  auto state = op.getConfig().getAs<StringAttr>("state");
  if (!state)
    return {};
  Builder builder(op.getContext());
  return state == "bf16" ? Type(builder.getBF16Type()) : Type(builder.getF32Type());
}

template <typename Op>
void createUpdate(UpdateProgram &program, UpdateGroup &group, const AdamOperands &operands) {
  OpBuilder &builder = program.builder;
  Location loc = group.op.getLoc();
  DictionaryAttr config = group.op.getConfig();
  double beta1 = getNumber(config, "beta1", 0.9), beta2 = getNumber(config, "beta2", 0.95);
  StringRef name = group.op.getSymName();
  Value lr = lm::SettingOp::create(builder, loc, group.lrType, group.op.getLrScheduleAttr());
  Value correction1 = program.readOneMinusPower((name + ".correction1").str(), beta1, loc);
  Value correction2 = program.readOneMinusPower((name + ".correction2").str(), beta2, loc);
  auto update = Op::create(
      builder, loc, ValueRange(operands.parameters).getTypes(),
      ValueRange(operands.first).getTypes(), ValueRange(operands.second).getTypes(),
      operands.parameters, operands.gradients, operands.first, operands.second, lr, correction1,
      correction2, lm::NumbersAttr::get(builder.getContext(), operands.lrScales),
      lm::NumbersAttr::get(builder.getContext(), operands.weightDecays),
      builder.getF64FloatAttr(beta1), builder.getF64FloatAttr(beta2),
      builder.getF64FloatAttr(getNumber(config, "eps", 1e-8)));
  for (size_t i = 0; i < operands.symbols.size(); ++i) {
    train::WriteOp::create(builder, loc, operands.symbols[i], update.getNewParameters()[i]);
    train::WriteOp::create(builder, loc, operands.firstSymbols[i], update.getNewFirstMoments()[i]);
    train::WriteOp::create(builder, loc, operands.secondSymbols[i],
                           update.getNewSecondMoments()[i]);
  }
}
} // namespace

void smelt::buildAdamUpdate(UpdateProgram &program, UpdateGroup &group) {
  Location loc = group.op.getLoc();
  Type stateType = getStateType(group.op);
  std::string prefix = stringifyEnum(group.op.getKind()).str();
  AdamOperands operands;
  for (UpdateMember &member : group.members) {
    RankedTensorType moment = member.type;
    if (stateType)
      moment = RankedTensorType::get(moment.getShape(), stateType);
    operands.symbols.push_back(FlatSymbolRefAttr::get(member.symbol));
    operands.firstSymbols.push_back(program.declareState(prefix + ".m.", member, moment, loc));
    operands.secondSymbols.push_back(program.declareState(prefix + ".v.", member, moment, loc));
    operands.parameters.push_back(program.read(operands.symbols.back(), member.type, loc));
    operands.gradients.push_back(train::ReadGradientOp::create(program.builder, loc, member.type,
                                                               operands.symbols.back()));
    operands.first.push_back(program.read(operands.firstSymbols.back(), moment, loc));
    operands.second.push_back(program.read(operands.secondSymbols.back(), moment, loc));
    operands.lrScales.push_back(member.lrScale);
    operands.weightDecays.push_back(member.weightDecay);
  }
  if (group.op.getKind() == train::OptimizerKind::adamw)
    createUpdate<train::AdamWOp>(program, group, operands);
  else
    createUpdate<train::AdamOp>(program, group, operands);
}
