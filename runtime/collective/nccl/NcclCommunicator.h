//===- NcclCommunicator.h - Owner of a communicator -------------*- C++ -*-===//
#pragma once

#include "runtime/collective/Peers.h"
#include "runtime/collective/nccl/NcclLibrary.h"

#include <atomic>
#include <mutex>
#include <thread>

namespace smelt::runtime::nccl {

/// A communicator that never blocks the host: what it has begun is asked for until it is done, or
/// until patience ends. Owned by the thread that connects it; `abort` alone may come from another.
class CommunicatorOwner {
public:
  CommunicatorOwner(const Library &library, Peers &peers) : library_(library), peers_(peers) {}
  CommunicatorOwner(const CommunicatorOwner &) = delete;
  /// In order if it still works, else by an abort.
  ~CommunicatorOwner();

  /// Rank 0 makes the id, the others get it as a word; a new one for every attempt. `blocks`: the
  /// most of a collective, 0: as many as NCCL wants.
  Status connect(std::chrono::milliseconds patience, int blocks);
  /// Runs `body`'s calls (Result(Communicator)…) as one group: one message.
  template <typename Body> Status runGroup(const char *what, Body body) {
    SMELT_RETURN_IF_ERROR(checkUse());
    SMELT_RETURN_IF_ERROR(take(library_.groupStart(), "ncclGroupStart"));
    Result result = body(communicator_);
    Status ended = take(library_.groupEnd(), what);
    SMELT_RETURN_IF_ERROR(take(result, what));
    SMELT_RETURN_IF_ERROR(ended);
    return wait(what, patience_);
  }
  /// Errors of its own threads.
  Status check();
  void abort();
  /// That this thread may use it.
  Status checkUse() const;

private:
  /// Success, or that it has begun.
  Status take(Result result, const char *what);
  StatusOr<Result> ask(Result &state);
  Status wait(const char *what, std::chrono::milliseconds patience);
  Status fail(Result result, const char *what);

  const Library &library_;
  Peers &peers_;
  std::thread::id owner_ = std::this_thread::get_id();
  std::chrono::milliseconds patience_{0};
  Communicator communicator_ = nullptr;
  std::mutex ending_;
  std::atomic<bool> aborted_ = false, failed_ = false;
};

} // namespace smelt::runtime::nccl
