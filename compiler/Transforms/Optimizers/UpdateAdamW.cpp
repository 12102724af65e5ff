//===- UpdateAdamW.cpp - The AdamW groups' part of the update program -----===//
//
// One train.adamw for the whole group: its kernel is one launch over many parameters.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Optimizers/UpdateProgram.h"

using namespace mlir;
using namespace smelt;

void smelt::buildAdamWUpdate(UpdateProgram &program, UpdateGroup &group) {
  OpBuilder &builder = program.builder;
  Location loc = group.op.getLoc();
  DictionaryAttr config = group.op.getConfig();
  SmallVector<Value> parameters, gradients, first, second;
  SmallVector<double> lrScales, weightDecays;
  SmallVector<FlatSymbolRefAttr> symbols, firstSymbols, secondSymbols;
  for (UpdateMember &member : group.members) {
    symbols.push_back(FlatSymbolRefAttr::get(member.symbol));
    firstSymbols.push_back(program.declareState("adamw.m.", member, loc));
    secondSymbols.push_back(program.declareState("adamw.v.", member, loc));
    parameters.push_back(program.read(symbols.back(), member.type, loc));
    gradients.push_back(train::ReadGradientOp::create(builder, loc, member.type, symbols.back()));
    first.push_back(program.read(firstSymbols.back(), member.type, loc));
    second.push_back(program.read(secondSymbols.back(), member.type, loc));
    lrScales.push_back(member.lrScale);
    weightDecays.push_back(member.weightDecay);
  }
  Value lr = lm::SettingOp::create(builder, loc, group.lrType, group.op.getLrScheduleAttr());
  Value step = lm::SettingOp::create(builder, loc, RankedTensorType::get({}, builder.getF32Type()),
                                     FlatSymbolRefAttr::get(builder.getContext(), "step"));
  SmallVector<Type> types =
      llvm::map_to_vector(parameters, [](Value value) { return value.getType(); });
  auto update = train::AdamWOp::create(
      builder, loc, types, types, types, parameters, gradients, first, second, lr, step,
      builder.getDenseF64ArrayAttr(lrScales), builder.getDenseF64ArrayAttr(weightDecays),
      builder.getF64FloatAttr(getNumber(config, "beta1", 0.9)),
      builder.getF64FloatAttr(getNumber(config, "beta2", 0.95)),
      builder.getF64FloatAttr(getNumber(config, "eps", 1e-8)));
  for (size_t i = 0; i < symbols.size(); ++i) {
    train::WriteOp::create(builder, loc, symbols[i], update.getNewParameters()[i]);
    train::WriteOp::create(builder, loc, firstSymbols[i], update.getNewFirstMoments()[i]);
    train::WriteOp::create(builder, loc, secondSymbols[i], update.getNewSecondMoments()[i]);
  }
}
