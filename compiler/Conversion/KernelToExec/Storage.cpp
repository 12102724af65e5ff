//===- Storage.cpp - The buffers that bufferisation makes -----------------===//
#include "compiler/Conversion/KernelToExec/Storage.h"
#include "dialects/Exec/ExecCollectives.h"
#include <numeric>

using namespace mlir;
using namespace mlir::exec;
using namespace smelt;

Storage::Storage(ModuleOp module) : builder(module.getContext()) {
  builder.setInsertionPointToStart(module.getBody());
}

int64_t Storage::getBytes(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  return tensor.getNumElements() * ((tensor.getElementTypeBitWidth() + 7) / 8);
}

Storage::Place Storage::createBuffer(BufferKind kind, StringRef name, Type type, Location loc) {
  std::string unique = name.str();
  for (unsigned i = 1; !names.insert(unique).second; ++i)
    unique = (name + "." + Twine(i)).str();
  return BufferOp::create(builder, loc, builder.getStringAttr(unique), BufferKindAttr::get(builder.getContext(), kind),
                          TypeAttr::get(type), builder.getI64IntegerAttr(0), builder.getI64IntegerAttr(getBytes(type)), ElementsAttr(),
                          FlatSymbolRefAttr(), StringAttr(), FloatAttr(), FlatSymbolRefAttr(), IntegerAttr(), ArrayAttr(), DenseI64ArrayAttr());
}

FailureOr<Storage::Place> Storage::getRows(Place base, RankedTensorType type, int64_t firstRow, Operation *user) {
  auto whole = cast<RankedTensorType>(base.getType());
  if (whole == type && firstRow == 0)
    return base;
  if (type.getRank() == 0 || type.getRank() != whole.getRank() || type.getShape().drop_front() != whole.getShape().drop_front() ||
      type.getElementType() != whole.getElementType() || firstRow < 0 || firstRow + type.getDimSize(0) > whole.getDimSize(0))
    return user->emitError("takes rows ") << firstRow << " on, as " << type << ", of @" << base.getSymName() << ", which is " << whole;
  // A range of a range is one of the buffer that owns the bytes.
  int64_t offset = base.getOffset() + firstRow * (getBytes(whole) / whole.getDimSize(0));
  auto [it, isNew] = rows.insert({{base.getOperation(), {offset, type}}, Place()});
  if (isNew) {
    Place place = createBuffer(BufferKind::workspace, (base.getSymName() + ".rows" + Twine(firstRow)).str(), type, user->getLoc());
    place.setOffset(offset);
    place.setBaseAttr(base.getBaseAttr() ? base.getBaseAttr() : FlatSymbolRefAttr::get(base.getSymNameAttr()));
    it->second = place;
  }
  return it->second;
}

FailureOr<Storage::Place> Storage::getRankPart(Place base, RankedTensorType type, int64_t ranks, Operation *user) {
  auto whole = cast<RankedTensorType>(base.getType());
  int64_t bytes = getBytes(type);
  if (base.getBaseAttr() || type.getRank() == 0 || type.getRank() != whole.getRank() || type.getShape().drop_front() != whole.getShape().drop_front() ||
      type.getElementType() != whole.getElementType() || ranks * type.getDimSize(0) < whole.getDimSize(0) || bytes % partAlignment)
    return user->emitError("takes a part of ") << type << " of @" << base.getSymName() << ", which is " << whole << ", for each of " << ranks << " ranks";
  auto [it, isNew] = rows.insert({{base.getOperation(), {-ranks, type}}, Place()});
  if (isNew) {
    base.setBytes(std::max<int64_t>(base.getBytes(), ranks * bytes));
    Place place = createBuffer(BufferKind::workspace, (base.getSymName() + ".part").str(), type, user->getLoc());
    place.setBaseAttr(FlatSymbolRefAttr::get(base.getSymNameAttr()));
    place.setRankStride(bytes);
    it->second = place;
  }
  return it->second;
}

/// A constant of its own, its parts spread to where ranks look for them.
FailureOr<Storage::Place> Storage::getRankConstant(DenseElementsAttr value, RankedTensorType type, Operation *user) {
  auto whole = cast<RankedTensorType>(value.getType());
  int64_t ranks = whole.getDimSize(0) / type.getDimSize(0), rowBytes = getBytes(type) / type.getDimSize(0);
  int64_t partRows = llvm::alignTo(getBytes(type), std::lcm(partAlignment, rowBytes)) / rowBytes;
  int64_t width = type.getNumElements() / type.getDimSize(0);
  auto elements = llvm::to_vector(value.getValues<Attribute>());
  SmallVector<Attribute> spread(ranks * partRows * width, elements.front());
  for (auto [index, element] : llvm::enumerate(elements)) {
    int64_t perPart = type.getNumElements(), rank = int64_t(index) / perPart;
    spread[rank * partRows * width + int64_t(index) % perPart] = element;
  }
  SmallVector<int64_t> shape(type.getShape());
  shape[0] = ranks * partRows;
  Place base = getConstant(DenseElementsAttr::get(RankedTensorType::get(shape, type.getElementType()), spread), user->getLoc());
  auto [it, isNew] = rows.insert({{base.getOperation(), {-ranks, type}}, Place()});
  if (isNew) {
    Place place = createBuffer(BufferKind::workspace, (base.getSymName() + ".part").str(), type, user->getLoc());
    place.setBaseAttr(FlatSymbolRefAttr::get(base.getSymNameAttr()));
    place.setRankStride(partRows * rowBytes);
    it->second = place;
  }
  return it->second;
}

Storage::Place Storage::getConstant(ElementsAttr value, Location loc) {
  auto [it, isNew] = constants.try_emplace(value);
  if (isNew) {
    it->second = createBuffer(BufferKind::constant, "constant." + std::to_string(constants.size() - 1), value.getType(), loc);
    it->second.setValueAttr(value);
  }
  return it->second;
}

/// The root buffer's name.
static StringRef getRoot(BufferOp buffer) { return buffer.getBase() ? *buffer.getBase() : buffer.getSymName(); }

bool Storage::overlap(Place a, Place b) {
  if (getRoot(a) != getRoot(b))
    return false;
  // Which part a rank's is, nobody knows here.
  if (a.getRankStride() || b.getRankStride())
    return true;
  return a.getOffset() < b.getOffset() + b.getBytes() && b.getOffset() < a.getOffset() + a.getBytes();
}

bool Storage::isSame(Place a, Place b) {
  return getRoot(a) == getRoot(b) && a.getOffset() == b.getOffset() && a.getBytes() == b.getBytes() && a.getRankStride() == b.getRankStride();
}
