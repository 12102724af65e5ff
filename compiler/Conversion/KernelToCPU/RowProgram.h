//===- RowProgram.h - What a region of row ops needs to run -----*- C++ -*-===//
//
// A RowProgram is the analysis of one region of lm row ops; a RowEmitter (RowEmitter.h) turns it
// into scf/vector/memref/arith/math code for some rows. README.md tells the model: values are
// pulled, chunk by chunk.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOCPU_ROWPROGRAM_H
#define SMELT_COMPILER_CONVERSION_KERNELTOCPU_ROWPROGRAM_H

#include "dialects/LM/LMOps.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include <functional>

namespace smelt {

/// Up to one vector of consecutive features of a row. Features are counted flat: a row of [T, H, d]
/// has H·d of them, feature h·d + j is element j of head h; rows of [T] have one.
struct FeatureChunk {
  mlir::Value dynamic;    ///< Part of the first feature known only at run time (index); null: 0.
  int64_t multipleOf = 0; ///< `dynamic` is a multiple of this.
  int64_t offset = 0;     ///< First feature = dynamic + offset.
  int64_t low = 0,
          high = 0; ///< All features of the chunk lie in [low, high), whatever `dynamic` is.
  unsigned lanes =
      0; ///< Valid features; the rest of the vector is unspecified. 0: one feature, as a scalar.

  static FeatureChunk at(int64_t offset, unsigned lanes) {
    return {{}, 0, offset, offset, offset + (lanes ? lanes : 1), lanes};
  }
  static FeatureChunk at(mlir::Value dynamic, int64_t multipleOf, int64_t offset, int64_t low,
                         int64_t high, unsigned lanes) {
    return {dynamic, multipleOf, offset, low, high, lanes};
  }
  bool isScalar() const { return lanes == 0; }
  FeatureChunk shifted(int64_t by) const {
    return {dynamic, multipleOf, offset + by, low + by, high + by, lanes};
  }
};

/// Where rows of a region argument come from. `memory` is rank 1 (see flattenMemRef), row r starts
/// at (r - firstRow)·rowStride. `load`, if set, is used instead: it gives vector<lanes of the
/// target x f32> (f32 for scalar chunks) at the insertion point. Arguments that are not rows
/// (scalars, gate weights, tables, token lists) are always whole tensors with firstRow null.
struct RowSource {
  mlir::Value memory;
  mlir::Value firstRow; ///< Null: row 0.
  int64_t rowStride = 0;
  std::function<mlir::Value(mlir::OpBuilder &, mlir::Location, mlir::Value row,
                            const FeatureChunk &)>
      load;
};

/// Where rows of a result go; `store`, if set, is called instead of storing to memory.
struct RowSink {
  mlir::Value memory;
  mlir::Value firstRow; ///< Null: row 0.
  int64_t rowStride = 0;
  std::function<void(mlir::OpBuilder &, mlir::Location, mlir::Value row, const FeatureChunk &,
                     mlir::Value value)>
      store;
};

/// Rows before and after its own that a row reads of an argument.
struct RowReach {
  int64_t before = 0, after = 0;
};

/// Null if `op` can stand in a region that the CPU runs row by row, else why not. For fusion's
/// remarks.
llvm::StringRef whyNotRowProgram(mlir::Operation *op);

class RowProgram {
public:
  /// `lanes`: f32 lanes of a vector. With `mayFlatten`, a region of purely element-wise ops on
  /// tensors of one size is treated as rows of a convenient length, whatever its shape (optimiser
  /// math; rank-1 tensors).
  RowProgram(mlir::Region &region, unsigned lanes, bool mayFlatten = false);

  /// Empty if the region can be emitted, else why not (an op as whyNotRowProgram, or mixed sizes of
  /// the first axis …).
  llvm::StringRef whyNot() const { return reason; }

  mlir::Block &getBlock() const { return block; }
  mlir::Operation *getTerminator() const { return block.getTerminator(); }
  unsigned getLanes() const { return lanes; }
  int64_t getRows() const { return rows; }
  /// Features of a row of `value` (1 for rank 0 and 1); in a flattened program the same for all.
  int64_t getFeatures(mlir::Value value) const;
  /// Width of the last axis (1 for rank 0 and 1) and number of such segments in a row.
  int64_t getSegment(mlir::Value value) const;
  int64_t getSegments(mlir::Value value) const { return getFeatures(value) / getSegment(value); }

  /// Every result chunk depends on source chunks alone: no row reduction, no scratch. Such programs
  /// may be emitted chunk by chunk (RowEmitter::emitChunk), for example on a tile in registers.
  bool isChunkwise() const { return chunkwise; }
  /// Chunk-wise, and besides, each result chunk reads only its own features and row of argument
  /// `argument` (an accumulator may then stay in registers).
  bool isElementwiseIn(unsigned argument) const;
  RowReach getReach(unsigned argument) const;
  /// Argument is read as rows (not as a scalar, weight, table or list of indices).
  bool isRowArgument(unsigned argument) const { return rowArguments.contains(argument); }

  /// Results that are sums over all rows (or computed from such): they are stored by
  /// RowEmitter::storeTotals, not by emitRows.
  bool isTotal(mlir::Value value) const { return totals.contains(value); }
  /// Floats that one block of rows needs for its partial sums; 0 without such results.
  int64_t getPartialFloats() const { return partialFloats; }
  int64_t getPartialOffset(mlir::Value value) const { return partialOffsets.lookup(value); }

  /// Number of groups of rows that sums over groups (lm.group_sum) have; 0 without such sums. A
  /// block of rows must not belong to two groups.
  int64_t getGroups() const { return groups; }

  bool isMaterialised(mlir::Value value) const { return materialised.contains(value); }
  /// Rough cost of one row, in vector operations over one feature; for choosing block sizes.
  int64_t getRowCost() const { return rowCost; }

private:
  void analyse(bool mayFlatten);
  void planTotals();
  void planMaterialisation();
  void planReach();

  mlir::Block &block;
  unsigned lanes;
  int64_t rows = 1, groups = 0, flatFeatures = 0, partialFloats = 0, rowCost = 0;
  bool chunkwise = true;
  std::string reason;
  llvm::DenseSet<mlir::Value> totals, materialised;
  llvm::DenseSet<unsigned> rowArguments;
  llvm::DenseMap<mlir::Value, int64_t> partialOffsets;
  llvm::DenseMap<mlir::Value, RowReach> reach;
};

/// A rank-1 view of a memref with static shape and identity layout.
mlir::Value flattenMemRef(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value memref);

} // namespace smelt
#endif
