//===- JoinRanges.h - Buffers of one message --------------------*- C++ -*-===//
#pragma once

#include "runtime/bundle/Manifest.h"
#include "runtime/device/ProgramEntry.h"

namespace smelt::runtime {

/// The ranges of the arena that an all-reduce of these buffers is about, by their offsets. Two
/// buffers with less than 256 bytes between them that no buffer has are one range, and a range ends
/// with a vector of 16 bytes where nobody has the rest of it: a record's dozens of scalars take a
/// handful of copies. What nobody has is summed, too, and nobody reads it.
std::vector<DeviceRange> joinRanges(const Manifest &manifest, const std::vector<uint32_t> &buffers);

} // namespace smelt::runtime
