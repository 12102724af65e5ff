//===- GPUTokenSort.cpp - A stable radix sort of a batch's tokens ---------===//
//
// Eight bits a pass, lowest first; a pass is two launches. Blocks have 1024 tokens each, in order,
// warps 128. The first launch counts digits by block. In the second a block adds up what the blocks
// before have, scans digits and warps, and moves its tokens: lanes with equal digits find each
// other by match.any and keep their order. Only a warp writes its counts: no atomics, the same
// order always.
//
//===----------------------------------------------------------------------===//
#include "compiler/Conversion/KernelToGPU/GPUTokenSort.h"
#include "compiler/Conversion/KernelToGPU/GPUBuilder.h"

using namespace mlir;

namespace smelt {
namespace {

constexpr int64_t kBits = 8, kDigits = 1 << kBits, kThreads = kDigits, kWarps = kThreads / 32,
                  kRounds = 4, kTile = kThreads * kRounds;

class TokenSort {
public:
  TokenSort(GPUEmission &emission, Value tokens, int64_t count, int64_t entries)
      : emission(emission), tokens(tokens), count(count), entries(entries),
        blocks(llvm::divideCeil(count, kTile)) {
    for (int64_t &buffer : buffers)
      buffer = emission.allocateWorkspace(count * 4);
    ofBlocks = emission.allocateWorkspace(blocks * kDigits * 4);
  }

  SortedTokens emit() {
    int64_t passes = llvm::divideCeil(llvm::Log2_64_Ceil(entries + 1), kBits);
    for (int64_t pass = 0; pass < passes; ++pass) {
      emitCounts(pass);
      emitMoves(pass);
    }
    int last = passes % 2 * 2;
    SortedTokens sorted{buffers[last], buffers[last + 1],
                        emission.allocateWorkspace((entries + 1) * 4)};
    emitStarts(sorted);
    return sorted;
  }

private:
  using SweepBody = llvm::function_ref<void(Value key, Value position, Value slot, Value same,
                                            Value rank, Value valid)>;

  Value popcount(GPUBuilder &g, Value bits) {
    return LLVM::CtPopOp::create(g.base(), g.i32(), bits);
  }

  /// The digits of the block's tokens, counted by warp in shared memory.
  void countDigits(GPUFunction &function, GPUBuilder &g, int64_t pass) {
    thread = g.thread(), lane = g.rem(thread, 32), warp = g.div(thread, 32), block = g.block();
    Value one = g.integer(1);
    before = g.add(arith::ShLIOp::create(g.base(), one, lane), -1);
    counts = function.allocateShared(kWarps * kDigits * 4);
    int from = pass % 2 * 2; // Buffers: keys, positions, keys, positions.
    keys = pass ? function.getWorkspace(buffers[from]) : function.getPointer(tokens);
    positions = pass ? function.getWorkspace(buffers[from + 1]) : Value();
    for (int64_t w = 0; w < kWarps; ++w)
      g.store(g.integer(0), getCount(g, g.integer(w), thread), 4);
    g.barrier();
    sweep(g, pass, [&](Value, Value, Value slot, Value same, Value rank, Value valid) {
      g.when(g.both(valid, g.equal(rank, 0)),
             [&] { g.store(g.add(g.load(slot, g.i32(), 4), popcount(g, same)), slot, 4); });
      NVVM::SyncWarpOp::create(g.base(), g.integer(-1));
    });
    g.barrier();
  }

  Value getCount(GPUBuilder &g, Value ofWarp, Value digit) {
    return g.offset(counts, g.i32(), g.add(g.mul(ofWarp, kDigits), digit));
  }
  Value getBlockCount(GPUBuilder &g, GPUFunction &function, Value ofBlock, Value digit) {
    return g.offset(function.getWorkspace(ofBlocks), g.i32(),
                    g.add(g.mul(ofBlock, kDigits), digit));
  }

  void emitCounts(int64_t pass) {
    GPUFunction function(emission, "sort of tokens: counts", kThreads);
    GPUBuilder g(function.builder());
    countDigits(function, g, pass);
    Value sum = g.integer(0); // A thread a digit.
    for (int64_t w = 0; w < kWarps; ++w)
      sum = g.add(sum, g.load(getCount(g, g.integer(w), thread), g.i32(), 4));
    g.store(sum, getBlockCount(g, function, block, thread), 4);
    function.finish({blocks, 1, 1});
  }

  void emitMoves(int64_t pass) {
    GPUFunction function(emission, "sort of tokens", kThreads);
    GPUBuilder g(function.builder());
    countDigits(function, g, pass);
    scan(function, g);
    int to = 2 - pass % 2 * 2;
    Value newKeys = function.getWorkspace(buffers[to]),
          newPositions = function.getWorkspace(buffers[to + 1]);
    sweep(g, pass, [&](Value key, Value position, Value slot, Value same, Value rank, Value valid) {
      Value first = g.load(slot, g.i32(), 4);
      NVVM::SyncWarpOp::create(g.base(), g.integer(-1));
      g.when(valid, [&] {
        g.when(g.equal(rank, 0), [&] { g.store(g.add(first, popcount(g, same)), slot, 4); });
        Value place = g.add(first, rank);
        g.store(key, g.offset(newKeys, g.i32(), place), 4);
        g.store(position, g.offset(newPositions, g.i32(), place), 4);
      });
      NVVM::SyncWarpOp::create(g.base(), g.integer(-1));
    });
    function.finish({blocks, 1, 1});
  }

  /// `same`: the lanes with this digit in this round; `rank`: how many of them come before.
  void sweep(GPUBuilder &g, int64_t pass, SweepBody body) {
    Value begin = g.add(g.mul(block, kTile), g.mul(warp, 32 * kRounds));
    SmallVector<Value> at, read, where;
    for (int64_t i = 0; i < kRounds; ++i) { // All loads first.
      at.push_back(g.add(g.add(begin, lane), 32 * i));
      Value safe = g.min(at[i], g.integer(count - 1));
      Value key = g.load(g.offset(keys, g.i32(), safe), g.i32(), 4);
      read.push_back(arith::MinUIOp::create(g.base(), key, g.integer(entries)));
      where.push_back(positions ? g.load(g.offset(positions, g.i32(), safe), g.i32(), 4) : safe);
    }
    for (int64_t i = 0; i < kRounds; ++i) {
      Value valid = g.less(at[i], count);
      Value shifted = arith::ShRUIOp::create(g.base(), read[i], g.integer(pass * kBits));
      Value digit = g.both(shifted, g.integer(kDigits - 1));
      // Lanes beyond the list are alone.
      Value tag = g.select(valid, digit, g.add(lane, kDigits));
      Value same = NVVM::MatchSyncOp::create(g.base(), g.i32(), g.integer(-1), tag,
                                             NVVM::MatchSyncKind::any);
      Value rank = popcount(g, g.both(same, before));
      body(read[i], where[i], getCount(g, warp, digit), same, rank, valid);
    }
  }

  /// The block's counts by warp and digit to first places in the whole list. A thread has a digit.
  void scan(GPUFunction &function, GPUBuilder &g) {
    Value totals = function.allocateShared(kWarps * 4);
    constexpr int64_t kAtOnce = 8;
    auto ofDigit =
        g.loop(g.integer(0), g.integer(blocks), g.integer(kAtOnce), {g.integer(0), g.integer(0)},
               [&](Value base, ValueRange carried) -> GPUBuilder::Values {
                 Value all = carried[0], earlier = carried[1];
                 for (int64_t i = 0; i < kAtOnce; ++i) {
                   Value which = g.add(base, i), safe = g.min(which, g.integer(blocks - 1));
                   Value each = g.load(getBlockCount(g, function, safe, thread), g.i32(), 4);
                   all = g.add(all, g.select(g.less(which, blocks), each, g.integer(0)));
                   earlier = g.add(earlier, g.select(g.less(which, block), each, g.integer(0)));
                 }
                 return {all, earlier};
               });
    Value upTo = ofDigit[0]; // Over the digits of the warp's lanes up to this one.
    for (int64_t by = 1; by < 32; by *= 2) {
      Value lower = NVVM::ShflOp::create(g.base(), g.i32(), g.integer(-1), upTo, g.integer(by),
                                         g.integer(0), NVVM::ShflKind::up, UnitAttr());
      upTo = g.select(g.atLeast(lane, by), g.add(upTo, lower), upTo);
    }
    g.when(g.equal(lane, 31), [&] { g.store(upTo, g.offset(totals, g.i32(), warp), 4); });
    g.barrier();
    Value place = g.add(g.sub(upTo, ofDigit[0]), ofDigit[1]);
    for (int64_t w = 0; w < kWarps; ++w) {
      Value total = g.load(g.offset(totals, g.i32(), g.integer(w)), g.i32(), 4);
      place = g.add(place, g.select(g.less(g.integer(w), warp), total, g.integer(0)));
    }
    for (int64_t w = 0; w < kWarps; ++w) {
      Value slot = getCount(g, g.integer(w), thread), mine = g.load(slot, g.i32(), 4);
      g.store(place, slot, 4);
      place = g.add(place, mine);
    }
    g.barrier();
  }

  void emitStarts(const SortedTokens &sorted) {
    GPUFunction function(emission, "starts of tokens", 256);
    GPUBuilder g(function.builder());
    Value entry = g.add(g.mul(g.block(), 256), g.thread());
    Value list = function.getWorkspace(sorted.keys), starts = function.getWorkspace(sorted.starts);
    int64_t rounds = llvm::Log2_64_Ceil(count + 1);
    // Keys before `low` are below the entry, those from `high` on are not.
    auto bounds =
        g.loop(g.integer(0), g.integer(rounds), g.integer(1), {g.integer(0), g.integer(count)},
               [&](Value, ValueRange carried) -> GPUBuilder::Values {
                 Value low = carried[0], high = carried[1];
                 Value middle = g.div(g.add(low, high), 2);
                 Value safe = g.min(middle, g.integer(count - 1));
                 Value below = g.less(g.load(g.offset(list, g.i32(), safe), g.i32(), 4), entry);
                 Value open = g.less(low, high);
                 return {g.select(g.both(open, below), g.add(middle, 1), low),
                         g.select(open, g.select(below, high, middle), high)};
               });
    g.when(g.less(entry, entries + 1),
           [&] { g.store(bounds[0], g.offset(starts, g.i32(), entry), 4); });
    int64_t blocks = llvm::divideCeil(entries + 1, 256);
    function.finish({blocks, 1, 1});
  }

  GPUEmission &emission;
  Value tokens;
  int64_t count, entries, blocks, ofBlocks;
  int64_t buffers[4];
  Value thread, lane, warp, block, before, counts, keys, positions;
};

} // namespace

SortedTokens emitTokenSort(GPUEmission &emission, Value tokens, int64_t count, int64_t entries) {
  return TokenSort(emission, tokens, count, entries).emit();
}

} // namespace smelt
