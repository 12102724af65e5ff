//===- Log.h - Messages on standard error -----------------------*- C++ -*-===//
#pragma once

#include "runtime/base/Status.h"

namespace smelt::runtime {

/// `note: MESSAGE`, `warning: MESSAGE`, `error: MESSAGE` on standard error, each line in one write.
void logNote(const std::string &message);
void logWarning(const std::string &message);
void logError(const Status &status);

} // namespace smelt::runtime
