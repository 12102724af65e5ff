#include "runtime/train/FixedOrder.h"

#include <set>

namespace smelt::runtime {

FixedOrder::FixedOrder(Session &session, Ranks *ranks) : session_(session), ranks_(ranks) {
  const Manifest &manifest = session.manifest();
  auto rootOf = [&](uint32_t index) { return manifest.buffers[index].base.value_or(index); };
  for (const Update &update : manifest.training.updates) {
    std::set<uint32_t> read;
    for (const Launch &launch : manifest.findProgram(update.program)->launches)
      for (uint32_t argument : launch.arguments)
        read.insert(rootOf(argument));
    for (uint32_t index = 0; index < manifest.buffers.size(); ++index)
      if (manifest.buffers[index].kind == BufferKind::Gradient && read.count(rootOf(index)))
        gradients_.push_back({index, update.period, {}});
  }
}

Status FixedOrder::gather(std::span<const std::byte> mine, std::vector<std::byte> &all) {
  if (!ranks_) {
    all.assign(mine.begin(), mine.end());
    return Status::ok();
  }
  all.resize(mine.size() * static_cast<size_t>(ranks_->size()));
  return ranks_->allGather(mine, all);
}

Status FixedOrder::begin(int64_t step) {
  for (Gradient &gradient : gradients_) {
    if (gradient.period.isFresh(step))
      continue;
    SMELT_ASSIGN_OR_RETURN(gradient.sum,
                           session_.readBuffer(session_.manifest().buffers[gradient.buffer]));
  }
  return Status::ok();
}

/// a + b in the type, as a kernel that accumulates has it.
static void addElements(DType type, std::span<std::byte> to, std::span<const std::byte> from) {
  uint64_t size = dtypeBytes(type);
  for (uint64_t at = 0; at < to.size(); at += size)
    storeElement(type,
                 double(float(loadElement(type, to.data() + at)) +
                        float(loadElement(type, from.data() + at))),
                 to.data() + at);
}

Status FixedOrder::add(int64_t step, int64_t micro) {
  std::vector<std::byte> all;
  for (Gradient &gradient : gradients_) {
    const Buffer &buffer = session_.manifest().buffers[gradient.buffer];
    SMELT_ASSIGN_OR_RETURN(std::vector<std::byte> mine, session_.readBuffer(buffer));
    SMELT_RETURN_IF_ERROR(gather(mine, all));
    bool isFirst = micro == 0 && gradient.period.isFresh(step);
    for (size_t at = 0; at < all.size(); at += mine.size()) {
      auto one = std::span(all).subspan(at, mine.size());
      if (isFirst && at == 0)
        gradient.sum.assign(one.begin(), one.end());
      else
        addElements(buffer.dtype, gradient.sum, one);
    }
  }
  return Status::ok();
}

Status FixedOrder::add(double value, double &sum) {
  std::vector<std::byte> all;
  SMELT_RETURN_IF_ERROR(gather(std::as_bytes(std::span(&value, 1)), all));
  for (size_t at = 0; at < all.size(); at += sizeof(double))
    sum += loadElement(DType::F64, all.data() + at);
  return Status::ok();
}

Status FixedOrder::writeSums() {
  for (const Gradient &gradient : gradients_)
    if (!gradient.sum.empty())
      SMELT_RETURN_IF_ERROR(session_.device().copyIn(
          session_.manifest().buffers[gradient.buffer].offset, gradient.sum));
  return Status::ok();
}

} // namespace smelt::runtime
