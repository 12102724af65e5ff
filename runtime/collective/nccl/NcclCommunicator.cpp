#include "runtime/collective/nccl/NcclCommunicator.h"

#include <cstring>

namespace smelt::runtime::nccl {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

Status CommunicatorOwner::connect(milliseconds patience, int blocks) {
  patience_ = patience;
  UniqueId id;
  if (peers_.rank() == 0) {
    SMELT_RETURN_IF_ERROR(take(library_.getUniqueId(&id), "ncclGetUniqueId"));
    SMELT_RETURN_IF_ERROR(peers_.set("nccl/id", std::string(id.bytes, sizeof id.bytes)));
  } else {
    SMELT_ASSIGN_OR_RETURN(std::string word, peers_.get("nccl/id"));
    if (word.size() != sizeof id.bytes)
      return internalError("rank 0's NCCL id has ", word.size(), " bytes");
    std::memcpy(id.bytes, word.data(), word.size());
  }
  Config config;
  config.blocking = 0;
  if (blocks)
    config.maxBlocks = blocks;
  const char *what = "ncclCommInitRankConfig";
  SMELT_RETURN_IF_ERROR(
      take(library_.commInitRankConfig(&communicator_, peers_.size(), id, peers_.rank(), &config),
           what));
  return wait(what, patience);
}

CommunicatorOwner::~CommunicatorOwner() {
  if (!communicator_ || aborted_)
    return;
  const char *what = "ncclCommFinalize";
  bool isWhole = !failed_ && take(library_.commFinalize(communicator_), what).isOk() &&
                 wait(what, milliseconds(5000)).isOk();
  if (isWhole)
    (void)library_.commDestroy(communicator_); // Nothing depends on it any more.
  else
    abort();
}

void CommunicatorOwner::abort() {
  std::lock_guard lock(ending_);
  if (!aborted_.exchange(true) && communicator_)
    (void)library_.commAbort(communicator_);
}

Status CommunicatorOwner::checkUse() const {
  if (std::this_thread::get_id() != owner_)
    return internalError("a communicator is used by a thread that does not own it");
  if (aborted_)
    return Status(StatusCode::RankLost, "the ranks' communication was aborted");
  return Status::ok();
}

Status CommunicatorOwner::take(Result result, const char *what) {
  return result == kSuccess || result == kInProgress ? Status::ok() : fail(result, what);
}

/// Not while an abort gives the communicator back.
StatusOr<Result> CommunicatorOwner::ask(Result &state) {
  std::lock_guard lock(ending_);
  SMELT_RETURN_IF_ERROR(checkUse());
  return library_.commGetAsyncError(communicator_, &state);
}

Status CommunicatorOwner::wait(const char *what, milliseconds patience) {
  Clock::time_point deadline = Clock::now() + patience;
  for (int asked = 0;; ++asked) {
    Result state = kSuccess;
    SMELT_ASSIGN_OR_RETURN(Result result, ask(state));
    if (result != kSuccess || (state != kSuccess && state != kInProgress))
      return fail(result != kSuccess ? result : state, what);
    if (state == kSuccess)
      return Status::ok();
    if (Clock::now() > deadline) {
      failed_ = true;
      return peers_.explain(concat(what, " is not done after ", patience.count() / 1000.0,
                                   " s on rank ", peers_.rank(),
                                   "; with NCCL_DEBUG=INFO NCCL says what it does"),
                            milliseconds(0));
    }
    if (asked > 100 && peers_.anyLost(milliseconds(1))) {
      failed_ = true;
      return peers_.explain(what, milliseconds(0));
    }
  }
}

Status CommunicatorOwner::check() {
  Result state = kSuccess;
  SMELT_ASSIGN_OR_RETURN(Result result, ask(state));
  if (result == kSuccess && (state == kSuccess || state == kInProgress))
    return Status::ok();
  return fail(result != kSuccess ? result : state, "a collective");
}

Status CommunicatorOwner::fail(Result result, const char *what) {
  failed_ = true;
  const char *name = library_.getErrorString(result), *last = library_.getLastError(communicator_);
  std::string text = concat("NCCL ", library_.version, ": ", what, ": ",
                            name ? name : concat("error ", result).c_str());
  if (last && *last)
    text += concat(": ", last);
  // The cause may be a rank that is gone, which the heartbeat knows better.
  return peers_.explain(text,
                        communicator_ ? peers_.timeout() + milliseconds(2000) : milliseconds(0));
}

} // namespace smelt::runtime::nccl
