//===- NativeModule.h - Compile MLIR and call it, for tests ----*- C++ -*-===//
#ifndef SMELT_TEST_COMPILER_TARGET_CPU_NATIVEMODULE_H
#define SMELT_TEST_COMPILER_TARGET_CPU_NATIVEMODULE_H

#include "compiler/Target/CPU/EmitCPUObject.h"
#include "llvm/Support/FileSystem.h"
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <unistd.h>

namespace smelt::test {

/// A module compiled into a shared object in a temporary folder, loaded, and removed with this
/// object.
class NativeModule {
public:
  using Kernel = void (*)(void *const *);

  /// Lowers `module` (functions of the kernel ABI, upstream dialects) in place for `cpu` and loads
  /// it.
  explicit NativeModule(mlir::ModuleOp module, llvm::StringRef cpu = "host",
                        const CPUEmissionOptions &options = {}) {
    std::string why;
    std::optional<CPUTarget> target = CPUTarget::get(cpu, why);
    EXPECT_TRUE(target) << why;
    char path[] = "/tmp/smelt-test-XXXXXX";
    int file = mkstemp(path);
    if (!target || file < 0)
      return;
    close(file);
    if (mlir::succeeded(emitCPUObject(module, *target, path, options)))
      handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    EXPECT_TRUE(handle) << dlerror();
    unlink(path);
  }
  NativeModule(const NativeModule &) = delete;
  NativeModule &operator=(const NativeModule &) = delete;
  ~NativeModule() {
    // Not closed: libomp's worker threads may still be inside the outlined code of the last region.
  }

  /// The function `symbol`; a missing one fails the test and returns null.
  Kernel find(const char *symbol) const {
    void *address = handle ? dlsym(handle, symbol) : nullptr;
    EXPECT_TRUE(address) << symbol << " is not in the compiled module";
    return reinterpret_cast<Kernel>(address);
  }

  /// Threads of the kernels' parallel regions from now on.
  void setThreads(int threads) const {
    auto set =
        reinterpret_cast<void (*)(int)>(handle ? dlsym(handle, "omp_set_num_threads") : nullptr);
    ASSERT_TRUE(set) << "the module does not need libomp";
    set(threads);
  }

private:
  void *handle = nullptr;
};

} // namespace smelt::test
#endif
