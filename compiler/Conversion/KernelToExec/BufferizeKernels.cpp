//===- BufferizeKernels.cpp - Programs on tensors to launches on buffers --===//
//
// Makes the buffers that all programs share, then one exec.program per function with a role (BufferizeProgram.cpp). IR before and after:
// Passes.td.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToExec/BufferizeProgram.h"
#include "compiler/Conversion/KernelToExec/Passes.h"
#include "dialects/Train/TrainCollectives.h"

using namespace mlir;

namespace smelt {
#define GEN_PASS_DEF_BUFFERIZEKERNELSPASS
#include "compiler/Conversion/KernelToExec/Passes.h.inc"
} // namespace smelt

using namespace smelt;
using exec::BufferKind;

namespace {

/// A member's own type, or that of its gradient.
enum class What { Tensor, Gradient };

/// The buffers of banks, and where in them their members lie.
class Banks {
public:
  Banks(ModuleOp module, Storage &storage) : module(module), storage(storage) {
    for (auto op : module.getOps<train::BankOp>())
      for (auto member : op.getMembers().getAsRange<FlatSymbolRefAttr>()) {
        // Now: buffers will have the same names.
        definitions[member.getAttr()] = SymbolTable::lookupNearestSymbolFrom(op, member);
        if (auto [it, isNew] = bankOf.try_emplace(member.getAttr(), op); !isNew)
          twice.push_back({op, it->first});
      }
  }

  LogicalResult verify() const {
    if (twice.empty())
      return success();
    auto [bank, member] = twice.front();
    return const_cast<train::BankOp &>(bank).emitError("holds @") << member.getValue() << ", which another bank holds too";
  }

  /// Creates the banks' own buffers: `prefix` and the bank's name. Banks without such a member have none.
  llvm::DenseMap<StringAttr, Storage::Place> create(StringRef prefix, What what,
                                                    llvm::function_ref<bool(StringAttr)> isWanted) {
    llvm::DenseMap<StringAttr, Storage::Place> buffers;
    for (auto op : module.getOps<train::BankOp>())
      if (llvm::any_of(op.getMembers(), [&](Attribute member) {
            return isWanted(cast<FlatSymbolRefAttr>(member).getAttr());
          })) {
        Type element = getMemberType(op.getMembers()[0], what).getElementType();
        buffers[op.getSymNameAttr()] =
            storage.createBuffer(BufferKind::workspace, (prefix + op.getSymName()).str(),
                                 cast<RankedTensorType>(op.getType()).clone(element), op.getLoc());
      }
    return buffers;
  }

  /// Makes the member's buffer a range of its bank's, if it has one.
  void place(StringAttr member, What what, Storage::Place buffer,
             const llvm::DenseMap<StringAttr, Storage::Place> &buffers) const {
    auto bank = bankOf.find(member);
    if (bank == bankOf.end())
      return;
    int64_t offset = 0;
    for (Attribute other : train::BankOp(bank->second).getMembers()) {
      if (cast<FlatSymbolRefAttr>(other).getAttr() == member)
        break;
      offset += Storage::getBytes(getMemberType(other, what));
    }
    buffer.setOffset(offset);
    buffer.setBaseAttr(FlatSymbolRefAttr::get(Storage::Place(buffers.lookup(bank->second.getSymNameAttr())).getSymNameAttr()));
  }

private:
  RankedTensorType getMemberType(Attribute member, What what) const {
    Operation *definition = definitions.lookup(cast<FlatSymbolRefAttr>(member).getAttr());
    auto parameter = dyn_cast<lm::ParameterOp>(definition);
    if (parameter && what == What::Gradient)
      return train::getGradientType(parameter);
    return cast<RankedTensorType>(definition->getAttrOfType<TypeAttr>("type").getValue());
  }

  ModuleOp module;
  Storage &storage;
  llvm::DenseMap<StringAttr, Operation *> definitions;
  mutable llvm::DenseMap<StringAttr, train::BankOp> bankOf;
  SmallVector<std::pair<train::BankOp, StringAttr>> twice;
};

using BankBuffers = llvm::DenseMap<StringAttr, Storage::Place>;

void createParameters(ModuleOp module, Storage &storage, SharedBuffers &shared, const Banks &banks, const BankBuffers &bankBuffers) {
  Builder builder(module.getContext());
  for (auto op : module.getOps<lm::ParameterOp>()) {
    Storage::Place place = storage.createBuffer(BufferKind::parameter, op.getSymName(), op.getType(), op.getLoc());
    place.setInitAttr(builder.getStringAttr(lm::stringifyEnum(op.getInit())));
    place.setInitValueAttr(op.getInitValueAttr());
    banks.place(op.getSymNameAttr(), What::Tensor, place, bankBuffers);
    shared.tensors[op.getSymNameAttr()] = place;
  }
}

void createStates(ModuleOp module, Storage &storage, SharedBuffers &shared, bool derived, const Banks &banks, const BankBuffers &bankBuffers) {
  for (auto op : module.getOps<train::StateOp>()) {
    if (op.getDerived() != derived)
      continue;
    Storage::Place place = storage.createBuffer(derived ? BufferKind::workspace : BufferKind::state, op.getSymName(), op.getType(), op.getLoc());
    if (FlatSymbolRefAttr parameter = op.getCopyOfAttr())
      place.setCopyOfAttr(parameter);
    if (op.getPartNames()) {
      place.setPartNamesAttr(op.getPartNamesAttr());
      place.setPartRowsAttr(op.getPartRowsAttr());
    }
    banks.place(op.getSymNameAttr(), What::Tensor, place, bankBuffers);
    shared.tensors[op.getSymNameAttr()] = place;
  }
}

void createGradients(ModuleOp module, Storage &storage, SharedBuffers &shared, Banks &banks) {
  llvm::DenseMap<StringAttr, Location> wanted;
  module.walk([&](Operation *op) {
    if (auto gradient = dyn_cast<train::GradientOp>(op))
      wanted.try_emplace(gradient.getParameterAttr().getAttr(), op->getLoc());
    else if (auto read = dyn_cast<train::ReadGradientOp>(op))
      wanted.try_emplace(read.getParameterAttr().getAttr(), op->getLoc());
  });
  for (auto op : module.getOps<train::BankOp>())
    if (auto it = wanted.find(op.getSymNameAttr()); it != wanted.end())
      for (Attribute member : op.getMembers())
        wanted.try_emplace(cast<FlatSymbolRefAttr>(member).getAttr(), Location(it->second));
  BankBuffers bankBuffers = banks.create(
      "gradient.", What::Gradient, [&](StringAttr member) { return wanted.contains(member); });
  for (auto [bank, buffer] : bankBuffers)
    shared.gradients[bank] = buffer;
  for (auto op : module.getOps<lm::ParameterOp>())
    if (auto it = wanted.find(op.getSymNameAttr()); it != wanted.end()) {
      Storage::Place place =
          storage.createBuffer(BufferKind::gradient, ("gradient." + op.getSymName()).str(),
                               train::getGradientType(op), it->second);
      banks.place(op.getSymNameAttr(), What::Gradient, place, bankBuffers);
      shared.gradients[op.getSymNameAttr()] = place;
    }
}

struct BufferizeKernelsPass : smelt::impl::BufferizeKernelsPassBase<BufferizeKernelsPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTable symbols(module);
    Storage storage(module);
    SharedBuffers shared;
    Banks banks(module, storage);
    if (failed(banks.verify()))
      return signalPassFailure();
    BankBuffers bankBuffers = banks.create("", What::Tensor, [](StringAttr) { return true; });
    for (auto [bank, buffer] : bankBuffers)
      shared.tensors[bank] = buffer;
    createParameters(module, storage, shared, banks, bankBuffers);
    createStates(module, storage, shared, /*derived=*/false, banks, bankBuffers);
    createGradients(module, storage, shared, banks);
    createStates(module, storage, shared, /*derived=*/true, banks, bankBuffers);

    SmallVector<func::FuncOp> programs;
    for (auto function : module.getOps<func::FuncOp>())
      if (function->hasAttr("smelt.role"))
        programs.push_back(function);
    BufferizationCounts counts;
    for (func::FuncOp program : programs)
      if (failed(bufferizeProgram(program, symbols, storage, shared, counts)))
        return signalPassFailure();
    eraseSources(module, programs);
    launches += counts.launches;
    inPlace += counts.inPlace;
    copies += counts.copies;
  }

  static void eraseSources(ModuleOp module, ArrayRef<func::FuncOp> programs) {
    for (func::FuncOp program : programs)
      program.erase();
    for (Operation &op : llvm::make_early_inc_range(module.getOps()))
      if (isa<lm::ParameterOp, train::StateOp, train::BankOp>(op))
        op.erase();
  }
};

} // namespace
