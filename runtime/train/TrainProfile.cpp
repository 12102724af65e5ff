//===- TrainProfile.cpp - The profile of two steps ------------------------===//
#include "runtime/train/TrainLoop.h"

namespace smelt::runtime {

/// Two steps after the first two, so that updates of every second step are among them.
bool TrainLoop::isProfiled(int64_t step) const {
  constexpr int64_t kBefore = 2, kSteps = 2;
  int64_t first = std::max(std::min(first_ + kBefore, steps_ - kSteps), first_);
  return !options_.profile.empty() && step >= first && step < first + kSteps;
}

Status TrainLoop::runProgram(const Program &program, int64_t step, Portion portion) {
  if (!isProfiled(step))
    return session_.run(program, portion);
  SMELT_RETURN_IF_ERROR(session_.device().synchronize());
  if (profile_.empty())
    profileStart_ = Clock::now();
  double start = millisecondsSince(profileStart_);
  SMELT_ASSIGN_OR_RETURN(ProgramTiming timing, timeProgram(session_, program, portion));
  timing.start = start;
  profile_.push_back(std::move(timing));
  return Status::ok();
}

Status TrainLoop::writeProfile() {
  if (profile_.empty())
    return Status::ok();
  if (!folder_) { // Rank 0's shows what its lane did; the others have taken part.
    profile_.clear();
    return Status::ok();
  }
  std::string device = session_.device().description();
  SMELT_RETURN_IF_ERROR(writeFileAtomically(options_.profile, writeChromeTrace(profile_, device)));
  constexpr size_t kRows = 30;
  folder_->printLine(writeProfileTable(profile_, ratesOf(device), kRows) +
                     writeExposureTable(profile_) + "trace: " + options_.profile);
  profile_.clear();
  return Status::ok();
}

} // namespace smelt::runtime
