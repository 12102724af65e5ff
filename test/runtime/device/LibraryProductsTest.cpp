// Products by cuBLASLt in place of generated kernels, on FakeCuda.c and FakeCublasLt.c, which
// multiply in the host's memory while a program is captured.
#include "runtime/device/cuda/CudaDevice.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <dlfcn.h>
#include <fstream>

using namespace smelt::runtime;

namespace {
float toFloat(std::byte *data, DType type) { return float(loadElement(type, data)); }

/// A kernel with the buffers a, b, addend, output and two factors, each with 4 KiB of the arena.
class LibraryProductsTest : public ::testing::Test {
protected:
  static constexpr uint64_t kApart = 4096, kWorkspace = 6 * kApart, kArena = 7 * kApart;
  enum : uint32_t { A, B, Addend, Output, Alpha, Beta };

  void SetUp() override {
    ::setenv("FAKE_CUDA", "", 1);
    ::setenv("FAKE_CUBLASLT", "", 1);
    std::ofstream(path()) << "x";
    device_ = *makeCudaDevice();
    ASSERT_TRUE(device_->allocateArena(kArena).isOk());
    void *library = ::dlopen(SMELT_FAKE_CUBLASLT, RTLD_NOW);
    calls_ = static_cast<int *>(::dlsym(library, "fake_cublaslt_calls"));
    algorithm_ = static_cast<uint64_t *>(::dlsym(library, "fake_cublaslt_algorithm"));
    *calls_ = 0;
  }
  static std::string path() { return ::testing::TempDir() + "products.cubin"; }
  static DeviceLaunch launch() {
    return {0, {0, kApart, 2 * kApart, 3 * kApart, 4 * kApart, 5 * kApart}};
  }
  static DeviceLibrary algorithm(uint64_t version = 130100) {
    LibraryAlgorithm algorithm{version, {8, 512}, 512};
    return {algorithm, kWorkspace};
  }
  Status load(const GpuProduct &product, std::optional<DeviceLibrary> library) {
    GpuLaunch part{"k", "gemm", {1, 1, 1}, 32, 0, 1, {{GpuParameter::Kind::Pointer, {0}, 0, {}}}};
    return device_->loadModule(path(), {{"k", {part, part}, product, library}});
  }
  void write(uint32_t argument, DType type, const std::vector<double> &values) {
    std::vector<std::byte> data(values.size() * dtypeBytes(type));
    for (size_t i = 0; i < values.size(); ++i)
      storeElement(type, values[i], data.data() + i * dtypeBytes(type));
    ASSERT_TRUE(device_->copyIn(argument * kApart, data).isOk());
  }
  std::vector<float> read(DType type, size_t count) {
    std::vector<std::byte> data(count * dtypeBytes(type));
    EXPECT_TRUE(device_->copyOut(Output * kApart, data).isOk());
    std::vector<float> values;
    for (size_t i = 0; i < count; ++i)
      values.push_back(toFloat(data.data() + i * dtypeBytes(type), type));
    return values;
  }

  std::unique_ptr<Device> device_;
  int *calls_ = nullptr;
  uint64_t *algorithm_ = nullptr;
};

double a(int64_t i) { return double(i * 7 % 11) - 5; }
double b(int64_t i) { return double(i * 5 % 13) - 6; }

TEST_F(LibraryProductsTest, AllLayoutsGroupsAndFactors) {
  constexpr int64_t groups = 2, m = 3, n = 5, k = 4;
  for (int mask = 0; mask < 32; ++mask) {
    bool transposeA = mask & 1, transposeB = mask & 2, isF32 = mask & 4, adds = mask & 8,
         deviceFactors = mask & 16;
    DType type = isF32 ? DType::F32 : DType::BF16;
    GpuProduct product{groups, m, n, k, transposeA, transposeB, type, A, B, Output, {2}, {}, {}};
    if (adds)
      product.addend = Addend, product.beta.value = 0.5;
    if (deviceFactors)
      product.alpha.argument = Alpha;
    if (deviceFactors && adds && isF32)
      product.beta.argument = Beta;
    SetUp();
    ASSERT_TRUE(load(product, algorithm()).isOk());
    std::vector<double> left, right, addend;
    for (int64_t i = 0; i < groups * m * k; ++i)
      left.push_back(a(i));
    for (int64_t i = 0; i < groups * k * n; ++i)
      right.push_back(b(i));
    for (int64_t i = 0; i < groups * m * n; ++i)
      addend.push_back(double(8 * i));
    write(A, DType::BF16, left);
    write(B, DType::BF16, right);
    write(Addend, type, addend);
    write(Output, DType::F32, std::vector<double>(groups * m * n, NAN));
    write(Alpha, DType::F32, {2});
    write(Beta, DType::F32, {0.5});
    ASSERT_TRUE(device_->addProgram({launch()}).isOk());
    EXPECT_EQ(*calls_, 1);
    EXPECT_EQ(*algorithm_, 8u);
    std::vector<float> result = read(type, groups * m * n);
    for (int64_t g = 0; g < groups; ++g)
      for (int64_t i = 0; i < m; ++i)
        for (int64_t j = 0; j < n; ++j) {
          double sum = 0;
          for (int64_t l = 0; l < k; ++l)
            sum += left[size_t(g * m * k + (transposeA ? l * m + i : i * k + l))] *
                   right[size_t(g * k * n + (transposeB ? j * k + l : l * n + j))];
          double expected = 2 * sum + (adds ? 0.5 * addend[size_t((g * m + i) * n + j)] : 0);
          // bf16 holds these whole numbers up to a unit in 256.
          ASSERT_NEAR(result[size_t((g * m + i) * n + j)], expected,
                      isF32 ? 0 : std::abs(expected) / 256)
              << "case " << mask << " at " << g << ", " << i << ", " << j;
        }
  }
}

TEST_F(LibraryProductsTest, ALaunchByTheLibraryHasOnePart) {
  GpuProduct product{1, 2, 2, 2, false, false, DType::BF16, A, B, Output, {}, {}, {}};
  ASSERT_TRUE(load(product, algorithm()).isOk());
  EXPECT_TRUE(device_->usesLibrary(launch()));
  auto times = device_->runTimed({launch()});
  ASSERT_TRUE(times.isOk()) << times.status().message();
  EXPECT_EQ(times->size(), 1u);
  EXPECT_EQ(*calls_, 1);
}

TEST_F(LibraryProductsTest, WithoutAChoiceNothingIsAsked) {
  GpuProduct product{1, 2, 2, 2, false, false, DType::BF16, A, B, Output, {}, {}, {}};
  ASSERT_TRUE(load(product, std::nullopt).isOk());
  EXPECT_FALSE(device_->usesLibrary(launch()));
  ASSERT_TRUE(device_->addProgram({launch()}).isOk());
  EXPECT_EQ(*calls_, 0);
}

TEST_F(LibraryProductsTest, AnotherVersionMeansTheGeneratedKernel) {
  GpuProduct product{1, 2, 2, 2, false, false, DType::BF16, A, B, Output, {}, {}, {}};
  ::testing::internal::CaptureStderr();
  ASSERT_TRUE(load(product, algorithm(130000)).isOk());
  std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(
      said.find("note: the generated kernels run instead of 1 of cuBLASLt's: the algorithm is "
                "of cuBLASLt 130000, this is 130100"),
      std::string::npos)
      << said;
  EXPECT_FALSE(device_->usesLibrary(launch()));
  ASSERT_TRUE(device_->addProgram({launch()}).isOk());
  EXPECT_EQ(*calls_, 0);
}

TEST_F(LibraryProductsTest, AnAlgorithmThatIsRefusedMeansTheGeneratedKernel) {
  ::setenv("FAKE_CUBLASLT", "refuses", 1);
  GpuProduct product{1, 2, 2, 2, false, false, DType::BF16, A, B, Output, {}, {}, {}};
  ASSERT_TRUE(load(product, algorithm()).isOk());
  EXPECT_FALSE(device_->usesLibrary(launch()));
}

TEST_F(LibraryProductsTest, TimesTheGeneratedKernelAndEveryAlgorithm) {
  GpuProduct product{1, 2, 2, 2, false, false, DType::BF16, A, B, Output, {}, {}, {}};
  ASSERT_TRUE(load(product, std::nullopt).isOk());
  auto times = device_->timeProduct(launch(), 1024, 3);
  ASSERT_TRUE(times.isOk()) << times.status().message();
  ASSERT_EQ(times->size(), 3u);
  EXPECT_FALSE((*times)[0].algorithm);
  EXPECT_EQ((*times)[1].algorithm->data[0], 7u);
  EXPECT_EQ((*times)[2].algorithm->data[0], 8u);
  EXPECT_EQ((*times)[2].algorithm->workspaceBytes, 512u);
  EXPECT_EQ(*calls_, 2 * 4 * 4); // Two algorithms, a first round and three, four calls in each.
  // With less workspace there is one; with none at all the generated kernel is alone.
  EXPECT_EQ(device_->timeProduct(launch(), 0, 1)->size(), 2u);
  ::setenv("FAKE_CUBLASLT", "none", 1);
  EXPECT_EQ(device_->timeProduct(launch(), 1024, 1)->size(), 1u);
}
} // namespace
