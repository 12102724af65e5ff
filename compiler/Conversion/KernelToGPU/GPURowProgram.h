//===- GPURowProgram.h - What a region of row ops needs to run --*- C++ -*-===//
//
// The analysis of one region; GPURowEmitter turns it into code for some rows. README.md tells the
// model: a group of threads shares a row, values are pulled, a few neighbouring features a thread.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_GPUROWPROGRAM_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_GPUROWPROGRAM_H

#include "dialects/LM/LMOps.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

namespace smelt {

/// Null if a region with `op` can run on a GPU, else why not. For fusion's remarks.
llvm::StringRef whyNotGPURowOp(mlir::Operation *op);

class GPURowProgram {
public:
  /// With `mayFlatten`, a region of element-wise ops on tensors of one size is one long row.
  explicit GPURowProgram(mlir::Region &region, bool mayFlatten = false);

  /// Empty if the region can be emitted, else why not.
  llvm::StringRef whyNot() const { return reason; }
  mlir::Block &getBlock() const { return block; }
  mlir::Operation *getTerminator() const { return block.getTerminator(); }

  int64_t getRows() const { return rows; }
  bool isFlat() const { return flatFeatures; }
  /// Features of a row: a row of [T, H, d] has H·d, feature h·d + j is element j of head h; rows of
  /// [T] and values of rank 0 have one.
  int64_t getFeatures(mlir::Value value) const;
  /// Width of the last axis: the pieces that norms and rotations work on.
  int64_t getSegment(mlir::Value value) const;
  /// The most features of any value that is computed or stored.
  int64_t getWidestRow() const { return widestRow; }
  /// Neighbouring features that a thread takes at once: no chunk crosses a piece.
  unsigned getVector() const { return vector; }

  /// A sum over all rows, or computed from such sums or from scalars alone; emitted by
  /// storeTotals.
  bool isTotal(mlir::Value value) const { return totals.contains(value); }
  /// The ops that add up something over all rows.
  llvm::ArrayRef<mlir::Operation *> getSums() const { return sums; }
  /// Some results are rows, some are totals.
  bool hasRowResults() const;
  bool hasTotalResults() const;

  /// Each result element is made of single elements of the arguments: no reduction over a row.
  bool isChunkwise() const { return chunkwise; }
  /// Chunk-wise, and argument `argument` is only read at the result's own row and feature.
  bool isElementwiseIn(unsigned argument) const;

private:
  void analyse(bool mayFlatten);
  void planVector();
  bool planTotals();

  mlir::Block &block;
  std::string reason;
  int64_t rows = 1, flatFeatures = 0, widestRow = 1;
  unsigned vector = 4;
  bool chunkwise = true;
  llvm::DenseSet<mlir::Value> totals;
  llvm::SmallVector<mlir::Operation *> sums;
};

} // namespace smelt
#endif
