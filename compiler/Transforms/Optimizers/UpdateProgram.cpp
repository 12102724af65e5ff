//===- UpdateProgram.cpp - What an optimiser writes its update into -------===//
#include "compiler/Transforms/Optimizers/UpdateProgram.h"

using namespace mlir;
using namespace smelt;

double smelt::getNumber(DictionaryAttr config, StringRef key, double otherwise) {
  auto value = config.getAs<FloatAttr>(key);
  return value ? value.getValueAsDouble() : otherwise;
}

UpdatePeriod UpdatePeriod::of(train::OptimizerOp op) {
  return {op.getEvery(), op.getOffset(), op.isOuter()};
}

std::string UpdatePeriod::getProgramName() const {
  std::string name = isOuter ? "outer" : "update";
  if (every > 1)
    name += ".every" + std::to_string(every);
  if (offset != (isOuter ? 0 : every - 1))
    name += ".offset" + std::to_string(offset);
  return name;
}

std::string UpdatePeriod::getSettingSuffix() const {
  std::string suffix = every > 1 ? "." + std::to_string(every) : "";
  return offset == every - 1 ? suffix : suffix + "." + std::to_string(offset);
}

UpdateProgram::UpdateProgram(ModuleOp module, Location loc, UpdatePeriod period)
    : period(period), module(module), builder(module.getContext()) {
  builder.setInsertionPointToEnd(module.getBody());
  auto function = func::FuncOp::create(builder, loc, period.getProgramName(),
                                       builder.getFunctionType({}, {}));
  function->setAttr("smelt.role", builder.getStringAttr("update"));
  if (period.every > 1) {
    function->setAttr("smelt.every", builder.getI64IntegerAttr(period.every));
    function->setAttr("smelt.offset", builder.getI64IntegerAttr(period.offset));
  }
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
                                              Type type, Location loc, bool isCopy) {
  OpBuilder atModule(stateInsertionPoint);
  auto name = builder.getStringAttr(prefix + member.symbol.getValue());
  auto source = isCopy ? FlatSymbolRefAttr::get(member.symbol) : FlatSymbolRefAttr();
  train::StateOp::create(atModule, loc, name, TypeAttr::get(type), /*derived=*/UnitAttr(), source);
  return FlatSymbolRefAttr::get(name);
}

FlatSymbolRefAttr UpdateProgram::declareBank(StringRef name, ArrayRef<FlatSymbolRefAttr> members,
                                             Type type, Location loc) {
  if (members.size() == 1)
    return members.front();
  OpBuilder atModule(stateInsertionPoint);
  SmallVector<Attribute> symbols(members.begin(), members.end());
  train::BankOp::create(atModule, loc, builder.getStringAttr(name), builder.getArrayAttr(symbols),
                        TypeAttr::get(type), builder.getI64IntegerAttr(0));
  return FlatSymbolRefAttr::get(builder.getContext(), name);
}

Value UpdateProgram::readOneMinusPower(StringRef setting, double beta, Location loc) {
  auto type = RankedTensorType::get({}, builder.getF32Type());
  OpBuilder atModule(stateInsertionPoint);
  train::ScheduleOp::create(atModule, loc, builder.getStringAttr(setting), TypeAttr::get(type),
                            lm::NumbersAttr(), builder.getF64FloatAttr(beta),
                            builder.getI64IntegerAttr(period.every),
                            builder.getI64IntegerAttr(period.offset));
  return lm::SettingOp::create(builder, loc, type,
                               FlatSymbolRefAttr::get(builder.getContext(), setting));
}
