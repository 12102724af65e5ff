//===- LtProduct.h - A product by cuBLASLt ----------------------*- C++ -*-===//
//
// cuBLASLt's matrices are column-major, so ours, row-major, are their transposes: it is asked for
// outputᵀ = op(b)ᵀ · op(a)ᵀ, b as its first operand.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/device/GpuProduct.h"
#include "runtime/device/cuda/Handles.h"
#include "runtime/device/cuda/cublaslt/LtLibrary.h"

#include <memory>
#include <vector>

namespace smelt::runtime::cublaslt {

/// The library's handle; one a device. Its products are destroyed first.
class LtHandle {
public:
  static StatusOr<std::unique_ptr<LtHandle>> create(const Library &library);
  LtHandle(const LtHandle &) = delete;
  ~LtHandle();
  const Library &library() const { return library_; }
  Handle get() const { return handle_; }

private:
  explicit LtHandle(const Library &library) : library_(library) {}
  const Library &library_;
  Handle handle_ = nullptr;
};

/// A kernel's product, described to the library.
class LtProduct {
public:
  /// Takes factors that are constants into the GPU's memory where the other is there.
  static StatusOr<std::unique_ptr<LtProduct>> create(const cuda::Driver &driver,
                                                     const LtHandle &handle,
                                                     const GpuProduct &product,
                                                     cuda::Stream stream);
  LtProduct(const LtProduct &) = delete;
  ~LtProduct();

  /// Up to `count` algorithms with at most that much workspace, best first in the library's
  /// opinion.
  StatusOr<std::vector<LibraryAlgorithm>> findAlgorithms(size_t count,
                                                         uint64_t workspaceBytes) const;
  /// Ok if this library runs the algorithm on this GPU for this product, in its workspace.
  Status checkAlgorithm(const LibraryAlgorithm &algorithm) const;

  /// Where things lie when it runs: the kernel's arguments, and the workspace.
  struct Places {
    std::vector<cuda::DevicePointer> arguments;
    cuda::DevicePointer workspace = 0;
  };
  Status start(const LibraryAlgorithm &algorithm, const Places &places, cuda::Stream stream) const;

private:
  LtProduct(const LtHandle &handle, const GpuProduct &product)
      : handle_(handle), product_(product) {}
  Status describe();
  Status makeLayout(Layout &layout, int64_t rows, int64_t columns, DType type);
  bool hasDeviceFactors() const {
    return product_.alpha.argument || (product_.addend && product_.beta.argument);
  }

  const LtHandle &handle_;
  GpuProduct product_;
  Description description_ = nullptr;
  Layout a_ = nullptr, b_ = nullptr, output_ = nullptr;
  float alpha_ = 1, beta_ = 0;
  cuda::OwnedMemory constants_; ///< alpha_ and beta_, where the GPU reads factors.
};

} // namespace smelt::runtime::cublaslt
