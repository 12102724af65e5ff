#include "runtime/device/cuda/TimeProduct.h"

#include <algorithm>

namespace smelt::runtime::cuda {

namespace {
constexpr size_t kAlgorithms = 6; ///< The library's first ones.
/// Calls between two events: what an event costs does not count then.
constexpr int kCalls = 4;

/// A contestant, and how long its calls took.
struct Contestant {
  std::optional<LibraryAlgorithm> algorithm;
  PreparedProduct product;               ///< Of the library, or
  std::vector<PreparedLaunch> generated; ///< these.
  std::vector<float> times;

  Status start(const Driver &driver, Stream stream) {
    if (algorithm)
      return product.start(stream);
    for (PreparedLaunch &part : generated)
      SMELT_RETURN_IF_ERROR(part.start(driver, stream));
    return Status::ok();
  }
};

StatusOr<OwnedEvent> makeEvent(const Driver &driver) {
  Event event = nullptr;
  SMELT_RETURN_IF_ERROR(driver.check(driver.eventCreate(&event, 0), "cuEventCreate"));
  return OwnedEvent(&driver, event);
}

Status timeOnce(const Driver &driver, Contestant &contestant, Event begin, Event end,
                Stream stream) {
  SMELT_RETURN_IF_ERROR(driver.check(driver.eventRecord(begin, stream), "cuEventRecord"));
  for (int call = 0; call < kCalls; ++call)
    SMELT_RETURN_IF_ERROR(contestant.start(driver, stream));
  SMELT_RETURN_IF_ERROR(driver.check(driver.eventRecord(end, stream), "cuEventRecord"));
  SMELT_RETURN_IF_ERROR(driver.check(driver.eventSynchronize(end), "cuEventSynchronize"));
  return driver.check(driver.eventElapsedTime(&contestant.times.emplace_back(), begin, end),
                      "cuEventElapsedTime");
}
} // namespace

StatusOr<std::vector<ProductTime>> timeProduct(const Driver &driver, KernelModule &module,
                                               const DeviceLaunch &launch, DevicePointer arena,
                                               uint64_t workspaceBytes, int rounds, Stream stream) {
  const DeviceKernel &kernel = module.kernel(launch.kernel);
  if (!kernel.product)
    return internalError("kernel ", kernel.symbol, " is no product");
  SMELT_ASSIGN_OR_RETURN(Products::Tuned tuned,
                         module.products().findAlgorithms(driver, *kernel.product, kAlgorithms,
                                                          workspaceBytes, stream));
  DevicePointer workspace = 0;
  SMELT_RETURN_IF_ERROR(
      driver.check(driver.memAlloc(&workspace, std::max<uint64_t>(workspaceBytes, 256)),
                   concat("cuMemAlloc(", workspaceBytes, " bytes)")));
  OwnedMemory owned(&driver, workspace);
  std::vector<Contestant> contestants(1);
  for (size_t part = 0; part < kernel.gpu.size(); ++part) {
    SMELT_ASSIGN_OR_RETURN(PreparedLaunch prepared, module.prepareGenerated(launch, part, arena));
    contestants[0].generated.push_back(std::move(prepared));
  }
  for (const LibraryAlgorithm &algorithm : tuned.algorithms) {
    Contestant &contestant = contestants.emplace_back();
    contestant.algorithm = algorithm;
    contestant.product = {tuned.product.get(), &algorithm, {{}, workspace}};
    for (uint64_t offset : launch.offsets)
      contestant.product.places.arguments.push_back(arena + offset);
  }
  SMELT_ASSIGN_OR_RETURN(OwnedEvent begin, makeEvent(driver));
  SMELT_ASSIGN_OR_RETURN(OwnedEvent end, makeEvent(driver));
  // The first round loads code.
  for (int round = 0; round <= rounds; ++round)
    for (Contestant &contestant : contestants) {
      SMELT_RETURN_IF_ERROR(timeOnce(driver, contestant, begin.get(), end.get(), stream));
      if (round == 0)
        contestant.times.clear();
    }
  std::vector<ProductTime> times;
  for (Contestant &contestant : contestants) {
    auto middle = contestant.times.begin() + static_cast<ptrdiff_t>(contestant.times.size() / 2);
    std::nth_element(contestant.times.begin(), middle, contestant.times.end());
    times.push_back({contestant.algorithm, 1000.0 * *middle / kCalls});
  }
  return times;
}

} // namespace smelt::runtime::cuda
