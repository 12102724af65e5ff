//===- GPURowEmitter.h - Code for rows of a GPURowProgram -------*- C++ -*-===//
//
// The emitter pulls: get(value, row, chunk) emits what computes these features of that row for this
// thread, memoised within the code that can see it. A reduction over a row met on the way is
// emitted once per row, before the loop that wants it, by all threads that share the row.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_GPUROWEMITTER_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_GPUROWEMITTER_H

#include "compiler/Conversion/KernelToGPU/GPUBuilder.h"
#include "compiler/Conversion/KernelToGPU/GPUEmission.h"
#include "compiler/Conversion/KernelToGPU/GPURowProgram.h"
#include <functional>
#include <map>

namespace smelt {

/// `count` neighbouring features of a row: dynamic + offset + 0, 1 …; for all threads they lie in
/// [low, high).
struct GPUChunk {
  mlir::Value dynamic; ///< i32; null: 0.
  int64_t offset = 0, low = 0, high = 0;
  unsigned count = 1;

  /// Where a group of threads has one head of a row (GPURowSlices.h): the chunk lies in head
  /// `number` + first, at position + offset, within [low, high) of its `width` features.
  struct Head {
    int64_t width = 0, first = 0, offset = 0, low = 0, high = 0;
    mlir::Value number, position;
  } head;

  static GPUChunk at(int64_t offset, unsigned count = 1) {
    return {{}, offset, offset, offset + count, count, {}};
  }
  static GPUChunk at(mlir::Value dynamic, int64_t low, int64_t high, unsigned count = 1) {
    return {dynamic, 0, low, high, count, {}};
  }
  GPUChunk shifted(int64_t by) const {
    GPUChunk moved = {dynamic, offset + by, low + by, high + by, count, head};
    if (head.width && by % head.width == 0)
      moved.head.first += by / head.width;
    else if (head.width)
      moved.head.offset += by, moved.head.low += by, moved.head.high += by;
    return moved;
  }
};

/// The threads that share a row: 1, a part of a warp (heads: GPURowSlices.h), a warp, or a block.
struct GPURowGroup {
  int64_t size = 1;
  mlir::Value lane;    ///< i32, below `size`; null for size 1.
  mlir::Value inWarp;  ///< i32, which of a warp's groups; null where a warp is no more than one.
  mlir::Value scratch; ///< !llvm.ptr<3> to 2·(size / 32) floats, for groups beyond a warp.
};

/// Where rows of a region argument come from: memory (row r begins at r·stride), or `load`.
struct GPURowSource {
  mlir::Value pointer; ///< !llvm.ptr<1>
  mlir::Type element;
  int64_t stride = 0;
  int64_t alignment = 4; ///< Of the pointer, in bytes.
  std::function<GPUBuilder::Values(mlir::Value row, const GPUChunk &)> load;
};

struct GPURowSink {
  mlir::Value pointer;
  mlir::Type element;
  int64_t stride = 0;
  int64_t alignment = 4;
};

struct GPURowSlices;

class GPURowEmitter {
public:
  using Value = mlir::Value;
  using Values = GPUBuilder::Values;

  /// What all rows share is emitted where the builder stands now. One source per region argument,
  /// one sink per result.
  GPURowEmitter(const GPURowProgram &program, mlir::ImplicitLocOpBuilder &builder,
                GPURowGroup group, llvm::ArrayRef<GPURowSource> sources,
                llvm::ArrayRef<GPURowSink> sinks);
  ~GPURowEmitter();

  /// Forgets the current row's values: call it where the code of another row begins.
  void startRow();
  /// Code of one row, by all threads of its group: stores the results that are rows.
  void storeRow(Value row);
  /// Code of slice `unit` of a row: stores it, and returns what this thread adds to each sum.
  Values storeSlice(const GPURowSlices &slices, Value row, Value unit);
  /// All row results at one chunk, by this thread; chunk-wise programs only.
  void storeChunk(Value row, const GPUChunk &chunk);
  /// What this thread adds to the program's sums for one row; one list per sum.
  llvm::SmallVector<Values> getContributions(Value row);
  /// How many numbers a thread adds up for a sum: 1, or its share of a weight's gradient.
  int64_t countAccumulators(mlir::Operation *sum) const;

  /// f32 (i32 for index tensors), `chunk.count` of them.
  Values get(Value value, Value row, const GPUChunk &chunk);
  /// A value of rank 0, emitted once for all rows.
  Value getUniform(Value value);
  /// Gives a sum's value, for what is computed from it.
  void setTotal(Value sum, Value value) { known[sum] = value; }

private:
  struct Scope;
  struct Place {
    Value segment; ///< Null: staticSegment.
    int64_t staticSegment = 0;
    Value position; ///< First feature within the segment, i32.
    int64_t low = 0, high = 0; ///< Bounds of the position.
    GPUChunk inSegment;        ///< The chunk as one of a row that is the segment.
  };
  struct Neighbour {
    Value row, valid;
  };
  /// Numbers per segment of a row, the same for all threads of the group.
  using SegmentValues = llvm::SmallVector<Values>;

  template <typename F> auto emitAt(unsigned scopeCount, F &&emit);
  template <typename F> auto atRowLevel(F &&emit) { return emitAt(2, emit); }
  template <typename F> auto atMark(F &&emit) { return emitAt(1, emit); }
  /// Emits `body` inside of a nested region: with a scope of its own.
  void nested(mlir::Operation *outer, llvm::function_ref<void()> body);

  Value first(const GPUChunk &chunk);
  Place locate(const GPUChunk &chunk, int64_t width);
  Value choose(llvm::ArrayRef<Value> values, const Place &place);
  Values compute(Value value, Value row, const GPUChunk &chunk);
  Values computeArgument(mlir::BlockArgument argument, Value row, const GPUChunk &chunk);
  Values computeTable(mlir::lm::ConstantOp op, Value row, const GPUChunk &chunk);
  Values computeElementwise(mlir::Operation *op, Value row, const GPUChunk &chunk);
  /// x / scale, not yet rounded.
  Values computeQuotient(mlir::lm::QuantizeOp op, Value row, const GPUChunk &chunk);
  /// Numbers that the store of `element`s makes `value` of: it rounds by itself.
  Values getForStore(Value value, mlir::Type element, Value row, const GPUChunk &chunk);
  Values computeUnaryBackward(mlir::lm::UnaryBackwardOp op, const Values &x, const Values &dy);
  Value applyUnary(mlir::lm::UnaryKind kind, Value x);
  Values computeNorm(mlir::Operation *op, Value row, const GPUChunk &chunk);
  Values computeRope(mlir::lm::RopeOp op, Value row, const GPUChunk &chunk);
  Values computeParts(mlir::Operation *op, unsigned result, Value row, const GPUChunk &chunk);
  Values computeConcat(mlir::lm::ConcatOp op, Value row, const GPUChunk &chunk, Place place,
                       size_t part, int64_t begin);
  Values computeShift(mlir::Operation *op, Value row, const GPUChunk &chunk);
  Values computeShiftDot(mlir::lm::TokenShiftDotOp op, Value row, const GPUChunk &chunk);
  Values computeGate(mlir::Operation *op, Value row, const GPUChunk &chunk);
  Values computeRowDot(mlir::lm::RowDotOp op, Value row, const GPUChunk &chunk);
  Values computeLoss(mlir::Operation *op, unsigned result, Value row, const GPUChunk &chunk);
  Values computeSoftcap(mlir::Operation *op, Value row, const GPUChunk &chunk);
  Value computeInteger(mlir::Operation *op, Value row);
  static int64_t countRows(Value value) {
    return mlir::cast<mlir::RankedTensorType>(value.getType()).getDimSize(0);
  }
  /// The number of a row's first element in a tensor of `rows`: i32 where it fits, else i64.
  Value getRowStart(Value row, int64_t rows, int64_t stride);
  /// A chunk's address in the row that starts at element `start`.
  Value getPlace(Value pointer, mlir::Type element, Value start, const GPUChunk &chunk);
  Values loadChunk(const GPURowSource &source, Value start, const GPUChunk &chunk);

  /// The mask of shifted features: none, all, or a condition per chunk.
  enum class Cover { None, All, Some };
  Cover coverShift(mlir::Operation *op, const GPUChunk &chunk, Value &mask);
  /// Features of row `from` where `mask` holds (null: everywhere), else of `row`: of a stored
  /// tensor by one load.
  Values getMovedFeatures(Value x, Value row, Value from, Value mask, const GPUChunk &chunk);
  Values computeReplaceAdjoint(Value dy, Value row, Value mask, const Neighbour &earlier,
                               const Neighbour &later, const GPUChunk &chunk);
  Neighbour getNeighbour(Value row, int64_t distance, Value documentStart);
  /// Factor per row or per row and head for a chunk of `x`'s shape.
  Value getFactor(Value g, Value row, const GPUChunk &chunk, int64_t width, int64_t segments);

  using ChunkBody = llvm::function_ref<void(const GPUChunk &, Value valid)>;
  /// Deals a row's features to the group's threads; `valid` (may be null: always) says whether the
  /// thread has one. Threads without one see some other chunk.
  void forChunks(int64_t offset, int64_t features, ChunkBody body);
  /// Sums, maxima or sums of products over features [offset, offset + width), for all threads of
  /// the group. `terms` gives a number per feature and fold, fold after fold; for Dot, first all
  /// left and then all right ones.
  enum class Fold { Add, Max, Dot };
  Values reduce(int64_t offset, int64_t width, llvm::ArrayRef<Fold> folds,
                llvm::function_ref<Values(const GPUChunk &)> terms);
  Value reduceGroup(Value value, Fold fold);
  /// Of all segments, or of the chunk's head alone.
  const SegmentValues &
  getSegments(mlir::Operation *op, Value row, const GPUChunk &chunk, int64_t segments,
              llvm::function_ref<Values(int64_t segment)> computeSegment);

  /// A chunk of a single head's features as one of the row that `slice` lies in.
  GPUChunk inSlice(const GPUChunk &chunk, const GPUChunk &slice);
  /// The results and sums of one part of a program's slices, of its head `number`.
  Values storePart(const GPURowSlices &slices, size_t part, Value row, Value number);
  void storeResults(llvm::ArrayRef<unsigned> results, llvm::ArrayRef<Values> values, Value row,
                    const GPUChunk &chunk, Value valid);
  void storeNumbers(unsigned result, llvm::ArrayRef<Value> numbers, Value row,
                    const GPUChunk &chunk);

  const GPURowProgram &program;
  mlir::ImplicitLocOpBuilder &b;
  GPUBuilder g;
  const GPUChunk *slice = nullptr; ///< The head whose reductions are being emitted.
  GPURowGroup group;
  llvm::SmallVector<GPURowSource> sources;
  llvm::SmallVector<GPURowSink> sinks;
  mlir::Operation *mark;
  mlir::Operation *rowLoop = nullptr; ///< Outermost nested op of the row being built.
  llvm::SmallVector<Scope *> scopes;  ///< [0] all rows, [1] this row, then nested regions.
  std::vector<std::unique_ptr<Scope>> owned;
  llvm::DenseMap<Value, Value> known;
  unsigned tables = 0;
};

} // namespace smelt
#endif
