//===- Storage.cpp - The buffers that bufferisation makes -----------------===//
#include "compiler/Conversion/KernelToExec/Storage.h"

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
                          FlatSymbolRefAttr(), StringAttr(), FloatAttr(), FlatSymbolRefAttr());
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
  return a.getOffset() < b.getOffset() + b.getBytes() && b.getOffset() < a.getOffset() + a.getBytes();
}

bool Storage::isSame(Place a, Place b) {
  return getRoot(a) == getRoot(b) && a.getOffset() == b.getOffset() && a.getBytes() == b.getBytes();
}
