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
  OpBuilder atModule(stateInsertionPoint);
  auto name = builder.getStringAttr(prefix + member.symbol.getValue());
  train::StateOp::create(atModule, loc, name, TypeAttr::get(member.type), /*derived=*/UnitAttr());
  return FlatSymbolRefAttr::get(name);
}
