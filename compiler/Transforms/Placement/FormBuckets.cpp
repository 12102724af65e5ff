//===- FormBuckets.cpp - Sums in the order in which gradients end ---------===//
#include "compiler/Transforms/Placement/FormBuckets.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace mlir::exec;
using namespace smelt;

namespace {
struct Ready {
  Attribute buffer;
  int64_t when; ///< The number of the launch that finishes it.
};

struct Bucket {
  Operation *like;
  SmallVector<Attribute> buffers;
  int64_t ready;
};

/// The number of the last launch of `program` that writes the buffer; -1: none does.
int64_t findLastWriter(ProgramOp program, Attribute buffer, const ArenaAccess &access) {
  int64_t last = -1;
  for (auto [number, launch] : llvm::enumerate(program.getOps<LaunchOp>()))
    if (access.writes(launch, buffer))
      last = static_cast<int64_t>(number);
  return last;
}

/// Buckets of the buffers of `collectives` in the order in which `writer` finishes them. With
/// `fullAlone` a buffer that fills a bucket has one of its own: it waits for no other and makes
/// none wait.
SmallVector<Bucket> form(ArrayRef<Operation *> collectives, ProgramOp writer,
                         const ArenaAccess &access, int64_t bucketBytes, bool fullAlone) {
  // By the op without its buffers, and the element type: what may go as one message.
  llvm::MapVector<std::pair<Attribute, Type>, std::pair<Operation *, SmallVector<Ready>>> groups;
  for (Operation *op : collectives) {
    NamedAttrList rest(op->getAttrDictionary());
    rest.erase("buffers");
    rest.set("kind", op->getName().getIdentifier());
    for (Attribute buffer : getCollectiveBuffers(op)) {
      auto &group = groups[{rest.getDictionary(op->getContext()), access.getElementType(buffer)}];
      group.first = op;
      group.second.push_back({buffer, findLastWriter(writer, buffer, access)});
    }
  }
  SmallVector<Bucket> buckets;
  for (auto &[key, group] : groups) {
    auto &[like, all] = group;
    llvm::stable_sort(all, [](const Ready &a, const Ready &b) { return a.when < b.when; });
    int64_t sum = 0, bytes = 0;
    for (const Ready &each : all)
      sum += access.getBytes(each.buffer);
    constexpr int64_t least = 64 << 10;
    int64_t limit = std::min(bucketBytes, std::max(sum / 8, least));
    std::optional<size_t> open; // The bucket that takes more.
    for (const Ready &each : all) {
      int64_t own = access.getBytes(each.buffer);
      if (fullAlone && own >= limit) {
        buckets.push_back({like, {each.buffer}, each.when});
        continue;
      }
      if (!open) {
        open = buckets.size();
        buckets.push_back({like, {}, 0});
        bytes = 0;
      }
      buckets[*open].buffers.push_back(each.buffer);
      buckets[*open].ready = each.when;
      bytes += own;
      if (bytes >= limit)
        open.reset();
    }
  }
  llvm::stable_sort(buckets, [](const Bucket &a, const Bucket &b) { return a.ready < b.ready; });
  return buckets;
}
} // namespace

void smelt::formBuckets(ProgramOp update, ProgramOp train, const ArenaAccess &access, int64_t bucketBytes) {
  Block &body = update.getBody().front();
  SmallVector<Operation *> sums, gathers;
  for (Operation &op : body)
    if (isCollective(&op))
      (op.getName().getStringRef() == "exec.all_gather" ? gathers : sums).push_back(&op);
  // Sums keep their buckets: with other ones NCCL may add in another order.
  SmallVector<Bucket> first = form(sums, train, access, bucketBytes, false),
                      last = form(gathers, update, access, bucketBytes, true);
  OpBuilder builder = OpBuilder::atBlockBegin(&body);
  auto write = [&](const Bucket &bucket) { builder.clone(*bucket.like)->setAttr("buffers", builder.getArrayAttr(bucket.buffers)); };
  llvm::for_each(first, write);
  builder.setInsertionPointToEnd(&body);
  llvm::for_each(last, write);
  for (Operation *op : llvm::concat<Operation *>(sums, gathers))
    op->erase();
}
