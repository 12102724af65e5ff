//===- GpuLaunch.h - How a generated GPU function is called -----*- C++ -*-===//
#pragma once

#include "runtime/base/DType.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace smelt::runtime {

/// A TMA descriptor, encoded when addresses are known. Innermost axis first.
struct GpuTensorMap {
  DType dtype = DType::BF16;
  std::vector<uint64_t> sizes;   ///< Elements of each axis; 1 to 5 axes.
  std::vector<uint64_t> strides; ///< Bytes between elements of axis 1, 2 …; one fewer than axes.
  std::vector<uint32_t> box;     ///< Elements of each axis that one copy moves, at most 256.
  uint32_t swizzle = 0;          ///< 0, 32, 64 or 128 bytes.
  bool fillNaN = false;          ///< Elements outside of the tensor read as NaN, not zero.
};

/// One parameter of a function. `arguments` index the kernel's buffers.
struct GpuParameter {
  enum class Kind {
    Pointer,      ///< Address of one buffer plus `byteOffset`.
    PointerTable, ///< Addresses of all `arguments`, by value.
    TensorMap,    ///< The descriptor of a tensor that begins at that address, by value.
  };
  Kind kind = Kind::Pointer;
  std::vector<uint32_t> arguments;
  uint64_t byteOffset = 0;
  GpuTensorMap map;
};

/// One launch of a function; a kernel is one or more of them, in order.
struct GpuLaunch {
  std::string symbol;
  std::string role; ///< For people.
  std::array<uint32_t, 3> grid = {1, 1, 1};
  uint32_t threads = 1; ///< Of a block.
  uint32_t sharedBytes = 0; ///< Dynamic shared memory.
  uint32_t cluster = 1; ///< Blocks of a cluster; the function itself says so too.
  std::vector<GpuParameter> parameters;
  /// Its blocks take turns at the work, so that any smaller grid along x does it too.
  bool persistent = false;
};

} // namespace smelt::runtime
