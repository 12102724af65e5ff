//===- SaveCheckpoint.h - All ranks write one checkpoint --------*- C++ -*-===//
#pragma once

#include "runtime/train/Session.h"

namespace smelt::runtime {

/// Writes a checkpoint of the session in `root`, which rank 0 names; all ranks call it. Each writes
/// what it alone has, at the same time; then rank 0 writes the manifest with everybody's hashes and
/// moves the folder to its place. So a checkpoint is there whole or not at all, whoever is lost.
Status saveTogether(Session &session, const CheckpointInfo &info, const std::string &root, int keep,
                    Ranks *ranks);

} // namespace smelt::runtime
