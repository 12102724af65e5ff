//===- BufferLifetimes.cpp - When each buffer is alive --------------------===//
#include "compiler/Transforms/Memory/BufferLifetimes.h"
#include "dialects/Exec/ExecCollectives.h"

#include <tuple>

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

/// The numbers of a program's first and last launch.
using LaunchRange = std::pair<int64_t, int64_t>;

llvm::DenseMap<Operation *, LaunchRange> numberLaunches(ModuleOp module) {
  llvm::DenseMap<Operation *, LaunchRange> ranges;
  int64_t launch = 0;
  for (auto program : module.getOps<ProgramOp>()) {
    int64_t count = llvm::range_size(program.getOps<LaunchOp>());
    ranges[program] = {launch, launch + count - 1};
    launch += count;
  }
  return ranges;
}

bool hasCollectives(ProgramOp program) {
  return llvm::any_of(program.getBody().front(), [](Operation &op) { return isCollective(&op); });
}

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
  llvm::DenseMap<Operation *, LaunchRange> ranges = numberLaunches(module);
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
    if (isShared) {
      BufferLifetime &lifetime = result.shared.emplace_back(BufferLifetime{buffer, use.first, use.last});
      auto program = cast<ProgramOp>(use.program);
      auto [first, last] = ranges.lookup(program);
      lifetime.ofUpdate = program.getRole() == "update" && hasCollectives(program);
      if (lifetime.ofUpdate)
        std::tie(lifetime.wholeFirst, lifetime.wholeLast) = {first, last};
      lifetime.atEndOfMicroBatch = program.getRole() == "train" && use.last > last - (last - first + 8) / 8;
    } else
      result.own.push_back(buffer);
  }
  return result;
}
