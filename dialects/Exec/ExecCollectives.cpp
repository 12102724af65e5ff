//===- ExecCollectives.cpp - Rules of communication between ranks ---------===//
#include "dialects/Exec/ExecCollectives.h"

using namespace mlir;
using namespace mlir::exec;

LogicalResult AllReduceOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto module = (*this)->getParentOfType<ModuleOp>();
  if (getBuffers().empty())
    return emitOpError("has no buffers");
  Type common;
  for (Attribute name : getBuffers()) {
    auto symbol = dyn_cast<FlatSymbolRefAttr>(name);
    auto buffer = symbol ? symbols.lookupSymbolIn<BufferOp>(module, symbol) : BufferOp();
    if (!buffer)
      return emitOpError("sums ") << name << ", which is no exec.buffer";
    Type type = cast<RankedTensorType>(buffer.getType()).getElementType();
    if (!type.isF32() && !type.isBF16())
      return emitOpError("sums ") << name << ", whose elements are " << type
                                  << "; there are sums of f32 and bf16";
    if (common && type != common)
      return emitOpError("has buffers of ") << common << " and " << type;
    common = type;
  }
  return success();
}

#define GET_OP_CLASSES
#include "dialects/Exec/ExecCollectiveOps.cpp.inc"
