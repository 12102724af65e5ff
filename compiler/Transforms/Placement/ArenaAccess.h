//===- ArenaAccess.h - Which bytes an entry touches -------------*- C++ -*-===//
#ifndef SMELT_COMPILER_TRANSFORMS_PLACEMENT_ARENAACCESS_H
#define SMELT_COMPILER_TRANSFORMS_PLACEMENT_ARENAACCESS_H

#include "dialects/Exec/ExecCollectives.h"
#include "llvm/ADT/DenseMap.h"

namespace smelt {

/// Bytes of the planned arena that launches and collectives touch.
class ArenaAccess {
public:
  explicit ArenaAccess(mlir::ModuleOp module);

  /// Must `later` stay behind `earlier`? Both touch the same bytes and one of them writes.
  bool conflict(mlir::Operation *earlier, mlir::Operation *later) const;
  /// The same for what outlives a program: workspaces that share bytes by their plan do not count.
  bool conflictOverPrograms(mlir::Operation *earlier, mlir::Operation *later) const;

  bool writes(mlir::Operation *op, mlir::Attribute buffer) const;
  int64_t getBytes(mlir::Attribute buffer) const;
  mlir::Type getElementType(mlir::Attribute buffer) const;

private:
  struct Bytes {
    int64_t begin = 0, end = 0;
    mlir::StringAttr root; ///< The buffer that they are part of.
    bool writes = false;
  };
  llvm::SmallVector<Bytes> collect(mlir::Operation *op) const;
  bool meet(mlir::Operation *earlier, mlir::Operation *later, bool sameBufferOnly) const;
  const llvm::SmallVector<Bytes> &get(mlir::Operation *op) const;

  llvm::DenseMap<mlir::StringAttr, Bytes> bytes_;
  llvm::DenseMap<mlir::StringAttr, mlir::exec::BufferOp> buffers_;
  mutable llvm::DenseMap<mlir::Operation *, llvm::SmallVector<Bytes>> accesses_;
};

} // namespace smelt
#endif
