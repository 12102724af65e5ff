//===- ExecVerifiers.cpp - Rules of exec ops ------------------------------===//
#include "dialects/Exec/ExecCollectives.h"
#include "dialects/Exec/ExecOps.h"

using namespace mlir;
using namespace mlir::exec;

LogicalResult BufferOp::verify() {
  auto type = dyn_cast<RankedTensorType>(getType());
  if (!type || !type.hasStaticShape())
    return emitOpError("needs a static tensor type");
  int64_t alignment = getBaseAttr() ? (type.getElementTypeBitWidth() + 7) / 8 : 64;
  if (static_cast<int64_t>(getOffset()) < 0 || getOffset() % alignment)
    return emitOpError("offset ") << getOffset() << " is not a multiple of " << alignment;
  int64_t needed = type.getNumElements() * ((type.getElementTypeBitWidth() + 7) / 8);
  if (static_cast<int64_t>(getBytes()) < needed)
    return emitOpError("has ") << getBytes() << " bytes but its type needs " << needed;
  if ((getKind() == BufferKind::constant) != getValue().has_value())
    return emitOpError("has a value exactly if it is a constant");
  // A parameter in a bank has one; rows of a parameter have not.
  if (getKind() == BufferKind::parameter ? !getInit() && !getBaseAttr() : getInit().has_value())
    return emitOpError("has an init exactly if it is a parameter");
  if (getCopyOf() && getKind() != BufferKind::state)
    return emitOpError("begins as a copy, but only states do");
  if (getRankStride() && !getBaseAttr())
    return emitOpError("has a rank_stride but lies in no other buffer");
  bool hasParts = bool(getPartNames());
  if (hasParts != bool(getPartRows()) ||
      (hasParts && (getKind() != BufferKind::state || type.getRank() == 0 ||
                    getPartNames()->empty() || getPartNames()->size() != getPartRows()->size())))
    return emitOpError("is a part of other tensors, but only states with rows are, with one name "
                       "and number of rows for each");
  return success();
}

LogicalResult BufferOp::verifySymbolUses(SymbolTableCollection &symbols) {
  if (FlatSymbolRefAttr name = getCopyOfAttr()) {
    auto source = symbols.lookupSymbolIn<BufferOp>((*this)->getParentOfType<ModuleOp>(), name);
    // A part begins as the part of a master.
    bool isFit = source && (getPartNames() ? source.getPartNames().has_value()
                                           : source.getInit().has_value());
    if (!isFit || source.getType() != getType())
      return emitOpError("begins as a copy of ") << name << ", which is no parameter of its type";
  }
  if (!getBaseAttr())
    return success();
  auto base = symbols.lookupSymbolIn<BufferOp>((*this)->getParentOfType<ModuleOp>(), getBaseAttr());
  if (!base || base.getBaseAttr())
    return emitOpError("lies in ") << getBaseAttr() << ", which is no exec.buffer of its own";
  if (auto stride = getRankStride()) {
    int64_t begin = int64_t(getOffset()) - int64_t(base.getOffset()), bytes = getBytes();
    if (int64_t(*stride) < 1 || base.getBytes() % *stride || begin < 0 ||
        begin + bytes > int64_t(*stride))
      return emitOpError("is no part of one stride of ")
             << *stride << " bytes of @" << base.getSymName() << ", which has " << base.getBytes();
    return success();
  }
  if (getOffset() < base.getOffset() || getOffset() + getBytes() > base.getOffset() + base.getBytes())
    return emitOpError("reaches outside of ") << getBaseAttr();
  return success();
}

LogicalResult ProgramOp::verify() {
  int64_t every = getEvery(), offset = getOffset();
  if (every < 1 || offset < 0 || offset >= every)
    return emitOpError("runs every ") << every << " steps at offset " << offset << "; the offset must be 0 to the period less 1";
  if (getRole() != "update" && every != 1)
    return emitOpError("has a period, but only programs of role update do");
  for (Operation &op : getBody().front())
    if (!isa<LaunchOp>(op) && !isCollective(&op))
      return op.emitOpError("cannot stand in a program: only launches and collectives");
  return success();
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto module = (*this)->getParentOfType<ModuleOp>();
  auto checkBuffers = [&](ArrayAttr list, StringRef what) -> LogicalResult {
    for (Attribute name : list) {
      auto symbol = dyn_cast<FlatSymbolRefAttr>(name);
      if (!symbol || !symbols.lookupSymbolIn<BufferOp>(module, symbol))
        return emitOpError(what) << " " << name << ", which is no exec.buffer";
    }
    return success();
  };
  auto kernel = symbols.lookupSymbolIn<func::FuncOp>(module, getKernelAttr());
  if (!kernel)
    return emitOpError("launches ") << getKernelAttr() << ", which is no kernel function";
  if (kernel.getNumArguments() != getReads().size() || kernel.getNumResults() != getWrites().size())
    return emitOpError("gives ") << getReads().size() << " operands and " << getWrites().size() << " results to " << getKernelAttr()
                                 << ", which has " << kernel.getNumArguments() << " and " << kernel.getNumResults();
  if (failed(checkBuffers(getReads(), "reads")) || failed(checkBuffers(getWrites(), "writes")))
    return failure();
  if (auto workspace = getWorkspaceAttr(); workspace && !symbols.lookupSymbolIn<BufferOp>(module, workspace))
    return emitOpError("works in ") << workspace << ", which is no exec.buffer";
  return success();
}
