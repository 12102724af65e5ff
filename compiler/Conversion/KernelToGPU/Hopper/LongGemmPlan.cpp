//===- LongGemmPlan.cpp - Who multiplies which part of a long k -----------===//
#include "compiler/Conversion/KernelToGPU/Hopper/LongGemmPlan.h"
#include <algorithm>
#include <tuple>

using namespace smelt::gpu;

namespace {

/// Deals steps first … steps−1 of tiles firstTile … tiles−1 to blocks firstBlock …, which can take
/// `room` steps each; together they have room enough.
struct Dealer {
  std::vector<std::vector<LongGemmPart>> work;
  int64_t tiles, steps;

  void deal(int64_t firstTile, int64_t first, size_t firstBlock, int64_t room) {
    int64_t count = tiles - firstTile, blocks = int64_t(work.size() - firstBlock),
            left = steps - first;
    if (count == 0 || left == 0)
      return;
    if (count > blocks) { // Whole tiles, as often as they go round.
      int64_t rounds = count / blocks;
      for (int64_t i = 0; i < rounds * blocks; ++i)
        work[firstBlock + i % blocks].push_back({firstTile + i, first, left});
      return deal(firstTile + rounds * blocks, first, firstBlock, room - rounds * left);
    }
    // Every tile's next `each` steps, as often as there are blocks for all tiles.
    int64_t times = blocks / count, needed = (left + room - 1) / room;
    bool isAll = needed <= times;
    int64_t each = isAll ? (left + needed - 1) / needed : room;
    for (int64_t part = 0; part < (isAll ? needed : times); ++part)
      for (int64_t i = 0; i < count; ++i)
        if (int64_t begin = first + part * each; begin < steps)
          work[firstBlock + part * count + i].push_back(
              {firstTile + i, begin, std::min(each, steps - begin)});
    if (!isAll)
      deal(firstTile, first + times * each, firstBlock + times * count, room);
  }
};

/// Steps that a part costs beside its own: filling the ring, storing the sums.
constexpr int64_t partCost = 6;

int64_t findCost(const Dealer &dealer) {
  int64_t most = 0;
  for (const auto &parts : dealer.work) {
    int64_t cost = 0;
    for (const LongGemmPart &part : parts)
      cost += part.count + partCost;
    most = std::max(most, cost);
  }
  return most;
}

} // namespace

int64_t LongGemmPlan::mostParts() const {
  size_t most = 0;
  for (const auto &parts : work)
    most = std::max(most, parts.size());
  return int64_t(most);
}

LongGemmPlan LongGemmPlan::make(int64_t tiles, int64_t steps, int64_t blocks) {
  int64_t total = tiles * steps;
  // A block should have something to do.
  constexpr int64_t leastSteps = 8;
  blocks = std::max<int64_t>(1, std::min(blocks, total / leastSteps));
  int64_t least = (total + blocks - 1) / blocks;
  // A little more room may save small parts.
  Dealer best{{}, tiles, steps};
  int64_t cost = 0;
  for (int64_t room = least; room <= least + least / 16; ++room) {
    Dealer dealer{{}, tiles, steps};
    dealer.work.resize(size_t(blocks));
    dealer.deal(0, 0, 0, room);
    int64_t found = findCost(dealer);
    if (best.work.empty() || found < cost) {
      best = std::move(dealer);
      cost = found;
    }
  }
  LongGemmPlan plan;
  plan.work = std::move(best.work);
  std::vector<LongGemmPart *> parts;
  for (auto &list : plan.work)
    for (LongGemmPart &part : list)
      parts.push_back(&part);
  std::sort(parts.begin(), parts.end(), [](const LongGemmPart *a, const LongGemmPart *b) {
    return std::tie(a->tile, a->first) < std::tie(b->tile, b->first);
  });
  for (size_t slot = 0; slot < parts.size(); ++slot) {
    parts[slot]->slot = int64_t(slot);
    while (int64_t(plan.firstSlot.size()) <= parts[slot]->tile)
      plan.firstSlot.push_back(int64_t(slot));
  }
  plan.firstSlot.push_back(int64_t(parts.size()));
  return plan;
}
