//===- ExecCollectives.cpp - Rules of communication between ranks ---------===//
#include "dialects/Exec/ExecCollectives.h"

using namespace mlir;
using namespace mlir::exec;

bool mlir::exec::isCollective(Operation *op) {
  return isa<AllReduceOp, ReduceScatterOp, AllGatherOp>(op);
}

ArrayAttr mlir::exec::getCollectiveBuffers(Operation *op) {
  return op->getAttrOfType<ArrayAttr>("buffers");
}

/// Buffers of one element type, each of which `check` accepts.
static LogicalResult verifyBuffers(Operation *op, SymbolTableCollection &symbols, StringRef does,
                                   function_ref<LogicalResult(BufferOp)> check) {
  auto module = op->getParentOfType<ModuleOp>();
  ArrayAttr names = getCollectiveBuffers(op);
  if (names.empty())
    return op->emitOpError("has no buffers");
  Type common;
  for (Attribute name : names) {
    auto symbol = dyn_cast<FlatSymbolRefAttr>(name);
    auto buffer = symbol ? symbols.lookupSymbolIn<BufferOp>(module, symbol) : BufferOp();
    if (!buffer)
      return op->emitOpError(does) << " " << name << ", which is no exec.buffer";
    if (failed(check(buffer)))
      return failure();
    Type type = cast<RankedTensorType>(buffer.getType()).getElementType();
    if (common && type != common)
      return op->emitOpError("has buffers of ") << common << " and " << type;
    common = type;
  }
  return success();
}

static LogicalResult verifySummed(Operation *op, BufferOp buffer) {
  Type type = cast<RankedTensorType>(buffer.getType()).getElementType();
  if (!type.isF32() && !type.isBF16())
    return op->emitOpError("sums @") << buffer.getSymName() << ", whose elements are " << type
                                     << "; there are sums of f32 and bf16";
  return success();
}

/// The buffer is `ranks` equal parts.
static LogicalResult verifyParts(Operation *op, BufferOp buffer, int64_t ranks) {
  if (ranks < 2)
    return op->emitOpError("makes no sense for ") << ranks << (ranks == 1 ? " rank" : " ranks");
  if (buffer.getBase())
    return op->emitOpError("takes @")
           << buffer.getSymName() << ", which is a range of another buffer";
  if (buffer.getBytes() % (ranks * partAlignment))
    return op->emitOpError("cannot cut the ")
           << buffer.getBytes() << " bytes of @" << buffer.getSymName() << " into " << ranks
           << " parts of a multiple of " << partAlignment << " bytes";
  return success();
}

LogicalResult AllReduceOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyBuffers(*this, symbols, "sums",
                       [&](BufferOp buffer) { return verifySummed(*this, buffer); });
}

LogicalResult ReduceScatterOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyBuffers(*this, symbols, "sums", [&](BufferOp buffer) {
    return success(succeeded(verifySummed(*this, buffer)) &&
                   succeeded(verifyParts(*this, buffer, getRanks())));
  });
}

LogicalResult AllGatherOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyBuffers(*this, symbols, "gathers",
                       [&](BufferOp buffer) { return verifyParts(*this, buffer, getRanks()); });
}

#define GET_OP_CLASSES
#include "dialects/Exec/ExecCollectiveOps.cpp.inc"
