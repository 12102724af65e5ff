//===- LaunchDependences.cpp - What must run before what ------------------===//
#include "compiler/Transforms/Memory/LaunchDependences.h"

using namespace mlir;
using namespace mlir::exec;
using namespace smelt;

LaunchDependences::LaunchDependences(ModuleOp module) {
  BufferLifetimes buffers = findBufferLifetimes(module);
  for (BufferOp buffer : module.getOps<BufferOp>()) {
    bytes_[buffer.getSymNameAttr()] = {buffer.getSymNameAttr(), 0,
                                       static_cast<int64_t>(buffer.getBytes())};
    if (buffer.getKind() == BufferKind::gradient)
      gradients_.insert(buffer.getSymNameAttr());
  }
  for (auto [range, base] : buffers.ranges) {
    int64_t begin = static_cast<int64_t>(range.getOffset() - base.getOffset());
    bytes_[range.getSymNameAttr()] = {base.getSymNameAttr(), begin,
                                      begin + static_cast<int64_t>(range.getBytes())};
    if (range.getRankStride()) // Which part a rank's is, nobody knows here.
      bytes_[range.getSymNameAttr()] = {base.getSymNameAttr(), 0,
                                        static_cast<int64_t>(base.getBytes())};
  }
  for (BufferLifetime &lifetime : buffers.shared)
    shared_[lifetime.buffer.getSymNameAttr()] = lifetime.buffer.getBytes();
}

LaunchGraph LaunchDependences::buildGraph(ProgramOp program, bool hasRanks) const {
  struct Access {
    unsigned launch;
    int64_t begin, end;
    bool writes;
  };
  LaunchGraph graph;
  llvm::DenseMap<StringAttr, SmallVector<Access>> accesses;
  llvm::DenseMap<StringAttr, unsigned> sharedIndices;
  unsigned index = 0;
  for (auto op : program.getOps<LaunchOp>()) {
    LaunchGraph::Launch &launch = graph.launches.emplace_back();
    auto touch = [&](FlatSymbolRefAttr name, bool writes) {
      Bytes bytes = bytes_.lookup(name.getAttr());
      SmallVector<Access> &earlier = accesses[bytes.buffer];
      for (const Access &access : earlier)
        if (access.launch != index && (writes || access.writes) && access.begin < bytes.end &&
            bytes.begin < access.end && !llvm::is_contained(launch.after, access.launch))
          launch.after.push_back(access.launch);
      earlier.push_back({index, bytes.begin, bytes.end, writes});
      auto shared = shared_.find(name.getAttr());
      if (shared == shared_.end())
        return;
      auto [entry, isNew] = sharedIndices.try_emplace(name.getAttr(), graph.bytes.size());
      if (isNew)
        graph.bytes.push_back(shared->second);
      if (!llvm::is_contained(launch.buffers, entry->second))
        launch.buffers.push_back(entry->second);
    };
    for (auto name : op.getReads().getAsRange<FlatSymbolRefAttr>())
      touch(name, false);
    for (auto name : op.getWrites().getAsRange<FlatSymbolRefAttr>()) {
      touch(name, true);
      launch.awaited |= hasRanks && gradients_.contains(name.getAttr());
    }
    if (FlatSymbolRefAttr workspace = op.getWorkspaceAttr())
      touch(workspace, true);
    ++index;
  }
  return graph;
}
