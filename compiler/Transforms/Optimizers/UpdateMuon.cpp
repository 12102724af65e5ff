//===- UpdateMuon.cpp - The Muon groups' part of the update program -------===//
//
// One train.muon per matrix, or per block of rows of a parameter that is split.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Optimizers/UpdateProgram.h"

using namespace mlir;
using namespace smelt;

void smelt::buildMuonUpdate(UpdateProgram &program, UpdateGroup &group) {
  OpBuilder &builder = program.builder;
  Location loc = group.op.getLoc();
  DictionaryAttr config = group.op.getConfig();
  auto scheduleOf = config.getAs<FlatSymbolRefAttr>("momentum_schedule");
  Value lr = lm::SettingOp::create(builder, loc, group.lrType, group.op.getLrScheduleAttr());
  Value mu = lm::SettingOp::create(
      builder, loc, cast<train::ScheduleOp>(program.module.lookupSymbol(scheduleOf)).getType(),
      scheduleOf);
  auto nesterov = config.getAs<BoolAttr>("nesterov");
  for (UpdateMember &member : group.members) {
    auto symbol = FlatSymbolRefAttr::get(member.symbol);
    auto state = program.declareState("muon.m.", member, loc);
    int64_t rows = member.type.getDimSize(0) / member.splits;
    auto type =
        RankedTensorType::get({rows, member.type.getDimSize(1)}, member.type.getElementType());
    for (int64_t row = 0; row < member.type.getDimSize(0); row += rows) {
      Value parameter = program.read(symbol, type, loc, row);
      Value gradient = train::ReadGradientOp::create(builder, loc, type, symbol.getValue(), row);
      Value momentum = program.read(state, type, loc, row);
      auto update = train::MuonOp::create(builder, loc, type, type, parameter, gradient, momentum,
                                          lr, mu, builder.getF64FloatAttr(member.lrScale),
                                          builder.getF64FloatAttr(member.weightDecay),
                                          builder.getBoolAttr(!nesterov || nesterov.getValue()),
                                          config.getAs<DenseF64ArrayAttr>("coefficients"));
      train::WriteOp::create(builder, loc, symbol.getValue(), update.getNewParameter(), row);
      train::WriteOp::create(builder, loc, state.getValue(), update.getNewMomentum(), row);
    }
  }
}
