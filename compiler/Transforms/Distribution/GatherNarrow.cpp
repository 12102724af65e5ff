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
  bool isCopied = false; ///< A state begins as it: it wants all of the wide values.
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
      uses[state.getCopyOfAttr().getAttr()].isCopied = true;
  });
  return uses;
}

/// A parameter or a bank of them, a part of which each rank updates.
struct Candidate {
  lm::ReadOp read;
  train::WriteOp write;
  train::BankOp bank; ///< Null: one parameter.
  SmallVector<lm::ParameterOp> members;
  SmallVector<lm::ReadOp> others; ///< Of all programs, wanted in type `narrow`.
  Type narrow;

  RankedTensorType getPart() { return cast<RankedTensorType>(read.getType()); }
};

bool isNarrower(Type a, Type b) {
  return isa<FloatType>(a) && isa<FloatType>(b) &&
         a.getIntOrFloatBitWidth() < b.getIntOrFloatBitWidth();
}

/// Adds what reads `member` from all programs; false if one of them needs the wide values.
bool addReads(Candidate &candidate, ArrayRef<lm::ReadOp> reads) {
  for (lm::ReadOp read : reads) {
    if (read == candidate.read)
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
  if (write.getRanks() == 1 || own.writes.size() != 1 || llvm::count_if(own.reads, isPart) != 1)
    return std::nullopt;
  Candidate candidate{*read, write, {}, {}, {}, {}};
  Operation *definition = symbols.lookup(name);
  if (auto parameter = dyn_cast<lm::ParameterOp>(definition)) {
    candidate.members.push_back(parameter);
  } else if ((candidate.bank = dyn_cast<train::BankOp>(definition))) {
    if (own.reads.size() != 1)
      return std::nullopt;
    for (auto member : candidate.bank.getMembers().getAsRange<FlatSymbolRefAttr>())
      candidate.members.push_back(symbols.lookup<lm::ParameterOp>(member.getAttr()));
  }
  if (candidate.members.empty() ||
      !llvm::all_of(candidate.members, [](lm::ParameterOp parameter) { return bool(parameter); }) ||
      candidate.read.getType() != write.getValue().getType())
    return std::nullopt;
  for (lm::ParameterOp member : candidate.members) {
    Uses &use = uses[member.getSymNameAttr()];
    if (use.isCopied || (candidate.bank && !use.writes.empty()) || !addReads(candidate, use.reads))
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
  candidate.read.setSymbolAttr(master);
  candidate.read.setRanks(1);
  OpBuilder builder(candidate.write);
  Location loc = candidate.write.getLoc();
  Value value = candidate.write.getValue();
  train::WriteOp::create(builder, loc, master, value);
  Value narrow = lm::CastOp::create(builder, loc, part.clone(candidate.narrow), value);
  candidate.write.getValueMutable().assign(narrow);
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
