//===- GatherNarrow.cpp - Gather what programs read, not the master -------===//
//
// IR before and after: Passes.td. Legal where the update that reads and writes a rank's part is all
// that wants the wide values: rounding a part and gathering it gives the bits that gathering it and
// rounding it gave.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Distribution/ShardUpdates.h"

using namespace mlir;
using namespace smelt;

namespace {
/// All that reads or writes a parameter, or what it lies in.
struct Uses {
  SmallVector<lm::ReadOp> reads;
  SmallVector<train::WriteOp> writes;
  SmallVector<StringAttr> copies; ///< States that begin as it: they want all of the wide values.
};
using UsesByName = llvm::DenseMap<StringAttr, Uses>;

UsesByName collectUses(ModuleOp module) {
  UsesByName uses;
  module.walk([&](Operation *op) {
    if (auto read = dyn_cast<lm::ReadOp>(op))
      uses[read.getSymbolAttr().getAttr()].reads.push_back(read);
    else if (auto write = dyn_cast<train::WriteOp>(op))
      uses[write.getSymbolAttr().getAttr()].writes.push_back(write);
    else if (auto state = dyn_cast<train::StateOp>(op); state && state.getCopyOfAttr())
      uses[state.getCopyOfAttr().getAttr()].copies.push_back(state.getSymNameAttr());
  });
  return uses;
}

/// One parameter of an outer step.
struct SnooLane {
  train::SnooOp op;
  size_t index;
  lm::ReadOp read;
  train::WriteOp write;
  SmallVector<FlatSymbolRefAttr> states; ///< The outer copy and the momentum.
};

/// A parameter or a bank of them, a part of which each rank updates.
struct Candidate {
  lm::ReadOp read;
  train::WriteOp write;
  train::BankOp bank; ///< Null: one parameter.
  SmallVector<lm::ParameterOp> members;
  SmallVector<lm::ReadOp> others; ///< Of all programs, wanted in type `narrow`.
  std::optional<SnooLane> outer;  ///< An outer step on all of it, which becomes one on the part.
  Type narrow;

  RankedTensorType getPart() { return cast<RankedTensorType>(read.getType()); }
};

/// The only user, if it writes the whole of a state.
train::WriteOp getWrite(Value value) {
  auto write = value.hasOneUse() ? dyn_cast<train::WriteOp>(*value.user_begin()) : train::WriteOp();
  return write && write.getFirstRow() == 0 && write.getRanks() == 1 ? write : train::WriteOp();
}

/// The outer step that `read` is for, if what it reads and writes is nobody else's.
std::optional<SnooLane> matchOuter(lm::ReadOp read, UsesByName &uses) {
  auto op = read->hasOneUse() ? dyn_cast<train::SnooOp>(*read->user_begin()) : train::SnooOp();
  if (!op || read.getFirstRow() != 0)
    return std::nullopt;
  auto index = static_cast<size_t>(llvm::find(op.getParameters(), read.getResult()) -
                                   op.getParameters().begin());
  if (index == op.getParameters().size())
    return std::nullopt;
  SnooLane lane{op, index, read, getWrite(op.getNewParameters()[index]), {}};
  for (auto [before, after] : {std::pair(op.getOuterCopies()[index], op.getNewOuterCopies()[index]),
                               std::pair(op.getMomenta()[index], op.getNewMomenta()[index])}) {
    auto state = before.getDefiningOp<lm::ReadOp>();
    if (!state || !before.hasOneUse() || !getWrite(after) ||
        uses[state.getSymbolAttr().getAttr()].reads.size() != 1)
      return std::nullopt;
    lane.states.push_back(state.getSymbolAttr());
  }
  return lane.write ? std::optional(lane) : std::nullopt;
}

bool isNarrower(Type a, Type b) {
  return isa<FloatType>(a) && isa<FloatType>(b) &&
         a.getIntOrFloatBitWidth() < b.getIntOrFloatBitWidth();
}

/// Adds what reads `member` from all programs; false if one of them needs the wide values.
bool addReads(Candidate &candidate, ArrayRef<lm::ReadOp> reads) {
  for (lm::ReadOp read : reads) {
    if (read == candidate.read || (candidate.outer && read == candidate.outer->read))
      continue;
    if (read.getRanks() != 1)
      return false;
    for (Operation *user : read->getUsers()) {
      auto cast = dyn_cast<lm::CastOp>(user);
      Type narrow = cast ? getElementTypeOrSelf(cast.getResult()) : Type();
      if (!cast || !isNarrower(narrow, candidate.getPart().getElementType()) ||
          (candidate.narrow && candidate.narrow != narrow))
        return false;
      candidate.narrow = narrow;
    }
    candidate.others.push_back(read);
  }
  return true;
}

std::optional<Candidate> match(train::WriteOp write, UsesByName &uses, SymbolTable &symbols) {
  StringAttr name = write.getSymbolAttr().getAttr();
  Uses &own = uses[name];
  auto isPart = [](lm::ReadOp read) { return read.getRanks() > 1; };
  auto read = llvm::find_if(own.reads, isPart);
  if (llvm::count_if(own.reads, isPart) != 1)
    return std::nullopt;
  Candidate candidate{*read, write, {}, {}, {}, {}, {}};
  Operation *definition = symbols.lookup(name);
  if (auto parameter = dyn_cast<lm::ParameterOp>(definition)) {
    candidate.members.push_back(parameter);
    for (lm::ReadOp other : own.reads)
      if (!candidate.outer)
        candidate.outer = matchOuter(other, uses);
  } else if ((candidate.bank = dyn_cast<train::BankOp>(definition))) {
    if (own.reads.size() != 1 || own.writes.size() != 1)
      return std::nullopt;
    for (auto member : candidate.bank.getMembers().getAsRange<FlatSymbolRefAttr>())
      candidate.members.push_back(symbols.lookup<lm::ParameterOp>(member.getAttr()));
  }
  if (candidate.members.empty() ||
      !llvm::all_of(candidate.members, [](lm::ParameterOp parameter) { return bool(parameter); }) ||
      candidate.read.getType() != write.getValue().getType())
    return std::nullopt;
  auto isOwn = [&](train::WriteOp each) {
    return each == write || (candidate.outer && each == candidate.outer->write);
  };
  auto isOuterCopy = [&](StringAttr state) {
    return candidate.outer && candidate.outer->states[0].getAttr() == state;
  };
  for (lm::ParameterOp member : candidate.members) {
    Uses &use = uses[member.getSymNameAttr()];
    if (!llvm::all_of(use.copies, isOuterCopy) || !llvm::all_of(use.writes, isOwn) ||
        !addReads(candidate, use.reads))
      return std::nullopt;
  }
  bool isAligned = candidate.narrow &&
                   getTensorBytes(candidate.getPart().clone(candidate.narrow)) % partBytes == 0;
  return isAligned ? std::optional(candidate) : std::nullopt;
}

/// The state that has this rank's part of the wide values.
train::StateOp createMaster(Candidate &candidate, SymbolTable &symbols) {
  Operation *definition =
      candidate.bank ? candidate.bank.getOperation() : candidate.members[0].getOperation();
  OpBuilder builder(definition);
  SmallVector<StringRef> names;
  SmallVector<int64_t> rows;
  for (lm::ParameterOp member : candidate.members) {
    names.push_back(member.getSymName());
    rows.push_back(cast<RankedTensorType>(member.getType()).getDimSize(0));
  }
  StringAttr name = builder.getStringAttr("master." + candidate.read.getSymbol());
  auto master = train::StateOp::create(builder, definition->getLoc(), name,
                                       TypeAttr::get(candidate.getPart()), /*derived=*/UnitAttr());
  master.setPartNamesAttr(builder.getStrArrayAttr(names));
  master.setPartRows(rows);
  symbols.insert(master);
  return master;
}

template <typename Op> void narrowDeclaration(Op op, Type element) {
  op.setTypeAttr(TypeAttr::get(cast<RankedTensorType>(op.getType()).clone(element)));
}

/// The outer step on all rows becomes one on this rank's, whose outer copy begins as the master.
void shardOuter(const SnooLane &lane, FlatSymbolRefAttr master, RankedTensorType part,
                SymbolTable &symbols) {
  train::SnooOp op = lane.op;
  for (ValueRange values : {ValueRange(op.getParameters()), ValueRange(op.getOuterCopies()),
                            ValueRange(op.getMomenta()), ValueRange(op.getNewParameters()),
                            ValueRange(op.getNewOuterCopies()), ValueRange(op.getNewMomenta())}) {
    Value value = values[lane.index];
    value.setType(withRows(value.getType(), part.getDimSize(0)));
  }
  for (FlatSymbolRefAttr state : lane.states) {
    bool isCopy = symbols.lookup<train::StateOp>(state.getAttr()).getCopyOf().has_value();
    makePart(symbols, state, part.getDimSize(0));
    if (isCopy)
      symbols.lookup<train::StateOp>(state.getAttr()).setCopyOfAttr(master);
  }
}

/// Writes the master's part, and of the parameter what `write` wrote, rounded.
void writeBoth(train::WriteOp write, FlatSymbolRefAttr master, Type narrow, int64_t ranks) {
  OpBuilder builder(write);
  Value value = write.getValue();
  train::WriteOp::create(builder, write.getLoc(), master, value);
  Value rounded = lm::CastOp::create(builder, write.getLoc(),
                                     cast<RankedTensorType>(value.getType()).clone(narrow), value);
  write.getValueMutable().assign(rounded);
  write.setRanks(ranks);
}

void rewrite(Candidate &candidate, SymbolTable &symbols) {
  RankedTensorType part = candidate.getPart();
  auto master = FlatSymbolRefAttr::get(createMaster(candidate, symbols).getSymNameAttr());
  for (lm::ParameterOp member : candidate.members) {
    narrowDeclaration(member, candidate.narrow);
    member->setAttr(train::kMasterAttr, TypeAttr::get(part.getElementType()));
  }
  if (candidate.bank)
    narrowDeclaration(candidate.bank, candidate.narrow);
  for (lm::ReadOp read : candidate.others) {
    for (Operation *cast : llvm::make_early_inc_range(read->getUsers())) {
      cast->getResult(0).replaceAllUsesWith(read.getResult());
      cast->erase();
    }
    read.getResult().setType(cast<RankedTensorType>(read.getType()).clone(candidate.narrow));
  }
  int64_t ranks = candidate.write.getRanks();
  if (candidate.outer) {
    shardOuter(*candidate.outer, master, part, symbols);
    candidate.outer->read.setSymbolAttr(master);
    writeBoth(candidate.outer->write, master, candidate.narrow, ranks);
  }
  candidate.read.setSymbolAttr(master);
  candidate.read.setRanks(1);
  writeBoth(candidate.write, master, candidate.narrow, ranks);
}
} // namespace

int64_t smelt::gatherNarrow(ModuleOp module, SymbolTable &symbols) {
  UsesByName uses = collectUses(module);
  SmallVector<train::WriteOp> parts;
  module.walk([&](train::WriteOp write) {
    if (write.getRanks() > 1)
      parts.push_back(write);
  });
  int64_t count = 0;
  for (train::WriteOp write : parts)
    if (std::optional<Candidate> candidate = match(write, uses, symbols)) {
      rewrite(*candidate, symbols);
      ++count;
    }
  return count;
}
