//===- DescribeFiles.h - What a run writes down about its data --*- C++ -*-===//
#pragma once

#include "runtime/base/Status.h"

#include <cstdint>
#include <string>
#include <vector>

namespace smelt::runtime {

/// Enough to tell whether another run reads the same file.
struct FileDescription {
  std::string path;
  uint64_t bytes = 0;
  /// SHA-256 of the file; of its ends, `kHashedEnd` bytes each, if it is larger than
  /// `kWhollyHashed`: a run should not wait for gigabytes to be read.
  std::string sha256;
  bool isWhole = true;
};

inline constexpr uint64_t kWhollyHashed = uint64_t(64) << 20;
inline constexpr uint64_t kHashedEnd = uint64_t(1) << 20;

StatusOr<std::vector<FileDescription>> describeFiles(const std::vector<std::string> &paths,
                                                     uint64_t whollyHashed = kWhollyHashed,
                                                     uint64_t hashedEnd = kHashedEnd);

} // namespace smelt::runtime
