#include "runtime/device/cuda/Products.h"
#include "runtime/base/Log.h"

#include <algorithm>

namespace smelt::runtime::cuda {

using namespace cublaslt;

StatusOr<const LtHandle *> Products::open() {
  if (!handle_) {
    SMELT_ASSIGN_OR_RETURN(const Library *library, openCublasLt());
    SMELT_ASSIGN_OR_RETURN(handle_, LtHandle::create(*library));
  }
  return handle_.get();
}

Status Products::load(const Driver &driver, const std::vector<DeviceKernel> &kernels,
                      Stream stream) {
  auto chosen = static_cast<size_t>(std::count_if(
      kernels.begin(), kernels.end(), [](const DeviceKernel &kernel) { return kernel.library; }));
  if (!chosen)
    return Status::ok();
  StatusOr<const LtHandle *> handle = open();
  if (!handle.isOk()) {
    logNote(concat(handle.status().message(), "; the generated kernels run instead of ", chosen,
                   " that were measured to be slower"));
    return Status::ok();
  }
  std::string why;
  size_t refused = 0;
  choices_.resize(kernels.size());
  for (size_t i = 0; i < kernels.size(); ++i) {
    if (!kernels[i].library || !kernels[i].product)
      continue;
    SMELT_ASSIGN_OR_RETURN(std::unique_ptr<LtProduct> product,
                           LtProduct::create(driver, **handle, *kernels[i].product, stream));
    Status checked = product->checkAlgorithm(kernels[i].library->algorithm);
    if (checked.isOk())
      choices_[i] = {std::move(product), *kernels[i].library};
    else if (++refused; why.empty())
      why = checked.message();
  }
  if (refused)
    logNote(concat("the generated kernels run instead of ", refused, " of cuBLASLt's: ", why));
  return Status::ok();
}

PreparedProduct Products::prepare(const DeviceLaunch &launch, DevicePointer arena) const {
  const Choice &choice = choices_[launch.kernel];
  PreparedProduct prepared = {choice.product.get(), &choice.library.algorithm, {}};
  for (uint64_t offset : launch.offsets)
    prepared.places.arguments.push_back(arena + offset);
  prepared.places.workspace = arena + choice.library.workspace;
  return prepared;
}

std::string Products::description() const {
  uint64_t version = 0;
  size_t count = 0;
  for (const Choice &choice : choices_)
    if (choice.product) {
      version = choice.library.algorithm.version; // The library's own: others were refused.
      ++count;
    }
  return count ? concat("cuBLASLt ", version, " for ", count, " kernels") : "none";
}

StatusOr<Products::Tuned> Products::findAlgorithms(const Driver &driver, const GpuProduct &product,
                                                   size_t count, uint64_t workspaceBytes,
                                                   Stream stream) {
  Tuned tuned;
  SMELT_ASSIGN_OR_RETURN(const LtHandle *handle, open());
  SMELT_ASSIGN_OR_RETURN(tuned.product, LtProduct::create(driver, *handle, product, stream));
  SMELT_ASSIGN_OR_RETURN(tuned.algorithms, tuned.product->findAlgorithms(count, workspaceBytes));
  return tuned;
}

} // namespace smelt::runtime::cuda
