//===- ArenaAccess.cpp - Which bytes an entry touches ---------------------===//
#include "compiler/Transforms/Placement/ArenaAccess.h"

using namespace mlir;
using namespace mlir::exec;
using namespace smelt;

ArenaAccess::ArenaAccess(ModuleOp module) {
  for (auto buffer : module.getOps<BufferOp>())
    buffers_[buffer.getSymNameAttr()] = buffer;
  for (auto buffer : module.getOps<BufferOp>()) {
    StringAttr root = buffer.getBaseAttr() ? buffer.getBaseAttr().getAttr() : buffer.getSymNameAttr();
    // A rank's part lies at another place on each rank: all of them count.
    BufferOp extent = buffer->hasAttr("rank_stride") ? buffers_.lookup(root) : buffer;
    auto begin = static_cast<int64_t>(extent.getOffset());
    bytes_[buffer.getSymNameAttr()] = {begin, begin + static_cast<int64_t>(extent.getBytes()), root, false};
  }
}

SmallVector<ArenaAccess::Bytes> ArenaAccess::collect(Operation *op) const {
  SmallVector<Bytes> all;
  auto add = [&](Attribute name, bool writes) {
    Bytes bytes = bytes_.lookup(cast<FlatSymbolRefAttr>(name).getAttr());
    bytes.writes = writes;
    all.push_back(bytes);
  };
  if (auto launch = dyn_cast<LaunchOp>(op)) {
    for (Attribute name : launch.getReads())
      add(name, false);
    for (Attribute name : launch.getWrites())
      add(name, true);
    if (FlatSymbolRefAttr workspace = launch.getWorkspaceAttr())
      add(workspace, true);
  } else {
    for (Attribute name : getCollectiveBuffers(op))
      add(name, true);
  }
  return all;
}

const SmallVector<ArenaAccess::Bytes> &ArenaAccess::get(Operation *op) const {
  auto [it, isNew] = accesses_.try_emplace(op);
  if (isNew)
    it->second = collect(op);
  return it->second;
}

bool ArenaAccess::meet(Operation *earlier, Operation *later, bool sameBufferOnly) const {
  get(earlier), get(later); // Before there are references into the map.
  const SmallVector<Bytes> &first = get(earlier), &second = get(later);
  for (const Bytes &a : first)
    for (const Bytes &b : second)
      if ((a.writes || b.writes) && a.begin < b.end && b.begin < a.end && (!sameBufferOnly || a.root == b.root))
        return true;
  return false;
}

bool ArenaAccess::conflict(Operation *earlier, Operation *later) const { return meet(earlier, later, false); }

bool ArenaAccess::conflictOverPrograms(Operation *earlier, Operation *later) const { return meet(earlier, later, true); }

bool ArenaAccess::writes(Operation *op, Attribute buffer) const {
  Bytes bytes = bytes_.lookup(cast<FlatSymbolRefAttr>(buffer).getAttr());
  return llvm::any_of(get(op), [&](const Bytes &other) { return other.writes && other.begin < bytes.end && bytes.begin < other.end; });
}

int64_t ArenaAccess::getBytes(Attribute buffer) const {
  BufferOp op = buffers_.lookup(cast<FlatSymbolRefAttr>(buffer).getAttr());
  return static_cast<int64_t>(op.getBytes());
}

Type ArenaAccess::getElementType(Attribute buffer) const {
  BufferOp op = buffers_.lookup(cast<FlatSymbolRefAttr>(buffer).getAttr());
  return cast<RankedTensorType>(op.getType()).getElementType();
}
