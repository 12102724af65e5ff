//===- Inputs.h - Weights and batches to measure with -----------*- C++ -*-===//
#pragma once

#include "runtime/train/Session.h"

#include <cstdio>
#include <cstdlib>

namespace smelt::runtime::bench {

[[noreturn]] inline void fail(const char *program, const std::string &message) {
  std::fprintf(stderr, "%s: %s\n", program, message.c_str());
  std::exit(2);
}
inline void check(const Status &status) {
  if (!status.isOk())
    fail("error", status.message());
}
template <typename T> T take(StatusOr<T> value) {
  check(value.isOk() ? Status::ok() : value.status());
  return *std::move(value);
}

/// Sets parameters of rank 1 and 2 to normal numbers of deviation 0.5/√columns, and the states that
/// begin as copies of parameters. The numbers depend on the parameter's name and shape alone.
void randomise(Session &session);

/// Documents whose lengths are log-normal around `median`, cut at 5.12 times as much; random
/// tokens.
Batch makeBatch(const Program &program, int64_t vocabulary, double median, uint64_t seed);

} // namespace smelt::runtime::bench
