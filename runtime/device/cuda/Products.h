//===- Products.h - Kernels that cuBLASLt computes --------------*- C++ -*-===//
#pragma once

#include "runtime/device/Device.h"
#include "runtime/device/cuda/cublaslt/LtProduct.h"

namespace smelt::runtime::cuda {

/// One product with everything it takes.
struct PreparedProduct {
  const cublaslt::LtProduct *product = nullptr;
  const LibraryAlgorithm *algorithm = nullptr;
  cublaslt::LtProduct::Places places;

  Status start(Stream stream) const { return product->start(*algorithm, places, stream); }
};

/// The kernels of a module whose manifest chose an algorithm that this machine's library has.
class Products {
public:
  /// Without the library, or with another version of it, all kernels stay generated; a note says
  /// so.
  Status load(const Driver &driver, const std::vector<DeviceKernel> &kernels, Stream stream);

  bool has(const DeviceLaunch &launch) const {
    return launch.kernel < choices_.size() && choices_[launch.kernel].product;
  }
  PreparedProduct prepare(const DeviceLaunch &launch, DevicePointer arena) const;
  /// "cuBLASLt 130100 for 3 kernels", or "none".
  std::string description() const;

  /// A description of a kernel's product and the library's algorithms for it; none without library.
  struct Tuned {
    std::unique_ptr<cublaslt::LtProduct> product;
    std::vector<LibraryAlgorithm> algorithms;
  };
  StatusOr<Tuned> findAlgorithms(const Driver &driver, const GpuProduct &product, size_t count,
                                 uint64_t workspaceBytes, Stream stream);

private:
  struct Choice {
    std::unique_ptr<cublaslt::LtProduct> product; ///< Null: generated.
    DeviceLibrary library;
  };
  StatusOr<const cublaslt::LtHandle *> open();

  std::unique_ptr<cublaslt::LtHandle> handle_; // Goes after the products.
  std::vector<Choice> choices_;                ///< By kernel.
};

} // namespace smelt::runtime::cuda
