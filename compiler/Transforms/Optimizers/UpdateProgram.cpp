//===- UpdateProgram.cpp - What an optimiser writes its update into -------===//
#include "compiler/Transforms/Optimizers/UpdateProgram.h"

using namespace mlir;
using namespace smelt;

double smelt::getNumber(DictionaryAttr config, StringRef key, double otherwise) {
  auto value = config.getAs<FloatAttr>(key);
  return value ? value.getValueAsDouble() : otherwise;
}

UpdateProgram::UpdateProgram(ModuleOp module, Location loc, StringRef name)
    : module(module), builder(module.getContext()) {
  builder.setInsertionPointToEnd(module.getBody());
  auto function = func::FuncOp::create(builder, loc, name, builder.getFunctionType({}, {}));
  function->setAttr("smelt.role", builder.getStringAttr("update"));
  stateInsertionPoint = function;
  Block *body = function.addEntryBlock();
  builder.setInsertionPointToStart(body);
  func::ReturnOp::create(builder, loc);
  builder.setInsertionPoint(body->getTerminator());
}

Value UpdateProgram::read(FlatSymbolRefAttr symbol, Type type, Location loc, int64_t firstRow) {
  return lm::ReadOp::create(builder, loc, type, symbol.getValue(), firstRow);
}

FlatSymbolRefAttr UpdateProgram::declareState(StringRef prefix, const UpdateMember &member,
                                              Location loc) {
  return declareState(prefix, member, member.type, loc);
}

FlatSymbolRefAttr UpdateProgram::declareState(StringRef prefix, const UpdateMember &member,
                                              Type type, Location loc) {
  OpBuilder atModule(stateInsertionPoint);
  auto name = builder.getStringAttr(prefix + member.symbol.getValue());
  train::StateOp::create(atModule, loc, name, TypeAttr::get(type), /*derived=*/UnitAttr());
  return FlatSymbolRefAttr::get(name);
}

FlatSymbolRefAttr UpdateProgram::declareBank(StringRef name, ArrayRef<FlatSymbolRefAttr> members,
                                             Type type, Location loc) {
  if (members.size() == 1)
    return members.front();
  OpBuilder atModule(stateInsertionPoint);
  SmallVector<Attribute> symbols(members.begin(), members.end());
  train::BankOp::create(atModule, loc, builder.getStringAttr(name), builder.getArrayAttr(symbols),
                        TypeAttr::get(type));
  return FlatSymbolRefAttr::get(builder.getContext(), name);
}
