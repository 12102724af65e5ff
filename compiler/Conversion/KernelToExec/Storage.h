//===- Storage.h - The buffers that bufferisation makes ---------*- C++ -*-===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOEXEC_STORAGE_H
#define SMELT_COMPILER_CONVERSION_KERNELTOEXEC_STORAGE_H

#include "dialects/Exec/ExecOps.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSet.h"

namespace smelt {

/// Makes exec.buffer ops, each kind after the others of its kind, and knows which range of which buffer each one is. Offsets are relative
/// to the base until memory is planned.
class Storage {
public:
  /// Buffers are created at the end of `module`'s start, before everything else.
  explicit Storage(mlir::ModuleOp module);

  /// Where a value lies: the buffer's op.
  using Place = mlir::exec::BufferOp;

  Place createBuffer(mlir::exec::BufferKind kind, llvm::StringRef name, mlir::Type type, mlir::Location loc);
  /// Rows of `base` from `firstRow` on, as `type`; `base` itself if that is all of it. An error at `user` if the rows are not there.
  mlir::FailureOr<Place> getRows(Place base, mlir::RankedTensorType type, int64_t firstRow, mlir::Operation *user);
  /// This rank's part of `base`, which is padded to `ranks` of them. An error at `user` if that cannot be.
  mlir::FailureOr<Place> getRankPart(Place base, mlir::RankedTensorType type, int64_t ranks, mlir::Operation *user);
  /// This rank's part of a constant.
  mlir::FailureOr<Place> getRankConstant(mlir::DenseElementsAttr value, mlir::RankedTensorType type, mlir::Operation *user);
  /// One buffer for all equal constants.
  Place getConstant(mlir::ElementsAttr value, mlir::Location loc);

  static bool overlap(Place a, Place b);
  static bool isSame(Place a, Place b);
  static int64_t getBytes(mlir::Type type);

private:
  mlir::OpBuilder builder;
  llvm::StringSet<> names; ///< Parameters still have the names that their buffers take, so the symbol table cannot tell.
  llvm::DenseMap<mlir::Attribute, Place> constants;
  llvm::MapVector<std::pair<mlir::Operation *, std::pair<int64_t, mlir::Type>>, Place> rows;
};

} // namespace smelt
#endif
