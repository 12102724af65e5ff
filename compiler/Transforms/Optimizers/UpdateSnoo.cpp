//===- UpdateSnoo.cpp - The Snoo groups' part of an outer program ---------===//
//
// The outer copy begins as the parameter's initial value: the first outer step, after step 0, already
// takes the way from there. It is a state like others, so a resumed run has it from the checkpoint.
// The rate is the group's own: it does not follow the learning-rate schedule.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Optimizers/UpdateProgram.h"

using namespace mlir;
using namespace smelt;

void smelt::buildSnooUpdate(UpdateProgram &program, UpdateGroup &group) {
  OpBuilder &builder = program.builder;
  Location loc = group.op.getLoc();
  DictionaryAttr config = group.op.getConfig();
  auto nesterov = config.getAs<BoolAttr>("nesterov");
  SmallVector<Value> parameters, outer, momenta;
  SmallVector<double> rates;
  SmallVector<FlatSymbolRefAttr> symbols, outerSymbols, momentumSymbols;
  for (UpdateMember &member : group.members) {
    symbols.push_back(FlatSymbolRefAttr::get(member.symbol));
    outerSymbols.push_back(program.declareState("snoo.outer.", member, member.type, loc, true));
    momentumSymbols.push_back(program.declareState("snoo.m.", member, loc));
    parameters.push_back(program.read(symbols.back(), member.type, loc));
    outer.push_back(program.read(outerSymbols.back(), member.type, loc));
    momenta.push_back(program.read(momentumSymbols.back(), member.type, loc));
    rates.push_back(member.lrScale);
  }
  TypeRange types = ValueRange(parameters).getTypes();
  auto update = train::SnooOp::create(builder, loc, types, types, types, parameters, outer, momenta,
                                      lm::NumbersAttr::get(builder.getContext(), rates),
                                      builder.getF64FloatAttr(getNumber(config, "momentum", 0)),
                                      builder.getBoolAttr(!nesterov || nesterov.getValue()));
  for (size_t i = 0; i < symbols.size(); ++i) {
    train::WriteOp::create(builder, loc, symbols[i], update.getNewParameters()[i]);
    train::WriteOp::create(builder, loc, outerSymbols[i], update.getNewOuterCopies()[i]);
    train::WriteOp::create(builder, loc, momentumSymbols[i], update.getNewMomenta()[i]);
  }
}
