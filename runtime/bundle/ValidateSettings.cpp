//===- ValidateSettings.cpp - Every step has a value of every setting -----===//
#include "runtime/bundle/ValidateParts.h"

#include <cmath>
#include <set>

namespace smelt::runtime {
namespace {

/// Steps `first`..`last` come next after the step before `next`.
Status checkNext(int64_t &next, int64_t first, int64_t last) {
  if (first != next || last < first)
    return corruptError("step ", next, " must begin a segment, but one has steps ", first, "..",
                        last);
  next = last + 1;
  return Status::ok();
}

Status checkPower(const OneMinusPower &power) {
  if (!(power.base >= 0 && power.base < 1))
    return corruptError("the base ", power.base, " is not in [0, 1)");
  return checkPeriod(power.period);
}

/// All steps have a value.
Status checkSchedule(const Manifest &manifest, const Setting &setting, uint64_t elements) {
  int64_t next = 0;
  for (const Segment &segment : setting.segments) {
    SMELT_RETURN_IF_ERROR(checkNext(next, segment.first, segment.last));
    if (!std::isfinite(segment.value) || !std::isfinite(segment.slope))
      return corruptError("a value or slope is not finite");
  }
  for (const VectorPiece &piece : setting.pieces) {
    SMELT_RETURN_IF_ERROR(checkNext(next, piece.first, piece.last));
    if (piece.values.size() != elements)
      return corruptError("a piece has ", piece.values.size(), " values for ", elements,
                          " elements");
    for (double value : piece.values)
      if (!std::isfinite(value))
        return corruptError("a value is not finite");
  }
  if (next < manifest.training.steps)
    return corruptError("the segments end at step ", next - 1, " but training has ",
                        manifest.training.steps, " steps");
  return Status::ok();
}

Status checkSetting(const Manifest &manifest, const Setting &setting) {
  if (setting.buffer >= manifest.buffers.size())
    return corruptError("there is no buffer ", setting.buffer);
  const Buffer &buffer = manifest.buffers[setting.buffer];
  bool isVector = !setting.pieces.empty();
  auto size = shapeBytes(buffer.shape, buffer.dtype);
  if (buffer.kind != BufferKind::Setting || !size || buffer.bytes < *size ||
      (!isVector && *size != dtypeBytes(buffer.dtype)))
    return corruptError("buffer ", setting.buffer, isVector ? " is not" : " is not one element",
                        " of kind setting");
  bool automatic =
      automaticPeriod(setting.name, "accumulate") || automaticPeriod(setting.name, "step");
  int given = !setting.segments.empty() + isVector + setting.power.has_value();
  if (automatic && given)
    return corruptError("the runtime sets it, so it has no segments");
  if (!automatic && given != 1)
    return corruptError(given ? "it has segments, pieces or a power, but not one of them"
                              : "it has no segments");
  if (automatic)
    return Status::ok();
  if (setting.power)
    return checkPower(*setting.power);
  return checkSchedule(manifest, setting, *size / dtypeBytes(buffer.dtype));
}

} // namespace

Status checkPeriod(const Period &period) {
  if (period.every < 1 || period.offset < 0 || period.offset >= period.every)
    return corruptError("offset ", period.offset, " does not lie within a period of ", period.every,
                        " steps");
  return Status::ok();
}

Status checkSettings(const Manifest &manifest) {
  std::set<std::string> names;
  for (const Setting &setting : manifest.settings) {
    SMELT_RETURN_IF_ERROR(
        checkSetting(manifest, setting).withContext(concat("setting \"", setting.name, "\"")));
    if (!names.insert(setting.name).second)
      return corruptError("settings: \"", setting.name, "\" appears twice");
  }
  return Status::ok();
}

} // namespace smelt::runtime
