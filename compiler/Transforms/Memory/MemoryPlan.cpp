//===- MemoryPlan.cpp - Offsets for things with lifetimes -----------------===//
//
// Greedy by size (as in Pisarchyk and Lee, "Efficient memory management for deep neural net inference", 2020): big buffers take the low
// offsets, small ones fill the gaps between those whose lifetimes they meet.
//
//===----------------------------------------------------------------------===//
#include "compiler/Transforms/Memory/MemoryPlan.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include <algorithm>
#include <limits>
#include <map>

using namespace smelt;

/// The smallest gap of at least `bytes` between `placed` (sorted by offset), or the place after all.
static int64_t findBestGap(llvm::ArrayRef<const Lifetime *> placed, int64_t bytes) {
  int64_t end = 0, bestOffset = -1, bestSize = std::numeric_limits<int64_t>::max();
  for (const Lifetime *lifetime : placed) {
    int64_t size = lifetime->offset - end;
    if (size >= bytes && size < bestSize) {
      bestSize = size;
      bestOffset = end;
    }
    end = std::max(end, lifetime->offset + alignMemory(lifetime->bytes));
  }
  return bestOffset < 0 ? end : bestOffset;
}

int64_t smelt::planMemory(llvm::MutableArrayRef<Lifetime> lifetimes) {
  llvm::SmallVector<Lifetime *> bySize;
  for (Lifetime &lifetime : lifetimes)
    bySize.push_back(&lifetime);
  // Pointers into one array: equal sizes keep their order.
  llvm::sort(bySize, [](const Lifetime *a, const Lifetime *b) { return a->bytes != b->bytes ? a->bytes > b->bytes : a < b; });
  llvm::SmallVector<const Lifetime *> placed, meeting;
  int64_t total = 0;
  for (Lifetime *lifetime : bySize) {
    meeting.clear();
    llvm::copy_if(placed, std::back_inserter(meeting), [&](const Lifetime *other) { return other->meets(*lifetime); });
    lifetime->offset = findBestGap(meeting, alignMemory(lifetime->bytes));
    total = std::max(total, lifetime->offset + alignMemory(lifetime->bytes));
    auto byOffset = [](const Lifetime *a, const Lifetime *b) { return a->offset < b->offset; };
    placed.insert(std::upper_bound(placed.begin(), placed.end(), lifetime, byOffset), lifetime);
  }
  return total;
}

std::optional<std::pair<size_t, size_t>> smelt::findOverlap(llvm::ArrayRef<Lifetime> lifetimes) {
  for (size_t i = 0; i < lifetimes.size(); ++i)
    for (size_t j = i + 1; j < lifetimes.size(); ++j) {
      const Lifetime &a = lifetimes[i], &b = lifetimes[j];
      if (a.bytes && b.bytes && a.meets(b) && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes)
        return std::make_pair(i, j);
    }
  return std::nullopt;
}

int64_t smelt::getPeak(llvm::ArrayRef<Lifetime> lifetimes) {
  std::map<int64_t, int64_t> changes;
  for (const Lifetime &lifetime : lifetimes) {
    changes[lifetime.first] += alignMemory(lifetime.bytes);
    changes[lifetime.last + 1] -= alignMemory(lifetime.bytes);
  }
  int64_t alive = 0, peak = 0;
  for (auto [launch, change] : changes)
    peak = std::max(peak, alive += change);
  return peak;
}
