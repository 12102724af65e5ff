//===- BufferLifetimes.cpp - When each buffer is alive --------------------===//
#include "compiler/Transforms/Memory/BufferLifetimes.h"

using namespace mlir;
using namespace mlir::exec;
using namespace smelt;

namespace {

/// Where a buffer is touched.
struct Uses {
  Operation *program = nullptr;
  int64_t first = -1, last = -1;
  bool isReadFirst = false;   ///< Its first launch reads it: it holds something from before.
  bool inManyPrograms = false;

  void add(Operation *user, int64_t launch, bool reads) {
    inManyPrograms |= program && program != user;
    program = user;
    if (first < 0) {
      first = launch;
      isReadFirst = reads;
    }
    last = launch;
  }
};

llvm::DenseMap<StringAttr, Uses> collectUses(ModuleOp module) {
  llvm::DenseMap<StringAttr, Uses> uses;
  int64_t launch = 0;
  auto add = [&](ArrayAttr names, ProgramOp program, bool reads) {
    for (Attribute name : names)
      uses[cast<FlatSymbolRefAttr>(name).getAttr()].add(program, launch, reads);
  };
  for (auto program : module.getOps<ProgramOp>()) {
    for (auto op : program.getOps<LaunchOp>()) {
      add(op.getReads(), program, true);
      add(op.getWrites(), program, false);
      if (FlatSymbolRefAttr workspace = op.getWorkspaceAttr())
        uses[workspace.getAttr()].add(program, launch, false);
      ++launch;
    }
  }
  return uses;
}

} // namespace

BufferLifetimes smelt::findBufferLifetimes(ModuleOp module) {
  llvm::DenseMap<StringAttr, Uses> uses = collectUses(module);
  llvm::DenseMap<StringAttr, BufferOp> buffers;
  for (auto buffer : module.getOps<BufferOp>())
    buffers[buffer.getSymNameAttr()] = buffer;
  BufferLifetimes result;
  llvm::DenseMap<StringAttr, bool> hasRanges;
  for (auto buffer : module.getOps<BufferOp>())
    if (FlatSymbolRefAttr base = buffer.getBaseAttr()) {
      result.ranges.emplace_back(buffer, buffers.lookup(base.getAttr()));
      hasRanges[base.getAttr()] = true;
    }
  for (auto buffer : module.getOps<BufferOp>()) {
    if (buffer.getBase())
      continue;
    Uses use = uses.lookup(buffer.getSymNameAttr());
    bool isShared = buffer.getKind() == BufferKind::workspace && use.first >= 0 && !use.inManyPrograms && !use.isReadFirst &&
                    !hasRanges.lookup(buffer.getSymNameAttr());
    if (isShared)
      result.shared.push_back({buffer, use.first, use.last});
    else
      result.own.push_back(buffer);
  }
  return result;
}
