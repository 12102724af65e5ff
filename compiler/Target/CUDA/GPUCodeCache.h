//===- GPUCodeCache.h - PTX and cubins made before --------------*- C++ -*-===//
#ifndef SMELT_COMPILER_TARGET_CUDA_GPUCODECACHE_H
#define SMELT_COMPILER_TARGET_CUDA_GPUCODECACHE_H

#include "compiler/Target/CUDA/EmitGPUCode.h"
#include "compiler/Target/ObjectCache.h"

namespace smelt {

/// The code of one module of kernels, whole: by their text, the target, this compiler's build IDs
/// and ptxas' version.
class GPUCodeCache {
public:
  /// Before `module` is lowered. An empty `folder`, or a compiler or a ptxas that does not say what
  /// it is, finds and keeps nothing. `ptxas` is empty where there is none.
  GPUCodeCache(const std::string &folder, mlir::ModuleOp module, const GPUTarget &target,
               const std::string &ptxas);

  bool find(GPUCode &code) const;
  void keep(const GPUCode &code) const;

private:
  ObjectCache cache;
  std::string key; ///< Empty: nothing is found or kept.
};

} // namespace smelt
#endif
