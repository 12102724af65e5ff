#include "runtime/train/JoinRanges.h"

#include <gtest/gtest.h>

using namespace smelt::runtime;

namespace {

struct Joined {
  std::vector<uint32_t> buffers;
  std::vector<std::pair<uint64_t, uint64_t>> ranges; ///< Offset and bytes.
};

TEST(JoinRanges, NobodyElsesBytes) {
  Manifest manifest;
  manifest.arenaBytes = 4100;
  auto add = [&](uint64_t offset, std::vector<int64_t> shape) {
    Buffer &buffer = manifest.buffers.emplace_back();
    buffer.dtype = DType::F32;
    buffer.shape = std::move(shape);
    buffer.offset = offset;
    buffer.bytes = *shapeBytes(buffer.shape, buffer.dtype);
  };
  add(0, {});     // 0 to 3: scalars, 3 with a neighbour in the gap before it.
  add(256, {});   // 1
  add(512, {});   // 2
  add(1024, {});  // 3
  add(768, {3});  // 4: in that gap.
  add(1280, {5}); // 5: 20 bytes.
  add(1312, {1}); // 6: 12 bytes behind it.
  add(2048, {4}); // 7: too far from all before.
  add(2064, {8}); // 8: right behind it.
  add(2560, {2}); // 9: the rest of its vector is the next one's.
  add(2568, {2}); // 10
  add(4096, {});  // 11: ends with the arena.
  for (const Joined &each : {Joined{{0}, {{0, 16}}},
                             {{2, 0, 1}, {{0, 528}}},
                             {{1, 2, 3}, {{256, 272}, {1024, 16}}},
                             {{3, 5}, {{1024, 288}}},
                             {{5, 6}, {{1280, 48}}},
                             {{0, 7}, {{0, 16}, {2048, 16}}},
                             {{8, 7}, {{2048, 48}}},
                             {{9}, {{2560, 8}}},
                             {{9, 10}, {{2560, 16}}},
                             {{11}, {{4096, 4}}},
                             {{}, {}}}) {
    std::vector<std::pair<uint64_t, uint64_t>> ranges;
    for (const DeviceRange &range : joinRanges(manifest, each.buffers))
      ranges.emplace_back(range.offset, range.bytes);
    EXPECT_EQ(ranges, each.ranges);
  }
}

} // namespace
