//===- FragmentRegion.h - A GEMM's result region on accumulators --*- C++ -*-===//
//
// Evaluates the row ops of a kernel.gemm's result region element by element on the accumulator
// registers of a warp group, when a tile of the product is complete. Nothing is evaluated before it
// is asked for, and nothing twice, so values live as shortly as the order of the stores allows.
//
// A tensor of the region covers columns [offset, offset + width) of the product (parts of a split,
// heads side by side); all values are f32 in registers.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_FRAGMENTREGION_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_FRAGMENTREGION_H

#include "compiler/Conversion/KernelToGPU/Hopper/CodeBuilder.h"
#include "dialects/Kernel/KernelOps.h"
#include "llvm/ADT/DenseMap.h"
#include <functional>
#include <map>
#include <optional>
#include <string>

namespace smelt::gpu {

/// Rows and columns of a warp group's tile of the product.
inline constexpr int64_t tileRows = 128, tileColumns = 128;

/// An element of a thread's part of the tile: row 64·m + 16·warp + lane/4 + 8·h, column 8·n8 +
/// 2·(lane mod 4) + p.
struct Cell {
  int m = 0, n8 = 0, h = 0, p = 0;
  int index() const { return ((m * 16 + n8) * 2 + h) * 2 + p; }
  static constexpr int count = 2 * 16 * 2 * 2;
};

/// Columns of the product that an output of the region covers.
struct ColumnRange {
  int64_t offset = 0, width = 0;
  bool overlaps(const ColumnRange &other) const {
    return offset < other.offset + other.width && other.offset < offset + width;
  }
  bool operator==(const ColumnRange &other) const {
    return offset == other.offset && width == other.width;
  }
};

class FragmentRegion {
public:
  FragmentRegion(CodeBuilder &code, mlir::kernel::GemmOp op);

  /// Why the region cannot be evaluated on fragments; empty if it can.
  static std::string whyNot(mlir::kernel::GemmOp op);
  /// The region looks beyond an element's own pair of columns.
  static bool looksAcross(mlir::kernel::GemmOp op);
  /// The columns that a tensor of the region covers, or is made of where it is one number per head;
  /// nothing if it does not depend on the product.
  static std::optional<ColumnRange> findColumns(mlir::kernel::GemmOp op, Value tensor);

  /// Sets where the kernel finds an input of the region (global address).
  void bindInput(unsigned index, Value pointer) { pointers[index] = pointer; }
  /// Lets an input that is a matrix come from elsewhere than global memory: pairs of neighbours (p
  /// = 0, 1).
  void bindPairs(unsigned index, std::function<std::pair<Value, Value>(Cell)> pairs) {
    staged[index] = std::move(pairs);
  }
  void unbindPairs() { staged.clear(); }
  /// Computes all rank-0 values; once, before the first tile.
  void evaluateScalars();
  /// Begins a tile, or a part of it that lies inside one part of a split: this thread's first row
  /// in its group, its first column counted from where the part begins, and the product's elements
  /// (in registers, or loaded when asked for). `group` is null for a product without groups.
  void beginTile(Value row, Value column, llvm::function_ref<Value(Cell)> product,
                 Value group = {});
  /// Before a tile is multiplied: loads the factors of its rows, which are kept until the region
  /// asks for them. Loads among the multiplications would wait behind TMA's.
  void prefetchFactors(Value row, Value column, Value group);
  /// An element of a tensor of the region.
  Value get(Value tensor, Cell cell);
  /// The number of one row and head of an output of lm.row_dot; `cell` is the head's first. All
  /// threads of the row must ask.
  Value getHeadSum(mlir::lm::RowDotOp dot, Cell cell);
  /// Whether an output of the region is made of its inputs alone: a number per row, or gates.
  static bool isBeside(mlir::kernel::GemmOp op, Value output) { return !findColumns(op, output); }
  /// Stores such outputs, f32 at their pointers, of the thread's rows in `rowBlocks` blocks of 64;
  /// by the threads that have columns 0 to 7 of the product.
  void storeBeside(llvm::ArrayRef<std::pair<Value, Value>> outputs, Value row, Value column,
                   Value group, int rowBlocks);

private:
  Value compute(Value tensor, Cell cell);
  Value computeInput(mlir::BlockArgument argument, Cell cell);
  Value computeScalar(mlir::Operation *op);
  Value applyUnary(mlir::lm::UnaryKind kind, Value x);
  Value applyUnaryBackward(mlir::lm::UnaryBackwardOp op, Value x, Value dy);
  Value getRowValue(Value tensor, Cell cell);
  Value getNormFactor(mlir::lm::RMSNormOp op, Cell cell);
  Value getHeadFactor(mlir::lm::RowScaleOp op, Cell cell);
  /// Of an input with few numbers a row.
  Value addRow(mlir::lm::RowDotOp op, Cell cell);
  /// The first `count` numbers of row `index` of an input.
  llvm::SmallVector<Value> loadRow(mlir::BlockArgument input, Value index, int64_t count);
  struct NumberStore {
    Value value, address, isMine, row;
  };
  void computeGates(mlir::lm::GateOp op, Value pointer, int rowBlocks,
                    llvm::SmallVectorImpl<NumberStore> &stores);
  /// Of what the quad of threads that hold a row have.
  Value sumOfQuad(Value sum);
  Value rotate(mlir::lm::RopeOp op, Cell cell);
  Value loadElement(Value pointer, Type type, Value index);
  /// Two neighbours, the first at an even index.
  std::pair<Value, Value> loadPair(Value pointer, Type type, Value index);
  std::pair<Value, Value> loadPairAt(Value address, Type type);
  Value clampedRow(int m, int h);

  CodeBuilder &code;
  mlir::kernel::GemmOp op;
  mlir::Block &block;
  llvm::DenseMap<unsigned, Value> pointers;
  std::map<unsigned, std::function<std::pair<Value, Value>(Cell)>> staged;
  llvm::DenseMap<Value, Value> scalars;
  Value row, column, group;
  std::function<Value(Cell)> product;
  llvm::DenseMap<std::pair<Value, int>, Value> known, early;
};

} // namespace smelt::gpu
#endif
