//===- Safetensors.h - Named tensors in one file ----------------*- C++ -*-===//
//
// The safetensors format: a little-endian uint64 header length, a JSON header
// {"name":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},…}, then the data without holes.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/base/DType.h"
#include "runtime/base/Files.h"

#include <map>

namespace smelt::runtime {

struct TensorView {
  DType dtype = DType::F32;
  std::vector<int64_t> shape;
  std::span<const std::byte> data;
};

/// Writes and syncs a file; the data lie in the order of the names.
Status writeSafetensors(const std::string &path, const std::map<std::string, TensorView> &tensors,
                        const std::map<std::string, std::string> &metadata);

/// A mapped, fully checked file. The views live as long as it.
class SafetensorsFile {
public:
  static StatusOr<SafetensorsFile> open(const std::string &path);

  const std::map<std::string, TensorView> &tensors() const { return tensors_; }
  const std::map<std::string, std::string> &metadata() const { return metadata_; }

private:
  explicit SafetensorsFile(MappedFile file) : file_(std::move(file)) {}
  Status parse();
  Status checkCoverage(uint64_t dataBytes) const;

  MappedFile file_;
  std::map<std::string, TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

} // namespace smelt::runtime
