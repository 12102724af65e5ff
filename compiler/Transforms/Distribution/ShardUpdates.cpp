//===- ShardUpdates.cpp - What sharding's rewrites share ------------------===//
#include "compiler/Transforms/Distribution/ShardUpdates.h"
#include "llvm/Support/MathExtras.h"
#include <numeric>

using namespace mlir;

int64_t smelt::getTensorBytes(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  return tensor.getNumElements() * tensor.getElementTypeBitWidth() / 8;
}

int64_t smelt::getUnitsPerRank(int64_t units, int64_t unitBytes, int64_t ranks) {
  int64_t step = partBytes / std::gcd(partBytes, unitBytes);
  return llvm::alignTo(llvm::divideCeil(units, ranks), step);
}

RankedTensorType smelt::withRows(Type type, int64_t rows) {
  auto tensor = cast<RankedTensorType>(type);
  SmallVector<int64_t> shape(tensor.getShape());
  shape[0] = rows;
  return RankedTensorType::get(shape, tensor.getElementType());
}

void smelt::makePart(SymbolTable &symbols, FlatSymbolRefAttr name, int64_t rows) {
  Operation *definition = symbols.lookup(name.getAttr());
  OpBuilder builder(definition);
  SmallVector<StringRef> names;
  SmallVector<int64_t> partRows;
  SmallVector<Operation *> members{definition};
  auto bank = dyn_cast<train::BankOp>(definition);
  if (bank)
    members = llvm::map_to_vector(bank.getMembers(), [&](Attribute member) {
      return symbols.lookup(cast<FlatSymbolRefAttr>(member).getAttr());
    });
  for (Operation *member : members) {
    auto state = cast<train::StateOp>(member);
    names.push_back(state.getSymName());
    partRows.push_back(cast<RankedTensorType>(state.getType()).getDimSize(0));
  }
  ArrayAttr nameArray = builder.getStrArrayAttr(names);
  Type type = withRows(definition->getAttrOfType<TypeAttr>("type").getValue(), rows);
  auto part = train::StateOp::create(builder, definition->getLoc(), name.getAttr(),
                                     TypeAttr::get(type), /*derived=*/UnitAttr());
  part.setPartNamesAttr(nameArray);
  part.setPartRows(partRows);
  if (bank) // One state instead of the bank and its members.
    for (Operation *member : members)
      symbols.erase(member);
  symbols.erase(definition);
  symbols.insert(part);
}
