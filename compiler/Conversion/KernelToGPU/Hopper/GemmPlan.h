//===- GemmPlan.h - How a kernel.gemm runs on Hopper --------------*- C++ -*-===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_GEMMPLAN_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_HOPPER_GEMMPLAN_H

#include "compiler/Conversion/KernelToGPU/GPUEmission.h"
#include "compiler/Conversion/KernelToGPU/Hopper/FragmentRegion.h"
#include "compiler/Conversion/KernelToGPU/Hopper/WarpGroupMultiply.h"

namespace smelt::gpu {

/// One output of the result region.
struct GemmOutput {
  Value tensor;                       ///< As the region yields it.
  uint32_t argument = 0;              ///< The kernel's buffer.
  Type element;                       ///< f32 or bf16.
  ColumnRange columns;                ///< Of the product.
  bool isStaged = false;              ///< Stored by TMA.
  llvm::SmallVector<unsigned> inputs; ///< Of the region, that it is computed from.
  int64_t heads = 0;                  ///< Not 0: an f32 number per row and head, of lm.row_dot.
  bool isBeside = false; ///< Made of inputs alone; it has no columns and belongs to no range.
};

/// Of an output that is one number per row and head; else 0.
int64_t countHeads(Value output);
/// Those that are made of inputs alone, with their places.
llvm::SmallVector<std::pair<Value, Value>> findBeside(llvm::ArrayRef<GemmOutput> outputs,
                                                      llvm::ArrayRef<Value> places);
/// What is known of an output before it is known how it is stored.
GemmOutput describeOutput(mlir::kernel::GemmOp op, unsigned index, const GPUEmission &emission);

/// An input of the result region that comes tile by tile through the staging area.
struct StagedInput {
  unsigned index;
  ColumnRange columns;      ///< Of the outputs that read it.
  int64_t tableColumns = 0; ///< Columns of a RoPE table, which every head reads; 0: a matrix.
};

/// Columns of the product that the same outputs cover; ranges do not overlap.
struct GemmRange {
  ColumnRange columns;
  std::vector<unsigned> outputs;         ///< In the order in which they are stored.
  std::vector<StagedInput> stagedInputs; ///< At most 2.
  bool isInputBeside = false;            ///< See StagingArea.
};

struct GemmPlan {
  int64_t groups = 1, m = 0, n = 0, k = 0; ///< Of one group.
  OperandType aType = OperandType::BF16, bType = OperandType::BF16;
  Major aMajor = Major::K, bMajor = Major::K;
  uint32_t aArgument = 0, bArgument = 0;
  std::vector<GemmOutput> outputs;
  std::vector<GemmRange> ranges;
  /// Tiles above the diagonal are stored a second time, as their transposes; those below are not
  /// computed.
  bool isSymmetric = false;
  bool isElementwise = true; ///< The result region looks at an element's own pair alone.

  int64_t stages = 0;
  int64_t stagingChunks = 0;  ///< Of each warp group.
  int64_t splits = 1;         ///< Parts of k whose products are added by a second launch, in order.
  int64_t blocksPerSplit = 0; ///< Steps of 128 bytes of k.

  int64_t tilesM() const { return (m + tileRows - 1) / tileRows; }
  int64_t tilesN() const { return (n + tileColumns - 1) / tileColumns; }
  /// Of one group.
  int64_t tilesOfMatrix() const {
    return isSymmetric ? tilesM() * (tilesM() + 1) / 2 : tilesM() * tilesN();
  }
  int64_t tiles() const { return groups * tilesOfMatrix(); }
  /// Elements of k in one stage: 128 bytes.
  int64_t blockK() const { return swizzleRow / getBytes(aType); }
  static constexpr int64_t tileBytes = tileRows * swizzleRow; ///< Of one operand in one stage.

  /// Why the regions keep a kernel from the Hopper generator: what of whyNot is known before
  /// storage is chosen and addresses are planned.
  static std::string whyNotRegions(mlir::kernel::GemmOp op);
  /// Why the Hopper generator does not take this kernel; empty if it does.
  static std::string whyNot(mlir::kernel::GemmOp op, const GPUEmission &emission);
  /// For a kernel that whyNot admits.
  static GemmPlan make(mlir::kernel::GemmOp op, const GPUEmission &emission);
};

} // namespace smelt::gpu
#endif
