//===- ShardAdam.cpp - Adam on a rank's rows ------------------------------===//
//
//   %p = lm.read @w : tensor<10x64xf32>               %p = lm.read @w {ranks = 4 : i64} : tensor<3x64xf32>
//   %g = train.read_gradient @w : …              →    %g = train.read_gradient @w {ranks = 4 : i64} : …
//   %m = lm.read @m : …                               %m = lm.read @m : tensor<3x64xf32>
//   %q, %n, … = train.adam (%p) …                     %q, %n, … = train.adam (%p) …
//   train.write @w, %q : …                            train.write @w, %q {ranks = 4 : i64} : …
//
// Legal where the op is all that reads and writes these tensors in the program: Adam is element by
// element, and padding (zeros) stays zero.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Distribution/ShardUpdates.h"

using namespace mlir;
using namespace smelt;

namespace {
/// One parameter of the op, with everything that is cut.
struct Member {
  lm::ReadOp parameter, first, second;
  train::ReadGradientOp gradient;
  train::WriteOp writes[3]; ///< Of the parameter and both moments.
};

/// The only user, if it writes the whole of a tensor.
train::WriteOp getWrite(Value value) {
  auto write = value.hasOneUse() ? dyn_cast<train::WriteOp>(*value.user_begin()) : train::WriteOp();
  return write && write.getFirstRow() == 0 && write.getRanks() == 1 ? write : train::WriteOp();
}

template <typename Read> Read getRead(Value value) {
  auto read = value.getDefiningOp<Read>();
  return read && value.hasOneUse() && read.getFirstRow() == 0 && read.getRanks() == 1 ? read
                                                                                       : Read();
}

template <typename Op> std::optional<Member> match(Op op, size_t i, SymbolTable &symbols) {
  Member member{getRead<lm::ReadOp>(op.getParameters()[i]),
                getRead<lm::ReadOp>(op.getFirstMoments()[i]),
                getRead<lm::ReadOp>(op.getSecondMoments()[i]),
                getRead<train::ReadGradientOp>(op.getGradients()[i]),
                {getWrite(op.getNewParameters()[i]), getWrite(op.getNewFirstMoments()[i]),
                 getWrite(op.getNewSecondMoments()[i])}};
  if (!member.parameter || !member.first || !member.second || !member.gradient ||
      !llvm::all_of(member.writes, [](train::WriteOp write) { return bool(write); }))
    return std::nullopt;
  for (lm::ReadOp moment : {member.first, member.second})
    if (!isa_and_nonnull<train::StateOp>(symbols.lookup(moment.getSymbol())))
      return std::nullopt;
  if (!isa_and_nonnull<lm::ParameterOp>(symbols.lookup(member.parameter.getSymbol())))
    return std::nullopt;
  return member;
}
} // namespace

template <typename Op>
void smelt::shardAdam(Op op, SymbolTable &symbols, int64_t ranks, int64_t minBytes) {
  for (size_t i = 0; i < op.getParameters().size(); ++i) {
    auto type = cast<RankedTensorType>(op.getParameters()[i].getType());
    int64_t bytes = getTensorBytes(type);
    if (type.getRank() == 0 || type.getDimSize(0) < ranks || bytes < minBytes)
      continue;
    int64_t rows = getUnitsPerRank(type.getDimSize(0), bytes / type.getDimSize(0), ranks);
    std::optional<Member> member = match(op, i, symbols);
    if (!member || ranks * rows > 2 * type.getDimSize(0)) // More padding than tensor.
      continue;
    const Value values[] = {op.getParameters()[i],      op.getGradients()[i],
                            op.getFirstMoments()[i],    op.getSecondMoments()[i],
                            op.getNewParameters()[i],   op.getNewFirstMoments()[i],
                            op.getNewSecondMoments()[i]};
    for (Value value : values)
      Value(value).setType(withRows(value.getType(), rows));
    member->parameter.setRanks(ranks);
    member->gradient.setRanks(ranks);
    member->writes[0].setRanks(ranks);
    for (lm::ReadOp moment : {member->first, member->second})
      makePart(symbols, moment.getSymbolAttr(), rows);
  }
}

template void smelt::shardAdam(train::AdamOp, SymbolTable &, int64_t, int64_t);
template void smelt::shardAdam(train::AdamWOp, SymbolTable &, int64_t, int64_t);
