//===- ShardMatrices.cpp - Muon and NorMuon on a rank's matrices ----------===//
//
// The bank of G matrices is padded to N·ceil(G/N), so that every rank has as many; rank r's are
// those from r·ceil(G/N) on. Everything between the reads and the writes is element by element or
// matrix by matrix, so only numbers of rows change:
//
//   train.bank @bank [@u, @v, @w] : tensor<12x8xf32>    train.bank @bank [@u, @v, @w] : tensor<16x8xf32> {padding = 4 : i64}
//   %p = lm.read @bank : tensor<12x8xf32>          →    %p = lm.read @bank {ranks = 2 : i64} : tensor<8x8xf32>
//   train.muon %p … {groups = 3 : i64}                  train.muon %p … {groups = 2 : i64, ranks = 2 : i64}
//
// Padding is zero, and stays zero: a direction of zeros is orthogonalised to zeros.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Distribution/ShardUpdates.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace smelt;

namespace {
/// Everything between the reads and the writes of one matrix optimiser.
struct MatrixUpdate {
  llvm::SetVector<Value> values;
  SmallVector<lm::ReadOp> parameters;
  SmallVector<train::ReadGradientOp> gradients;
  SmallVector<train::WriteOp> parameterWrites;
  llvm::SetVector<StringAttr> states;
  std::string whyNot;

  /// Follows `value` to what it is read from.
  void collectSources(Value value, SymbolTable &symbols) {
    if (!value.hasOneUse())
      return refuse("is used elsewhere too");
    values.insert(value);
    Operation *source = value.getDefiningOp();
    if (auto gradient = dyn_cast_or_null<train::ReadGradientOp>(source)) {
      gradients.push_back(gradient);
    } else if (auto read = dyn_cast_or_null<lm::ReadOp>(source)) {
      if (isState(symbols, read.getSymbolAttr()))
        states.insert(read.getSymbolAttr().getAttr());
      else
        parameters.push_back(read);
    } else if (isa_and_nonnull<lm::CastOp, lm::JoinMasterOp>(source)) {
      for (Value operand : source->getOperands())
        collectSources(operand, symbols);
    } else {
      refuse("is computed");
    }
  }

  /// Follows a result to where it is written.
  void collectWrites(Value value, SymbolTable &symbols) {
    values.insert(value);
    for (Operation *user : value.getUsers())
      if (auto write = dyn_cast<train::WriteOp>(user)) {
        if (!isState(symbols, write.getSymbolAttr()))
          parameterWrites.push_back(write);
      } else if (isa<lm::CastOp, lm::SplitMasterOp>(user)) {
        for (Value result : user->getResults())
          collectWrites(result, symbols);
      } else {
        refuse("is used elsewhere too");
      }
  }

private:
  void refuse(StringRef why) { whyNot = why.str(); }

  static bool isState(SymbolTable &symbols, FlatSymbolRefAttr name) {
    Operation *definition = symbols.lookup(name.getAttr());
    if (auto bank = dyn_cast_or_null<train::BankOp>(definition))
      definition = symbols.lookup(cast<FlatSymbolRefAttr>(bank.getMembers()[0]).getAttr());
    return isa_and_nonnull<train::StateOp>(definition);
  }
};

/// The list for all ranks: what belongs to no matrix is as the last one, so that a list of equal
/// numbers stays one.
template <typename List> lm::NumbersAttr pad(MLIRContext *context, List numbers, int64_t count) {
  SmallVector<double> padded(numbers.begin(), numbers.end());
  padded.resize(count, padded.back());
  return lm::NumbersAttr::get(context, padded);
}

void padBank(SymbolTable &symbols, FlatSymbolRefAttr name, int64_t rows) {
  auto bank = dyn_cast<train::BankOp>(symbols.lookup(name.getAttr()));
  if (!bank) // One parameter of several matrices: its buffer is padded.
    return;
  int64_t before = cast<RankedTensorType>(bank.getType()).getDimSize(0);
  bank.setPadding(bank.getPadding() + rows - before);
  bank.setType(withRows(bank.getType(), rows));
}
} // namespace

template <typename Op> void smelt::shardMatrices(Op op, SymbolTable &symbols, int64_t ranks) {
  MatrixUpdate update;
  for (Value operand : op->getOperands())
    if (operand != op.getLr() && operand != op.getMu())
      update.collectSources(operand, symbols);
  for (Value result : op->getResults())
    update.collectWrites(result, symbols);
  if (!update.whyNot.empty() || update.parameters.size() != 1 || update.gradients.size() != 1 ||
      update.parameterWrites.size() != 1)
    return;
  int64_t groups = op.getGroups(), rows = op.getRows();
  Type stored = update.parameters[0].getType();
  int64_t perRank = getUnitsPerRank(groups, getTensorBytes(stored) / groups, ranks);
  for (Value value : update.values) {
    int64_t perGroup = cast<RankedTensorType>(value.getType()).getDimSize(0) / groups;
    value.setType(withRows(value.getType(), perGroup * perRank));
  }
  padBank(symbols, update.parameters[0].getSymbolAttr(), ranks * perRank * rows);
  update.parameters[0].setRanks(ranks);
  update.gradients[0].setRanks(ranks);
  update.parameterWrites[0].setRanks(ranks);
  for (StringAttr state : update.states) {
    Operation *definition = symbols.lookup(state);
    auto type = cast<RankedTensorType>(definition->getAttrOfType<TypeAttr>("type").getValue());
    makePart(symbols, FlatSymbolRefAttr::get(state), type.getDimSize(0) / groups * perRank);
  }
  MLIRContext *context = op.getContext();
  op.setGroups(perRank);
  op.setRanks(ranks);
  op.setLrScalesAttr(pad(context, op.getLrScales(), ranks * perRank));
  op.setWeightDecaysAttr(pad(context, op.getWeightDecays(), ranks * perRank));
}

template void smelt::shardMatrices(train::MuonOp, SymbolTable &, int64_t);
template void smelt::shardMatrices(train::NorMuonOp, SymbolTable &, int64_t);
