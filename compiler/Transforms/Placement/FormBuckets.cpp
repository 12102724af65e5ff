//===- FormBuckets.cpp - Sums in the order in which gradients end ---------===//
#include "compiler/Transforms/Placement/FormBuckets.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace mlir::exec;
using namespace smelt;

namespace {
/// The number of the last launch of `train` that writes the buffer; -1: none does.
int64_t findLastWriter(ProgramOp train, Attribute buffer, const ArenaAccess &access) {
  int64_t last = -1;
  for (auto [number, launch] : llvm::enumerate(train.getOps<LaunchOp>()))
    if (access.writes(launch, buffer))
      last = static_cast<int64_t>(number);
  return last;
}
} // namespace

void smelt::formBuckets(ProgramOp update, ProgramOp train, const ArenaAccess &access, int64_t bucketBytes) {
  struct Gradient {
    Attribute buffer;
    int64_t ready;
  };
  struct Bucket {
    Operation *like;
    SmallVector<Attribute> buffers;
    int64_t ready;
  };
  // By the op without its buffers, and the element type: what may go as one message.
  llvm::MapVector<std::pair<Attribute, Type>, std::pair<Operation *, SmallVector<Gradient>>> groups;
  SmallVector<Operation *> sums;
  for (Operation &op : update.getBody().front()) {
    if (!isCollective(&op))
      break;
    sums.push_back(&op);
    NamedAttrList rest(op.getAttrDictionary());
    rest.erase("buffers");
    rest.set("kind", op.getName().getIdentifier());
    for (Attribute buffer : op.getAttrOfType<ArrayAttr>("buffers")) {
      auto &group = groups[{rest.getDictionary(op.getContext()), access.getElementType(buffer)}];
      group.first = &op;
      group.second.push_back({buffer, findLastWriter(train, buffer, access)});
    }
  }
  SmallVector<Bucket> buckets;
  for (auto &[key, group] : groups) {
    auto &[like, gradients] = group;
    llvm::stable_sort(gradients, [](const Gradient &a, const Gradient &b) { return a.ready < b.ready; });
    int64_t all = 0, bytes = 0;
    for (const Gradient &gradient : gradients)
      all += access.getBytes(gradient.buffer);
    constexpr int64_t least = 64 << 10;
    int64_t limit = std::min(bucketBytes, std::max(all / 8, least));
    bool open = false;
    for (const Gradient &gradient : gradients) {
      if (!open)
        buckets.push_back({like, {}, 0});
      buckets.back().buffers.push_back(gradient.buffer);
      buckets.back().ready = gradient.ready;
      bytes = open ? bytes + access.getBytes(gradient.buffer) : access.getBytes(gradient.buffer);
      open = bytes < limit;
    }
  }
  llvm::stable_sort(buckets, [](const Bucket &a, const Bucket &b) { return a.ready < b.ready; });
  OpBuilder builder = OpBuilder::atBlockBegin(&update.getBody().front());
  for (const Bucket &bucket : buckets) {
    Operation *sum = builder.clone(*bucket.like);
    sum->setAttr("buffers", builder.getArrayAttr(bucket.buffers));
  }
  for (Operation *sum : sums)
    sum->erase();
}
