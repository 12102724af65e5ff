//===- GPUAttention.h - A warp per token and head ---------------*- C++ -*-===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_GPUATTENTION_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_GPUATTENTION_H

#include "compiler/Conversion/KernelToGPU/EmitKernels.h"
#include "compiler/Conversion/KernelToGPU/GPURegion.h"

namespace smelt {

using Values = GPUBuilder::Values;

/// A launch in which each warp has one token and one head of [T, H, d]; lane i has features
/// i, 32 + i ….
class AttentionWarps {
public:
  AttentionWarps(mlir::RankedTensorType type, GPUEmission &emission, llvm::StringRef role)
      : tokens(type.getDimSize(0)), heads(type.getDimSize(1)), width(type.getDimSize(2)),
        function(emission, role, kThreads), g(function.builder()) {
    thread = g.thread();
    lane = g.rem(thread, 32);
  }

  void forEachRow(llvm::function_ref<void(mlir::Value token, mlir::Value head)> body) {
    mlir::Value warp = g.add(g.mul(g.block(), kThreads / 32), g.div(thread, 32));
    g.when(g.less(warp, tokens * heads), [&] { body(g.div(warp, heads), g.rem(warp, heads)); });
  }
  void finish() {
    int64_t blocks = llvm::divideCeil(tokens * heads, kThreads / 32);
    function.finish({blocks, 1, 1});
  }

  int64_t countFeatures() const { return llvm::divideCeil(width, 32); }
  /// The lane's i-th feature as a chunk of a row of [T, H·d]; the last one of the head for lanes
  /// beyond it.
  GPUChunk getChunk(mlir::Value head, int64_t i) {
    mlir::Value feature = g.min(g.add(lane, 32 * i), g.integer(width - 1));
    return GPUChunk::at(g.add(g.mul(head, width), feature), 0, heads * width);
  }
  mlir::Value isValid(int64_t i) {
    return (i + 1) * 32 <= width ? mlir::Value() : g.less(g.add(lane, 32 * i), width);
  }
  /// The lane's features of a row; 0 beyond the head.
  Values loadRow(GPUOperandRegion &region, mlir::Value token, mlir::Value head) {
    region.start();
    return collect([&](int64_t i) { return region.get(token, getChunk(head, i))[0]; });
  }
  /// The same of an operand [T, H, d] of the kernel.
  Values loadRow(mlir::Value operand, mlir::Value token, mlir::Value head) {
    mlir::Type element = mlir::cast<mlir::RankedTensorType>(operand.getType()).getElementType();
    return collect([&](int64_t i) {
      return g.loadNumbers(pointTo(operand, element, token, getChunk(head, i)), element, 1, true)[0];
    });
  }
  void storeRow(mlir::Value output, mlir::Value token, mlir::Value head, llvm::ArrayRef<mlir::Value> values) {
    mlir::Type element = mlir::cast<mlir::RankedTensorType>(output.getType()).getElementType();
    forFeatures(head, [&](size_t i, const GPUChunk &chunk) {
      g.storeNumbers(values[i], pointTo(output, element, token, chunk), element, true);
    });
  }
  void forFeatures(mlir::Value head, llvm::function_ref<void(size_t, const GPUChunk &)> body) {
    for (int64_t i = 0; i < countFeatures(); ++i) {
      GPUChunk chunk = getChunk(head, i);
      if (mlir::Value valid = isValid(i))
        g.when(valid, [&] { body(i, chunk); });
      else
        body(i, chunk);
    }
  }
  /// Σ over all features, in every lane.
  mlir::Value dot(llvm::ArrayRef<mlir::Value> x, llvm::ArrayRef<mlir::Value> y) {
    mlir::Value sum = g.mulf(x[0], y[0]);
    for (size_t i = 1; i < x.size(); ++i)
      sum = g.fma(x[i], y[i], sum);
    return g.sumOfLanes(sum);
  }
  mlir::Value loadScalar(mlir::Value operand) {
    mlir::Type element = mlir::cast<mlir::RankedTensorType>(operand.getType()).getElementType();
    return g.loadNumbers(function.getPointer(operand), element, 1, true)[0];
  }
  mlir::Value loadIndex(mlir::Value operand, mlir::Value token) {
    return g.load(g.offset(function.getPointer(operand), g.i32(), token), g.i32(), 4);
  }
  /// One number per token and head.
  mlir::Value loadStatistic(mlir::Value pointer, mlir::Type element, mlir::Value token,
                            mlir::Value head) {
    mlir::Value at = g.add(g.mul(token, heads), head);
    return g.loadNumbers(g.offset(pointer, element, at), element, 1, true)[0];
  }
  void storeStatistic(mlir::Value output, mlir::Value token, mlir::Value head, mlir::Value value) {
    mlir::Type element = mlir::cast<mlir::RankedTensorType>(output.getType()).getElementType();
    mlir::Value at = g.add(g.mul(token, heads), head);
    g.storeNumbers(value, g.offset(function.getPointer(output), element, at), element, true);
  }

  static constexpr int64_t kThreads = 128;
  int64_t tokens, heads, width;
  GPUFunction function;
  GPUBuilder g;
  mlir::Value thread, lane;

private:
  Values collect(llvm::function_ref<mlir::Value(int64_t)> load) {
    Values values;
    for (int64_t i = 0; i < countFeatures(); ++i) {
      mlir::Value value = load(i);
      if (mlir::Value valid = isValid(i))
        value = g.select(valid, value, g.number(0));
      values.push_back(value);
    }
    return values;
  }
  mlir::Value pointTo(mlir::Value tensor, mlir::Type element, mlir::Value token,
                      const GPUChunk &chunk) {
    mlir::Value base = g.offset(function.getPointer(tensor), element,
                                g.mul(g.widen(token), g.integer64(heads * width)));
    return g.offset(base, element, chunk.dynamic);
  }
};

} // namespace smelt
#endif
