//===- GPULaunch.h - One launch of a generated function ---------*- C++ -*-===//
//
// What every emitter returns for a kernel op: the functions it made, in launch order, and how the
// runtime calls them. compiler/Target/Bundle copies it into the manifest's `gpu` section.
//
//===----------------------------------------------------------------------===//
#ifndef SMELT_COMPILER_CONVERSION_KERNELTOGPU_GPULAUNCH_H
#define SMELT_COMPILER_CONVERSION_KERNELTOGPU_GPULAUNCH_H

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace smelt {

/// A TMA descriptor; the runtime encodes it at load, when addresses are known. Innermost axis
/// first, as cuTensorMapEncodeTiled wants it.
struct GPUTensorMap {
  enum class Element { BF16, F16, F32, F8, I32 };
  Element element = Element::BF16;
  std::vector<int64_t> sizes;   ///< Elements of each axis; 1 to 5 axes.
  std::vector<int64_t> strides; ///< Bytes between elements of axis 1, 2 …: one fewer than axes.
  std::vector<int64_t> box;     ///< Elements of each axis that one copy moves; at most 256.
  int swizzle = 0;              ///< 0, 32, 64 or 128 bytes.
  /// Elements outside of the tensor read as zero (the default), or NaN.
  bool fillNaN = false;
  bool operator==(const GPUTensorMap &) const = default;
};

/// One parameter of a generated function. `arguments` are positions in the kernel's list of buffers:
/// operands, results, workspace.
struct GPUParameter {
  enum class Kind {
    Pointer,      ///< Address of one buffer plus `byteOffset`.
    PointerTable, ///< Array of addresses, passed by value.
    TensorMap,    ///< 128 bytes, passed by value, of a tensor that begins at that address.
  };
  Kind kind = Kind::Pointer;
  std::vector<uint32_t> arguments;
  int64_t byteOffset = 0;
  GPUTensorMap map;
};

/// One launch. A kernel op is one or more of these, run in order.
struct GPULaunch {
  std::string symbol;
  std::string role; ///< For people: "gemm", "norm of a", "sums".
  std::array<int64_t, 3> grid = {1, 1, 1};
  int64_t threads = 1; ///< Of a block (x only).
  int64_t sharedBytes = 0; ///< Dynamic shared memory.
  int64_t staticSharedBytes = 0;
  int64_t cluster = 1;     ///< Blocks of a cluster along x.
  std::vector<GPUParameter> parameters;
  bool persistent = false; ///< Any smaller grid along x does the same work, with the same bits.
};

} // namespace smelt
#endif
