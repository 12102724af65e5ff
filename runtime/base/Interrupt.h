//===- Interrupt.h - SIGINT and SIGTERM as a request ------------*- C++ -*-===//
#pragma once

namespace smelt::runtime {

/// While it lives, the first SIGINT or SIGTERM only sets a flag that loops look at; a second one
/// ends the process as usual. SIGXFSZ and SIGPIPE are ignored, so that writes fail with an error.
class InterruptScope {
public:
  InterruptScope();
  ~InterruptScope();
  InterruptScope(const InterruptScope &) = delete;
  InterruptScope &operator=(const InterruptScope &) = delete;

  /// The number of the signal that asked to stop, or 0.
  static int requested();
};

} // namespace smelt::runtime
