#include "runtime/device/cpu/CpuDevice.h"
#include "runtime/device/cpu/HostCpu.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <map>
#include <thread>

#include <dlfcn.h>
#include <sys/mman.h>

namespace smelt::runtime {

namespace {
constexpr uint64_t kHugePage = uint64_t(1) << 21;

/// Move-only owner of an anonymous mapping, aligned to huge pages.
class Arena {
public:
  Arena() = default;
  Arena(const Arena &) = delete;
  Arena &operator=(const Arena &) = delete;
  ~Arena() {
    if (mapping_)
      ::munmap(mapping_, mappedBytes_);
  }

  Status allocate(uint64_t bytes) {
    mappedBytes_ = (bytes + kHugePage - 1) / kHugePage * kHugePage + kHugePage;
    void *mapping =
        ::mmap(nullptr, mappedBytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED)
      return internalError("cannot allocate ", bytes, " bytes: ", std::strerror(errno));
    mapping_ = mapping;
    auto address = (reinterpret_cast<uintptr_t>(mapping) + kHugePage - 1) / kHugePage * kHugePage;
    base_ = reinterpret_cast<std::byte *>(address);
    bytes_ = bytes;
    // Advice only: without huge pages everything works, more slowly.
    ::madvise(base_, mappedBytes_ - kHugePage, MADV_HUGEPAGE);
    return Status::ok();
  }

  bool isAllocated() const { return base_; }
  bool contains(uint64_t offset, uint64_t bytes) const {
    return offset <= bytes_ && bytes <= bytes_ - offset;
  }
  std::byte *at(uint64_t offset) const { return base_ + offset; }

private:
  void *mapping_ = nullptr;
  uint64_t mappedBytes_ = 0;
  std::byte *base_ = nullptr;
  uint64_t bytes_ = 0;
};

/// Move-only owner of a dlopen handle.
class SharedObject {
public:
  SharedObject() = default;
  SharedObject(const SharedObject &) = delete;
  SharedObject &operator=(const SharedObject &) = delete;
  ~SharedObject() {
    // OpenMP's worker threads may still hold code of the library; it stays loaded (RTLD_NODELETE).
    if (handle_)
      ::dlclose(handle_);
  }

  Status open(const std::string &path) {
    // A name without a slash would be searched for in the system's folders.
    std::error_code error;
    std::string absolute = std::filesystem::absolute(path, error).string();
    handle_ = ::dlopen(absolute.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!handle_)
      return corruptError("cannot load ", path, ": ", ::dlerror());
    return Status::ok();
  }
  bool isOpen() const { return handle_; }
  /// Looks in the object and in the libraries that it needs.
  void *find(const std::string &symbol) const { return ::dlsym(handle_, symbol.c_str()); }

private:
  void *handle_ = nullptr;
};

using KernelFunction = void (*)(void *const *buffers);

struct ResolvedLaunch {
  KernelFunction function;
  std::vector<void *> buffers;
};

class CpuDevice final : public Device {
public:
  explicit CpuDevice(int threads) : threads_(threads) {}

  std::string description() const override {
    int threads = threads_ ? threads_ : static_cast<int>(std::thread::hardware_concurrency());
    return concat("cpu: ", hostCpuModel(), ", ", threads, threads == 1 ? " thread" : " threads");
  }

  Status allocateArena(uint64_t bytes, uint64_t) override {
    if (arena_.isAllocated())
      return internalError("the arena is allocated already");
    return arena_.allocate(bytes);
  }

  Status copyIn(uint64_t offset, std::span<const std::byte> from) override {
    SMELT_RETURN_IF_ERROR(checkRange(offset, from.size()));
    if (!from.empty())
      std::memcpy(arena_.at(offset), from.data(), from.size());
    return Status::ok();
  }

  Status copyOut(uint64_t offset, std::span<std::byte> to) override {
    SMELT_RETURN_IF_ERROR(checkRange(offset, to.size()));
    if (!to.empty())
      std::memcpy(to.data(), arena_.at(offset), to.size());
    return Status::ok();
  }

  StatusOr<DeviceRead> startRead(std::span<const DeviceRange> ranges) override {
    std::vector<std::byte> bytes;
    for (const DeviceRange &range : ranges) {
      SMELT_RETURN_IF_ERROR(checkRange(range.offset, range.bytes));
      bytes.insert(bytes.end(), arena_.at(range.offset), arena_.at(range.offset) + range.bytes);
    }
    reads_[nextRead_] = std::move(bytes);
    return DeviceRead{nextRead_++};
  }

  Status finishRead(DeviceRead read, std::span<std::byte> to) override {
    auto it = reads_.find(read.index);
    if (it == reads_.end() || it->second.size() != to.size())
      return internalError("no read ", read.index, " of ", to.size(), " bytes was started");
    std::copy(it->second.begin(), it->second.end(), to.begin());
    reads_.erase(it);
    return Status::ok();
  }

  Status loadModule(const std::string &path, const std::vector<DeviceKernel> &kernels) override {
    if (object_.isOpen())
      return internalError("a module is loaded already");
    SMELT_RETURN_IF_ERROR(object_.open(path));
    for (const DeviceKernel &kernel : kernels) {
      void *address = object_.find(kernel.symbol);
      if (!address)
        return corruptError(path, " has no symbol \"", kernel.symbol, "\"");
      functions_.push_back(reinterpret_cast<KernelFunction>(address));
    }
    if (threads_)
      if (void *address = object_.find("omp_set_num_threads"))
        reinterpret_cast<void (*)(int)>(address)(threads_);
    return Status::ok();
  }

  StatusOr<DeviceProgram> addProgram(const std::vector<DeviceLaunch> &launches) override {
    std::vector<ResolvedLaunch> program;
    for (const DeviceLaunch &launch : launches) {
      SMELT_ASSIGN_OR_RETURN(ResolvedLaunch resolved, resolve(launch));
      program.push_back(std::move(resolved));
    }
    programs_.push_back(std::move(program));
    return DeviceProgram{programs_.size() - 1};
  }

  Status run(DeviceProgram program) override {
    if (program.index >= programs_.size())
      return internalError("the device has no program ", program.index);
    for (const ResolvedLaunch &launch : programs_[program.index])
      launch.function(launch.buffers.data());
    return Status::ok();
  }

  StatusOr<std::vector<LaunchTime>> runTimed(const std::vector<DeviceLaunch> &launches) override {
    using Clock = std::chrono::steady_clock;
    std::vector<LaunchTime> times;
    Clock::time_point begin = Clock::now();
    auto now = [&] {
      return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
    };
    for (size_t i = 0; i < launches.size(); ++i) {
      SMELT_ASSIGN_OR_RETURN(ResolvedLaunch resolved, resolve(launches[i]));
      double start = now();
      resolved.function(resolved.buffers.data());
      times.push_back({i, 0, start, now() - start});
    }
    return times;
  }

  Status synchronize() override { return Status::ok(); }
  bool isAsynchronous() const override { return false; }

private:
  StatusOr<ResolvedLaunch> resolve(const DeviceLaunch &launch) const {
    if (launch.kernel >= functions_.size())
      return internalError("the module has no kernel ", launch.kernel);
    ResolvedLaunch resolved = {functions_[launch.kernel], {}};
    for (uint64_t offset : launch.offsets) {
      SMELT_RETURN_IF_ERROR(checkRange(offset, 0));
      resolved.buffers.push_back(arena_.at(offset));
    }
    return resolved;
  }
  Status checkRange(uint64_t offset, uint64_t bytes) const {
    if (!arena_.isAllocated() || !arena_.contains(offset, bytes))
      return internalError("bytes ", offset, "+", bytes, " lie outside the arena");
    return Status::ok();
  }

  int threads_;
  Arena arena_;
  SharedObject object_;
  std::vector<KernelFunction> functions_;
  std::vector<std::vector<ResolvedLaunch>> programs_;
  std::map<size_t, std::vector<std::byte>> reads_; ///< Started, not finished.
  size_t nextRead_ = 0;
};
} // namespace

std::unique_ptr<Device> makeCpuDevice(int threads) { return std::make_unique<CpuDevice>(threads); }

} // namespace smelt::runtime
