//===- GPURegion.h - An operand region of a generic kernel ------*- C++ -*-===//
//
// The generic GEMM and attention load single elements of what a region yields. A region that can be
// evaluated so is; any other (a norm) is computed into the workspace by a launch before.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_GPUREGION_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_GPUREGION_H

#include "compiler/Conversion/KernelToGPU/GPURowKernel.h"
#include "dialects/Kernel/KernelOps.h"
#include <memory>

namespace smelt {

class GPUOperandRegion {
public:
  /// Region `index` of `op`. Its launch, if it takes one, is added by prepare().
  GPUOperandRegion(mlir::kernel::KernelOpInterface op, unsigned index);

  /// Empty if the region can be emitted.
  std::string whyNot() const;
  void prepare(GPUEmission &emission);
  /// Makes the elements available in `function`: what all of them share is emitted here.
  void bind(GPUFunction &function);
  /// Call where code for other elements begins.
  void start();
  /// Elements of row `row` of what the region yields.
  GPUBuilder::Values get(mlir::Value row, const GPUChunk &chunk);

  int64_t getRows() const { return program.getRows(); }
  int64_t getFeatures() const;
  /// Neighbouring features that get() may be asked for at once.
  unsigned getVector() const { return direct ? program.getVector() : stored.stride % 4 ? 1 : 4; }

private:
  mlir::kernel::KernelOpInterface op;
  unsigned index;
  GPURowProgram program;
  bool direct;
  GPURowBuffer stored;
  mlir::SmallVector<GPURowSource> sources;
  std::unique_ptr<GPURowEmitter> emitter;
  GPUFunction *function = nullptr;
};

/// The region that turns a kernel's raw result (its first argument) into the op's results.
class GPUResultRegion {
public:
  GPUResultRegion(mlir::kernel::KernelOpInterface op, unsigned index, mlir::ValueRange outputs);

  std::string whyNot() const { return program.whyNot().str(); }
  /// Each result element needs nothing but its own element of the raw result: storeElements may be
  /// used. Otherwise the raw result goes to getRaw() and finish() adds the launches.
  bool isElementwise() const { return elementwise; }
  unsigned getVector() const { return program.getVector(); }

  void prepare(GPUEmission &emission);
  /// Instead of prepare and bind: a kernel stores the whole raw result, in f32, where this says.
  const GPURowBuffer &prepareWhole(GPUEmission &emission);
  void bind(GPUFunction &function);
  /// Stores the results of one row's `chunk`, whose raw values are `raw`.
  void storeElements(mlir::Value row, const GPUChunk &chunk, mlir::ArrayRef<mlir::Value> raw);
  /// After the launch of the kernel itself.
  void finish(GPUEmission &emission);

private:
  mlir::kernel::KernelOpInterface op;
  unsigned index;
  mlir::SmallVector<mlir::Value> outputs;
  GPURowProgram program;
  bool elementwise;
  GPURowBuffer raw;
  mlir::SmallVector<GPURowBuffer> inputs, results;
  std::unique_ptr<GPURowEmitter> emitter;
  GPURowSink rawSink;
  GPUFunction *function = nullptr;
  mlir::SmallVector<mlir::Value> current;
};

} // namespace smelt
#endif
