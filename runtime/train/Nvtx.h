//===- Nvtx.h - Names for NVIDIA's profilers --------------------*- C++ -*-===//
#pragma once

#include <string>

namespace smelt::runtime {

/// A range in the timeline of Nsight Systems, as long as the object lives. Nothing where the
/// machine has no NVTX library (it comes with CUDA and with PyTorch).
class NvtxRange {
public:
  explicit NvtxRange(const std::string &name);
  ~NvtxRange();
  NvtxRange(const NvtxRange &) = delete;
  NvtxRange &operator=(const NvtxRange &) = delete;
};

} // namespace smelt::runtime
