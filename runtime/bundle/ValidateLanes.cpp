//===- ValidateLanes.cpp - What runs beside what --------------------------===//
//
// A collective of the communication lane owns its buffers from its place in the program until an
// entry that waits for it, or for a later one: nothing between may touch them.
//
//===----------------------------------------------------------------------===//
#include "runtime/bundle/ValidateLanes.h"

#include <map>

namespace smelt::runtime {

namespace {
/// A rank's part lies elsewhere on each rank: all of them count.
const Buffer &wholeOf(const Manifest &manifest, uint32_t index) {
  const Buffer &buffer = manifest.buffers[index];
  return buffer.rankStride && buffer.base ? manifest.buffers[*buffer.base] : buffer;
}

bool overlap(const Buffer &a, const Buffer &b) {
  return a.bytes && b.bytes && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
}

class LaneCheck {
public:
  LaneCheck(const Manifest &manifest, const Program &program)
      : manifest_(manifest), program_(program) {}

  Status run() {
    for (size_t launch = 0; launch <= program_.launches.size(); ++launch) {
      SMELT_RETURN_IF_ERROR(startCollectives(launch));
      if (launch == program_.launches.size())
        break;
      const Launch &step = program_.launches[launch];
      SMELT_RETURN_IF_ERROR(
          enter(step.wait, step.arguments).withContext(concat("launch ", launch)));
    }
    return Status::ok();
  }

private:
  Status startCollectives(size_t before) {
    for (; next_ < program_.collectives.size() && program_.collectives[next_].before == before;
         ++next_) {
      const CollectiveStep &step = program_.collectives[next_];
      std::string context = concat("collective ", next_);
      if (!step.onLane) {
        SMELT_RETURN_IF_ERROR(enter(step.wait, step.buffers).withContext(context));
        continue;
      }
      if (!step.wait.empty())
        return corruptError(context, ": it is on the communication lane and waits");
      SMELT_RETURN_IF_ERROR(checkFree(step.buffers).withContext(context));
      running_[next_] = &step;
    }
    return Status::ok();
  }

  /// An entry of the main lane.
  Status enter(const std::vector<uint32_t> &wait, const std::vector<uint32_t> &buffers) {
    for (uint32_t id : wait) {
      if (id >= next_ || !program_.collectives[id].onLane)
        return corruptError("it waits for collective ", id,
                            ", which has not begun on the communication lane");
      running_.erase(running_.begin(), running_.upper_bound(id));
    }
    return checkFree(buffers);
  }

  Status checkFree(const std::vector<uint32_t> &buffers) const {
    for (const auto &[id, step] : running_)
      for (uint32_t theirs : step->buffers)
        for (uint32_t index : buffers)
          if (overlap(wholeOf(manifest_, theirs), wholeOf(manifest_, index)))
            return corruptError("it touches buffer ", index, " (", manifest_.buffers[index].name,
                                ") beside collective ", id, " and does not wait for it");
    return Status::ok();
  }

  const Manifest &manifest_;
  const Program &program_;
  size_t next_ = 0;
  std::map<size_t, const CollectiveStep *> running_; ///< On the lane, not waited for, by number.
};
} // namespace

Status checkLanes(const Manifest &manifest, const Program &program) {
  return LaneCheck(manifest, program).run();
}

Status checkLastOfStep(const Manifest &manifest, const Program &program) {
  if (!program.last)
    return Status::ok();
  const LastOfStep &last = *program.last;
  const Program *whole = manifest.findProgram(last.program);
  if (program.role != "train" || !whole || whole->role != "train" || whole->last)
    return corruptError("last_of: \"", last.program, "\" is not a program of role train");
  if (whole->inputs != program.inputs || whole->outputs != program.outputs ||
      whole->tokens != program.tokens)
    return corruptError("last_of: \"", last.program, "\" has other inputs or outputs");
  for (const std::string &name : last.updates)
    if (const Program *update = manifest.findProgram(name); !update || update->role != "update")
      return corruptError("updates: \"", name, "\" is not a program of role update");
  if (last.updatesFrom > program.launches.size())
    return corruptError("updates_from: there is no launch ", last.updatesFrom);
  return Status::ok();
}

} // namespace smelt::runtime
