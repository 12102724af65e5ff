//===- Peers.h - What a collective asks of the control plane ----*- C++ -*-===//
#pragma once

#include "runtime/base/Status.h"

#include <chrono>
#include <string>

namespace smelt::runtime {

/// The ranks of a job, as a collective's library sees them before it is connected, and when it
/// breaks. RankGroup is it; a plugin needs no more of it than this.
class Peers {
public:
  virtual ~Peers() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// This machine's address on the way to rank 0.
  virtual const std::string &localAddress() const = 0;

  /// A word for all ranks; each key once.
  virtual Status set(const std::string &key, const std::string &value) = 0;
  /// Waits until some rank has set the key.
  virtual StatusOr<std::string> get(const std::string &key) = 0;
  /// Waits no longer than `patience`: is the key set?
  virtual bool isSet(const std::string &key, std::chrono::milliseconds patience) = 0;

  /// Is a rank lost, or found to be so within `patience`?
  virtual bool anyLost(std::chrono::milliseconds patience) = 0;
  /// Why something broke: the rank that is lost, or is found to be within `patience`; else `what`.
  virtual Status explain(const std::string &what, std::chrono::milliseconds patience) = 0;
  virtual std::chrono::milliseconds timeout() const = 0;
};

} // namespace smelt::runtime
