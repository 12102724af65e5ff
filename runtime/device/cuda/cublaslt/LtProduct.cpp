#include "runtime/device/cuda/cublaslt/LtProduct.h"

#include <algorithm>
#include <cstring>

namespace smelt::runtime::cublaslt {

using cuda::DevicePointer;

StatusOr<std::unique_ptr<LtHandle>> LtHandle::create(const Library &library) {
  std::unique_ptr<LtHandle> handle(new LtHandle(library));
  SMELT_RETURN_IF_ERROR(library.check(library.create(&handle->handle_), "cublasLtCreate"));
  return handle;
}

LtHandle::~LtHandle() {
  if (handle_)
    (void)library_.destroy(handle_);
}

StatusOr<std::unique_ptr<LtProduct>> LtProduct::create(const cuda::Driver &driver,
                                                       const LtHandle &handle,
                                                       const GpuProduct &product,
                                                       cuda::Stream stream) {
  std::unique_ptr<LtProduct> made(new LtProduct(handle, product));
  SMELT_RETURN_IF_ERROR(made->describe());
  if (!made->hasDeviceFactors())
    return made;
  DevicePointer constants = 0;
  SMELT_RETURN_IF_ERROR(driver.check(driver.memAlloc(&constants, 256), "cuMemAlloc(256 bytes)"));
  made->constants_ = {&driver, constants};
  for (auto [place, factor] : {std::pair(constants, made->alpha_), {constants + 4, made->beta_}}) {
    unsigned word = 0;
    std::memcpy(&word, &factor, sizeof word);
    SMELT_RETURN_IF_ERROR(
        driver.check(driver.memsetD32Async(place, word, 1, stream), "cuMemsetD32Async"));
  }
  return made;
}

LtProduct::~LtProduct() {
  const Library &library = handle_.library();
  for (Layout layout : {a_, b_, output_})
    if (layout)
      (void)library.layoutDestroy(layout);
  if (description_)
    (void)library.descDestroy(description_);
}

Status LtProduct::makeLayout(Layout &layout, int64_t rows, int64_t columns, DType type) {
  const Library &library = handle_.library();
  int element = type == DType::F32 ? kFloat32 : kBfloat16;
  SMELT_RETURN_IF_ERROR(
      library.check(library.layoutCreate(&layout, element, static_cast<uint64_t>(columns),
                                         static_cast<uint64_t>(rows), columns),
                    "cublasLtMatrixLayoutCreate"));
  if (product_.groups == 1)
    return Status::ok();
  auto groups = static_cast<int32_t>(product_.groups);
  int64_t apart = rows * columns;
  SMELT_RETURN_IF_ERROR(
      library.check(library.layoutSet(layout, kBatchCount, &groups, sizeof groups),
                    "cublasLtMatrixLayoutSetAttribute(batch count)"));
  return library.check(library.layoutSet(layout, kBatchStride, &apart, sizeof apart),
                       "cublasLtMatrixLayoutSetAttribute(batch stride)");
}

Status LtProduct::describe() {
  const Library &library = handle_.library();
  const GpuProduct &p = product_;
  alpha_ = static_cast<float>(p.alpha.value);
  beta_ = p.addend ? static_cast<float>(p.beta.value) : 0;
  SMELT_RETURN_IF_ERROR(library.check(library.descCreate(&description_, kCompute32F, kFloat32),
                                      "cublasLtMatmulDescCreate"));
  // Their first operand is our b.
  int32_t first = p.transposeB ? kTransposed : kPlain, second = p.transposeA ? kTransposed : kPlain,
          mode = hasDeviceFactors() ? kDeviceFactors : kHostFactors;
  for (auto [attribute, value] : {std::pair(kTransposeA, first), std::pair(kTransposeB, second),
                                  std::pair(kPointerMode, mode)})
    SMELT_RETURN_IF_ERROR(
        library.check(library.descSet(description_, attribute, &value, sizeof value),
                      "cublasLtMatmulDescSetAttribute"));
  SMELT_RETURN_IF_ERROR(
      makeLayout(a_, p.transposeA ? p.k : p.m, p.transposeA ? p.m : p.k, DType::BF16));
  SMELT_RETURN_IF_ERROR(
      makeLayout(b_, p.transposeB ? p.n : p.k, p.transposeB ? p.k : p.n, DType::BF16));
  return makeLayout(output_, p.m, p.n, p.type);
}

StatusOr<std::vector<LibraryAlgorithm>> LtProduct::findAlgorithms(size_t count,
                                                                  uint64_t workspaceBytes) const {
  const Library &library = handle_.library();
  Preference preference = nullptr;
  SMELT_RETURN_IF_ERROR(
      library.check(library.preferenceCreate(&preference), "cublasLtMatmulPreferenceCreate"));
  std::vector<Candidate> candidates(count);
  int found = 0;
  Result result = library.preferenceSet(preference, kMaxWorkspace, &workspaceBytes, 8);
  if (result == kSuccess)
    result = library.heuristic(handle_.get(), description_, b_, a_, output_, output_, preference,
                               static_cast<int>(count), candidates.data(), &found);
  (void)library.preferenceDestroy(preference);
  std::vector<LibraryAlgorithm> algorithms;
  if (result != kSuccess) // Often "not supported".
    return algorithms;
  for (int i = 0; i < found; ++i) {
    if (candidates[i].state != kSuccess)
      continue;
    LibraryAlgorithm &algorithm = algorithms.emplace_back();
    algorithm.version = library.version;
    std::copy_n(candidates[i].algorithm.data, 8, algorithm.data.begin());
    algorithm.workspaceBytes = candidates[i].workspaceBytes;
  }
  return algorithms;
}

Status LtProduct::checkAlgorithm(const LibraryAlgorithm &algorithm) const {
  const Library &library = handle_.library();
  if (algorithm.version != library.version)
    return usageError("the algorithm is of cuBLASLt ", algorithm.version, ", this is ",
                      library.version);
  Algorithm data;
  std::copy(algorithm.data.begin(), algorithm.data.end(), data.data);
  Candidate checked;
  if (Result result =
          library.algoCheck(handle_.get(), description_, b_, a_, output_, output_, &data, &checked);
      result != kSuccess)
    return usageError("cuBLASLt does not take the algorithm: ", library.getStatusName(result));
  if (checked.workspaceBytes > algorithm.workspaceBytes)
    return usageError("the algorithm needs ", checked.workspaceBytes, " bytes of workspace, not ",
                      algorithm.workspaceBytes);
  return Status::ok();
}

Status LtProduct::start(const LibraryAlgorithm &algorithm, const Places &places,
                        cuda::Stream stream) const {
  const Library &library = handle_.library();
  auto pointer = [](DevicePointer address) { return reinterpret_cast<void *>(address); };
  auto at = [&](uint32_t argument) { return pointer(places.arguments[argument]); };
  const void *alpha = &alpha_, *beta = &beta_;
  if (hasDeviceFactors()) {
    alpha = product_.alpha.argument ? at(*product_.alpha.argument) : pointer(constants_.get());
    beta = product_.addend && product_.beta.argument ? at(*product_.beta.argument)
                                                     : pointer(constants_.get() + 4);
  }
  void *output = at(product_.output);
  Algorithm data;
  std::copy(algorithm.data.begin(), algorithm.data.end(), data.data);
  return library.check(
      library.matmul(handle_.get(), description_, alpha, at(product_.b), b_, at(product_.a), a_,
                     beta, product_.addend ? at(*product_.addend) : output, output_, output,
                     output_, &data, pointer(places.workspace), algorithm.workspaceBytes, stream),
      "cublasLtMatmul");
}

} // namespace smelt::runtime::cublaslt
