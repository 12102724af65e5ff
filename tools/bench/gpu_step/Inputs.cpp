#include "tools/bench/gpu_step/Inputs.h"
#include "runtime/base/Random.h"

#include <algorithm>
#include <cmath>

namespace smelt::runtime::bench {

void randomise(Session &session) {
  // The same 2^20 numbers over and over, from another place for each parameter: nothing measured
  // here depends on their being independent.
  std::vector<float> normal(1 << 20);
  RandomStream random(5, "gpu_step");
  for (size_t i = 0; i < normal.size(); ++i)
    normal[i] = static_cast<float>(random.normal(i));
  const std::vector<Buffer> &buffers = session.manifest().buffers;
  std::map<std::string, const Buffer *> masters = session.manifest().findMasters();
  for (const Buffer &buffer : buffers) {
    if (buffer.kind != BufferKind::Parameter || buffer.shape.empty() ||
        buffer.name.starts_with("bank."))
      continue;
    auto master = masters.find(buffer.name);
    DType dtype = master == masters.end() ? buffer.dtype : master->second->dtype;
    uint64_t size = dtypeBytes(dtype), count = *shapeBytes(buffer.shape, dtype) / size;
    double deviation = 0.5 / std::sqrt(static_cast<double>(buffer.shape.back()));
    std::vector<std::byte> data(count * size);
    uint64_t at = RandomStream(5, buffer.name).below(0, normal.size());
    for (uint64_t i = 0; i < count; ++i)
      storeElement(dtype, deviation * normal[(at + i) % normal.size()], data.data() + i * size);
    check(session.writeParameter(buffer, {dtype, buffer.shape, data}));
  }
  for (const Buffer &buffer : buffers)
    if (buffer.init && buffer.init->kind == InitKind::Copy) {
      std::vector<std::byte> data(*shapeBytes(buffer.shape, buffer.dtype));
      check(session.device().copyOut(buffers[buffer.init->source].offset, data));
      check(session.device().copyIn(buffer.offset, data));
    }
}

Batch makeBatch(const Program &program, int64_t vocabulary, double median, uint64_t seed) {
  Batch batch;
  RandomStream random(seed, "documents");
  uint64_t drawn = 0;
  int64_t start = 0, end = 0;
  for (int64_t i = 0; i < program.tokens; ++i) {
    if (i == end) {
      start = i;
      end = i + std::clamp<int64_t>(std::lround(median * std::exp(random.normal(drawn++))), 2,
                                    std::lround(5.12 * median));
    }
    batch.tokens.push_back(static_cast<int32_t>(
        random.below(2 * static_cast<uint64_t>(i) + 1000000, static_cast<uint64_t>(vocabulary))));
    batch.documentStart.push_back(static_cast<int32_t>(start));
  }
  for (int64_t i = 0; i < program.tokens; ++i)
    batch.targets.push_back(batch.tokens[(i + 1) % program.tokens]);
  batch.validTargets = program.tokens;
  return batch;
}

} // namespace smelt::runtime::bench
