//===- CPUTarget.h - What the CPU code generator generates for --*- C++ -*-===//
#ifndef SMELT_COMPILER_TARGET_CPU_CPUTARGET_H
#define SMELT_COMPILER_TARGET_CPU_CPUTARGET_H

#include "llvm/ADT/StringRef.h"
#include <optional>
#include <string>
#include <vector>

namespace smelt {

/// A CPU to generate code for. Code uses the instructions of an x86-64 level (v3 or v4), scheduled
/// for `name`: the level keeps the list of features that a machine must have short and exact, so
/// that the runtime can check a bundle before it runs it.
struct CPUTarget {
  /// LLVM's name of the CPU, used for scheduling.
  std::string name;
  /// "x86-64-v3" or "x86-64-v4": the instructions that may be used.
  std::string level;
  /// f32 lanes of a vector register: 8 (AVX2) or 16 (AVX-512).
  unsigned lanes = 8;
  /// What a machine must have, in /proc/cpuinfo's words.
  std::vector<std::string> features;

  /// "host", or LLVM's name of an x86 CPU ("sapphirerapids", "skylake-avx512", "haswell",
  /// "x86-64-v3" …). None for an unknown CPU or for one without AVX2 and FMA; `why` then says what
  /// is wrong.
  static std::optional<CPUTarget> get(llvm::StringRef name, std::string &why);
};

} // namespace smelt
#endif
