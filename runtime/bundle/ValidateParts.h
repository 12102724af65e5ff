//===- ValidateParts.h - The manifest part by part --------------*- C++ -*-===//
#pragma once

#include "runtime/bundle/Manifest.h"

namespace smelt::runtime {

/// Every buffer lies in the arena, has room for its shape, and shares bytes only as its kind may.
Status checkBuffers(const Manifest &manifest);
/// Every setting has a buffer, and a value at each of the training's steps.
Status checkSettings(const Manifest &manifest);
/// The offset lies within the period.
Status checkPeriod(const Period &period);
/// Stages, updates and validation name programs of their roles and cover all steps.
Status checkTraining(const Manifest &manifest);

} // namespace smelt::runtime
