//===- ExecCollectives.h - Communication between ranks ----------*- C++ -*-===//
#ifndef SMELT_DIALECTS_EXEC_EXECCOLLECTIVES_H
#define SMELT_DIALECTS_EXEC_EXECCOLLECTIVES_H

#include "dialects/Exec/ExecOps.h"

#define GET_OP_CLASSES
#include "dialects/Exec/ExecCollectiveOps.h.inc"

namespace mlir::exec {

/// A rank's part of a buffer is a multiple of so many bytes.
inline constexpr int64_t partAlignment = 256;

/// exec.all_reduce, exec.reduce_scatter or exec.all_gather.
bool isCollective(Operation *op);
/// The buffers of a collective.
ArrayAttr getCollectiveBuffers(Operation *op);

} // namespace mlir::exec

#endif
