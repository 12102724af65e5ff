//===- WarpGemmPlan.h - How a kernel.gemm runs with mma.sync ------*- C++ -*-===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_AMPERE_WARPGEMMPLAN_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_AMPERE_WARPGEMMPLAN_H

#include "compiler/Conversion/KernelToGPU/Ampere/WarpOperand.h"
#include "compiler/Conversion/KernelToGPU/Hopper/GemmPlan.h"

namespace smelt::gpu {

struct WarpGemmPlan {
  int64_t groups = 1, m = 0, n = 0, k = 0; ///< Of one group.
  WarpOperand a, b;
  /// Outputs and column ranges of a region that FragmentRegion evaluates; none if the product is
  /// stored whole, in f32, for launches behind it that run the region row by row.
  std::vector<GemmOutput> outputs;
  std::vector<GemmRange> ranges;
  bool isRaw() const { return outputs.empty(); }

  int64_t splits = 1;         ///< Parts of k whose products are added by a second launch, in order.
  int64_t blocksPerSplit = 0; ///< Steps of WarpOperandLoader::depth of k.

  int64_t blocks() const { return llvm::divideCeil(k, WarpOperandLoader::depth); }
  int64_t tilesM() const { return llvm::divideCeil(m, tileRows); }
  int64_t tilesN() const { return llvm::divideCeil(n, tileColumns); }
  int64_t tiles() const { return groups * tilesM() * tilesN(); }

  /// Why tensor cores do not take this kernel; empty if they do.
  static std::string whyNot(mlir::kernel::GemmOp op);
  /// For a kernel that whyNot admits; adds the launches that write its operands.
  static WarpGemmPlan make(mlir::kernel::GemmOp op, GPUEmission &emission);
};

} // namespace smelt::gpu
#endif
