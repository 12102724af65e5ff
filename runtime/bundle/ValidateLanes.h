//===- ValidateLanes.h - What runs beside what ------------------*- C++ -*-===//
#pragma once

#include "runtime/bundle/Manifest.h"

namespace smelt::runtime {

/// Nothing touches what a collective of the communication lane works on until it is waited for.
Status checkLanes(const Manifest &manifest, const Program &program);
/// The program that one stands for is there, with the same inputs and outputs, and so are its
/// updates.
Status checkLastOfStep(const Manifest &manifest, const Program &program);

} // namespace smelt::runtime
