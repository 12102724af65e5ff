#include "runtime/train/Session.h"

#include <algorithm>

namespace smelt::runtime {

StatusOr<double> Session::readScalar(uint32_t index) {
  const Buffer &buffer = manifest().buffers[index];
  std::byte element[8];
  SMELT_RETURN_IF_ERROR(
      device_->copyOut(buffer.offset, std::span(element).first(dtypeBytes(buffer.dtype))));
  return loadElement(buffer.dtype, element);
}

StatusOr<double> Session::readOutput(const Program &program, const char *name) {
  return readScalar(program.outputs.at(name));
}

std::vector<uint32_t> Session::scalarParameters() const {
  std::vector<uint32_t> scalars;
  for (uint32_t i = 0; i < manifest().buffers.size(); ++i)
    if (manifest().buffers[i].kind == BufferKind::Parameter && manifest().buffers[i].shape.empty())
      scalars.push_back(i);
  return scalars;
}

ScalarPlan Session::planScalars(const std::vector<uint32_t> &buffers) const {
  // A gap of this size travels faster than a second range.
  constexpr uint64_t kLargestGap = 4096;
  ScalarPlan plan;
  std::map<uint64_t, uint64_t> wanted; // End by offset.
  for (uint32_t index : buffers) {
    const Buffer &buffer = manifest().buffers[index];
    wanted[buffer.offset] = buffer.offset + dtypeBytes(buffer.dtype);
  }
  for (auto [begin, end] : wanted)
    if (!plan.ranges.empty() &&
        begin <= plan.ranges.back().offset + plan.ranges.back().bytes + kLargestGap)
      plan.ranges.back().bytes =
          std::max(plan.ranges.back().bytes, end - plan.ranges.back().offset);
    else
      plan.ranges.push_back({begin, end - begin});
  for (uint32_t index : buffers) {
    uint64_t offset = manifest().buffers[index].offset;
    size_t at = 0;
    for (const DeviceRange &range : plan.ranges) {
      if (offset >= range.offset && offset < range.offset + range.bytes)
        plan.places.push_back({index, at + (offset - range.offset)});
      at += range.bytes;
    }
    plan.bytes = at;
  }
  return plan;
}

StatusOr<std::vector<double>> Session::finishScalars(const ScalarPlan &plan, DeviceRead read) {
  std::vector<std::byte> bytes(plan.bytes);
  SMELT_RETURN_IF_ERROR(device_->finishRead(read, bytes));
  std::vector<double> values;
  for (const ScalarPlan::Place &place : plan.places)
    values.push_back(loadElement(manifest().buffers[place.buffer].dtype, bytes.data() + place.at));
  return values;
}

} // namespace smelt::runtime
