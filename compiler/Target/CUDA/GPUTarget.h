//===- GPUTarget.h - What the GPU code generator generates for --*- C++ -*-===//
#ifndef SMELT_COMPILER_TARGET_CUDA_GPUTARGET_H
#define SMELT_COMPILER_TARGET_CUDA_GPUTARGET_H

#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <optional>
#include <string>

namespace smelt {

/// An NVIDIA GPU architecture to generate code for.
struct GPUTarget {
  /// LLVM's and ptxas' name: "sm_80", "sm_90", "sm_90a".
  std::string chip;
  /// 80 or 90.
  int capability = 80;
  /// wgmma and setmaxnreg: code that runs on this architecture alone.
  bool architectureSpecific = false;
  /// Shared memory that one block may ask for.
  int64_t maxSharedBytes = 163 * 1024;
  /// Multiprocessors that persistent grids are made for; any number is right, this one is fast.
  int64_t multiprocessors = 108;

  bool hasTensorMaps() const { return capability >= 90; }
  bool hasWarpgroupMMA() const { return architectureSpecific && capability == 90; }

  /// None for an architecture that no generator knows; `why` then says which there are.
  static std::optional<GPUTarget> get(llvm::StringRef name, std::string &why);
  /// The target names a GPU rather than a CPU ("sm_…").
  static bool isName(llvm::StringRef name) { return name.starts_with("sm_"); }
};

} // namespace smelt
#endif
