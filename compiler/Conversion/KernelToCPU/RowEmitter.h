//===- RowEmitter.h - Code for rows of a RowProgram -------------*- C++ -*-===//
//
// The emitter pulls: get(value, row, chunk) emits what computes that chunk, memoised per loop body;
// a row reduction met on the way is emitted once per row, before the loop that wants it.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOCPU_ROWEMITTER_H
#define SMELT_COMPILER_CONVERSION_KERNELTOCPU_ROWEMITTER_H

#include "compiler/Conversion/KernelToCPU/RowProgram.h"
#include <map>
#include <optional>

namespace smelt {

class RowEmitter {
public:
  /// Emits at `builder`'s insertion point, which the constructor marks as the place for what all
  /// rows share (scalars, scratch). So construct it where these may go, once, outside the row loop.
  /// One source per region argument, one sink per terminator operand.
  RowEmitter(const RowProgram &program, mlir::OpBuilder &builder, mlir::Location loc,
             llvm::ArrayRef<RowSource> sources, llvm::ArrayRef<RowSink> sinks);
  ~RowEmitter();

  /// Partial sums go to `slot`, memref<?xf32> of at least getPartialFloats() floats, which
  /// zeroPartials() clears first.
  void setPartials(mlir::Value slot, mlir::Value firstFloat) {
    partials = slot, partialBase = firstFloat;
  }
  void zeroPartials();
  /// After all rows: adds `blocks` partials (`floats` apart) in order and stores every result that
  /// isTotal.
  void storeTotals(mlir::Value partialsOfAllBlocks, int64_t blocks, int64_t floats);

  /// A loop over rows [begin, end) (index), storing all results that are not totals.
  void emitRows(mlir::Value begin, mlir::Value end);
  /// The code of one row, at the insertion point.
  void emitRow(mlir::Value row);
  /// As emitRow, but only features [first, first + count) of results (all of the same width); first
  /// = null means 0; `first` is a multiple of `multipleOf`, and is at most `last` (needed for
  /// bounds).
  void emitRowWindow(mlir::Value row, mlir::Value first, int64_t multipleOf, int64_t last,
                     int64_t count);
  /// All results at one chunk; isChunkwise programs only.
  void emitChunk(mlir::Value row, const FeatureChunk &chunk);

  /// The value's chunk: vector<lanes x f32>, or f32 for scalar chunks. Between startRow() calls,
  /// values are shared.
  mlir::Value get(mlir::Value value, mlir::Value row, const FeatureChunk &chunk);
  /// Forgets the current row's values: call it at the start of each new block of code.
  void startRow();

private:
  struct Scope;
  using ChunkBody = llvm::function_ref<void(const FeatureChunk &)>;
  enum class Fold { Add, Max };

  // Core: scopes, placement, memory.
  mlir::Value compute(mlir::Value value, mlir::Value row, const FeatureChunk &chunk);
  mlir::Value computeUnrounded(mlir::Value value, mlir::Value row, const FeatureChunk &chunk);
  /// `made`, just computed, as a number of the type of `value`.
  mlir::Value rounded(mlir::Value made, mlir::Value value);
  mlir::Value getUniform(mlir::Value value); ///< f32 of a rank-0 value, emitted at the mark.
  mlir::Value getInteger(mlir::Value value, mlir::Value row); ///< i32 of an index vector.
  mlir::Value getUniformInteger(mlir::Value value);           ///< i32 of a rank-0 index.
  mlir::Value loadSource(unsigned argument, mlir::Value row, const FeatureChunk &chunk);
  mlir::Value loadMemory(mlir::Value memory, mlir::Value base, const FeatureChunk &chunk);
  void storeMemory(mlir::Value memory, mlir::Value base, const FeatureChunk &chunk,
                   mlir::Value value);
  /// A number of a table's source, rounded as the table's casts do.
  mlir::Value roundedAs(mlir::Value table, mlir::Value made);
  mlir::Value loadTable(mlir::Value argument, mlir::Value tableRow, int64_t width,
                        const FeatureChunk &chunk);
  void storeResult(unsigned index, mlir::Value row, const FeatureChunk &chunk);
  mlir::Value getScratch(int64_t floats);
  mlir::Value materialise(mlir::Value value, mlir::Value row);
  /// Runs `emit` where code of the whole row goes (before the outermost chunk loop), memoising per
  /// row.
  template <typename F> auto atRowLevel(F &&emit);
  template <typename F> auto atMark(F &&emit);
  struct Return;
  /// Code goes into a block of `nest`, a chunk loop or a branch in one, until a Return goes back.
  void enter(mlir::Operation *nest, mlir::Block *block);

  // Loops.
  void forChunks(int64_t features, llvm::ArrayRef<int64_t> cuts, int64_t period, ChunkBody body);
  void forDomain(mlir::Value value, ChunkBody body);
  void collectCuts(mlir::Value value, int64_t shift, int64_t low, int64_t high,
                   llvm::SmallVectorImpl<int64_t> &cuts, int64_t &period, int depth);
  /// Folds what `terms` gives over `width` features starting at dynamic + offset into scalars.
  llvm::SmallVector<mlir::Value>
  reduce(mlir::Value dynamic, int64_t multipleOf, int64_t offset, int64_t width, int64_t features,
         llvm::ArrayRef<Fold> folds,
         llvm::function_ref<llvm::SmallVector<mlir::Value>(const FeatureChunk &)> terms);
  /// Row reductions: computed once per row; scalar (one segment) or element `segment` of a scratch
  /// array.
  using SegmentBody = llvm::function_ref<llvm::SmallVector<mlir::Value>(
      mlir::Value dynamic, int64_t multipleOf, int64_t offset)>;
  void ensureSegments(mlir::Operation *op, mlir::Value row, int64_t segments, int64_t width,
                      unsigned values, SegmentBody body);
  mlir::Value getSegmentValue(mlir::Operation *op, mlir::Value row, unsigned index,
                              int64_t segments, mlir::Value segment, int64_t staticSegment);

  /// Segment and place in it of a chunk's first feature.
  struct Place {
    mlir::Value segment; ///< Null: staticSegment.
    int64_t staticSegment = 0;
    mlir::Value position; ///< Null: staticPosition.
    int64_t staticPosition = 0;
  };
  Place locate(const FeatureChunk &chunk, int64_t width);

  // Small arithmetic.
  mlir::Type typeOf(const FeatureChunk &chunk);
  mlir::Value splat(mlir::Value scalar, const FeatureChunk &chunk);
  mlir::Value number(double value, const FeatureChunk &chunk);
  mlir::Value number(double value, mlir::Type type);
  mlir::Value index(int64_t value);
  mlir::Value integer(int64_t value);
  mlir::Value first(const FeatureChunk &chunk);
  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value sub(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, mlir::Value b);
  mlir::Value div(mlir::Value a, mlir::Value b);
  mlir::Value neg(mlir::Value a);
  mlir::Value exp(mlir::Value a);
  mlir::Value sigmoid(mlir::Value a);
  mlir::Value select(mlir::Value condition, mlir::Value a, mlir::Value b);
  mlir::Value larger(mlir::Value a, mlir::Value b);
  mlir::Value laneMask(const FeatureChunk &chunk); ///< vector<i1> of the valid lanes.
  /// Which lanes' places, modulo `period`, are in `ranges` (flat pairs [begin, end)); `mask` is set
  /// where it is Some.
  enum class Cover { None, All, Some };
  Cover cover(const FeatureChunk &chunk, llvm::ArrayRef<int64_t> ranges, int64_t period,
              mlir::Value &mask);

  // Ops, one family per file.
  mlir::Value computeUnary(mlir::lm::UnaryKind kind, mlir::Value x);
  mlir::Value computeUnaryBackward(mlir::lm::UnaryBackwardOp op, mlir::Value x, mlir::Value dy);
  mlir::Value computeElementwise(mlir::Operation *op, mlir::Value row, const FeatureChunk &chunk);
  mlir::Value computeShape(mlir::Operation *op, mlir::Value result, mlir::Value row,
                           const FeatureChunk &chunk);
  mlir::Value computeConcat(mlir::lm::ConcatOp op, mlir::Value row, const FeatureChunk &chunk);
  mlir::Value computeNorm(mlir::Operation *op, mlir::Value row, const FeatureChunk &chunk);
  mlir::Value computeRope(mlir::lm::RopeOp op, mlir::Value row, const FeatureChunk &chunk);
  mlir::Value computeRowDot(mlir::lm::RowDotOp op, mlir::Value row, const FeatureChunk &chunk);
  mlir::Value computeShift(mlir::Operation *op, mlir::Value row, const FeatureChunk &chunk);
  mlir::Value computeGate(mlir::Operation *op, mlir::Value row, const FeatureChunk &chunk);
  mlir::Value computeLoss(mlir::Operation *op, mlir::Value result, mlir::Value row,
                          const FeatureChunk &chunk);
  mlir::Value computeSoftcap(mlir::Operation *op, mlir::Value x, mlir::Value dy);
  mlir::Value computeAttentionRange(mlir::lm::AttentionRangeOp op, mlir::Value row);
  void accumulateRow(mlir::Value row);

  /// The row `distance` before (or after, if negative) and whether it is there.
  struct Neighbour {
    mlir::Value row, valid;
  };
  Neighbour getNeighbour(mlir::Value row, int64_t distance, mlir::Value documentStart);
  struct Shift;
  /// Which lanes of a chunk of the shifted tensor are shifted.
  Cover coverShifted(const Shift &shift, const FeatureChunk &chunk, mlir::Value &mask);
  mlir::Value computeShiftDot(mlir::lm::TokenShiftDotOp op, const Shift &shift, mlir::Value row,
                              const FeatureChunk &chunk);
  /// What a neighbour's features are multiplied with in row `at`: scale · gate[at]; 0 unless valid.
  mlir::Value getShiftCoefficient(const Shift &shift, mlir::Value at, mlir::Value valid,
                                  const FeatureChunk &chunk);

  const RowProgram &program;
  mlir::OpBuilder &b;
  mlir::Location loc;
  llvm::SmallVector<RowSource> sources;
  llvm::SmallVector<RowSink> sinks;
  unsigned lanes;
  mlir::Operation *mark; ///< Row-independent code goes before this.
  mlir::Operation *rowLoop =
      nullptr; ///< Outermost chunk loop being built; row-level code goes before it.
  llvm::SmallVector<Scope *> scopes; ///< [0] all rows, [1] this row, then loop bodies.
  std::vector<std::unique_ptr<Scope>> ownedScopes;
  mlir::Value partials, partialBase;
  llvm::DenseMap<mlir::Value, mlir::Value> totalValues;
};

} // namespace smelt
#endif
